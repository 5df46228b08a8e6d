"""What events start: each rule at each lead once, or why not."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.automations.domain.rule import Condition, ConditionField, ConditionOp, Match, Rule, Trigger
from app.automations.domain.run import LEAD_RUNS_PER_HOUR, MAX_DEPTH
from app.automations.infrastructure.reacting import THINGS
from app.automations.wiring import automation_use_cases
from app.common.domain import Actor, ClientKind, Role
from app.common.reactions import Reactor
from app.common.work import Doors
from app.leads.domain.board import moved
from app.leads.domain.events import LeadUpdated
from app.leads.domain.lead import LeadSource, created, deleted, restored, tagged
from app.leads.wiring import score_rule_use_cases
from app.settings import Settings
from tests.factories.automation_rows import rule
from tests.fixtures.ruled import Ruled
from tests.fixtures.score_desk import WITH_RULES
from workers.reactions import consumers

LIVE = ("WAITING", None)
RATED = ("SKIPPED", "RATE_GUARD")


@pytest.fixture
async def ruled(own: tuple[Settings, Doors]) -> Ruled:
    settings, doors = own
    return await Ruled.founded(doors, settings)


async def test_each_trigger_starts_its_own_rules(ruled: Ruled) -> None:
    for trigger in Trigger:
        await ruled.add(rule(trigger=trigger), name=trigger)
    conversation, tag_id = await ruled.conversation(), await ruled.tag("vip")
    lead_id = conversation.lead_id
    told = {
        Trigger.LEAD_CREATED: created([lead_id], LeadSource.CSV),
        Trigger.STAGE_CHANGED: moved([lead_id], "stage", before=uuid4(), after=uuid4()),
        Trigger.TAG_ADDED: tagged([lead_id], add=[tag_id], remove=[]),
        Trigger.LEAD_UPDATED: LeadUpdated(entity_ids=[lead_id], changed=["company"]),
    }
    await ruled.tell(
        *told.values(),
        tagged([lead_id], add=[], remove=[tag_id]),
        *(LeadUpdated(entity_ids=[lead_id], changed=[what]) for what in ("engagement", "score", "rank")),
    )
    received = await ruled.receive(conversation.id)
    await ruled.receive(conversation.id, is_auto_reply=True)
    sent = await ruled.send(conversation.id)
    await ruled.react()
    runs = {row.name: row for row in await ruled.runs()}
    assert len(await ruled.runs()) == len(runs) == len(Trigger)
    for name, run in runs.items():
        assert (run.status, run.lead_id, run.depth, run.is_bulk, run.is_call) == (
            "WAITING",
            lead_id,
            0,
            False,
            False,
        )
        assert run.is_due is (name != Trigger.NO_REPLY)
        assert run.started_at is None
    assert [runs[one].message_id for one in (Trigger.MESSAGE_RECEIVED, Trigger.NO_REPLY)] == [received, sent]
    assert {runs[one].conversation_id for one in told} == {None}
    assert runs[Trigger.NO_REPLY].conversation_id == conversation.id


async def test_a_score_has_in_it_what_set_the_rule_off(ruled: Ruled) -> None:
    async with ruled.doors.open_work(ruled.workspace_id) as work:
        await score_rule_use_cases(work, WITH_RULES).create_default_rules(ruled.workspace_id)
    warm = Condition(ConditionField.SCORE, ConditionOp.EQ, "20")
    await ruled.add(rule(trigger=Trigger.MESSAGE_RECEIVED, conditions=[warm]))
    await ruled.receive((await ruled.conversation()).id)
    await Reactor(ruled.doors, consumers(WITH_RULES), poll_s=60).react([ruled.workspace_id])
    assert await ruled.outcomes() == [LIVE]


async def test_the_condition_that_failed_is_named(ruled: Ruled) -> None:
    scored = Condition(ConditionField.SCORE, ConditionOp.GT, "10")
    acme = Condition(ConditionField.COMPANY, ConditionOp.EQ, "ACMÉ")
    both = rule(conditions=[scored, acme])
    await ruled.add(both, name="all")
    await ruled.add(Rule(**{**fields(both), "match": Match.ANY}), name="any")
    for score, company in ((11, "Acme"), (11, "Outra"), (3, "acme"), (3, None)):
        await ruled.lead(is_told=True, score=score, company=company)
    await ruled.react()
    assert [(row.status, row.reason, row.condition) for row in await ruled.runs("all")] == [
        ("WAITING", None, None),
        ("SKIPPED", "CONDITION", 1),
        ("SKIPPED", "CONDITION", 0),
        ("SKIPPED", "CONDITION", 0),
    ]
    assert [(row.status, row.reason, row.condition) for row in await ruled.runs("any")] == [
        *[("WAITING", None, None)] * 3,
        ("SKIPPED", "CONDITION", None),
    ]
    assert all((row.finished_at is None) == (row.status == "WAITING") for row in await ruled.runs())


def fields(one: Rule) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__slots__}


async def test_a_tag_that_the_event_added(ruled: Ruled) -> None:
    vip, cold = await ruled.tag("vip"), await ruled.tag("cold")
    is_vip = Condition(ConditionField.TAG_ID, ConditionOp.EQ, str(vip))
    await ruled.add(rule(trigger=Trigger.TAG_ADDED, conditions=[is_vip]), name="added")
    await ruled.add(rule(trigger=Trigger.LEAD_UPDATED, conditions=[is_vip]), name="has")
    lead_id = await ruled.lead()
    await ruled.desk.sql(
        "INSERT INTO lead_tag (workspace_id, lead_id, tag_id) VALUES (:workspace_id, :lead_id, :vip)",
        lead_id=lead_id,
        vip=vip,
    )
    await ruled.tell(
        tagged([lead_id], add=[cold], remove=[]), LeadUpdated(entity_ids=[lead_id], changed=["name"])
    )
    await ruled.react()
    assert await ruled.outcomes("added") == [("SKIPPED", "CONDITION")]
    assert await ruled.outcomes("has") == [LIVE]
    await ruled.tell(tagged([lead_id], add=[cold, vip], remove=[]))
    await ruled.react()
    assert await ruled.outcomes("added") == [("SKIPPED", "CONDITION"), LIVE]


async def test_the_text_of_a_message(ruled: Ruled) -> None:
    asks = Condition(ConditionField.MESSAGE_BODY, ConditionOp.CONTAINS, "preço")
    await ruled.add(rule(trigger=Trigger.MESSAGE_RECEIVED, conditions=[asks]))
    first, second = await ruled.conversation(), await ruled.conversation()
    await ruled.receive(first.id, body="Qual é o PRECO?")
    await ruled.receive(second.id, body="Obrigado.")
    await ruled.react()
    assert await ruled.outcomes() == [LIVE, ("SKIPPED", "CONDITION")]


async def test_one_at_a_time_and_once_per_lead(ruled: Ruled) -> None:
    await ruled.add(rule(trigger=Trigger.LEAD_UPDATED), name="often")
    await ruled.add(rule(trigger=Trigger.LEAD_UPDATED, once=True), name="once")
    lead_id = await ruled.lead()
    renamed = LeadUpdated(entity_ids=[lead_id], changed=["name"])
    await ruled.tell(renamed, renamed)
    await ruled.react()
    running = ("SKIPPED", "ALREADY_RUNNING")
    assert await ruled.outcomes("often") == await ruled.outcomes("once") == [LIVE, running], "in one batch"
    await ruled.tell(renamed)
    await ruled.react()
    assert await ruled.outcomes("often") == await ruled.outcomes("once") == [LIVE, running, running]
    for run in await ruled.runs():
        if run.status == "WAITING":
            await ruled.end(run.id)
    await ruled.tell(renamed)
    await ruled.react()
    assert (await ruled.outcomes("often"))[-1] == LIVE
    assert (await ruled.outcomes("once"))[-1] == ("SKIPPED", "ONCE_PER_LEAD")


async def test_a_run_that_never_began_is_not_the_once(ruled: Ruled) -> None:
    await ruled.add(rule(trigger=Trigger.LEAD_UPDATED, once=True))
    renamed = LeadUpdated(entity_ids=[await ruled.lead()], changed=["name"])
    for _ in range(2):
        await ruled.tell(renamed)
        await ruled.react()
        await ruled.end((await ruled.runs())[-1].id, has_acted=False)
    assert await ruled.outcomes() == [("SUCCEEDED", None)] * 2


async def test_loops_end(ruled: Ruled) -> None:
    await ruled.add(rule())
    for depth in (MAX_DEPTH - 1, MAX_DEPTH):
        await ruled.tell(created([await ruled.lead()], LeadSource.API), depth=depth)
    await ruled.react()
    assert [(row.depth, row.reason) for row in await ruled.runs()] == [
        (MAX_DEPTH - 1, None),
        (MAX_DEPTH, "LOOP_GUARD"),
    ]


async def test_storms_at_one_lead_end(ruled: Ruled) -> None:
    """Of a rule at one lead; an hour after it may act again."""
    await ruled.add(rule(trigger=Trigger.LEAD_UPDATED))
    renamed = LeadUpdated(entity_ids=[await ruled.lead()], changed=["name"])
    for _ in range(LEAD_RUNS_PER_HOUR + 1):
        await ruled.tell(renamed)
        await ruled.react()
        await ruled.end((await ruled.runs())[-1].id)
        if len(await ruled.runs()) == LEAD_RUNS_PER_HOUR:
            assert {one for one, _ in await ruled.outcomes()} == {"SUCCEEDED"}
    (last,) = (await ruled.runs())[LEAD_RUNS_PER_HOUR:]
    assert last.reason == "RATE_GUARD"
    await ruled.desk.sql(
        "UPDATE automation_run SET created_at = created_at - interval '1 hour' "
        "WHERE workspace_id = :workspace_id"
    )
    await ruled.tell(renamed)
    await ruled.react()
    assert (await ruled.outcomes())[-1] == LIVE


async def test_what_was_skipped_is_no_storm(ruled: Ruled) -> None:
    hot = Condition(ConditionField.SCORE, ConditionOp.GT, "10")
    await ruled.add(rule(trigger=Trigger.LEAD_UPDATED, conditions=[hot]))
    renamed = LeadUpdated(entity_ids=[await ruled.lead()], changed=["name"])
    await ruled.tell(*[renamed] * (LEAD_RUNS_PER_HOUR + 1))
    await ruled.react()
    await ruled.desk.sql("UPDATE lead SET score = 11 WHERE workspace_id = :workspace_id")
    await ruled.tell(renamed)
    await ruled.react()
    assert await ruled.outcomes() == [("SKIPPED", "CONDITION")] * (LEAD_RUNS_PER_HOUR + 1) + [LIVE]


async def test_a_rule_starts_so_many_runs_in_an_hour(ruled: Ruled) -> None:
    """Counted from the clock's hour: the next one begins anew."""
    await ruled.add(rule())
    ruled.runs_per_hour = 2

    async def hour() -> object:
        return await ruled.desk.sql("SELECT date_trunc('hour', now())")

    began = None
    while began != await hour():  # one may end in the middle of this
        began = await hour()
        await ruled.desk.sql("DELETE FROM automation_hour WHERE workspace_id = :workspace_id")
        await ruled.leads(3, is_told=True)
        await ruled.lead(is_told=True)
        await ruled.react()
        await ruled.desk.sql(
            "UPDATE automation_hour SET hour = hour - interval '1 hour' WHERE workspace_id = :workspace_id"
        )
        for _ in range(3):
            await ruled.lead(is_told=True)
            await ruled.react()
    assert (await ruled.outcomes())[-7:] == [LIVE, LIVE, RATED, RATED, LIVE, LIVE, RATED]
    assert await ruled.desk.sql("SELECT runs FROM automation_hour WHERE workspace_id = :workspace_id") == 2


async def test_an_import_starts_runs_in_bulk(ruled: Ruled) -> None:
    """Of its leads those that are live by now; what it starts lets others go first."""
    await ruled.add(rule())
    gone = await ruled.leads(2, is_deleted=True)
    chunks = [await ruled.leads(THINGS - 2) for _ in range(2)]
    await ruled.tell(*(created([*chunk, *gone], LeadSource.CSV) for chunk in chunks))
    alone = await ruled.lead(is_told=True)
    await ruled.react()
    runs = await ruled.runs()
    assert [row.lead_id for row in runs] == [*chunks[0], *chunks[1], alone]
    assert [row.is_bulk for row in runs] == [True] * (2 * (THINGS - 2)) + [False]


async def test_what_happened_before_is_not_the_rules(ruled: Ruled) -> None:
    lead_id = await ruled.lead(is_told=True)
    rule_id = await ruled.add(rule())
    await ruled.react()
    assert await ruled.runs() == []
    await ruled.tell(created([lead_id], LeadSource.API))
    await ruled.desk.sql(
        "UPDATE automation SET enabled = false WHERE workspace_id = :workspace_id AND id = :id", id=rule_id
    )
    await ruled.react()
    assert await ruled.runs() == []


async def test_the_same_event_twice_starts_one_run(ruled: Ruled) -> None:
    """Told of again from the beginning: while the run waits, and after it has ended."""
    await ruled.add(rule(), name="acts")
    await ruled.add(
        rule(conditions=[Condition(ConditionField.SCORE, ConditionOp.GT, "1")]), name="does not act"
    )
    await ruled.leads(3, is_told=True)
    await ruled.react()
    again = "UPDATE feed_consumer SET seq = 0 WHERE workspace_id = :workspace_id"
    await ruled.desk.sql(again)
    await ruled.react()
    for run in await ruled.runs("acts"):
        await ruled.end(run.id)
    await ruled.desk.sql(again)
    await ruled.react()
    assert await ruled.outcomes("acts") == [("SUCCEEDED", None)] * 3
    assert await ruled.outcomes("does not act") == [("SKIPPED", "CONDITION")] * 3
    assert (
        await ruled.desk.sql(
            "SELECT runs FROM automation_hour WHERE workspace_id = :workspace_id AND automation_id = :id",
            id=ruled.rules["acts"],
        )
        == 3
    ), "counted once"


async def test_several_workers_start_each_run_once(ruled: Ruled) -> None:
    await ruled.add(rule())
    for _ in range(30):
        await ruled.leads(40, is_told=True)
    await asyncio.gather(*(ruled.react() for _ in range(4)))
    await ruled.react()
    assert await ruled.outcomes() == [LIVE] * 1200


async def test_an_import_holds_up_no_message(ruled: Ruled) -> None:
    """Whoever is at the import's events, or failed at them: what is written is reacted to beside it."""
    await ruled.lead(is_told=True)
    await ruled.react()  # from now on there is a cursor
    await ruled.add(rule(), name="import")
    await ruled.add(rule(trigger=Trigger.MESSAGE_RECEIVED), name="answer")
    conversation = await ruled.conversation()
    await ruled.leads(100, is_told=True)
    await ruled.receive(conversation.id)
    async with ruled.doors.open_work(ruled.workspace_id) as work:
        held = "SELECT FROM feed_consumer WHERE workspace_id = :id AND consumer = 'automations' FOR UPDATE"
        await work.execute(text(held), {"id": ruled.workspace_id})
        await ruled.react()
        assert [row.name for row in await ruled.runs()] == ["answer"]
    await ruled.react()
    assert len(await ruled.runs("import")) == 100


async def test_who_is_deleted_is_left_alone(ruled: Ruled) -> None:
    """Restored before anybody reacted: it goes on."""
    await ruled.add(rule())
    stays, goes, comes_back = await ruled.leads(3, is_told=True)
    await ruled.react()
    await ruled.desk.sql(
        "UPDATE lead SET deleted_at = now() WHERE workspace_id = :workspace_id AND id = :id", id=goes
    )
    await ruled.tell(deleted([goes, comes_back]), restored([comes_back]))
    await ruled.react()
    assert {row.lead_id: row.reason for row in await ruled.runs()} == {
        stays: None,
        goes: "LEAD_DELETED",
        comes_back: None,
    }
    (ended,) = [row for row in await ruled.runs() if row.lead_id == goes]
    assert (ended.status, ended.token, ended.finished_at is not None) == ("CANCELED", None, True)


async def test_a_run_is_of_the_version_of_its_moment(ruled: Ruled) -> None:
    """An edit makes another one, for what is reacted to after it."""
    rule_id = await ruled.add(rule())
    await ruled.lead(is_told=True)
    await ruled.react()
    await ruled.desk.sql(
        "INSERT INTO automation_version (workspace_id, automation_id, number, rule) "
        "SELECT workspace_id, automation_id, 2, rule FROM automation_version "
        "WHERE workspace_id = :workspace_id AND automation_id = :id",
        id=rule_id,
    )
    await ruled.desk.sql(
        "UPDATE automation SET version = 2 WHERE workspace_id = :workspace_id AND id = :id", id=rule_id
    )
    await ruled.lead(is_told=True)
    await ruled.react()
    first, second = await ruled.runs()
    assert (first.position, second.position) == (0, 0)
    assert first.version_id != second.version_id


async def test_what_happened_before_a_rule_got_its_trigger_is_not_its(ruled: Ruled) -> None:
    """Also where nobody had reacted to it by then."""
    rule_id, lead_id = await ruled.add(rule()), await ruled.lead()
    renamed = LeadUpdated(entity_ids=[lead_id], changed=["name"])
    await ruled.tell(renamed)
    ids = (ruled.workspace_id, ruled.desk.user_id)
    admin = Actor(*ids, Role.ADMIN, ClientKind.WEB, session_id=ids[1], expires_at=0)
    async with ruled.doors.open_work(ruled.workspace_id, admin) as work:
        cases = automation_use_cases(work, ruled.desk.settings, admin)
        await cases.update_automation(rule_id, {"trigger": Trigger.LEAD_UPDATED}, version=1)
    await ruled.react()
    assert await ruled.outcomes() == []
    await ruled.tell(renamed)
    await ruled.react()
    assert await ruled.outcomes() == [LIVE]
