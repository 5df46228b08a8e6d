"""NO_REPLY by episodes: what waits for an answer, what ends the wait, what is asked again once the time has come."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.automations.domain.rule import Condition, ConditionField, ConditionOp, Rule, Trigger
from app.automations.domain.run import RunReason
from app.automations.infrastructure.episodes import Armed, Unfit, unfit_to_begin
from app.automations.wiring import automation_use_cases
from app.common.domain import Actor, ClientKind, Role
from app.common.work import Doors
from app.settings import Settings
from tests.factories.automation_rows import rule
from tests.factories.conversations import change
from tests.fixtures.ruled import Ruled, sent

HOUR_S = 3600
FOLLOW_UP = rule(trigger=Trigger.NO_REPLY)
LIVE = ("WAITING", None)
ENDED = ("SKIPPED", "EPISODE_ENDED")
ONCE = ("SKIPPED", "ONCE_PER_EPISODE")


@pytest.fixture
async def ruled(own: tuple[Settings, Doors]) -> Ruled:
    settings, doors = own
    ruled = await Ruled.founded(doors, settings)
    await ruled.add(FOLLOW_UP)
    return ruled


async def sent_at(ruled: Ruled, message_id: UUID) -> Any:
    return await ruled.desk.sql(
        "SELECT sent_at FROM message WHERE workspace_id = :workspace_id AND id = :id", id=message_id
    )


async def make_due(ruled: Ruled) -> Sequence[Armed]:
    """The time of all that wait has come; they are in nobody's hands."""
    await ruled.desk.sql(
        "UPDATE automation_run SET run_at = now() WHERE workspace_id = :workspace_id AND status = 'WAITING'"
    )
    return [
        Armed(row.id, row.lead_id, row.conversation_id, row.message_id)
        for row in await ruled.runs()
        if row.status == "WAITING"
    ]


async def unfit(ruled: Ruled, rule: Rule = FOLLOW_UP) -> list[Unfit | None]:
    """Of each run whose time has come, in their order; None: it begins."""
    runs = await make_due(ruled)
    async with ruled.doors.open_work(ruled.workspace_id) as work:
        found = await unfit_to_begin(work, ruled.workspace_id, rule, runs)
    return [found.get(one.run_id) for one in runs]


async def test_it_waits_from_the_last_message(ruled: Ruled) -> None:
    conversation = await ruled.conversation()
    first = await ruled.send(conversation.id, ago_s=900)
    await ruled.react()
    (run,) = await ruled.runs()
    assert run.run_at == await sent_at(ruled, first) + timedelta(seconds=HOUR_S)
    second = await ruled.send(conversation.id, ago_s=600)
    third = await ruled.send(conversation.id, ago_s=300)
    await ruled.react()
    (moved,) = await ruled.runs()
    assert (moved.id, moved.message_id) == (run.id, third)
    assert moved.run_at == await sent_at(ruled, third) + timedelta(seconds=HOUR_S)
    assert moved.trigger_seq > run.trigger_seq
    await ruled.tell(sent(second, conversation.id))
    await ruled.react()
    (after,) = await ruled.runs()
    assert (after.message_id, after.run_at) == (third, moved.run_at), "one that left earlier, told of later"


async def test_a_newer_version_that_waits_for_less_holds_from_the_next_message_on(ruled: Ruled) -> None:
    conversation = await ruled.conversation()
    await ruled.send(conversation.id)
    await ruled.react()
    ids = (ruled.workspace_id, ruled.desk.user_id)
    admin = Actor(*ids, Role.ADMIN, ClientKind.WEB, session_id=ids[1], expires_at=0)
    async with ruled.doors.open_work(ruled.workspace_id, admin) as work:
        cases = automation_use_cases(work, ruled.desk.settings, admin)
        await cases.update_automation(ruled.rules["Regra"], {"no_reply_after_s": 60}, version=1)
    second = await ruled.send(conversation.id)
    await ruled.react()
    (run,) = await ruled.runs()
    assert (run.message_id, run.run_at) == (second, await sent_at(ruled, second) + timedelta(seconds=60))


async def test_several_messages_in_one_batch_are_one_wait(ruled: Ruled) -> None:
    conversation = await ruled.conversation()
    _, second = await ruled.send(conversation.id, ago_s=60), await ruled.send(conversation.id, ago_s=30)
    await ruled.react()
    (run,) = await ruled.runs()
    assert (run.status, run.message_id) == ("WAITING", second)
    assert run.run_at == await sent_at(ruled, second) + timedelta(seconds=HOUR_S)


async def test_what_is_no_message_of_ours_that_left_is_not_waited_for(ruled: Ruled) -> None:
    conversation = await ruled.conversation()
    id = await ruled.send(conversation.id, is_told=False)
    await ruled.tell(
        *(
            sent(id, conversation.id, status=status)
            for status in ("FAILED", "UNKNOWN", "BOUNCED", "CANCELED", "SCHEDULED")
        ),
        sent(id, conversation.id, before="SENT", status="DELIVERED"),
        sent(id, conversation.id, before="DELIVERED", status="READ"),
        sent(uuid4(), conversation.id),
    )
    await ruled.react()
    assert await ruled.runs() == []
    for author in ("AI", "SYSTEM"):
        await ruled.change_message(id, author_kind=author)
        await ruled.tell(sent(id, conversation.id))
    await ruled.react()
    assert await ruled.runs() == []
    await ruled.change_message(id, author_kind="AUTOMATION")
    await ruled.tell(sent(id, conversation.id, before="UNKNOWN", status="DELIVERED"))
    await ruled.react()
    assert await ruled.outcomes() == [LIVE], (
        "what a rule sent is waited for too, also when its SENT was never told"
    )


async def test_an_answer_ends_it_and_the_next_message_begins_another(ruled: Ruled) -> None:
    conversation = await ruled.conversation()
    await ruled.send(conversation.id)
    await ruled.react()
    await ruled.receive(conversation.id, is_auto_reply=True)
    await ruled.react()
    assert await ruled.outcomes() == [LIVE], "an auto-reply is no answer"
    await ruled.receive(conversation.id)
    await ruled.react()
    assert await ruled.outcomes() == [ENDED]
    (run,) = await ruled.runs()
    assert (run.finished_at is None, run.token, run.lease_until) == (False, None, None)
    await ruled.send(conversation.id)
    await ruled.react()
    assert await ruled.outcomes() == [ENDED, LIVE]


async def test_an_answer_elsewhere_ends_nothing(ruled: Ruled) -> None:
    one, other = await ruled.conversation(), await ruled.conversation()
    await ruled.send(one.id)
    await ruled.send(other.id)
    await ruled.react()
    await ruled.receive(other.id)
    await ruled.react()
    assert await ruled.outcomes() == [LIVE, ENDED]


async def test_a_message_and_its_answer_in_one_batch(ruled: Ruled) -> None:
    """In whatever order they are told of: what was answered is not waited for, what came after it is."""
    conversation = await ruled.conversation()
    first = await ruled.send(conversation.id, is_told=False)
    await ruled.receive(conversation.id)
    second = await ruled.send(conversation.id, is_told=False)
    await ruled.tell(sent(second, conversation.id), sent(first, conversation.id))
    await ruled.react()
    assert [(row.message_id, row.reason) for row in await ruled.runs()] == [
        (second, None),
        (first, "EPISODE_ENDED"),
    ]


async def test_once_in_an_episode(ruled: Ruled) -> None:
    """Its own follow-up, and whatever else is sent before the lead answers, begins no other."""
    conversation = await ruled.conversation()
    await ruled.send(conversation.id)
    await ruled.react()
    await ruled.end((await ruled.runs())[0].id)
    for _ in range(2):
        await ruled.send(conversation.id)
        await ruled.react()
    assert await ruled.outcomes() == [("SUCCEEDED", None), ONCE, ONCE]
    await ruled.receive(conversation.id, is_auto_reply=True)
    await ruled.send(conversation.id)
    await ruled.react()
    assert (await ruled.outcomes())[-1] == ONCE
    await ruled.receive(conversation.id)
    await ruled.send(conversation.id)
    await ruled.react()
    assert (await ruled.outcomes())[-1] == LIVE


async def test_a_follow_up_that_did_not_act_is_not_the_once(ruled: Ruled) -> None:
    conversation = await ruled.conversation()
    await ruled.send(conversation.id)
    await ruled.react()
    await ruled.end((await ruled.runs())[0].id, has_acted=False)
    await ruled.send(conversation.id)
    await ruled.react()
    assert (await ruled.outcomes())[-1] == LIVE


async def test_a_lead_is_waited_for_in_one_conversation(ruled: Ruled) -> None:
    lead_id = await ruled.lead()
    one, other = await ruled.conversation(lead_id), await ruled.conversation(lead_id)
    await ruled.send(one.id)
    await ruled.send(other.id)
    await ruled.react()
    running = ("SKIPPED", "ALREADY_RUNNING")
    assert await ruled.outcomes() == [LIVE, running]
    await ruled.receive(one.id)
    await ruled.send(other.id)
    await ruled.react()
    assert await ruled.outcomes() == [ENDED, running, LIVE], "the first wait is over by then"


async def test_one_that_acts_ends_with_the_silence(ruled: Ruled) -> None:
    conversation = await ruled.conversation()
    await ruled.send(conversation.id)
    await ruled.react()
    await ruled.desk.sql("UPDATE automation_run SET started_at = now() WHERE workspace_id = :workspace_id")
    await ruled.send(conversation.id)
    await ruled.receive(conversation.id, is_auto_reply=True)
    await ruled.react()
    assert await ruled.outcomes() == [LIVE, ONCE]
    await ruled.receive(conversation.id)
    await ruled.send(conversation.id)
    await ruled.react()
    assert (await ruled.outcomes())[::2] == [("CANCELED", "EPISODE_ENDED"), LIVE]


async def test_other_runs_of_the_conversation_are_no_waits(ruled: Ruled) -> None:
    """What a received message started is not ended by the next one."""
    await ruled.add(rule(trigger=Trigger.MESSAGE_RECEIVED), name="answers")
    conversation = await ruled.conversation()
    await ruled.receive(conversation.id)
    await ruled.react()
    await ruled.receive(conversation.id)
    await ruled.react()
    assert await ruled.outcomes("answers") == [LIVE, ("SKIPPED", "ALREADY_RUNNING")]


async def test_it_begins_where_nobody_answered(ruled: Ruled) -> None:
    for _ in range(2):
        await ruled.send((await ruled.conversation()).id, ago_s=2 * HOUR_S)
    await ruled.react()
    assert await unfit(ruled) == [None, None]


async def test_an_answer_that_nobody_has_reacted_to_yet(ruled: Ruled) -> None:
    answered, auto, open_one = [await ruled.conversation() for _ in range(3)]
    for one in (answered, auto, open_one):
        await ruled.send(one.id, ago_s=2 * HOUR_S)
    await ruled.react()
    await ruled.receive(answered.id)
    await ruled.receive(auto.id, is_auto_reply=True)
    assert await unfit(ruled) == [Unfit(RunReason.EPISODE_ENDED), None, None]


async def test_a_message_that_left_since_is_waited_for_first(ruled: Ruled) -> None:
    conversation, long_ago = await ruled.conversation(), await ruled.conversation()
    await ruled.send(conversation.id, ago_s=2 * HOUR_S)
    await ruled.send(long_ago.id, ago_s=9 * HOUR_S)
    await ruled.react()
    later = await ruled.send(conversation.id, ago_s=60)
    await ruled.send(long_ago.id, ago_s=8 * HOUR_S)
    until = await sent_at(ruled, later) + timedelta(seconds=HOUR_S)
    assert await unfit(ruled) == [Unfit(until=until), None]


async def test_whose_conversation_it_is_by_now(ruled: Ruled) -> None:
    conversation = await ruled.conversation()
    await ruled.send(conversation.id, ago_s=2 * HOUR_S)
    await ruled.react()
    await change(ruled.person, ruled.doors, conversation.id, lead_id=await ruled.lead())
    assert await unfit(ruled) == [Unfit(RunReason.EPISODE_ENDED)]


async def test_its_conditions_are_of_the_time_it_acts(ruled: Ruled) -> None:
    """Also those on the message that was not answered."""
    scored = Condition(ConditionField.SCORE, ConditionOp.GT, "10")
    greets = Condition(ConditionField.MESSAGE_BODY, ConditionOp.CONTAINS, "BOM DIA")
    mails = Condition(ConditionField.CHANNEL, ConditionOp.EQ, "EMAIL")
    asked = rule(trigger=Trigger.NO_REPLY, conditions=[mails, greets, scored])
    conversation = await ruled.conversation()
    await ruled.send(conversation.id, ago_s=2 * HOUR_S)
    await ruled.react()
    assert await unfit(ruled, asked) == [Unfit(RunReason.CONDITION, 2)]
    await ruled.desk.sql("UPDATE lead SET score = 11 WHERE workspace_id = :workspace_id")
    assert await unfit(ruled, asked) == [None]
