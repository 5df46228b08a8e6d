"""A batch as a state machine: whatever is paused, resumed, canceled, answered, suppressed, deleted, killed, sent again,
told of, in whatever order: nothing is begun that the policy refuses, no message is handed over twice, nothing is in
doubt that was told of, and all come to an end."""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.channels.domain.ports import Answer, Rejected, Retry
from app.common.domain import Conflict
from app.common.leases import Claim, LostLease
from app.conversations.domain import delivery, message
from app.conversations.domain.batch import BatchStatus
from app.conversations.domain.batch_turn import Draft
from app.conversations.domain.delivery import SHOWN_AS, DeliveryStatus, settle_of_batch
from app.conversations.domain.message import MessageStatus
from app.conversations.domain.sending import MessageMoved, MessageNotFound
from app.conversations.infrastructure.batch_courier import Call, Outcome, Turn
from tests.fixtures.batches import BatchDesk
from tests.fixtures.replies import reply
from tests.fixtures.told import TOLD, tell
from tests.workers.test_delivery_machine import ANSWERS, ENDS, SITUATION, run_machine, situation

__all__ = ["situation"]
pytestmark = pytest.mark.xdist_group("delivery machine")
RECIPIENTS = 4


@dataclass
class Hand:
    """What a lane holds: a claim and what was rendered of it, then a call, then what came of it."""

    claim: Claim
    draft: Draft
    call: Call | None = None
    answer: Answer | None = None


class Batches(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.run = SITUATION["runner"].run
        self.desk: BatchDesk = self.run(
            BatchDesk.with_batch(SITUATION["doors"], SITUATION["settings"], recipients=RECIPIENTS)
        )
        self.courier = self.desk.courier()
        self.hands: list[Hand] = []
        self.calls: dict[str, list[Answer | None]] = {}
        self.status = BatchStatus.RUNNING
        self.is_quiet = False
        self.gone: set[Any] = set()
        self.deleted: set[Any] = set()
        """Leads that are deleted or suppressed, or have answered."""
        self.seen: dict[Any, Any] = {}
        self.told: set[Any] = set()
        """Deliveries of which a provider told something."""

    def pick(self, items: list[Any], number: int) -> Any:
        return items[number % len(items)]

    def rows(self) -> dict[Any, Any]:
        return {row.id: row for row in self.run(self.desk.rows())}

    # ── what people do ────────────────────────────────────────────────────────────────────────────────────────────────
    @precondition(lambda self: self.status is not BatchStatus.CANCELED)
    @rule(status=st.sampled_from([BatchStatus.PAUSED, BatchStatus.RUNNING, BatchStatus.RUNNING]))
    def switch(self, status: BatchStatus) -> None:
        self.status = status
        self.run(self.desk.switch(status))

    @precondition(lambda self: self.status is not BatchStatus.CANCELED)
    @rule(is_meant=st.integers(0, 4))
    def cancel_batch(self, is_meant: int) -> None:
        if is_meant == 0:
            self.switch(BatchStatus.CANCELED)

    @rule(is_quiet=st.booleans())
    def be_quiet(self, is_quiet: bool) -> None:
        self.is_quiet = is_quiet
        days = (
            "array[1 + (extract(isodow FROM now() AT TIME ZONE time_zone)::int) % 7]" if is_quiet else "NULL"
        )
        self.run(self.desk.sql(f"UPDATE workspace SET quiet_weekdays = {days} WHERE id = :workspace_id"))

    @rule(number=st.integers(0, 9), deed=st.sampled_from(["reply", "suppress", "delete"]))
    def leave(self, number: int, deed: str) -> None:
        row = self.pick(list(self.seen.values()), number)
        if row.lead_id in self.gone or len(self.gone) >= RECIPIENTS - 1:
            return
        self.gone.add(row.lead_id)
        if deed == "delete":
            self.deleted.add(row.lead_id)
        act = {"reply": partial(reply, self.desk), "suppress": self.desk.suppress}.get(deed)
        self.run(act(row.email) if act else self.desk.delete(row.lead_id))

    @precondition(lambda self: any(row.message_id for row in self.seen.values()))
    @rule(number=st.integers(0, 9))
    def resend(self, number: int) -> None:
        row = self.pick([one for one in self.seen.values() if one.message_id], number)
        if row.lead_id in self.gone:
            return
        try:
            self.run(self.desk.resend(row.message_id))
            assert row.status in ("failed", "unknown")
        except MessageMoved:
            assert row.status not in ("failed", "unknown") or row.shown == "BOUNCED"
        except Conflict:
            assert self.is_quiet, "only quiet hours stand in a person's way"

    @precondition(lambda self: any(row.message_id for row in self.seen.values()))
    @rule(number=st.integers(0, 9))
    def call_back(self, number: int) -> None:
        row = self.pick([one for one in self.seen.values() if one.message_id], number)
        with pytest.raises(MessageNotFound) if row.lead_id in self.deleted else suppress(MessageMoved):
            self.run(self.desk.cancel(row.message_id))

    # ── what providers tell ───────────────────────────────────────────────────────────────────────────────────────────
    def may_be_told_of(self, row: Any) -> bool:
        """A copy of it was taken, or nobody knows; late ones may be told of after another was sent."""
        keys = [delivery.provider_key(row.id, resend) for resend in range(row.resend + 1)]
        answers = [answer for key in keys for answer in self.calls.get(key, [])]
        return any(not isinstance(answer, Retry | Rejected) for answer in answers)

    @precondition(lambda self: any(map(self.may_be_told_of, self.seen.values())))
    @rule(number=st.integers(0, 9), kind=st.sampled_from(TOLD))
    def feedback(self, number: int, kind: str) -> None:
        row = self.pick([one for one in self.seen.values() if self.may_be_told_of(one)], number)
        self.told.add(row.id)
        self.run(self.tell(row, kind))

    async def tell(self, row: Any, kind: str) -> None:
        async with self.desk.doors.open_work(self.desk.workspace_id) as work:
            await tell(work, self.desk, row, kind)

    # ── what lanes do ─────────────────────────────────────────────────────────────────────────────────────────────────
    @rule(limit=st.integers(1, 3), is_persons=st.booleans())
    def claim(self, limit: int, is_persons: bool) -> None:
        before = self.rows()
        if is_persons:
            claims = self.run(self.desk.claim(limit=limit))
        else:
            claims = self.run(self.desk.claims(self.courier, limit=limit))
            assert not claims or (self.status is BatchStatus.RUNNING and not self.is_quiet)
        for claim in claims:
            assert before[claim.id].status == "queued"
            assert (before[claim.id].resend > 0) == is_persons
        drafts = self.run(self.drafts(claims))
        self.hands += [Hand(claim, drafts[claim.id]) for claim in claims]

    async def drafts(self, claims: list[Claim]) -> Any:
        async with self.desk.doors.open_reads(self.desk.workspace_id) as reads:
            return await self.courier.renderer.drafts(
                reads, self.desk.workspace_id, [one.id for one in claims]
            )

    def may_begin(self, hand: Hand) -> bool:
        row = self.seen[hand.claim.id]
        if row.lead_id in self.gone:
            return row.resend > 0  # a person's act: only a suppression or a deletion stops it
        return row.resend > 0 or (self.status is BatchStatus.RUNNING and not self.is_quiet)

    @precondition(lambda self: any(hand.call is None for hand in self.hands))
    @rule(number=st.integers(0, 9), together=st.integers(0, 9))
    def begin(self, number: int, together: int) -> None:
        """Alone, or with the record of another that was sent."""
        hand = self.pick([one for one in self.hands if one.call is None], number)
        sent = [one for one in self.hands if one.answer is ANSWERS["accepted"]]
        other = self.pick(sent, together) if sent and together % 2 else None
        may = self.may_begin(hand)
        try:
            hand.call = self.run(self.begun(hand, other))
            assert may or hand.call is None, "begun, though it may not be sent"
            if other is not None:
                self.hands.remove(other)
        except LostLease:
            pass
        if hand.call is None:
            self.hands.remove(hand)

    async def begun(self, hand: Hand, other: Hand | None) -> Call | None:
        async def fail(claim: Claim, error: Exception) -> None:
            raise error

        turn = Turn(self.courier, self.desk.doors, [hand.claim], lambda: False, fail)
        return await turn._begin(hand.claim, hand.draft, outcome_of(other) if other else None)

    @precondition(lambda self: any(hand.call and not hand.answer for hand in self.hands))
    @rule(number=st.integers(0, 9), said=st.sampled_from(sorted(ANSWERS)), is_killed=st.booleans())
    def call(self, number: int, said: str, is_killed: bool) -> None:
        hand = self.pick([one for one in self.hands if one.call and not one.answer], number)
        self.hand_over(hand.call.intent.key, None if is_killed else ANSWERS[said])
        hand.answer = ANSWERS[said]
        if is_killed:
            self.hands.remove(hand)

    def hand_over(self, key: str, answer: Answer | None) -> None:
        earlier = self.calls.setdefault(key, [])
        assert all(isinstance(one, Retry) for one in earlier), "handed over twice"
        earlier.append(answer)

    @precondition(lambda self: any(hand.answer for hand in self.hands))
    @rule(number=st.integers(0, 9))
    def record(self, number: int) -> None:
        hand = self.pick([one for one in self.hands if one.answer], number)
        outcome = outcome_of(hand)
        self.run(
            self.courier.courier.record(
                self.desk.doors, hand.claim, outcome.call.intent, outcome.answer, outcome.settled
            )
        )
        self.hands.remove(hand)

    @precondition(lambda self: self.hands)
    @rule(number=st.integers(0, 9), is_stopping=st.booleans())
    def leave_hold(self, number: int, is_stopping: bool) -> None:
        """The worker dies, or stops and gives back what it has not begun."""
        hand = self.pick(self.hands, number)
        self.hands.remove(hand)
        if is_stopping and hand.call is None:
            self.run(self.give_back(hand.claim))

    async def give_back(self, claim: Claim) -> None:
        async with self.desk.doors.open_work(self.desk.workspace_id) as work:
            await self.courier.claims.give_back(work, [claim])

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────
    @rule()
    def leases_end(self) -> None:
        self.run(self.desk.reaped(self.courier))

    @rule()
    def time_comes(self) -> None:
        self.run(self.desk.due_now())

    # ── what must hold ────────────────────────────────────────────────────────────────────────────────────────────────
    @invariant()
    def states_follow_the_tables_of_moves(self) -> None:
        now = self.rows()
        assert len(now) == RECIPIENTS, "nobody is lost"
        for id, row in now.items():
            status = DeliveryStatus(row.status)
            if row.message_id is None:
                assert row.conversation_id is None, "no trace without a message"
                assert status.value in ("queued", "claimed", "canceled")
            else:
                is_apart = id in self.told and status is not DeliveryStatus.UNKNOWN
                assert is_apart or MessageStatus(row.shown) in SHOWN_AS[status], (status, row.shown)
            if (before := self.seen.get(id)) is None:
                continue
            assert status == before.status or reaches(DeliveryStatus(before.status), status)
            if before.message_id:
                assert row.message_id == before.message_id, "one message for good"
                was, shown = MessageStatus(before.shown), MessageStatus(row.shown)
                assert shown is was or shown in message.MOVES[was]
        self.seen = now

    def teardown(self) -> None:
        """Every lane dies, time passes, the batch goes on: all comes to an end."""
        self.is_quiet = False
        self.be_quiet(False)
        if self.status is BatchStatus.PAUSED:
            self.switch(BatchStatus.RUNNING)
        for _ in range(40):
            self.run(self.desk.reaped(self.courier))
            self.run(self.desk.due_now())
            if self.status is BatchStatus.CANCELED:
                self.run(self.desk.cancel_rest())
            self.seen = self.rows()
            for claim in [
                *self.run(self.desk.claims(self.courier)),
                *self.run(self.desk.claim(limit=9)),
            ]:
                hand = Hand(claim, self.run(self.drafts([claim]))[claim.id])
                hand.call = self.run(self.begun(hand, None))
                if hand.call is not None:
                    hand.answer = ANSWERS["accepted"]
                    self.hand_over(hand.call.intent.key, hand.answer)
                    self.hands = [hand]
                    self.record(0)
            rows = self.rows().values()
            if all(DeliveryStatus(row.status) in ENDS for row in rows):
                break
        else:
            raise AssertionError([dict(row._mapping) for row in rows])
        for row in rows:
            key = delivery.provider_key(row.id, row.resend)
            assert row.status != "sent" or self.calls.get(key), "sent, and nobody was called"


def reaches(before: DeliveryStatus, after: DeliveryStatus) -> bool:
    """One step may claim and let go at once."""
    return after in delivery.MOVES[before]


def outcome_of(hand: Hand) -> Outcome:
    assert hand.call is not None
    assert hand.answer is not None
    settled = settle_of_batch(hand.answer, calls=hand.call.intent.calls, is_idempotent=False, jitter=1)
    return Outcome(hand.call, hand.answer, settled)


def test_whatever_happens_to_a_batch(situation: None) -> None:
    run_machine(Batches, examples=10, steps=40)


@pytest.mark.full
def test_whatever_happens_to_a_batch_at_length(situation: None) -> None:
    run_machine(Batches, examples=300, steps=80)
