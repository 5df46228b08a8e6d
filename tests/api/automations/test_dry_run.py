"""dryRunAutomation: a rule over what has happened, with nothing done."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import text

from app.automations.domain.errors import TooMuchHistory
from app.automations.domain.rule import Action, ActionKind, Condition, ConditionField, ConditionOp, Trigger
from app.automations.infrastructure.history_reads import BEGIN, PAGE_IDS, FeedHistory
from app.automations.wiring import dry_run_use_cases
from app.common.database import Statement, metadata
from app.common.domain import Role
from app.common.work import Doors
from app.conversations.domain.events import MessageUpdated
from app.leads.domain.events import LeadCreated
from app.settings import Settings
from tests.factories.accounts import Person, add_member
from tests.factories.automation_rows import add_rule, rule
from tests.factories.board import moved, stage_ids
from tests.factories.bulk_sends import template
from tests.factories.channels import connected
from tests.factories.conversations import inbound, make_lead, open_conversation, outbound
from tests.factories.dry_runs import NOTE, asked, condition, dry_run, pass_time, tag
from tests.factories.leads import new_tag
from tests.fixtures.reacted import until_reacted

DELETE_LEADS = "mutation ($ids: [ID!]!) { deleteLeads(input: {ids: $ids}) { errors { message } } }"
VERSION = "query ($id: ID!) { lead(id: $id) { version } }"
UPDATE = "mutation ($input: UpdateLeadInput!) { updateLead(input: $input) { errors { message path } } }"
HOUR, DAY = 3600, 24 * 3600
CONTENT = (
    "SELECT count(*), sum(hashtextextended(cast({table} as text), 0)) FROM {table} WHERE {workspace} = :id"
)


async def give(person: Person, lead_id: UUID, owner: Person) -> None:
    version = (await person.run(VERSION, {"id": str(lead_id)}))["lead"]["version"]
    given = {"id": str(lead_id), "version": version, "ownerId": str(owner.user_id)}
    assert (await person.run(UPDATE, {"input": given}))["updateLead"]["errors"] == []


async def sent(person: Person, doors: Doors, conversation_id: UUID) -> None:
    """A message of the person's is handed over."""
    message_id = await outbound(person, doors, conversation_id)
    async with doors.open_work(person.workspace_id) as work:
        work.announce(
            MessageUpdated(
                entity_ids=[message_id],
                before={"status": "SENDING"},
                after={"status": "SENT", "conversationId": str(conversation_id)},
            )
        )


# ── how often, at whom ────────────────────────────────────────────────────────────────────────────────────────────────
async def test_how_often_and_at_whom(ana: Person, eve: Person) -> None:
    made = [await make_lead(ana, name=f"Lead {number}") for number in range(7)]
    await make_lead(eve)
    found = await dry_run(ana, trigger="LEAD_CREATED")
    assert (found["wouldFire"], found["leads"], found["sends"], found["blocked"]) == (7, 7, 0, [])
    assert [one["id"] for one in found["samples"]] == [str(id) for id in made[:1:-1]]


async def test_what_is_deleted_by_now_counts_for_nothing(ana: Person) -> None:
    kept, gone = await make_lead(ana), await make_lead(ana)
    await ana.run(DELETE_LEADS, {"ids": [str(gone)]})
    found = await dry_run(ana, trigger="LEAD_CREATED")
    assert (found["wouldFire"], [one["id"] for one in found["samples"]]) == (1, [str(kept)])


async def test_only_the_days_that_were_asked_for(ana: Person, doors: Doors) -> None:
    await make_lead(ana)
    await pass_time(ana, doors, 10 * DAY)
    await make_lead(ana)
    assert (await dry_run(ana, trigger="LEAD_CREATED", days=9))["wouldFire"] == 1
    assert (await dry_run(ana, trigger="LEAD_CREATED", days=11))["wouldFire"] == 2


async def test_leads_are_asked_as_they_stood_then(ana: Person, doors: Doors) -> None:
    lead_id = await make_lead(ana)
    first, second, third, *_ = await stage_ids(ana)
    await pass_time(ana, doors, HOUR)
    await moved(ana, str(lead_id), second)
    await pass_time(ana, doors, HOUR)
    await moved(ana, str(lead_id), third)
    for stage, fired in ((first, 1), (second, 0), (third, 0)):
        found = await dry_run(ana, trigger="LEAD_CREATED", conditions=condition("STAGE_ID", "EQ", stage))
        assert found["wouldFire"] == fired
    for stage, fired in ((first, 0), (second, 1), (third, 1)):
        found = await dry_run(ana, trigger="STAGE_CHANGED", conditions=condition("STAGE_ID", "EQ", stage))
        assert found["wouldFire"] == fired


async def test_the_tags_and_owners_they_had_then(ana: Person, doors: Doors) -> None:
    lead_id = await make_lead(ana)
    vip, other = await new_tag(ana, "Cliente"), await new_tag(ana, "Outra")
    for ids in ({"addTagIds": [vip]}, {"removeTagIds": [vip]}, {"addTagIds": [other]}):
        await pass_time(ana, doors, HOUR)
        await tag(ana, [lead_id], **ids)
    await moved(ana, str(lead_id), (await stage_ids(ana))[1])
    added = [
        (await dry_run(ana, trigger="TAG_ADDED", conditions=condition("TAG_ID", "EQ", id)))["wouldFire"]
        for id in (vip, other)
    ]
    assert added == [1, 1]
    without = condition("TAG_ID", "NOT_EXISTS")
    assert (await dry_run(ana, trigger="LEAD_CREATED", conditions=without))["wouldFire"] == 1
    assert (await dry_run(ana, trigger="STAGE_CHANGED", conditions=without))["wouldFire"] == 0


async def test_whose_they_were_then(ana: Person, doors: Doors) -> None:
    bruno = await add_member(doors, ana, role=Role.MEMBER)
    lead_id = await make_lead(ana)  # hers, who made it
    for owner in (bruno, ana):
        await pass_time(ana, doors, HOUR)
        await give(ana, lead_id, owner)
    fired = [
        [
            (await dry_run(ana, trigger=trigger, conditions=condition("OWNER_ID", *asked_for)))["wouldFire"]
            for asked_for in (("NOT_EXISTS",), ("EQ", str(ana.user_id)), ("EQ", str(bruno.user_id)))
        ]
        for trigger in ("LEAD_CREATED", "LEAD_UPDATED")
    ]
    assert fired == [[0, 1, 0], [0, 1, 1]]


async def test_once_per_lead_and_one_run_at_a_time(ana: Person, doors: Doors) -> None:
    lead_id, vip = await make_lead(ana), await new_tag(ana, "Cliente")
    for _ in range(3):
        await pass_time(ana, doors, HOUR)
        await tag(ana, [lead_id], addTagIds=[vip])
        await tag(ana, [lead_id], removeTagIds=[vip])
    every_time = await dry_run(ana, trigger="TAG_ADDED")
    assert (every_time["wouldFire"], every_time["leads"], len(every_time["samples"])) == (3, 1, 1)
    assert (await dry_run(ana, trigger="TAG_ADDED", oncePerLead=True))["wouldFire"] == 1
    waiting = [{"waitSeconds": 90 * 60}, *NOTE]
    assert (await dry_run(ana, trigger="TAG_ADDED", actions=waiting))["wouldFire"] == 2


async def test_messages_that_came_in(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    await inbound(ana, doors, opened.id, body="Qual o preço?")
    await inbound(ana, doors, opened.id, body="Obrigado")
    await outbound(ana, doors, opened.id, body="O preço é 10.")
    assert (await dry_run(ana, trigger="MESSAGE_RECEIVED"))["wouldFire"] == 2
    price = condition("MESSAGE_BODY", "CONTAINS", "preço")
    found = await dry_run(ana, trigger="MESSAGE_RECEIVED", conditions=price)
    assert (found["wouldFire"], found["samples"][0]["id"]) == (1, str(opened.lead_id))
    by_mail = condition("CHANNEL", "NE", "EMAIL")
    assert (await dry_run(ana, trigger="MESSAGE_RECEIVED", conditions=by_mail))["wouldFire"] == 0


async def test_silences(ana: Person, doors: Doors) -> None:
    silent, answered = await open_conversation(ana, doors), await open_conversation(ana, doors)
    for opened in (silent, answered):
        await sent(ana, doors, opened.id)
    await pass_time(ana, doors, HOUR)
    await inbound(ana, doors, answered.id)
    await pass_time(ana, doors, HOUR)
    await sent(ana, doors, silent.id)
    await pass_time(ana, doors, HOUR)
    found = {
        hours: await dry_run(ana, trigger="NO_REPLY", noReplyAfterSeconds=hours * HOUR - 60)
        for hours in (1, 2, 4)
    }
    assert [one["wouldFire"] for one in found.values()] == [2, 1, 0]
    assert found[2]["samples"][0]["id"] == str(silent.lead_id)


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_what_it_would_send_and_what_would_be_refused(ana: Person, doors: Doors) -> None:
    account = (await connected(ana))["id"]
    plain = await template(ana, "Oi {{ lead.name }}")
    strict = await template(ana, "Como vai a {{ lead.company }}?")
    for fields in ({"company": "Acme"}, {"company": None}, {"email": None, "phone": "+5511987654321"}):
        await make_lead(ana, **fields)
    refused = await make_lead(ana, company="Acme")
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(
            text(
                "INSERT INTO suppression (workspace_id, value, lead_id, reason) "
                "VALUES (:id, :value, :lead_id, 'MANUAL')"
            ),
            {"id": ana.workspace_id, "value": str(refused), "lead_id": refused},
        )
    sends = [{"sendTemplate": {"templateId": id, "accountId": account}} for id in (plain, strict, plain)]
    found = await dry_run(ana, trigger="LEAD_CREATED", actions=sends)
    assert found["wouldFire"] == 4
    assert found["sends"] == 3 + 1, "one lead gets all three, one the first alone"
    assert {one["reason"]: one["count"] for one in found["blocked"]} == {
        "NO_ADDRESS": 1,
        "SUPPRESSED": 1,
        "MISSING_VARIABLE": 1,
    }


async def test_a_first_mail_without_a_subject_is_no_send(ana: Person, doors: Doors) -> None:
    bare = await template(ana, subject=None)
    opened = await open_conversation(ana, doors)
    await inbound(ana, doors, opened.id)
    await make_lead(ana, email="bia@example.org")
    send = {"templateId": bare, "accountId": str(opened.account_id)}
    found = await dry_run(ana, trigger="LEAD_CREATED", actions=[{"sendTemplate": send}])
    assert found["blocked"] == [{"reason": "NO_SUBJECT", "count": 1}]


# ── circles ───────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_rules_that_would_set_each_other_off(ana: Person, eve: Person, doors: Doors) -> None:
    first, second, *_ = await stage_ids(ana)
    back = rule(
        Action(ActionKind.MOVE_STAGE, target_id=UUID(first)),
        trigger=Trigger.STAGE_CHANGED,
        conditions=[Condition(ConditionField.STAGE_ID, ConditionOp.EQ, second)],
    )
    on = await add_rule(ana, doors, back, name="Volta")
    off = await add_rule(ana, doors, back, name="Desligada")
    await add_rule(ana, doors, rule(trigger=Trigger.STAGE_CHANGED), name="Anota")
    await add_rule(eve, doors, back, name="De outra")
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(
            text("UPDATE automation SET enabled = false WHERE workspace_id = :id AND id = :off"),
            {"id": ana.workspace_id, "off": off},
        )
    found = await dry_run(ana, trigger="STAGE_CHANGED", actions=[{"moveStage": second}])
    assert found["loopsWith"] == [{"id": str(on), "name": "Volta"}]
    assert (await dry_run(ana, trigger="LEAD_CREATED", actions=[{"moveStage": second}]))["loopsWith"] == []


# ── nothing is written ────────────────────────────────────────────────────────────────────────────────────────────────
async def content(doors: Doors, workspace_id: UUID) -> dict[str, Any]:
    """How many rows each table has of the workspace, and what stands in them all together; but how far this run's
    worker has come."""
    found = {}
    async with doors.open_system() as system:
        for table in metadata.tables.values():
            if table.name == "feed_consumer":
                continue
            key = "id" if table.name == "workspace" else "workspace_id"
            if key in table.c:
                statement = CONTENT.format(table=table.name, workspace=key)
                row = (await system.execute(text(statement), {"id": workspace_id})).one()
                found[table.name] = tuple(row)
    return found


async def test_nothing_is_written(ana: Person, doors: Doors) -> None:
    opened, vip = await open_conversation(ana, doors), await new_tag(ana, "Cliente")
    account, letter = (await connected(ana))["id"], await template(ana)
    await inbound(ana, doors, opened.id)
    _, second, *_ = await stage_ids(ana)
    actions = [
        {"addTag": vip},
        {"moveStage": second},
        {"assign": str(ana.user_id)},
        {"sendTemplate": {"templateId": letter, "accountId": account}},
        {"waitSeconds": 60},
        *NOTE,
    ]
    await until_reacted(doors, ana.workspace_id, "scoring")
    before = await content(doors, ana.workspace_id)
    assert before["lead"][0] == 1
    assert before["feed_event"][0] > 3
    found = await dry_run(ana, trigger="MESSAGE_RECEIVED", actions=actions)
    assert (found["wouldFire"], found["sends"]) == (1, 1)
    assert await content(doors, ana.workspace_id) == before


async def test_the_transaction_could_write_nothing(ana: Person, doors: Doors, settings: Settings) -> None:
    """Of the door that the mutation goes through, with the dry run's own statements."""
    writing = Statement(text("UPDATE lead SET name = 'x' WHERE workspace_id = cast(:workspace_id as uuid)"))
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await _write_after_a_dry_run(doors, settings, ana, writing)


async def _write_after_a_dry_run(
    doors: Doors, settings: Settings, person: Person, writing: Statement
) -> None:
    async with doors.open_reads(person.workspace_id, one_snapshot=True) as reads:
        await dry_run_use_cases(reads, settings, person.workspace_id).replay(rule(), days=30)
        await reads.fetch(writing, workspace_id=person.workspace_id)


# ── bad input ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("days", [0, -1, 31, 2**31 - 1])
async def test_so_many_days(ana: Person, days: int) -> None:
    assert (await asked(ana, trigger="LEAD_CREATED", days=1))["errors"] == []
    (error,) = (await asked(ana, trigger="LEAD_CREATED", days=days))["errors"]
    assert (error["code"], error["path"]) == ("INVALID", ["days"])


async def test_what_is_wrong_with_the_rule_is_told_at_its_place(ana: Person, eve: Person) -> None:
    payload = await asked(
        ana,
        name=" ",
        trigger="LEAD_CREATED",
        conditions=condition("SCORE", "CONTAINS", "5"),
        actions=[{"waitSeconds": 0}],
    )
    assert payload["dryRun"] is None
    paths = {tuple(error["path"]) for error in payload["errors"]}
    assert paths >= {
        ("automation", "conditions", "0", "op"),
        ("automation", "actions", "0", "waitSeconds"),
    }


async def test_things_of_another_workspace(ana: Person, eve: Person) -> None:
    theirs = await new_tag(eve, "Cliente")
    payload = await asked(ana, trigger="LEAD_CREATED", actions=[{"addTag": theirs}])
    (error,) = payload["errors"]
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["automation", "actions", "0", "addTag"])


async def test_admins_alone(ana: Person, doors: Doors) -> None:
    admin = await add_member(doors, ana, role=Role.ADMIN)
    member = await add_member(doors, ana, role=Role.MEMBER)
    assert (await asked(admin, trigger="LEAD_CREATED"))["errors"] == []
    (error,) = (await asked(member, trigger="LEAD_CREATED"))["errors"]
    assert error["code"] == "FORBIDDEN"


async def test_more_than_anybody_can_wait_for(ana: Person, doors: Doors, settings: Settings) -> None:
    for _ in range(3):
        await make_lead(ana)
    async with doors.open_reads(ana.workspace_id, one_snapshot=True) as reads:
        use_cases = dry_run_use_cases(reads, settings, ana.workspace_id)
        assert (await replace(use_cases, most=3).replay(rule(), days=30)).would_fire == 3
        with pytest.raises(TooMuchHistory):
            await replace(use_cases, most=2).replay(rule(), days=30)


async def test_what_tells_of_many_is_read_in_pages_of_few(ana: Person, doors: Doors) -> None:
    """Nobody else is answered while a page is looked through; each event is in one of them."""
    told = [[uuid4() for _ in range(size)] for size in [1, *[1_000] * 25, 3, 7]]
    async with doors.open_work(ana.workspace_id) as work:
        for ids in told:
            work.announce(LeadCreated(entity_ids=ids, after={"source": "CSV"}))
    async with doors.open_reads(ana.workspace_id, one_snapshot=True) as reads:
        history = FeedHistory(reads, ana.workspace_id)
        day_ago = datetime.now(UTC) - timedelta(days=1)
        pages = [page async for page in history._pages([LeadCreated.name], None, day_ago)]
        assert [event.entity_ids for page in pages for event in page] == told
        assert all(sum(len(event.entity_ids) for event in page[:-1]) < PAGE_IDS for page in pages)
        moments = await history.moments(rule(), days=1, limit=100_000)
    assert [one.lead_id for one in moments] == [id for ids in told for id in ids]


async def test_one_at_a_time_in_a_workspace(ana: Person, eve: Person, doors: Doors) -> None:
    async with doors.open_reads(ana.workspace_id) as reads:
        await reads.fetch(BEGIN, workspace_id=ana.workspace_id)
        (error,) = (await asked(ana, trigger="LEAD_CREATED"))["errors"]
        assert error["code"] == "THROTTLED"
        assert (await asked(eve, trigger="LEAD_CREATED"))["errors"] == []
    assert (await asked(ana, trigger="LEAD_CREATED"))["errors"] == []
