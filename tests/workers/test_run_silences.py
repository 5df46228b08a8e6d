"""NO_REPLY when its time has come: it begins, and goes on, only where what armed it still holds."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from app.automations.domain.rule import Action, Condition, ConditionField, ConditionOp, Trigger
from app.channels.domain.ports import Retry
from app.conversations.domain.delivery import Intent
from tests.fixtures.replies import reply
from tests.fixtures.run_desk import RunDesk, note, rule_of, wait
from tests.workers.test_quiet_hours import HOURS, NO_HOURS
from tests.workers.test_run_sends import send, sent

CONVERSATION = (
    "INSERT INTO conversation (workspace_id, lead_id, account_id, channel, contact_address) "
    "VALUES (:workspace_id, :lead_id, :account_id, 'EMAIL', gen_random_uuid() || '@example.com') RETURNING id"
)
MESSAGE = (
    "INSERT INTO message (workspace_id, conversation_id, position, account_id, direction, author_kind, body, status, "
    "sent_at, is_auto_reply) VALUES (:workspace_id, :conversation_id, :position, :account_id, :direction, :author, "
    "'Oi', :status, now() - :ago * interval '1 second', :is_auto_reply) RETURNING id"
)


async def asked(runs: RunDesk, lead_id: UUID) -> tuple[UUID, UUID]:
    """A conversation in which somebody wrote two hours ago, and that message."""
    conversation_id: UUID = await runs.sql(CONVERSATION, lead_id=lead_id, account_id=runs.account_id)
    return conversation_id, await say(runs, conversation_id, 1, ago=7200)


async def say(
    runs: RunDesk,
    conversation_id: UUID,
    position: int,
    *,
    ago: int,
    inbound: bool = False,
    auto: bool = False,
) -> UUID:
    id: UUID = await runs.sql(
        MESSAGE,
        conversation_id=conversation_id,
        position=position,
        account_id=runs.account_id,
        direction="INBOUND" if inbound else "OUTBOUND",
        author="CONTACT" if inbound else "HUMAN",
        status="RECEIVED" if inbound else "SENT",
        ago=ago,
        is_auto_reply=auto,
    )
    return id


async def armed(runs: RunDesk, *conditions: Condition, actions: Sequence[Action] = ()) -> UUID:
    """A run whose time has come; its conversation."""
    lead_id = runs.lead_ids[0]
    conversation_id, message_id = await asked(runs, lead_id)
    actions = actions or [note("Ligar")]
    rule_id = await runs.add_rule(rule_of(*actions, trigger=Trigger.NO_REPLY, conditions=conditions))
    await runs.start(rule_id, [lead_id], conversation_id=conversation_id, message_id=message_id)
    return conversation_id


async def test_it_begins_where_nobody_answered(runs: RunDesk) -> None:
    conversation_id = await armed(runs)
    await say(runs, conversation_id, 2, ago=60, inbound=True, auto=True)
    await runs.turn()
    assert await runs.ends() == {("SUCCEEDED", None)}
    assert [one.type for one in await runs.timeline(runs.lead_ids[0])] == ["AUTOMATION", "NOTE"]


async def test_it_does_not_where_they_answered_that_nobody_had_told_of(runs: RunDesk) -> None:
    conversation_id = await armed(runs)
    await say(runs, conversation_id, 2, ago=1, inbound=True)
    await runs.turn()
    (run,) = await runs.runs()
    assert (run.status, run.reason, run.started_at) == ("SKIPPED", "EPISODE_ENDED", None)
    assert run.finished_at is not None
    assert await runs.timeline(runs.lead_ids[0]) == []
    assert await runs.events("automation.triggered") == []


async def test_it_waits_on_where_they_were_written_to_again(runs: RunDesk) -> None:
    conversation_id = await armed(runs)
    await say(runs, conversation_id, 2, ago=600)
    await runs.turn()
    (run,) = await runs.runs()
    assert (run.status, run.started_at, run.attempt) == ("WAITING", None, 0)
    assert 2900 < run.due_in.total_seconds() <= 3000


@pytest.mark.parametrize(
    ("value", "end"),
    [("LINKEDIN", ("SKIPPED", "CONDITION", 1)), ("EMAIL", ("SUCCEEDED", None, None))],
    ids=["not-met", "met"],
)
async def test_the_conditions_are_asked_when_it_begins(
    runs: RunDesk, value: str, end: tuple[str, str | None, int | None]
) -> None:
    await armed(
        runs,
        Condition(ConditionField.SOURCE, ConditionOp.EQ, "MANUAL"),
        Condition(ConditionField.CHANNEL, ConditionOp.EQ, value),
    )
    await runs.turn()
    (run,) = await runs.runs()
    assert (run.status, run.reason, run.condition) == end


@pytest.mark.parametrize("is_auto", [True, False])
async def test_it_ends_between_two_actions_once_they_answer(runs: RunDesk, is_auto: bool) -> None:
    conversation_id = await armed(runs, actions=[note("Sem resposta"), wait(), note("Ainda nada")])
    await runs.turn()
    await say(runs, conversation_id, 2, ago=1, inbound=True, auto=is_auto)
    await runs.sql("UPDATE automation_run SET run_at = now() WHERE workspace_id = :workspace_id")
    await runs.turn()
    (run,) = await runs.runs()
    done = [(0, "ADD_NOTE", "DONE"), (1, "WAIT", "WAITED")]
    if is_auto:
        assert (run.status, run.reason) == ("SUCCEEDED", None)
        assert await runs.steps(run.id) == [*done, (2, "ADD_NOTE", "DONE")]
    else:
        assert (run.status, run.reason) == ("CANCELED", "EPISODE_ENDED")
        assert await runs.steps(run.id) == done


@pytest.mark.parametrize("trigger", [Trigger.NO_REPLY, Trigger.LEAD_CREATED])
async def test_a_follow_up_that_waits_in_the_ledger_is_called_back_by_an_answer(
    runs: RunDesk, trigger: Trigger
) -> None:
    """What another rule sends is no matter of an answer."""
    lead_id = runs.lead_ids[0]
    conversation_id, message_id = await asked(runs, lead_id)
    rule_id = await runs.add_rule(rule_of(send(runs, await runs.new_template("E então?")), trigger=trigger))
    await runs.start(rule_id, [lead_id], conversation_id=conversation_id, message_id=message_id)
    await runs.turn()
    (message,) = await sent(runs)
    assert (message.status, message.delivery) == ("QUEUED", "queued")
    await reply(runs, await runs.sql("SELECT email FROM lead WHERE id = :id", id=lead_id))
    (message,) = await sent(runs)
    stopped = ("CANCELED", "canceled") if trigger is Trigger.NO_REPLY else ("QUEUED", "queued")
    assert (message.status, message.delivery) == stopped


async def test_of_what_quiet_hours_put_off_all_is_asked_again(runs: RunDesk) -> None:
    conversation_id = await armed(runs, actions=[send(runs, await runs.new_template("E então?"))])
    await runs.sql(HOURS)
    await runs.turn()
    await runs.sql(NO_HOURS)
    await say(runs, conversation_id, 2, ago=60)
    await runs.sql("UPDATE automation_run SET run_at = now() WHERE workspace_id = :workspace_id")
    await runs.turn()
    (run,) = await runs.runs()
    assert (run.status, run.position, run.started_at is None) == ("WAITING", 0, False)
    assert 3400 < run.due_in.total_seconds() <= 3540
    assert await sent(runs) == []


async def test_an_answer_while_it_is_handed_over_keeps_the_next_try_back(runs: RunDesk) -> None:
    await armed(runs, actions=[send(runs, await runs.new_template("E então?"))])
    await runs.turn()
    (claim,) = await runs.claim()
    intent = await runs.intend(claim)
    assert isinstance(intent, Intent)
    await reply(runs, await runs.sql("SELECT email FROM lead WHERE id = :id", id=runs.lead_ids[0]))
    await runs.record(claim, intent, Retry("451", "Try later"))
    await runs.sql("UPDATE delivery SET run_at = now() WHERE workspace_id = :workspace_id")
    (claim,) = await runs.claim()
    assert not isinstance(await runs.intend(claim), Intent)
    (message,) = await sent(runs)
    assert (message.status, message.delivery) == ("CANCELED", "canceled")
