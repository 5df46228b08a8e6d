"""Runs as a state machine: whatever happens, is reacted to, claimed, killed between any two statements, switched off,
edited, deleted, merged or waited for, each action is done once, by the version its run began with, and told of."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

import orjson
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.automations.domain.rule import Rule, Trigger
from app.automations.infrastructure.runs import runs as turns
from app.automations.wiring import automation_use_cases
from app.common.domain import Actor, ClientKind, Role
from app.common.leases import Claim
from app.leads.domain.events import LeadDeleted, LeadUpdated
from app.people.wiring import merging_use_cases
from tests.fixtures.boundaries import Death, Died, met_by, watch
from tests.fixtures.ruled import Ruled
from tests.fixtures.run_desk import RunDesk, note, rule_of, wait
from tests.workers.test_delivery_machine import SITUATION, run_machine, situation

__all__ = ["situation"]
pytestmark = pytest.mark.xdist_group("delivery machine")
RULES: dict[str, Rule] = {
    "first": rule_of(note("1"), note("2"), wait(), note("3")),
    "second": rule_of(note("1"), note("2"), trigger=Trigger.STAGE_CHANGED),
}
ENDS = {"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"}
MOST_STATEMENTS = 40
# By its version a run knows how many actions it has.
RUNS = """
SELECT r.id, r.lead_id, r.automation_id, r.status, r.reason, r.position, r.started_at IS NOT NULL AS is_begun,
    r.finished_at IS NOT NULL AS is_over, jsonb_array_length(v.rule -> 'actions') AS actions,
    l.deleted_at IS NOT NULL AS is_deleted, (
        SELECT coalesce(array_agg(s.position ORDER BY s.position), '{}') FROM automation_step s
        WHERE s.workspace_id = r.workspace_id AND s.run_id = r.id
    ) AS receipts
FROM automation_run r
    JOIN automation_version v ON (v.workspace_id, v.id) = (r.workspace_id, r.version_id)
    JOIN lead l ON (l.workspace_id, l.id) = (r.workspace_id, r.lead_id)
WHERE r.workspace_id = :workspace_id
"""
DONE = """
SELECT a.id, (
    SELECT count(*) FROM automation_step s JOIN automation_run r ON (r.workspace_id, r.id) = (s.workspace_id, s.run_id)
    WHERE s.workspace_id = a.workspace_id AND r.automation_id = a.id AND s.action = 'ADD_NOTE'
) AS receipts, (
    SELECT count(*) FROM interaction i
    WHERE i.workspace_id = a.workspace_id AND i.cause = 'automation:' || a.id AND i.type = 'NOTE'
) AS notes, (
    SELECT count(*) FROM automation_run r
    WHERE r.workspace_id = a.workspace_id AND r.automation_id = a.id AND r.started_at IS NOT NULL
) AS begun, (
    SELECT count(*) FROM interaction i
    WHERE i.workspace_id = a.workspace_id AND i.cause = 'automation:' || a.id AND i.type = 'AUTOMATION'
) AS entries
FROM automation a WHERE a.workspace_id = :workspace_id
"""
AFTER_THE_STOP = """
SELECT s.run_id FROM automation_step s
    JOIN automation_run r ON (r.workspace_id, r.id) = (s.workspace_id, s.run_id)
    JOIN automation a ON (a.workspace_id, a.id) = (r.workspace_id, r.automation_id)
WHERE s.workspace_id = :workspace_id AND r.created_at < a.stopped_at AND s.at > a.stopped_at
"""
EDIT = """
WITH edited AS (
    UPDATE automation SET version = version + 1 WHERE workspace_id = :workspace_id AND id = :id RETURNING version
)
INSERT INTO automation_version (workspace_id, automation_id, number, rule)
SELECT :workspace_id, :id, version, cast(:rule as jsonb) FROM edited
"""
DELETE = """
UPDATE lead SET deleted_at = CASE WHEN :is_deleted THEN now() END
WHERE workspace_id = :workspace_id AND id = :id AND merged_into_id IS NULL
RETURNING id
"""
END_LEASES = """
UPDATE automation_run SET lease_until = now() - interval '1 second'
WHERE workspace_id = :workspace_id AND status = 'RUNNING'
"""
COME = "UPDATE automation_run SET run_at = now() WHERE workspace_id = :workspace_id AND status = 'WAITING'"


@dataclass
class Seen:
    """A run that was over."""

    status: str
    reason: str | None
    position: int


class Runs(RuleBasedStateMachine):
    counts: ClassVar[dict[str, int]] = {}
    """How it went, over all examples: what never came about was not tested."""

    def __init__(self) -> None:
        super().__init__()
        self.run = SITUATION["runner"].run
        self.ruled: Ruled = self.run(Ruled.founded(SITUATION["doors"], SITUATION["settings"]))
        desk = self.ruled.desk
        self.desk = RunDesk(desk.doors, desk.settings, desk.workspace_id, desk.user_id, desk.account_id, [])
        self.rules = [self.run(self.ruled.add(one, name=name)) for name, one in RULES.items()]
        self.leads: list[UUID] = self.run(self.ruled.leads(2, is_told=True))
        self.hands: list[list[Claim]] = []
        self.over: dict[UUID, Seen] = {}

    def pick(self, items: list[Any], number: int) -> Any:
        return items[number % len(items)]

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    @property
    def actor(self) -> Actor:
        return Actor(
            self.desk.workspace_id,
            self.desk.user_id,
            Role.OWNER,
            ClientKind.WEB,
            session_id=self.desk.user_id,
            expires_at=0,
        )

    # ── what happens ──────────────────────────────────────────────────────────────────────────────────────────────────
    @precondition(lambda self: len(self.leads) < 6)
    @rule(count=st.integers(1, 3))
    def leads_come(self, count: int) -> None:
        self.leads += self.run(self.ruled.leads(count, is_told=True))

    @precondition(lambda self: self.leads)
    @rule(number=st.integers(0, 9))
    def a_lead_is_moved(self, number: int) -> None:
        self.run(self.ruled.tell(LeadUpdated(entity_ids=[self.pick(self.leads, number)], changed=["stage"])))

    @precondition(lambda self: self.leads)
    @rule(number=st.integers(0, 9), is_deleted=st.booleans())
    def a_lead_is_deleted_or_restored(self, number: int, is_deleted: bool) -> None:
        id = self.pick(self.leads, number)
        if self.run(self.desk.sql(DELETE, id=id, is_deleted=is_deleted)) and is_deleted:
            self.run(self.ruled.tell(LeadDeleted(entity_ids=[id])))

    @precondition(lambda self: len(self.leads) > 2)
    @rule(number=st.integers(0, 9))
    def two_leads_are_one(self, number: int) -> None:
        keep, away = self.pick(self.leads, number), self.pick(self.leads, number + 1)
        self.run(self.merged(keep, away))

    async def merged(self, keep: UUID, away: UUID) -> None:
        live = await self.desk.rows(
            "SELECT id FROM lead WHERE workspace_id = :workspace_id AND id = ANY(:ids) AND deleted_at IS NULL",
            ids=[keep, away],
        )
        if len(live) == 2:
            async with self.desk.doors.open_work(self.desk.workspace_id, self.actor) as work:
                await merging_use_cases(work, self.actor).merge_leads(keep_id=keep, merge_ids=[away])
            self.count("merged")

    # ── what admins do ────────────────────────────────────────────────────────────────────────────────────────────────
    @rule(number=st.integers(0, 9), enabled=st.booleans())
    def switch(self, number: int, enabled: bool) -> None:
        self.run(self.switched(self.pick(self.rules, number), enabled))

    async def switched(self, rule_id: UUID, enabled: bool) -> None:
        async with self.desk.doors.open_work(self.desk.workspace_id, self.actor) as work:
            cases = automation_use_cases(work, self.desk.settings, self.actor)
            await cases.set_automation_enabled(rule_id, enabled=enabled)

    @rule(number=st.integers(0, 1), actions=st.integers(1, 5))
    def edit(self, number: int, actions: int) -> None:
        trigger = list(RULES.values())[number].trigger
        said = rule_of(*(note(f"{n}") for n in range(actions)), trigger=trigger).stored
        self.run(self.desk.sql(EDIT, id=self.rules[number], rule=orjson.dumps(said).decode()))

    # ── what workers do ───────────────────────────────────────────────────────────────────────────────────────────────
    @rule()
    def react(self) -> None:
        self.run(self.ruled.react())

    @rule(limit=st.integers(1, 4), after=st.none() | st.integers(0, MOST_STATEMENTS))
    def work(self, limit: int, after: int | None) -> None:
        """All that a worker does, at once."""
        self.react()
        self.claim(limit)
        if self.hands:
            self.carry_on(len(self.hands) - 1, after)

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        if claims := self.run(self.desk.claim_runs(limit=limit)):
            self.hands.append(claims)

    @precondition(lambda self: self.hands)
    @rule(number=st.integers(0, 9), after=st.none() | st.integers(0, MOST_STATEMENTS))
    def carry_on(self, number: int, after: int | None) -> None:
        """As far as it comes, or until the worker dies; the claims may be long in other hands."""
        claims = self.pick(self.hands, number)
        self.hands.remove(claims)
        deleted = {one.id: one.receipts for one in self.run(self.desk.rows(RUNS)) if one.is_deleted}
        died = self.run(self.carried(claims, after))
        self.count("died" if died else "carried")
        for one in self.run(self.desk.rows(RUNS)):
            assert deleted.get(one.id, one.receipts) == one.receipts, "done to who is deleted"

    async def carried(self, claims: list[Claim], after: int | None) -> bool:
        if after is None:
            await self.desk.turn(claims)
            return False
        death = Death(after)
        with met_by(death), suppress(Died):
            await self.desk.turn(claims)
        return death.has_come

    @precondition(lambda self: self.hands)
    @rule(number=st.integers(0, 9))
    def crash(self, number: int) -> None:
        self.hands.remove(self.pick(self.hands, number))

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────
    @rule()
    def leases_end(self) -> None:
        self.run(self.reaped())

    async def reaped(self) -> None:
        await self.desk.sql(END_LEASES)
        async with self.desk.doors.open_system() as system:
            await turns.reap(system)

    @rule()
    def time_comes(self) -> None:
        self.run(self.desk.sql(COME))

    # ── what must hold ────────────────────────────────────────────────────────────────────────────────────────────────
    @invariant()
    def receipts_are_as_far_as_the_run(self) -> None:
        for one in self.run(self.desk.rows(RUNS)):
            assert one.receipts == list(range(one.position)), dict(one._mapping)
            assert one.position <= one.actions
            assert one.is_over is (one.status in ENDS)
            assert one.status != "SUCCEEDED" or one.position == one.actions
            assert one.status != "SKIPPED" or not one.is_begun
            assert not one.position or one.is_begun
            if one.status in ENDS:
                now = Seen(one.status, one.reason, one.position)
                assert self.over.setdefault(one.id, now) == now, "what is over stays as it is"
            else:
                assert one.id not in self.over

    @invariant()
    def each_receipt_is_one_effect(self) -> None:
        for row in self.run(self.desk.rows(DONE)):
            assert row.notes == row.receipts, dict(row._mapping)
            assert row.entries == row.begun, dict(row._mapping)

    @invariant()
    def nothing_is_done_after_the_stop(self) -> None:
        assert self.run(self.desk.rows(AFTER_THE_STOP)) == []

    def teardown(self) -> None:
        """Every worker is dead, and time passes: all comes to an end."""
        for _ in range(40):
            self.run(self.reaped())
            self.run(self.ruled.react())
            self.run(self.desk.sql(COME))
            self.run(self.desk.turn())
            rows = self.run(self.desk.rows(RUNS))
            if all(one.status in ENDS for one in rows):
                break
        else:
            raise AssertionError([dict(one._mapping) for one in rows])
        self.receipts_are_as_far_as_the_run()
        self.each_receipt_is_one_effect()
        self.nothing_is_done_after_the_stop()
        for one in rows:
            self.count(one.reason or one.status)
        assert self.desk.errors == []


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    watch(monkeypatch.setattr)
    Runs.counts.clear()
    yield
    print(f"runs: {dict(sorted(Runs.counts.items()))}")


def test_whatever_happens_to_runs(situation: None, watched: None) -> None:
    run_machine(Runs, examples=8, steps=30)
    assert "SUCCEEDED" in Runs.counts


@pytest.mark.full
def test_whatever_happens_to_runs_at_length(situation: None, watched: None) -> None:
    run_machine(Runs, examples=60, steps=60)
    assert {"SUCCEEDED", "DISABLED", "died", "carried", "merged"} <= Runs.counts.keys()
