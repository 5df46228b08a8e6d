"""canSend through HTTP: what stands in the way, what to do about it, and that sendMessage says the same."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import Opened, make_lead, open_account, open_conversation
from tests.factories.quiet_hours import FAR_AWAY, midday, no_quiet_hours, quiet_hours
from tests.factories.sending import RESEND, Outlet, accepted, codes, send

ASK = """query ($id: ID!, $template: ID) { conversation(id: $id) {
  canSend(templateId: $template) { allowed refusal reason retryAt } } }"""
LIST = "{ conversations(first: 100) { edges { node { id canSend { allowed refusal } } } } }"
LOCALE = "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { errors { code } } }"
TEMPLATE = """mutation ($input: CreateTemplateInput!) {
  createTemplate(input: $input) { template { id } errors { code message path } } }"""
ALLOWED = {"allowed": True, "refusal": None, "reason": None, "retryAt": None}


async def ask(person: Person, opened: Opened, template_id: object = None) -> Any:
    variables = {"id": str(opened.id), "template": str(template_id) if template_id else None}
    return (await person.run(ASK, variables))["conversation"]["canSend"]


async def new_template(person: Person, body: str, **fields: Any) -> str:
    made = (await person.run(TEMPLATE, {"input": {"name": "T", "body": body, **fields}}))["createTemplate"]
    assert made["errors"] == []
    id: str = made["template"]["id"]
    return id


async def sql(doors: Doors, person: Person, statement: str, **values: object) -> None:
    async with doors.open_work(person.workspace_id) as work:
        await work.execute(text(statement), {"workspace_id": person.workspace_id, **values})


STANDS_IN_THE_WAY = {
    "address": (
        "INSERT INTO suppression (workspace_id, value, reason) VALUES (:workspace_id, :address, 'OPT_OUT')",
        "SUPPRESSED",
    ),
    "domain": (
        "INSERT INTO suppression (workspace_id, value, channel, reason) "
        "VALUES (:workspace_id, '@' || split_part(:address, '@', 2), 'EMAIL', 'MANUAL')",
        "SUPPRESSED",
    ),
    "person": (
        "INSERT INTO suppression (workspace_id, value, lead_id, reason) "
        "VALUES (:workspace_id, cast(:lead_id as uuid)::text, :lead_id, 'OPT_OUT')",
        "SUPPRESSED",
    ),
    "disconnected": (
        "UPDATE channel_account SET status = 'DISCONNECTED' WHERE workspace_id = :workspace_id AND id = :account_id",
        "ACCOUNT_DISCONNECTED",
    ),
    "login": (
        "UPDATE channel_account SET status = 'NEEDS_REAUTH', status_reason = 'Sending: refused', smtp_secret = 'x' "
        "WHERE workspace_id = :workspace_id AND id = :account_id",
        "ACCOUNT_DISCONNECTED",
    ),
}
"""What happens, and how canSend calls it."""


@pytest.mark.parametrize("what", list(STANDS_IN_THE_WAY))
async def test_what_is_refused_says_what_to_do_in_the_viewers_language(
    ana: Person, doors: Doors, what: str
) -> None:
    opened = await open_conversation(ana, doors)
    assert await ask(ana, opened) == ALLOWED
    statement, refusal = STANDS_IN_THE_WAY[what]
    given = {"address": opened.address, "lead_id": opened.lead_id, "account_id": opened.account_id}
    used = {name: value for name, value in given.items() if f":{name}" in statement}
    await sql(doors, ana, statement, **used)
    told = {}
    for locale in ("pt-BR", "en"):
        await ana.run(LOCALE, {"input": {"locale": locale}})
        answer = await ask(ana, opened)
        assert (answer["allowed"], answer["refusal"], answer["retryAt"]) == (False, refusal, None)
        told[locale] = answer["reason"]
    assert told["pt-BR"] != told["en"]
    refused = await send(ana, opened.id)
    assert codes(refused) == [("CONFLICT", ["conversationId"])]
    assert refused["errors"][0]["message"] == told["en"]


async def test_a_suppression_of_another_channel_stands_in_no_ones_way(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    await sql(
        doors,
        ana,
        "INSERT INTO suppression (workspace_id, value, channel, reason) "
        "VALUES (:workspace_id, :address, 'WHATSAPP', 'OPT_OUT')",
        address=opened.address,
    )
    assert await ask(ana, opened) == ALLOWED


async def test_in_quiet_hours_a_person_waits_or_schedules(outlet: Outlet) -> None:
    ana, opened = outlet.person, await outlet.conversation()
    end = await quiet_hours(ana, from_h=-1, to_h=2)
    answer = await ask(ana, opened)
    assert (answer["allowed"], answer["refusal"]) == (False, "QUIET_HOURS")
    assert datetime.fromisoformat(answer["retryAt"]) == end
    assert codes(await send(ana, opened.id)) == [("CONFLICT", ["notBefore"])]
    inside = (end - timedelta(minutes=30)).isoformat() if end else ""
    assert codes(await send(ana, opened.id, notBefore=inside)) == [("CONFLICT", ["notBefore"])]
    message = await accepted(ana, opened.id, notBefore=answer["retryAt"])
    assert message["status"] == "SCHEDULED"
    again = datetime.fromisoformat(answer["retryAt"]) + timedelta(hours=22)
    assert codes(await send(ana, opened.id, notBefore=again.isoformat())) == [("CONFLICT", ["notBefore"])], (
        "tomorrow's are quiet too"
    )
    await no_quiet_hours(ana)
    assert await ask(ana, opened) == ALLOWED


async def test_the_hours_are_those_of_the_lead_else_of_its_number_else_of_the_workspace(
    ana: Person, doors: Doors
) -> None:
    await quiet_hours(ana, from_h=-1, to_h=2)
    here = await open_conversation(ana, doors)
    far = await open_conversation(ana, doors)
    await sql(
        doors,
        ana,
        "UPDATE lead SET time_zone = :zone WHERE workspace_id = :workspace_id AND id = :id",
        zone=FAR_AWAY,
        id=far.lead_id,
    )
    assert ((await ask(ana, here))["refusal"], await ask(ana, far)) == ("QUIET_HOURS", ALLOWED)
    # In New Zealand it is half a day later, whatever the season; hours of ±1 around noon there are night here.
    numbered = await make_lead(ana, phone="+6444720000")
    by_number = await open_conversation(ana, doors, lead_id=numbered)
    assert await ask(ana, by_number) == ALLOWED
    await quiet_hours(ana, from_h=11, to_h=14.5)
    assert ((await ask(ana, by_number))["refusal"], await ask(ana, here)) == ("QUIET_HOURS", ALLOWED)


async def test_who_wrote_within_a_day_is_answered_at_any_hour(ana: Person, doors: Doors) -> None:
    heard = (
        "UPDATE conversation SET last_inbound_at = now() - cast(:ago as interval) "
        "WHERE workspace_id = :workspace_id AND id = :id"
    )
    await quiet_hours(ana, from_h=-1, to_h=2)
    opened = await open_conversation(ana, doors)
    await sql(doors, ana, heard, ago=timedelta(hours=23), id=opened.id)
    assert await ask(ana, opened) == ALLOWED
    assert codes(await send(ana, opened.id)) == []
    later = (datetime.now(UTC) + timedelta(hours=1.5)).isoformat()
    assert codes(await send(ana, opened.id, notBefore=later)) == [("CONFLICT", ["notBefore"])], (
        "by then a day has passed"
    )
    await sql(doors, ana, heard, ago=timedelta(hours=24, minutes=1), id=opened.id)
    assert (await ask(ana, opened))["refusal"] == "QUIET_HOURS"


async def test_a_failed_message_is_not_sent_again_in_quiet_hours(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    far_off = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    message = await accepted(ana, opened.id, notBefore=far_off)
    for table, status in (("message", "FAILED"), ("delivery", "failed")):
        own = "id" if table == "message" else "message_id"
        await sql(
            doors,
            ana,
            f"UPDATE {table} SET status = '{status}' WHERE workspace_id = :workspace_id AND {own} = :id",
            id=message["id"],
        )
    await quiet_hours(ana, from_h=-1, to_h=2)
    answer = (await ana.run(RESEND, {"input": {"id": message["id"]}}))["resendMessage"]
    assert codes(answer) == [("CONFLICT", ["id"])]
    await no_quiet_hours(ana)
    answer = (await ana.run(RESEND, {"input": {"id": message["id"]}}))["resendMessage"]
    assert (codes(answer), answer["message"]["status"]) == ([], "QUEUED")


LIMITS = {
    "account": (
        "UPDATE channel_account SET daily_limit = 1 WHERE workspace_id = :workspace_id AND id = :account_id",
        "ACCOUNT",
        ":account_id",
    ),
    "domain": (
        "WITH made AS (INSERT INTO sending_domain (workspace_id, domain, daily_limit) "
        "VALUES (:workspace_id, 'ours.example', 1)) UPDATE channel_account SET sending_domain = 'ours.example' "
        "WHERE workspace_id = :workspace_id AND id = :account_id",
        "DOMAIN",
        "'ours.example'",
    ),
}


@pytest.mark.parametrize("of", list(LIMITS))
async def test_where_the_days_limit_is_used_up_the_next_day_is_told(
    ana: Person, doors: Doors, of: str
) -> None:
    opened, other = await open_conversation(ana, doors), await open_conversation(ana, doors)
    await midday(ana)
    limited, kind, key = LIMITS[of]
    await sql(doors, ana, limited, account_id=opened.account_id)
    pace = (
        "INSERT INTO send_pace (workspace_id, kind, key, day, day_count) SELECT w.id, :kind, cast("
        f"{key} as text), (now() AT TIME ZONE w.time_zone)::date, 1 FROM workspace w WHERE w.id = :workspace_id"
    )
    used = {"account_id": str(opened.account_id)} if of == "account" else {}
    await sql(doors, ana, pace, kind=kind, **used)
    answer = await ask(ana, opened)
    assert (answer["allowed"], answer["refusal"]) == (False, "RATE_LIMITED")
    until = datetime.fromisoformat(answer["retryAt"])
    assert timedelta(0) < until - datetime.now(UTC) <= timedelta(hours=25)
    assert codes(await send(ana, opened.id)) == [("LIMIT_REACHED", ["notBefore"])]
    assert (await accepted(ana, opened.id, notBefore=answer["retryAt"]))["status"] == "SCHEDULED"
    assert await ask(ana, other) == ALLOWED, "another account's day is its own"


async def test_a_template_is_judged_with_the_lead_it_would_go_to(ana: Person, doors: Doors) -> None:
    account_id = await open_account(ana, doors)
    lead_id = await make_lead(ana, name="Bia Souza", company=None)
    opened = await open_conversation(ana, doors, lead_id=lead_id, account_id=account_id)
    fine = await new_template(ana, "Hello {{ lead.first_name }}", name="fine", subject="x")
    asks = await new_template(ana, "Hello from {{ lead.company }}", name="asks", subject="x")
    assert await ask(ana, opened, fine) == ALLOWED
    answer = await ask(ana, opened, asks)
    assert (answer["allowed"], answer["refusal"], answer["retryAt"]) == (False, None, None)
    assert "lead.company" in answer["reason"]
    assert codes(await send(ana, opened.id, body=None, subject=None, templateId=asks)) == [
        ("INVALID", ["templateId"])
    ]
    for unknown in (opened.id, "nonsense"):
        answer = await ask(ana, opened, unknown)
        assert (answer["allowed"], answer["refusal"]) == (False, None)
        assert answer["reason"]
    statement, _ = STANDS_IN_THE_WAY["address"]
    await sql(doors, ana, statement, address=opened.address)
    assert (await ask(ana, opened, asks))["refusal"] == "SUPPRESSED", "what no template mends comes first"


async def test_a_page_of_conversations_costs_as_many_statements_as_one(ana: Person, doors: Doors) -> None:
    """The least of five: polls of the process come on top now and then."""
    await quiet_hours(ana, from_h=-1, to_h=2)
    await open_conversation(ana, doors)

    async def statements() -> float:
        told = (await ana.http.get("/metrics")).text
        line = next(line for line in told.splitlines() if line.startswith("salespad_sql_statements_total"))
        return float(line.split()[1])

    async def cost(count: int) -> float:
        spent = []
        for _ in range(5):
            before = await statements()
            edges = (await ana.run(LIST))["conversations"]["edges"]
            spent.append(await statements() - before)
            assert [edge["node"]["canSend"]["refusal"] for edge in edges] == ["QUIET_HOURS"] * count
        return min(spent)

    one = await cost(1)
    for _ in range(19):
        await open_conversation(ana, doors)
    assert await cost(20) - one < 10


async def test_a_viewer_may_ask_too(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    assert await ask(await add_member(doors, ana, role=Role.VIEWER), opened) == ALLOWED
