"""The worker: `python -m workers.main`. A tick that drains every due row, and SAQ as the doorbell that wakes it sooner.

The record of all work is in PostgreSQL (`common/leases.py`). SAQ runs one task, `drain(kind, due_key)`; a lost, doubled
or late one changes nothing. Without Redis the tick does everything (docs/architecture.md, the life of a due row).
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from prometheus_client import start_http_server
from redis.asyncio import Redis
from redis.exceptions import RedisError
from saq import Worker
from saq.queue.redis import RedisQueue

from app.accounts.wiring import SYSTEM_MAIL, create_postman, drop_old_mails, system_mails
from app.channels.wiring import IMAP, imap_mailboxes, mailbox_follower, seal_anew
from app.common import telemetry, tracing
from app.common.feed_log import drop_old_events, raise_floors
from app.common.idempotency import drop_old_keys
from app.common.jobs import DRAIN, QUEUE, create_bells
from app.common.leases import BACKOFF_S, Claim, DueTable, LostLease
from app.common.reactions import Reactor
from app.common.roles import check_roles
from app.common.work import Doors, Unavailable
from app.conversations.wiring import (
    DELIVERY,
    INBOUND,
    create_courier,
    deliveries,
    fail_mail,
    inbound_events,
    receive_mail,
    wake_snoozed,
)
from app.files.wiring import drop_old_parts, drop_unused_files
from app.imports.wiring import DUE as IMPORT
from app.imports.wiring import fail_import, import_jobs, run_import
from app.leads.wiring import DUE as BULK_CHANGE
from app.leads.wiring import bulk_changes, fail_bulk_change, run_bulk_change
from app.people.wiring import long_deleted_leads, purge_leads
from app.settings import (
    Settings,
    read_settings,
    refuse_missing_database,
    refuse_weak_keys,
)
from workers.reactions import CONSUMERS

CONCURRENCY = 4
CHORES_EVERY_S = 600
CHORE_ROWS = 5_000
SEALED_ROWS = 500
GRACE_S = 2
BRISK_S = 2
"""Past this, the rest of a batch goes back for others to take."""
DEQUEUE_S = 5
NO_MAIL_SERVER = "SALESPAD_SYSTEM_SMTP_URL is not set: invitations and password resets are not sent."
Done = TypeVar("Done")


@dataclass(frozen=True)
class DueKind:
    """A kind of due row: where its rows are, who handles one, who ends one that cannot be handled."""

    table: DueTable
    lease_s: float
    handle: Callable[[Doors, Settings, Claim, Callable[[], bool]], Awaitable[bool]]
    give_up: Callable[[Doors, Claim, str], Awaitable[None]]
    lanes: int = 1
    """Rows of this kind that one worker's tick handles beside each other."""
    batch: int = 1
    """Rows a claim takes at most; they are handled one after the other."""
    reap: Callable[[Doors, Settings], Awaitable[int]] | None = None
    """For leases that `DueTable.reap` cannot end alone; how many rows it moved."""
    is_rung: bool = True
    """False: only the tick takes it up; its handler holds on for long, and the doorbell's hands are few."""
    close: Callable[[], Awaitable[None]] | None = None
    """Lets go of what the kind keeps open, as the worker stops."""


def registry(settings: Settings) -> dict[str, DueKind]:
    courier, mailboxes = create_courier(settings), mailbox_follower(settings)
    postman = create_postman(settings)
    return {
        IMPORT: DueKind(import_jobs, settings.import_lease_s, run_import, fail_import),
        BULK_CHANGE: DueKind(bulk_changes, settings.bulk_change_lease_s, run_bulk_change, fail_bulk_change),
        INBOUND: DueKind(inbound_events, settings.inbound_lease_s, receive_mail, fail_mail, lanes=2),
        DELIVERY: DueKind(
            deliveries,
            settings.delivery_lease_s,
            courier.deliver,
            courier.give_up,
            lanes=8,
            batch=10,
            reap=courier.end_overdue,
            close=courier.close,
        ),
        SYSTEM_MAIL: DueKind(
            system_mails, settings.system_mail_lease_s, postman.send, postman.give_up, lanes=2
        ),
        IMAP: DueKind(
            imap_mailboxes,
            settings.imap_lease_s,
            mailboxes.follow,
            mailboxes.give_up,
            lanes=mailboxes.lanes,
            is_rung=False,
            close=mailboxes.close,
        ),
    }


SWEEPS: Mapping[str, Callable[[Doors], Awaitable[int]]] = {"snoozed conversation": wake_snoozed}
"""What is due by a moment in its own row and done by one statement, so that it needs no lease: how many it did."""


class Drainer:
    """Claims due rows and has them handled, one at a time per call; calls beside each other split the rows."""

    def __init__(self, settings: Settings, doors: Doors) -> None:
        self._settings, self._doors = settings, doors
        self._kinds = registry(settings)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()

    async def close(self) -> None:
        for due in self._kinds.values():
            if due.close is not None:
                await due.close()

    async def drain(self, kind: str, key: UUID | None = None) -> None:
        """Until none is due (of this id, if given). Raises Unavailable."""
        due = self._kinds[kind]
        if key is not None and not due.is_rung:
            return
        while not self._stopping.is_set() and (claims := await self._claim(due, key)):
            await self._handle_all(kind, due, claims)

    async def _claim(self, due: DueKind, key: UUID | None = None) -> Sequence[Claim]:
        async with self._doors.open_system(plans_once=True) as system:
            return await due.table.claim(system, lease_s=due.lease_s, limit=due.batch, key=key)

    async def _handle_all(self, kind: str, due: DueKind, claims: Sequence[Claim]) -> None:
        """One after the other. What a slow one would keep waiting goes back: another lane may be free."""
        loop = asyncio.get_running_loop()
        brisk_until = loop.time() + BRISK_S
        for number, claim in enumerate(claims):
            if number and (self._stopping.is_set() or loop.time() > brisk_until):
                async with self._doors.open_system() as system:
                    await due.table.give_back(system, claims[number:])
                return
            with tracing.span("due row", kind=kind, key=str(claim.id), attempt=claim.attempt):
                await self._handle(kind, due, claim)

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
                claims = None if self._stopping.is_set() else await self._tried(self._claim(due))
                if not claims:
                    await self._pause()
                    continue
            await self._tried(self._handle_all(kind, due, claims))

    async def _every_poll(self, act: Callable[[], Awaitable[None]]) -> None:
        while not self._stopping.is_set():
            await self._tried(act())
            await self._pause()

    async def _tried(self, act: Awaitable[Done]) -> Done | None:
        """None, and told, while the database is away."""
        try:
            return await act
        except Unavailable as error:
            telemetry.log.warning("tick failed", reason=str(error))
            return None

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.poll_s):
                await self._stopping.wait()

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
        await seal_anew(self._doors, self._settings, limit=SEALED_ROWS)
        while await self._purge() == CHORE_ROWS and not self._stopping.is_set():
            pass
        await self._drop_all(partial(drop_unused_files, settings=self._settings))
        await drop_old_parts(self._settings)

    async def _purge(self) -> int:
        """How many leads are gone; some could not be, perhaps, and wait for the next turn."""
        async with self._doors.open_system() as system:
            found = await long_deleted_leads(system, self._settings, limit=CHORE_ROWS)
        return await purge_leads(self._doors, self._settings, found)

    async def _drop_all(self, drop: Callable[..., Awaitable[int]]) -> None:
        dropped = CHORE_ROWS
        while dropped == CHORE_ROWS and not self._stopping.is_set():
            async with self._doors.open_system() as system:
                dropped = await drop(system, limit=CHORE_ROWS)

    async def _handle(self, kind: str, due: DueKind, claim: Claim) -> None:
        try:
            if claim.attempt > len(BACKOFF_S):  # nobody said why: it takes its worker with it
                await due.give_up(self._doors, claim, f"No worker outlived it in {len(BACKOFF_S)} attempts.")
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
            if claim.attempt >= len(BACKOFF_S):
                await due.give_up(self._doors, claim, reason)
            else:
                await self._put_back(due, claim, error=reason, wait_s=BACKOFF_S[claim.attempt - 1])

    async def _put_back(self, due: DueKind, claim: Claim, *, error: str, wait_s: float) -> None:
        async with self._doors.open_system() as system:
            await due.table.retry_later(system, claim, error=error, wait_s=wait_s)


class PatientQueue(RedisQueue):
    """SAQ spins at most of a core while Redis is away; this one waits a second between tries."""

    async def dequeue(self, timeout: float = 0.0, poll_interval: float = 0.0) -> Any:
        try:
            return await super().dequeue(timeout, poll_interval)
        except (RedisError, OSError):
            await asyncio.sleep(1)
            return None


async def drain(context: dict[str, Any], *, kind: str, due_key: str) -> None:
    """The one SAQ task: idempotent, and only a doorbell."""
    with suppress(Unavailable):  # the tick comes back to it
        await context["drainer"].drain(kind, UUID(due_key))


def saq_worker(settings: Settings, drainer: Drainer) -> "Worker[Any]":
    assert settings.redis_url is not None
    redis = Redis.from_url(settings.redis_url, socket_connect_timeout=1, socket_timeout=DEQUEUE_S * 2)
    worker: Worker[Any] = Worker(
        PatientQueue(redis, name=QUEUE),
        functions=[(DRAIN, drain)],
        concurrency=CONCURRENCY,
        dequeue_timeout=DEQUEUE_S,
        shutdown_grace_period_s=GRACE_S,
    )
    worker.SIGNALS = []
    worker.context["drainer"] = drainer
    return worker


async def run(settings: Settings) -> None:
    """Until SIGINT or SIGTERM; work in hand goes back to the rows, or ends with its lease."""
    if settings.system_mail_url is None:
        telemetry.log.warning("no mail server", reason=NO_MAIL_SERVER)
    bells = create_bells(settings)
    doors = Doors(settings, bells)
    drainer = Drainer(settings, doors)
    reactor = Reactor(doors, CONSUMERS, poll_s=settings.poll_s)
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
    saq = None if settings.redis_url is None or settings.redis_is_off else saq_worker(settings, drainer)
    doorbell = asyncio.create_task(saq.start(), name="saq") if saq else None
    telemetry.log.info("worker started", process="worker")
    await _first(stop, tick, reacting)
    drainer.stop()
    reactor.stop()
    if saq is not None and doorbell is not None:
        saq.event.set()
        await asyncio.wait([doorbell], timeout=GRACE_S + 1)
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
