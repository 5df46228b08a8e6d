"""The ledger as a state machine: whatever is accepted, killed, delayed, doubled, called back or sent again, no message
is handed over twice unless the provider said it did not take it, and each ends in a state that can be read."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.channels.domain.ports import Accepted, Answer, Rejected, Retry, Unknown
from app.common.leases import Claim, LostLease
from app.common.work import Doors
from app.conversations.domain import delivery, message
from app.conversations.domain.delivery import SHOWN_AS, DeliveryStatus, Intent
from app.conversations.domain.message import MessageStatus
from app.conversations.domain.sending import MessageMoved
from app.conversations.infrastructure.courier import Courier
from app.conversations.wiring import deliveries
from app.settings import Settings
from tests.fixtures.installation import Installation
from tests.fixtures.ledger import Desk
from tests.fixtures.senders import FakeSender, FakeSenders

pytestmark = pytest.mark.xdist_group("delivery machine")
ANSWERS = {
    "accepted": Accepted("p"),
    "rejected": Rejected("550", "No such user"),
    "retry": Retry("451", "Try later"),
    "unknown": Unknown("NO_ANSWER", "Lost"),
}
ENDS = {DeliveryStatus.SENT, DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN, DeliveryStatus.CANCELED}
SITUATION: dict[str, Any] = {}


@dataclass
class Hand:
    """What a worker holds: a claim, then an intent, then what the provider said."""

    claim: Claim
    intent: Intent | None = None
    answer: Answer | None = None
    is_recorded: bool = False


class Deliveries(RuleBasedStateMachine):
    is_idempotent: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.run = SITUATION["runner"].run
        self.desk: Desk = self.run(Desk.opened(SITUATION["doors"], SITUATION["settings"], conversations=2))
        self.hands: list[Hand] = []
        self.calls: dict[str, list[Answer | None]] = {}
        """Under each provider key, what was answered; None: nobody heard it."""
        self.accepted: list[UUID] = []
        self.seen: dict[UUID, Any] = {}

    def pick(self, items: list[Any], number: int) -> Any:
        return items[number % len(items)]

    # ── what people do ────────────────────────────────────────────────────────────────────────────────────────────────
    @precondition(lambda self: len(self.accepted) < 6)
    @rule(conversation=st.integers(0, 1), is_scheduled=st.booleans())
    def accept(self, conversation: int, is_scheduled: bool) -> None:
        self.accepted.append(self.run(self.desk.accept(conversation, is_scheduled=is_scheduled)))

    @precondition(lambda self: self.accepted)
    @rule(number=st.integers(0, 9))
    def cancel(self, number: int) -> None:
        message_id = self.pick(self.accepted, number)
        may = self.seen[message_id].status in ("queued", "claimed", "canceled")
        try:
            self.run(self.desk.cancel(message_id))
            assert may
        except MessageMoved:
            assert not may

    @precondition(lambda self: self.accepted)
    @rule(number=st.integers(0, 9))
    def resend(self, number: int) -> None:
        message_id = self.pick(self.accepted, number)
        may = self.seen[message_id].status in ("failed", "unknown")
        try:
            self.run(self.desk.resend(message_id))
            assert may
        except MessageMoved:
            assert not may

    # ── what workers do ───────────────────────────────────────────────────────────────────────────────────────────────
    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        before = self.run(self.desk.states()).values()
        claims = self.run(self.desk.claim(limit=limit))
        assert len(claims) <= limit
        by_id = {row.id: row for row in before}
        for claim in claims:
            self.check_turn(by_id[claim.id], list(before))
        self.hands += [Hand(claim) for claim in claims]

    def check_turn(self, row: Any, rows: list[Any]) -> None:
        assert (row.status, row.is_due) == ("queued", True)
        for other in rows:
            if other.conversation_id == row.conversation_id and other.position < row.position:
                assert other.status not in ("claimed", "sending"), "one of its conversation is under way"
                assert other.status != "queued" or not (other.is_due or other.has_error), "out of turn"

    @precondition(lambda self: any(hand.intent is None for hand in self.hands))
    @rule(number=st.integers(0, 9))
    def intend(self, number: int) -> None:
        hand = self.pick([one for one in self.hands if one.intent is None], number)
        try:
            hand.intent = self.run(self.desk.intend(hand.claim))
            assert hand.intent is not None
        except LostLease:
            self.hands.remove(hand)

    @precondition(lambda self: any(hand.intent and not hand.answer for hand in self.hands))
    @rule(number=st.integers(0, 9), said=st.sampled_from(sorted(ANSWERS)), is_killed=st.booleans())
    def call(self, number: int, said: str, is_killed: bool) -> None:
        """Under an intent that was committed; the worker may die before it hears or records the answer."""
        hand = self.pick([one for one in self.hands if one.intent and not one.answer], number)
        hand.answer = ANSWERS[said]
        earlier = self.calls.setdefault(hand.intent.key, [])
        assert self.is_idempotent or all(isinstance(one, Retry) for one in earlier), "handed over twice"
        earlier.append(None if is_killed else hand.answer)
        if is_killed:
            self.hands.remove(hand)

    @precondition(lambda self: any(hand.answer for hand in self.hands))
    @rule(number=st.integers(0, 9))
    def record(self, number: int) -> None:
        """Also once more: then it changes nothing."""
        hand = self.pick([one for one in self.hands if one.answer], number)
        before = self.run(self.desk.states())
        done = self.run(
            self.desk.record(hand.claim, hand.intent, hand.answer, is_idempotent=self.is_idempotent)
        )
        if hand.is_recorded or not done:
            assert not (hand.is_recorded and done)
            assert self.run(self.desk.states()) == before
            self.hands.remove(hand)
        hand.is_recorded = True

    @precondition(lambda self: self.hands)
    @rule(number=st.integers(0, 9))
    def crash(self, number: int) -> None:
        self.hands.remove(self.pick(self.hands, number))

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────
    @precondition(lambda self: self.accepted)
    @rule(number=st.integers(0, 9))
    def lease_ends(self, number: int) -> None:
        self.run(self.desk.end_leases(self.pick(self.accepted, number)))

    @precondition(lambda self: self.accepted)
    @rule(number=st.integers(0, 9))
    def time_comes(self, number: int) -> None:
        self.run(self.desk.make_due(self.pick(self.accepted, number)))

    @rule()
    def reap(self) -> None:
        self.run(self.reaped())

    async def reaped(self) -> None:
        async with self.desk.doors.open_system() as system:
            await deliveries.reap(system)
        senders = FakeSenders(FakeSender(is_idempotent=self.is_idempotent))
        await Courier(self.desk.settings, senders).end_overdue(self.desk.doors, self.desk.settings)

    # ── what must hold ────────────────────────────────────────────────────────────────────────────────────────────────
    @invariant()
    def states_follow_the_tables_of_moves(self) -> None:
        now = self.run(self.desk.states())
        assert set(now) == set(self.accepted)
        for message_id, row in now.items():
            status, shown = DeliveryStatus(row.status), MessageStatus(row.shown)
            assert shown in SHOWN_AS[status], (status, shown)
            if (before := self.seen.get(message_id)) is None:
                continue
            assert status == before.status or status in delivery.MOVES[DeliveryStatus(before.status)]
            assert shown == before.shown or shown in message.MOVES[MessageStatus(before.shown)]
        self.seen = now

    def teardown(self) -> None:
        """Every worker dies and time passes: all comes to an end."""
        for _ in range(40):
            self.run(self.desk.end_leases(*self.accepted))
            self.run(self.reaped())
            self.run(self.desk.make_due(*self.accepted))
            for claim in self.run(self.desk.claim(limit=9)):
                intent = self.run(self.desk.intend(claim))
                earlier = self.calls.setdefault(intent.key, [])
                assert self.is_idempotent or all(isinstance(one, Retry) for one in earlier)
                earlier.append(ANSWERS["accepted"])
                assert self.run(self.desk.record(claim, intent, ANSWERS["accepted"]))
            rows = self.run(self.desk.states()).values()
            if all(DeliveryStatus(row.status) in ENDS for row in rows):
                break
        else:
            raise AssertionError([dict(row._mapping) for row in rows])
        for row in rows:
            key = delivery.provider_key(row.id, row.resend)
            assert row.status != "sent" or self.calls.get(key), "sent, and nobody was called"


class IdempotentDeliveries(Deliveries):
    is_idempotent = True


@pytest.fixture(scope="module")
def situation() -> Iterator[None]:
    """PostgreSQL alone, and a loop of its own: hypothesis runs its steps without one."""

    async def serve(ready: Any, ended: asyncio.Event) -> None:
        async with Installation.started(apis=0, workers=0, redis=False) as installation:
            its = installation_settings(installation)
            doors = Doors(its)
            SITUATION.update(doors=doors, settings=its)
            ready.set_result(None)
            await ended.wait()
            await doors.close()

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        ready, ended = loop.create_future(), asyncio.Event()
        SITUATION["runner"] = runner
        serving = loop.create_task(serve(ready, ended))
        runner.run(_first(ready, serving))
        yield
        ended.set()
        runner.run(_wait(serving))


async def _first(ready: Any, serving: Any) -> None:
    await asyncio.wait([ready, serving], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()


async def _wait(serving: Any) -> None:
    with suppress(asyncio.CancelledError):
        await serving


def installation_settings(installation: Installation) -> Settings:
    given = {
        name.removeprefix("SALESPAD_").lower(): value for name, value in installation.environment.items()
    }
    return Settings(**given)  # type: ignore[arg-type]


def run_machine(machine: type[RuleBasedStateMachine], *, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("machine", [Deliveries, IdempotentDeliveries])
def test_whatever_happens_in_whatever_order(situation: None, machine: type[Deliveries]) -> None:
    run_machine(machine, examples=15, steps=40)


@pytest.mark.full
@pytest.mark.parametrize("machine", [Deliveries, IdempotentDeliveries])
def test_whatever_happens_at_length(situation: None, machine: type[Deliveries]) -> None:
    run_machine(machine, examples=300, steps=80)
