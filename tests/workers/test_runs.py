"""Runs carried out, set by set: what each action does, what it leaves behind, and what ends a run before its end."""

from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest

from app.automations.domain.rule import Action, ActionKind
from app.automations.domain.run import DUE
from app.automations.infrastructure import running
from app.automations.infrastructure.running import Runner, groups_of
from app.automations.infrastructure.runs import RunTurns
from app.automations.infrastructure.runs import runs as due_runs
from app.common.leases import Claim
from tests.fixtures.run_desk import RunDesk, note, rule_of, wait
from tests.fixtures.statements import OwnStatements
from workers.main import Drainer

ADD_TAG, REMOVE_TAG, MOVE, ASSIGN = (
    ActionKind.ADD_TAG,
    ActionKind.REMOVE_TAG,
    ActionKind.MOVE_STAGE,
    ActionKind.ASSIGN,
)


async def test_five_actions_are_done_to_all_of_them_at_once_each_with_its_receipt(runs: RunDesk) -> None:
    tag, other, stage = await runs.new_tag(), await runs.new_tag(), await runs.new_stage()
    await runs.sql(
        "INSERT INTO lead_tag (workspace_id, lead_id, tag_id) VALUES (:workspace_id, :lead_id, :tag_id)",
        lead_id=runs.lead_ids[0],
        tag_id=other,
    )
    rule_id = await runs.add_rule(
        rule_of(
            Action(ADD_TAG, tag),
            Action(MOVE, stage),
            Action(ASSIGN, runs.user_id),
            note(),
            Action(REMOVE_TAG, other),
        )
    )
    first, *others = await runs.start(rule_id, depth=2)

    assert await runs.turn() == 3

    assert await runs.ends() == {("SUCCEEDED", None)}
    done = [(0, "ADD_TAG"), (1, "MOVE_STAGE"), (2, "ASSIGN"), (3, "ADD_NOTE")]
    assert await runs.steps(first) == [(n, kind, "DONE") for n, kind in done] + [(4, "REMOVE_TAG", "DONE")]
    for one in others:
        assert (await runs.steps(one))[-1] == (4, "REMOVE_TAG", "UNCHANGED")
    row = (await runs.rows("SELECT * FROM lead WHERE id = :id", id=runs.lead_ids[1]))[0]
    assert (row.stage_id, row.owner_id) == (stage, runs.user_id)
    entries = await runs.timeline(runs.lead_ids[1])
    assert [one.type for one in entries] == ["AUTOMATION", "TAGGED", "STAGE_CHANGED", "ASSIGNED", "NOTE"]
    assert {(one.actor_kind, one.cause) for one in entries} == {("AUTOMATION", f"automation:{rule_id}")}
    assert (entries[0].content, entries[-1].content) == ("Boas-vindas", "Ligar amanhã")


async def test_what_a_set_did_is_told_once_as_the_rules_act_caused_by_the_event(runs: RunDesk) -> None:
    tag = await runs.new_tag()
    rule_id = await runs.add_rule(rule_of(Action(ADD_TAG, tag), note()))
    await runs.start(rule_id, seq=500, depth=2)
    await runs.turn()

    (triggered,) = await runs.events("automation.triggered")
    (updated,) = await runs.events("lead.updated")
    (noted,) = await runs.events("note.added")
    assert (triggered.entity_ids, orjson.loads(triggered.after)) == ([rule_id], {"runs": 3})
    assert set(updated.entity_ids) == set(noted.entity_ids) == set(runs.lead_ids)
    assert updated.changed == ["tags"]
    for event in (triggered, updated, noted):
        assert (event.actor_kind, event.cause_seq, event.depth) == ("AUTOMATION", 503, 3)


async def test_a_second_run_finds_nothing_to_change_and_says_so(runs: RunDesk) -> None:
    tag = await runs.new_tag()
    rule_id = await runs.add_rule(rule_of(Action(ADD_TAG, tag)))
    await runs.start(rule_id, seq=1)
    await runs.turn()
    (again,) = await runs.start(rule_id, runs.lead_ids[:1], seq=100)
    await runs.turn()

    assert await runs.steps(again) == [(0, "ADD_TAG", "UNCHANGED")]
    assert len(await runs.events("lead.updated")) == 1
    told = [orjson.loads(one.after) for one in await runs.events("automation.triggered")]
    assert told == [{"runs": 3}, {"runs": 1, "leadId": str(runs.lead_ids[0])}]


async def test_a_wait_is_a_row_and_the_run_goes_on_when_it_is_over(runs: RunDesk) -> None:
    rule_id = await runs.add_rule(rule_of(note("antes"), wait(3 * 24 * 3600), note("depois")))
    first, *_ = await runs.start(rule_id)
    await runs.turn()

    rows = await runs.runs()
    assert {(one.status, one.position, one.token) for one in rows} == {("WAITING", 2, None)}
    assert all(3 * 24 * 3600 - 60 < one.due_in.total_seconds() <= 3 * 24 * 3600 for one in rows)
    assert await runs.turn() == 0, "nothing is due before"
    await runs.sql("UPDATE automation_run SET run_at = now() WHERE workspace_id = :workspace_id")
    assert await runs.turn() == 3
    assert await runs.steps(first) == [
        (0, "ADD_NOTE", "DONE"),
        (1, "WAIT", "WAITED"),
        (2, "ADD_NOTE", "DONE"),
    ]
    assert await runs.ends() == {("SUCCEEDED", None)}
    assert len(await runs.events("automation.triggered")) == 1, "it starts once"


async def test_a_run_lives_as_long_as_the_wait_that_ends_it(runs: RunDesk) -> None:
    rule_id = await runs.add_rule(rule_of(note(), wait()))
    first, *_ = await runs.start(rule_id)
    await runs.turn()
    assert await runs.ends() == {("WAITING", None)}
    await runs.sql("UPDATE automation_run SET run_at = now() WHERE workspace_id = :workspace_id")
    await runs.turn()
    assert await runs.ends() == {("SUCCEEDED", None)}
    assert await runs.steps(first) == [(0, "ADD_NOTE", "DONE"), (1, "WAIT", "WAITED")]


OFF = "UPDATE automation SET enabled = false, stopped_at = now() WHERE workspace_id = :workspace_id"
ON = "UPDATE automation SET enabled = true, enabled_at = now() WHERE workspace_id = :workspace_id"


async def test_who_is_switched_off_acts_no_more_whatever_is_switched_on_again(runs: RunDesk) -> None:
    rule_id = await runs.add_rule(rule_of(note("antes"), wait(), note("depois")))
    older = await runs.start(rule_id, runs.lead_ids[:2])
    await runs.turn()
    await runs.sql("UPDATE automation_run SET run_at = now() WHERE workspace_id = :workspace_id")
    await runs.sql(OFF)
    await runs.sql(ON)
    (newer,) = await runs.start(rule_id, runs.lead_ids[2:], seq=2000)
    assert await runs.turn() == 3

    rows = {one.id: one for one in await runs.runs()}
    assert {(rows[id].status, rows[id].reason) for id in older} == {("CANCELED", "DISABLED")}
    assert (rows[newer].status, rows[newer].position) == ("WAITING", 2)
    assert [one.content for one in await runs.timeline(runs.lead_ids[0])] == ["Boas-vindas", "antes"]


async def test_what_was_claimed_before_it_was_switched_off_does_not_begin(runs: RunDesk) -> None:
    await runs.start(await runs.add_rule(rule_of(note())))
    claims = await runs.claim_runs()
    await runs.sql(OFF)
    await runs.turn(claims)
    assert {(one.status, one.reason, one.started_at) for one in await runs.runs()} == {
        ("CANCELED", "DISABLED", None)
    }
    assert await runs.timeline(runs.lead_ids[0]) == []
    assert await runs.events("automation.triggered") == []


async def test_nothing_is_done_to_who_was_deleted(runs: RunDesk) -> None:
    await runs.start(await runs.add_rule(rule_of(note())))
    gone = runs.lead_ids[1]
    await runs.sql("UPDATE lead SET deleted_at = now() WHERE id = :id", id=gone)
    await runs.turn()
    ends = {one.lead_id: (one.status, one.reason) for one in await runs.runs()}
    assert ends.pop(gone) == ("CANCELED", "LEAD_DELETED")
    assert set(ends.values()) == {("SUCCEEDED", None)}
    assert await runs.timeline(gone) == []


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ADD_TAG, "TAG_GONE"),
        (REMOVE_TAG, "TAG_GONE"),
        (MOVE, "STAGE_GONE"),
        (ASSIGN, "MEMBER_GONE"),
    ],
    ids=str,
)
async def test_an_action_on_what_is_gone_fails_its_runs_and_says_which(
    runs: RunDesk, kind: ActionKind, reason: str
) -> None:
    rule_id = await runs.add_rule(rule_of(note(), Action(kind, uuid4()), note("nunca")))
    first, *_ = await runs.start(rule_id)
    await runs.turn()
    assert await runs.ends() == {("FAILED", reason)}
    assert await runs.steps(first) == [(0, "ADD_NOTE", "DONE"), (1, kind.value, "FAILED")]
    assert len(await runs.timeline(runs.lead_ids[0])) == 2, "what was done stays, nothing more is"


async def test_a_call_is_handed_over_begun_and_without_a_receipt(runs: RunDesk) -> None:
    call = Action(ActionKind.CALL_WEBHOOK, text="https://example.com/hook")
    rule_id = await runs.add_rule(rule_of(call, note()))
    first, *_ = await runs.start(rule_id)
    await runs.turn()
    for run in await runs.runs():
        assert (run.status, run.is_call, run.position) == ("WAITING", True, 0)
        assert run.started_at is not None
    assert await runs.steps(first) == []
    assert await runs.claim_runs() == [], "the others leave it alone"
    assert len(await runs.claim_runs(is_call=True)) == 3


async def test_bulk_events_let_the_others_of_their_workspace_go_first(runs: RunDesk) -> None:
    rule_id, other = await runs.add_rule(rule_of(note())), await runs.add_rule(rule_of(note()))
    await runs.start(rule_id, is_bulk=True)
    single = await runs.start(other, seq=9000)
    claims = await runs.claim_runs(limit=3)
    assert {one.id for one in claims} == set(single)
    assert len(await runs.claim_runs()) == 3


async def test_who_stops_gives_back_what_it_has_not_begun(runs: RunDesk) -> None:
    await runs.start(await runs.add_rule(rule_of(note(), note())))
    claims = await runs.claim_runs()

    async def fail(*_: object) -> None:
        raise AssertionError("nothing failed")

    await Runner(runs.settings).run_all(runs.doors, claims, lambda: True, fail)
    assert {(one.status, one.position, one.attempt) for one in await runs.runs()} == {("WAITING", 0, 0)}
    assert await runs.turn() == 3


async def test_one_that_cannot_be_carried_out_fails_alone(runs: RunDesk) -> None:
    """The database itself refuses one lead's note: that of a set, which is undone with it, and then gone through."""
    poison = runs.lead_ids[1]
    owner = await asyncpg.connect(runs.settings.database_url)
    await owner.execute(
        f"ALTER TABLE interaction ADD CONSTRAINT poison CHECK (lead_id <> '{poison}') NOT VALID"
    )
    try:
        rule_id = await runs.add_rule(rule_of(note("um"), note("dois")))
        await runs.start(rule_id)
        await runs.turn()
    finally:
        await owner.execute("ALTER TABLE interaction DROP CONSTRAINT poison")
        await owner.close()

    ends = {one.lead_id: (one.status, one.reason) for one in await runs.runs()}
    assert ends.pop(poison) == ("FAILED", "INTERNAL_ERROR")
    assert set(ends.values()) == {("SUCCEEDED", None)}
    for lead_id in ends:
        assert [one.content for one in await runs.timeline(lead_id)] == ["Boas-vindas", "um", "dois"]
    assert [type(one).__name__ for one in runs.errors] == ["CheckViolationError"]
    runs.errors.clear()


async def test_who_lost_its_lease_changes_nothing(runs: RunDesk) -> None:
    await runs.start(await runs.add_rule(rule_of(note())))
    late = await runs.claim_runs()
    await runs.sql(
        "UPDATE automation_run SET status = 'WAITING', token = NULL WHERE workspace_id = :workspace_id"
    )
    await runs.turn()
    await runs.turn(late)
    assert [one.type for one in await runs.timeline(runs.lead_ids[0])] == ["AUTOMATION", "NOTE"]


async def test_an_attempt_that_failed_is_made_again_later_and_the_last_one_ends_the_run(
    runs: RunDesk,
) -> None:
    """By the worker itself: a rule that the database refuses to read."""
    rule_id = await runs.add_rule(rule_of(note()))
    await runs.start(rule_id, runs.lead_ids[:1])
    await runs.sql("UPDATE automation_version SET rule = '{}' WHERE workspace_id = :workspace_id")
    drainer = Drainer(runs.settings, runs.doors)
    await drainer.drain(DUE)
    (row,) = await runs.runs()
    assert (row.status, row.attempt, row.reason) == ("WAITING", 1, None)
    assert row.error.endswith("KeyError")
    assert 0 < row.due_in.total_seconds() <= 2

    await runs.sql("UPDATE automation_run SET run_at = now(), attempt = 4 WHERE workspace_id = :workspace_id")
    await drainer.drain(DUE)
    await drainer.close()
    (row,) = await runs.runs()
    assert (row.status, row.reason, row.token) == ("FAILED", "INTERNAL_ERROR", None)


async def test_workspaces_take_turns_whatever_each_has_waiting(
    runs: RunDesk,
) -> None:
    for seq in range(20):
        await runs.start(await runs.add_rule(rule_of(note()), f"{seq}"), runs.lead_ids[:1], seq=seq)
    other = await RunDesk.with_leads(runs.doors, runs.settings, count=1)
    await other.start(await other.add_rule(rule_of(note())))
    turns = RunTurns(is_call=False)
    served = []
    for _ in range(4):
        async with runs.doors.open_system() as system:
            (claim,) = await turns.claim(system, lease_s=60)
        served.append(claim.workspace_id)
    assert other.workspace_id in served[:2]
    assert served.count(runs.workspace_id) == 3


async def test_a_set_takes_as_many_statements_as_one(runs: RunDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    rule_id = await runs.add_rule(rule_of(Action(ADD_TAG, await runs.new_tag()), note(), wait(), note()))

    async def statements(lead_ids: list[UUID], seq: int) -> int:
        await runs.start(rule_id, lead_ids, seq=seq)
        claims = await runs.claim_runs()
        before = counted.sent
        await runs.turn(claims)
        return counted.sent - before

    for _ in range(40):
        await runs.new_lead()
    counted = OwnStatements(monkeypatch)
    of_one = await statements(runs.lead_ids[:1], 1)
    assert await statements(runs.lead_ids[1:], 100) == of_one
    assert of_one < 40
    assert {one.position for one in await runs.runs()} == {3}


async def test_what_fails_in_a_set_is_an_attempt_of_each_and_is_tried_alone_then(
    runs: RunDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of sends, which begin together: else they would be tried for ever."""

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    async def again(claim: Claim, error: Exception) -> None:
        async with runs.doors.open_work(runs.workspace_id) as work:
            await due_runs.retry_later(work, claim, error=type(error).__name__, wait_s=0)

    monkeypatch.setattr(running, "send", broken)
    letter = Action(ActionKind.SEND_TEMPLATE, await runs.new_template("Oi"), account_id=runs.account_id)
    await runs.start(await runs.add_rule(rule_of(note(), letter)))
    for attempt in (1, 2, 3):
        claims = await runs.claim_runs()
        await Runner(runs.settings).run_all(runs.doors, claims, lambda: False, again)
        rows = await runs.runs()
        assert {(one.status, one.position, one.attempt) for one in rows} == {("WAITING", 1, attempt)}
    assert len(groups_of(await runs.claim_runs())) == len(rows)
