"""The worker: `python -m workers.main`. A tick that drains every due row, and SAQ as the doorbell that wakes it sooner.

The record of all work is in PostgreSQL (`common/leases.py`). SAQ runs one task, `drain(kind, due_key)`; a lost, doubled
or late one changes nothing. Without Redis the tick does everything (docs/architecture.md, the life of a due row).
"""

import asyncio
import signal
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from typing import TypeVar
from uuid import UUID

from prometheus_client import start_http_server

from app.accounts.wiring import drop_old_mails
from app.automations.wiring import drop_old_runs, seal_webhook_secrets_anew
from app.channels.wiring import seal_anew
from app.common import telemetry, tracing
from app.common.feed_log import drop_old_events, raise_floors
from app.common.idempotency import drop_old_keys
from app.common.jobs import create_bells
from app.common.leases import BACKOFF_S, Claim, LostLease
from app.common.reactions import Reactor
from app.common.roles import check_roles
from app.common.starting import refuse_missing_database, refuse_weak_keys
from app.common.work import Doors, Unavailable
from app.conversations.wiring import release_from_quiet_hours, wake_snoozed
from app.files.wiring import drop_old_parts, drop_unused_files
from app.imports.wiring import end_forgotten_imports, forget_seen, forget_undos
from app.people.wiring import long_deleted_leads, purge_leads
from app.settings import Settings, read_settings
from workers.doorbell import GRACE_S, saq_worker
from workers.kinds import DueKind, HandleAll, registry
from workers.reactions import consumers

CHORES_EVERY_S = 600
CHORE_ROWS = 5_000
UNDO_ROWS = 20_000
"""Found anew among all of an import's rows each time."""
SEALED_ROWS = 500
BRISK_S = 2
"""Past this, the rest of a batch goes back for others to take."""
NO_MAIL_SERVER = "SALESPAD_SYSTEM_SMTP_URL is not set: invitations and password resets are not sent."
Done = TypeVar("Done")
SWEEPS: Mapping[str, Callable[[Doors], Awaitable[int]]] = {
    "snoozed conversation": wake_snoozed,
    "quiet hours": release_from_quiet_hours,
}
"""What is due by a moment in its own row and done by one statement, so that it needs no lease: how many it did."""


class Drainer:
    """Claims due rows and has them handled, one at a time per call; calls beside each other split the rows."""

    def __init__(self, settings: Settings, doors: Doors) -> None:
        self._settings, self._doors = settings, doors
        self._kinds = registry(settings)
        self._stopping = asyncio.Event()
        self._rung: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def stop(self) -> None:
        self._stopping.set()
        for rung in self._rung.values():
            rung.set()

    async def close(self) -> None:
        for due in self._kinds.values():
            if due.close is not None:
                await due.close()

    async def drain(self, kind: str, key: UUID | None = None) -> None:
        """Until none is due (of this id, if given). Raises Unavailable."""
        due = self._kinds[kind]
        if due.wakes_lane:
            self._rung[kind].set()
        if key is not None and not due.is_rung:
            return
        while not self._stopping.is_set() and (claims := await self._claim(due, key)):
            await self._handle_all(kind, due, claims)

    async def _claim(self, due: DueKind, key: UUID | None = None) -> Sequence[Claim]:
        async with self._doors.open_system(plans_once=True) as system:
            return await due.table.claim(system, lease_s=due.lease_s, limit=due.batch, key=key)

    async def _handle_all(self, kind: str, due: DueKind, claims: Sequence[Claim]) -> None:
        """One after the other. What a slow one would keep waiting goes back: another lane may be free."""
        if due.handle_all is not None:
            await self._handle_together(kind, due, due.handle_all, claims)
            return
        loop = asyncio.get_running_loop()
        brisk_until = loop.time() + BRISK_S
        for number, claim in enumerate(claims):
            if number and (self._stopping.is_set() or loop.time() > brisk_until):
                async with self._doors.open_system() as system:
                    await due.table.give_back(system, claims[number:])
                return
            with tracing.span("due row", kind=kind, key=str(claim.id), attempt=claim.attempt):
                await self._handle(kind, due, claim)

    async def _handle_together(
        self, kind: str, due: DueKind, handle_all: HandleAll, claims: Sequence[Claim]
    ) -> None:
        fail = partial(self._fail, kind, due)
        try:
            done = await handle_all(self._doors, claims, self._stopping.is_set, fail)
            telemetry.due_handled.labels(kind, "done").inc(done)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - those that it still holds come again
            for claim in claims:
                await fail(claim, error)

    async def tick(self) -> None:
        """Every poll: give back what dead workers held, and drain everything; neither waits for the other, since under
        a steady stream a drain has no end. Outlives any outage of the database."""
        lookouts = {kind: asyncio.Lock() for kind in self._kinds}
        lanes = [
            self._lane(kind, lookouts[kind]) for kind, due in self._kinds.items() for _ in range(due.lanes)
        ]
        sweeps = [self._every_poll(partial(self._sweep, sweep)) for sweep in SWEEPS.values()]
        await asyncio.gather(self._every_poll(self._reap), *lanes, *sweeps)

    async def _lane(self, kind: str, lookout: asyncio.Lock) -> None:
        """One lane of a kind looks for work; with some in its hands it leaves that to the next: many lanes that find
        nothing cost as much as one."""
        due = self._kinds[kind]
        while not self._stopping.is_set():
            async with lookout:
                self._rung[kind].clear()
                if self._stopping.is_set():
                    return
                claims = await self._tried(self._claim(due))
                if not claims:
                    await self._pause(due.table.wait_s, until=self._rung[kind])
                    continue
            await self._tried(self._handle_all(kind, due, claims))

    async def _every_poll(self, act: Callable[[], Awaitable[None]]) -> None:
        while not self._stopping.is_set():
            await self._tried(act())
            await self._pause()

    async def _tried(self, act: Awaitable[Done]) -> Done | None:
        """None, and told, while the database is away; or where one kind has a bug: the others go on."""
        try:
            return await act
        except Unavailable as error:
            telemetry.log.warning("tick failed", reason=str(error))
        except Exception as error:  # noqa: BLE001 - a worker that met it again and again would do nothing at all
            error_id = telemetry.new_error_id()
            telemetry.log.error(
                "tick failed", error_id=error_id, error_type=type(error).__name__, exc_info=error
            )
            await self._pause()
        return None

    async def _pause(self, at_most_s: float = inf, *, until: asyncio.Event | None = None) -> None:
        """`until` is set as the worker stops, too."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(self._settings.poll_s, at_most_s)):
                await (until or self._stopping).wait()

    async def _sweep(self, sweep: Callable[[Doors], Awaitable[int]]) -> None:
        """Until it finds nothing to do."""
        while not self._stopping.is_set() and await sweep(self._doors):
            pass

    async def _reap(self) -> None:
        for kind, due in self._kinds.items():
            async with self._doors.open_system() as system:
                reaped = await due.table.reap(system)
            if due.reap is not None:
                reaped += await due.reap(self._doors, self._settings)
            if reaped:
                telemetry.log.warning("leases ran out", kind=kind, rows=reaped)

    async def chores(self) -> None:
        """What grows old is let go, in small transactions; several workers at once do no harm."""
        while not self._stopping.is_set():
            try:
                await self._let_go()
            except Unavailable as error:
                telemetry.log.warning("chores failed", reason=str(error))
            except Exception as error:  # noqa: BLE001 - two workers may deadlock: the next turn does it
                telemetry.log.error(
                    "chores failed",
                    error_id=telemetry.new_error_id(),
                    error_type=type(error).__name__,
                    exc_info=error,
                )
            with suppress(TimeoutError):
                async with asyncio.timeout(CHORES_EVERY_S):
                    await self._stopping.wait()

    async def _let_go(self) -> None:
        async with self._doors.open_system() as system:
            await raise_floors(system, resume_days=self._settings.feed_resume_days)
        await self._drop_all(drop_old_events)
        await self._drop_all(drop_old_keys)
        await self._drop_all(drop_old_mails)
        await self._drop_all(drop_old_runs)
        await seal_anew(self._doors, self._settings, limit=SEALED_ROWS)
        await seal_webhook_secrets_anew(self._doors, self._settings, limit=SEALED_ROWS)
        while await self._purge() == CHORE_ROWS and not self._stopping.is_set():
            pass
        await self._drop_all(partial(end_forgotten_imports, settings=self._settings))
        await self._drop_all(forget_seen)
        await self._drop_all(forget_undos, limit=UNDO_ROWS)
        await self._drop_all(partial(drop_unused_files, settings=self._settings))
        await drop_old_parts(self._settings)

    async def _purge(self) -> int:
        """How many leads are gone; some could not be, perhaps, and wait for the next turn."""
        async with self._doors.open_system() as system:
            found = await long_deleted_leads(system, self._settings, limit=CHORE_ROWS)
        return await purge_leads(self._doors, self._settings, found)

    async def _drop_all(self, drop: Callable[..., Awaitable[int]], limit: int = CHORE_ROWS) -> None:
        dropped = limit
        while dropped == limit and not self._stopping.is_set():
            async with self._doors.open_system() as system:
                dropped = await drop(system, limit=limit)

    async def _handle(self, kind: str, due: DueKind, claim: Claim) -> None:
        try:
            if claim.attempt > due.attempts:  # nobody said why: it takes its worker with it
                await due.give_up(self._doors, claim, f"No worker outlived it in {due.attempts} attempts.")
            elif await self._handle_through_outages(due, claim):
                telemetry.due_handled.labels(kind, "done").inc()
            else:
                await self._put_back(due, claim, error="", wait_s=0)
        except LostLease:
            telemetry.due_handled.labels(kind, "lost").inc()
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a handler's bug becomes the row's state, with a reason
            await self._fail(kind, due, claim, error)

    async def _handle_through_outages(self, due: DueKind, claim: Claim) -> bool:
        """While the lease may still be ours an outage is waited out; past it the fence (LostLease) says so."""
        deadline = asyncio.get_running_loop().time() + due.lease_s
        assert due.handle is not None
        while True:
            try:
                return await due.handle(self._doors, self._settings, claim, self._stopping.is_set)
            except Unavailable:
                if asyncio.get_running_loop().time() >= deadline or self._stopping.is_set():
                    raise
                await asyncio.sleep(min(0.5, self._settings.poll_s))

    async def _fail(self, kind: str, due: DueKind, claim: Claim, error: Exception) -> None:
        error_id = telemetry.new_error_id()
        telemetry.due_handled.labels(kind, "error").inc()
        telemetry.log.error(
            "due row failed",
            kind=kind,
            key=str(claim.id),
            attempt=claim.attempt,
            error_id=error_id,
            error_type=type(error).__name__,
            exc_info=error,
        )
        reason = f"Unexpected error {error_id}: {type(error).__name__}"
        with suppress(LostLease):
            if claim.attempt >= due.attempts:
                await due.give_up(self._doors, claim, reason)
            else:
                await self._put_back(due, claim, error=reason, wait_s=BACKOFF_S[claim.attempt - 1])

    async def _put_back(self, due: DueKind, claim: Claim, *, error: str, wait_s: float) -> None:
        async with self._doors.open_system() as system:
            await due.table.retry_later(system, claim, error=error, wait_s=wait_s)


async def run(settings: Settings) -> None:
    """Until SIGINT or SIGTERM; work in hand goes back to the rows, or ends with its lease."""
    if settings.system_mail_url is None:
        telemetry.log.warning("no mail server", reason=NO_MAIL_SERVER)
    bells = create_bells(settings)
    doors = Doors(settings, bells)
    drainer = Drainer(settings, doors)
    reactor = Reactor(doors, consumers(settings), poll_s=settings.poll_s)
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    with suppress(Unavailable):  # away now: the tick waits for it
        await check_roles(doors)
    await bells.start()
    bells.listen(reactor)
    if settings.worker_metrics_port:
        start_http_server(settings.worker_metrics_port, settings.host)
    tick = asyncio.create_task(drainer.tick(), name="tick")
    chores = asyncio.create_task(drainer.chores(), name="chores")
    reacting = asyncio.create_task(reactor.run(), name="reactions")
    saq = None if settings.redis_url is None or settings.redis_is_off else saq_worker(settings, drainer.drain)
    doorbell = asyncio.create_task(saq.start(), name="saq") if saq else None
    telemetry.log.info("worker started", process="worker")
    await _first(stop, tick, reacting)
    drainer.stop()
    reactor.stop()
    if saq is not None and doorbell is not None:
        await saq.hang_up()
        await asyncio.wait([doorbell], timeout=1)
    await asyncio.wait([tick, chores, reacting], timeout=GRACE_S)
    await drainer.close()
    await bells.stop()
    await doors.close()
    for task in (tick, reacting):
        if task.done() and not task.cancelled() and (error := task.exception()):
            raise error


async def _first(stop: asyncio.Event, *vital: "asyncio.Task[None]") -> None:
    """A tick that dies ends the worker, and the supervisor starts another: it never lives on without it."""
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait([waiting, *vital], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


def main() -> None:
    settings = read_settings()
    refuse_missing_database(settings)
    refuse_weak_keys(settings)
    telemetry.configure_logging(settings)
    tracing.configure_tracing(settings, "worker")
    asyncio.run(run(settings))


if __name__ == "__main__":
    main()
