"""Sends by rules: through the one policy and the ledger, each message once, and in nobody's name."""

from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from app.automations.domain.rule import Action, ActionKind
from app.conversations.domain.delivery import Intent
from tests.fixtures.run_desk import RunDesk, note, rule_of
from tests.workers.test_quiet_hours import HOURS, NO_HOURS

MESSAGES = """
SELECT m.id, m.author_kind, m.author_id, m.subject, m.body, m.status, m.position, c.lead_id, c.status AS conversation,
    c.is_dormant, c.waiting_since, d.status AS delivery, d.origin_kind, d.origin_id, d.step, d.visit, d.send_batch_id
FROM message m
    JOIN conversation c ON (c.workspace_id, c.id) = (m.workspace_id, m.conversation_id)
    LEFT JOIN delivery d ON (d.workspace_id, d.message_id) = (m.workspace_id, m.id)
WHERE m.workspace_id = :workspace_id AND m.author_kind = 'AUTOMATION' ORDER BY m.id
"""
SPOKEN = """
INSERT INTO conversation (workspace_id, lead_id, account_id, channel, contact_address, subject, message_count,
    waiting_since)
SELECT :workspace_id, id, :account_id, 'EMAIL', email, 'Preços', 1, now() FROM lead WHERE id = :lead_id RETURNING id
"""
SUPPRESS = (
    "INSERT INTO suppression (workspace_id, value, reason) SELECT :workspace_id, email, 'MANUAL' FROM lead "
    "WHERE id = :lead_id"
)


def send(runs: RunDesk, template_id: UUID) -> Action:
    return Action(ActionKind.SEND_TEMPLATE, template_id, account_id=runs.account_id)


async def sent(runs: RunDesk) -> list[Any]:
    return await runs.rows(MESSAGES)


async def test_each_lead_is_sent_one_message_that_the_ledger_delivers(runs: RunDesk) -> None:
    template_id = await runs.new_template("Olá {{ lead.name }}", required=["lead.name"])
    rule_id = await runs.add_rule(rule_of(note(), send(runs, template_id), note("enviado")))
    ids = await runs.start(rule_id, depth=1)
    await runs.turn()

    assert await runs.ends() == {("SUCCEEDED", None)}
    messages = await sent(runs)
    assert sorted(one.body for one in messages) == ["Olá Bia 0", "Olá Bia 1", "Olá Bia 2"]
    assert {one.origin_id for one in messages} == set(ids)
    for one in messages:
        assert (one.origin_kind, one.step, one.visit, one.delivery) == ("AUTOMATION", 1, 0, "queued")
        assert (one.conversation, one.is_dormant, one.author_id, one.subject) == ("CLOSED", True, None, "Oi")
    created = await runs.events("message.created")
    assert {(one.actor_kind, one.depth) for one in created} == {("AUTOMATION", 2)}
    assert {orjson.loads(one.after)["authorKind"] for one in created} == {"AUTOMATION"}
    assert len(await runs.events("automation.triggered")) == 1
    (entry,) = [one for one in await runs.timeline(runs.lead_ids[0]) if one.type == "MESSAGE"]
    assert (entry.actor_kind, entry.cause) == ("AUTOMATION", f"automation:{rule_id}")
    receipt = await runs.sql(
        "SELECT detail->>'messageId' FROM automation_step WHERE workspace_id = :workspace_id AND run_id = :id "
        "AND result = 'SENT'",
        id=messages[0].origin_id,
    )
    assert receipt == str(messages[0].id)
    intents = [await runs.intend(claim) for claim in await runs.claim(limit=9)]
    assert {isinstance(one, Intent) and one.may_opt_out for one in intents} == {True}


async def test_a_conversation_stays_as_it_is_and_whoever_waits_for_a_person_goes_on_waiting(
    runs: RunDesk,
) -> None:
    lead_id = runs.lead_ids[0]
    await runs.sql(SPOKEN, account_id=runs.account_id, lead_id=lead_id)
    template_id = await runs.new_template("Já volto", subject="")
    await runs.start(await runs.add_rule(rule_of(send(runs, template_id))), [lead_id])
    await runs.turn()
    (message,) = await sent(runs)
    assert (message.conversation, message.is_dormant, message.position) == ("OPEN", False, 2)
    assert message.subject == "Re: Preços"
    assert message.waiting_since is not None


@pytest.mark.parametrize(
    ("arranged", "reason"),
    [
        (SUPPRESS, "SUPPRESSED"),
        ("UPDATE lead SET email = NULL WHERE id = :lead_id", "NO_ADDRESS"),
        ("UPDATE lead SET name = '  ' WHERE id = :lead_id", "VALUE_MISSING"),
        ("UPDATE channel_account SET status = 'DISCONNECTED' WHERE id = :account_id", "ACCOUNT_DISCONNECTED"),
        ("UPDATE template SET deleted_at = now() WHERE id = :template_id", "TEMPLATE_GONE"),
    ],
    ids=["suppressed", "no-address", "value-missing", "disconnected", "deleted"],
)
async def test_what_may_not_be_sent_fails_and_says_why(runs: RunDesk, arranged: str, reason: str) -> None:
    """Of two leads, where it is about one of them."""
    template_id = await runs.new_template("Olá {{ lead.name }}", required=["lead.name"])
    rule_id = await runs.add_rule(rule_of(send(runs, template_id), note("enviado")))
    refused, fine = runs.lead_ids[:2]
    await runs.start(rule_id, [refused, fine])
    await runs.sql(arranged, lead_id=refused, account_id=runs.account_id, template_id=template_id)
    await runs.turn()

    ends = {one.lead_id: (one.id, one.status, one.reason) for one in await runs.runs()}
    assert ends[refused][1:] == ("FAILED", reason)
    assert await runs.steps(ends[refused][0]) == [(0, "SEND_TEMPLATE", "FAILED")]
    is_about_one = ":lead_id" in arranged
    assert ends[fine][1:] == (("SUCCEEDED", None) if is_about_one else ("FAILED", reason))
    assert {one.lead_id for one in await sent(runs)} == ({fine} if is_about_one else set())


async def test_a_first_mail_needs_a_subject(runs: RunDesk) -> None:
    """Where there is a conversation it takes that one's: see above."""
    template_id = await runs.new_template("Olá", subject="")
    await runs.start(await runs.add_rule(rule_of(send(runs, template_id))))
    await runs.turn()
    assert await runs.ends() == {("FAILED", "NO_SUBJECT")}
    assert await sent(runs) == []


async def test_an_account_that_is_none_fails_the_run(runs: RunDesk) -> None:
    action = Action(ActionKind.SEND_TEMPLATE, await runs.new_template("Oi"), account_id=uuid4())
    await runs.start(await runs.add_rule(rule_of(action)))
    await runs.turn()
    assert await runs.ends() == {("FAILED", "ACCOUNT_GONE")}


async def test_in_quiet_hours_the_run_waits_for_their_end_and_asks_again(runs: RunDesk) -> None:
    template_id = await runs.new_template("Olá")
    first, *_ = await runs.start(await runs.add_rule(rule_of(send(runs, template_id))))
    await runs.sql(HOURS)
    await runs.turn()

    for one in await runs.runs():
        assert (one.status, one.position, one.reason) == ("WAITING", 0, None)
        assert 100 * 60 < one.due_in.total_seconds() <= 2 * 3600
    assert await runs.steps(first) == []
    assert await sent(runs) == []
    assert await runs.sql("SELECT count(*) FROM conversation WHERE workspace_id = :workspace_id") == 0

    await runs.sql(NO_HOURS)
    await runs.sql("UPDATE automation_run SET run_at = now() WHERE workspace_id = :workspace_id")
    await runs.turn()
    assert await runs.ends() == {("SUCCEEDED", None)}
    assert len(await sent(runs)) == 3
    assert len(await runs.events("automation.triggered")) == 1, "they began once"


async def test_a_used_up_day_puts_sends_off_till_the_next(runs: RunDesk) -> None:
    await runs.sql("UPDATE channel_account SET daily_limit = 1 WHERE id = :id", id=runs.account_id)
    await runs.sql(
        "INSERT INTO send_pace (workspace_id, kind, key, day, day_count) "
        "VALUES (:workspace_id, 'ACCOUNT', cast(:id as text), (now() AT TIME ZONE 'UTC')::date, 1)",
        id=str(runs.account_id),
    )
    await runs.start(await runs.add_rule(rule_of(send(runs, await runs.new_template("Olá")))))
    await runs.turn()
    assert await runs.ends() == {("WAITING", None)}
    tomorrow = await runs.sql(
        "SELECT bool_and(run_at = (date_trunc('day', now() AT TIME ZONE 'UTC') + interval '1 day') "
        "AT TIME ZONE 'UTC') FROM automation_run WHERE workspace_id = :workspace_id"
    )
    assert tomorrow
    assert await sent(runs) == []
