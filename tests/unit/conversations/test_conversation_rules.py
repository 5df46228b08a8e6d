"""The rules of a conversation and of a member's read pointer."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.common.domain import Invalid
from app.conversations.domain.conversation import (
    MAX_SNOOZE,
    Conversation,
    ConversationStatus,
    ReadPointer,
)
from app.conversations.domain.draft import clean_draft
from app.conversations.domain.events import ConversationUpdated
from app.conversations.domain.message import MAX_BODY

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MEMBERS = [uuid4() for _ in range(3)]


def conversation(**fields: object) -> Conversation:
    return Conversation(id=uuid4(), lead_id=uuid4(), **fields)  # type: ignore[arg-type]


def test_assigning_tells_from_whom_to_whom() -> None:
    free = conversation()
    taken, event = free.assign(MEMBERS[0])
    assert taken.assignee_id == MEMBERS[0]
    assert event == ConversationUpdated(
        entity_ids=[free.id],
        changed=["assignee"],
        before={"assigneeId": None},
        after={"assigneeId": str(MEMBERS[0])},
    )
    assert taken.assign(MEMBERS[0]) == (taken, None)
    assert taken.assign(None)[0].assignee_id is None


def test_snoozing_ends_in_time() -> None:
    until = NOW + timedelta(hours=3)
    snoozed, event = conversation().snooze(until, now=NOW)
    assert (snoozed.status, snoozed.snoozed_until) == (ConversationStatus.SNOOZED, until)
    assert event is not None
    assert event.after == {"status": "SNOOZED"}
    assert snoozed.snooze(until, now=NOW) == (snoozed, None)
    assert snoozed.snooze(until + timedelta(days=1), now=NOW)[1] is not None
    assert snoozed.wake(now=until - timedelta(seconds=1)) == (snoozed, None)
    woken, event = snoozed.wake(now=until)
    assert (woken.status, woken.snoozed_until) == (ConversationStatus.OPEN, None)
    assert event is not None


@pytest.mark.parametrize("until", [NOW, NOW - timedelta(seconds=1), NOW + MAX_SNOOZE + timedelta(seconds=1)])
def test_a_moment_that_is_over_or_far_away_is_refused(until: datetime) -> None:
    with pytest.raises(Invalid) as refused:
        conversation().snooze(until, now=NOW)
    assert refused.value.path == ("until",)


def test_closing_a_closed_one_is_nothing() -> None:
    closed, event = conversation().close()
    assert event is not None
    assert closed.close() == (closed, None)
    assert closed.reopen()[0].status is ConversationStatus.OPEN


def test_a_dormant_one_stays_so_until_it_is_taken_up() -> None:
    dormant = conversation(status=ConversationStatus.CLOSED, is_dormant=True)
    assert dormant.close() == (dormant, None)
    assert dormant.assign(MEMBERS[0])[0].is_dormant
    assert not dormant.reopen()[0].is_dormant
    assert not dormant.snooze(NOW + timedelta(days=1), now=NOW)[0].is_dormant


class Life(RuleBasedStateMachine):
    """Any actions in any order: what must hold of a conversation always does, and an event is told just when something
    changed."""

    @initialize(dormant=st.booleans())
    def begin(self, dormant: bool) -> None:
        status = ConversationStatus.CLOSED if dormant else ConversationStatus.OPEN
        self.now = NOW
        self.conversation = conversation(status=status, is_dormant=dormant)
        self.inbound_count = 0
        self.pointer = ReadPointer()

    def take(self, changed: tuple[Conversation, ConversationUpdated | None]) -> None:
        after, event = changed
        assert (event is None) == (after == self.conversation)
        assert after.id == self.conversation.id
        self.conversation = after

    @rule(user_id=st.sampled_from([None, *MEMBERS]))
    def assign(self, user_id: UUID | None) -> None:
        self.take(self.conversation.assign(user_id))

    @rule(hours=st.integers(-5, 10_000))
    def snooze(self, hours: int) -> None:
        until = self.now + timedelta(hours=hours)
        if 0 < hours <= MAX_SNOOZE / timedelta(hours=1):
            self.take(self.conversation.snooze(until, now=self.now))
            assert self.conversation.snoozed_until == until
        else:
            with pytest.raises(Invalid):
                self.conversation.snooze(until, now=self.now)

    @rule()
    def close(self) -> None:
        self.take(self.conversation.close())
        assert self.conversation.status is ConversationStatus.CLOSED

    @rule()
    def reopen(self) -> None:
        self.take(self.conversation.reopen())
        assert self.conversation.status is ConversationStatus.OPEN

    @rule(hours=st.integers(0, 10_000))
    def time_goes_by(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.take(self.conversation.wake(now=self.now))
        assert self.conversation.snoozed_until is None or self.conversation.snoozed_until > self.now

    @rule(is_auto_reply=st.booleans())
    def a_message_comes(self, is_auto_reply: bool) -> None:
        before = self.conversation
        self.take(before.receive(is_auto_reply=is_auto_reply))
        if is_auto_reply:
            assert self.conversation == before
        else:
            self.inbound_count += 1
            assert self.conversation.status is ConversationStatus.OPEN

    @rule(data=st.data())
    def read_up_to(self, data: st.DataObject) -> None:
        before = self.pointer
        self.pointer = before.moved_to(data.draw(st.integers(0, self.inbound_count)))
        assert self.pointer.read >= before.read

    @invariant()
    def holds(self) -> None:
        c = self.conversation
        assert (c.snoozed_until is not None) == (c.status is ConversationStatus.SNOOZED)
        assert not c.is_dormant or c.status is ConversationStatus.CLOSED
        assert 0 <= self.pointer.unread(self.inbound_count) <= self.inbound_count


TestLife = Life.TestCase


@given(st.text(max_size=200).filter(lambda text: "\x00" not in text))
def test_a_draft_is_kept_as_it_is_or_dropped(body: str) -> None:
    try:
        kept = clean_draft(body)
    except Invalid:
        body.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        assert any("\ud800" <= sign <= "\udfff" for sign in body)
        return
    assert (kept is None) == (not body.strip())


@pytest.mark.parametrize("body", ["x" * (MAX_BODY + 1), " " * (MAX_BODY + 1), "a\x00b", "\ud83d"])
def test_a_draft_that_cannot_be_stored_is_refused(body: str) -> None:
    with pytest.raises(Invalid) as refused:
        clean_draft(body)
    assert refused.value.path == ("body",)
