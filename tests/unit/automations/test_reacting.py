"""A batch of events is judged as if each had come alone, and no guard lets more through than it may."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from app.automations.domain.facts import Facts, MessageFacts
from app.automations.domain.reacting import Docket, NewRun, Standing, cases_of
from app.automations.domain.rule import (
    Condition,
    ConditionField,
    ConditionOp,
    EnabledRule,
    Match,
    Rule,
    Trigger,
)
from app.automations.domain.run import LEAD_RUNS_PER_HOUR, MAX_DEPTH, RunReason

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LEADS = [UUID(int=number) for number in range(1, 5)]
GONE = LEADS[-1]
CONVERSATIONS = {UUID(int=100 + number): LEADS[number % 3] for number in range(4)}
Pair = tuple[UUID, UUID]


@dataclass(frozen=True)
class Told:
    seq: int
    name: str
    entity_ids: Sequence[UUID]
    changed: Sequence[str] = ()
    before: Mapping[str, object] = field(default_factory=dict)
    after: Mapping[str, object] = field(default_factory=dict)
    depth: int = 0
    message: MessageFacts | None = None

    @property
    def at(self) -> datetime:
        return NOON + timedelta(seconds=self.seq)


def facts_of(lead_id: UUID) -> Facts:
    return Facts(
        lead_id=lead_id,
        source="CSV",
        stage_id=lead_id,
        tag_ids=frozenset(),
        owner_id=None,
        score=lead_id.int,
        email=None,
        company=None,
        title=None,
        engagement="NEW",
    )


FACTS = {id: facts_of(id) for id in LEADS if id != GONE}


@st.composite
def rules(draw: st.DrawFn) -> EnabledRule:
    trigger = draw(st.sampled_from((Trigger.LEAD_UPDATED, Trigger.LEAD_CREATED, Trigger.NO_REPLY)))
    scored = Condition(ConditionField.SCORE, ConditionOp.GT, "1")
    return EnabledRule(
        automation_id=uuid4(),
        version_id=uuid4(),
        name="Regra",
        enabled_at=NOON + timedelta(seconds=draw(st.sampled_from((0, 3)))),
        rule=Rule(
            trigger=trigger,
            no_reply_after_s=60 if trigger is Trigger.NO_REPLY else None,
            once_per_lead=draw(st.booleans()),
            match=Match.ALL,
            conditions=draw(st.sampled_from(((), (scored,)))),
            actions=(),
        ),
    )


@st.composite
def events(draw: st.DrawFn) -> list[Told]:
    told: list[Told] = []
    for seq in range(1, draw(st.integers(1, 25)) + 1):
        depth = draw(st.sampled_from((0, 0, 0, MAX_DEPTH - 1, MAX_DEPTH)))
        if draw(st.booleans()):
            name = draw(st.sampled_from(("lead.created", "lead.updated")))
            ids = draw(st.lists(st.sampled_from(LEADS), min_size=1, max_size=4, unique=True))
            told.append(Told(seq, name, ids, ["name"], depth=depth))
            continue
        conversation_id = draw(st.sampled_from(list(CONVERSATIONS)))
        message = MessageFacts(
            id=uuid4(),
            conversation_id=conversation_id,
            lead_id=CONVERSATIONS[conversation_id],
            channel="EMAIL",
            is_inbound=False,
            is_auto_reply=False,
            author_kind="HUMAN",
            position=seq,
            sent_at=NOON + timedelta(seconds=draw(st.integers(0, 50))),
            body=None,
            is_answered=draw(st.sampled_from((False, False, True))),
        )
        status = {"before": {"status": "SENDING"}, "after": {"status": "SENT"}}
        told.append(Told(seq, "message.updated", [message.id], depth=depth, message=message, **status))
    return told


class Ledger:
    """The runs as they would be stored, and what the next batch is told of them."""

    def __init__(self) -> None:
        self.runs: dict[UUID, NewRun] = {}

    def take(self, docket: Docket) -> None:
        for run in docket.runs:
            self.runs[uuid4()] = run
        for move in docket.moves.values():
            run = self.runs[move.run_id]
            if run.run_at is not None and run.run_at < move.run_at:  # as the statement asks
                run.run_at, run.message_id, run.trigger_seq = move.run_at, move.message_id, move.trigger_seq

    def standings(self) -> dict[Pair, Standing]:
        found: dict[Pair, Standing] = {}
        for id, run in self.runs.items():
            standing = found.setdefault((run.automation_id, run.lead_id), Standing())
            if run.reason is None:
                standing.is_live = True
                standing.last_hour += 1
                if run.run_at is not None:
                    standing.armed_id, standing.armed_in = id, run.conversation_id
        return found

    def this_hour(self) -> dict[UUID, int]:
        return dict(Counter(run.automation_id for run in self.runs.values() if run.reason is None))

    def told(self) -> list[tuple[object, ...]]:
        return sorted(
            (run.automation_id, run.lead_id, run.trigger_seq, str(run.reason), run.condition, str(run.run_at))
            for run in self.runs.values()
        )


def judge(ledger: Ledger, rules: Sequence[EnabledRule], batch: Sequence[Told], runs_per_hour: int) -> Docket:
    docket = Docket(standings=ledger.standings(), this_hour=ledger.this_hour(), runs_per_hour=runs_per_hour)
    messages = {one.entity_ids[0]: one.message for one in batch if one.message is not None}
    for case in cases_of(rules, batch, messages):
        docket.judge(case, FACTS)
    ledger.take(docket)
    return docket


many_rules = st.lists(rules(), max_size=4)
rates = st.sampled_from((2, 5, 1000))


@given(many_rules, events(), rates, st.data())
def test_however_events_are_batched_the_same_comes_of_them(
    rules: list[EnabledRule], told: list[Told], runs_per_hour: int, data: st.DataObject
) -> None:
    whole, parts = Ledger(), Ledger()
    judge(whole, rules, told, runs_per_hour)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(told)))))
    for start, end in zip([0, *cuts], [*cuts, len(told)], strict=True):
        judge(parts, rules, told[start:end], runs_per_hour)
    assert whole.told() == parts.told()


@given(many_rules, events(), rates)
def test_no_guard_lets_more_through(rules: list[EnabledRule], told: list[Told], runs_per_hour: int) -> None:
    docket = judge(ledger := Ledger(), rules, told, runs_per_hour)
    live = [run for run in ledger.runs.values() if run.reason is None]
    assert set(Counter((run.automation_id, run.lead_id) for run in live).values()) <= {1}
    assert all(count <= runs_per_hour for count in Counter(run.automation_id for run in live).values())
    assert all(run.depth < MAX_DEPTH for run in live)
    assert GONE not in {run.lead_id for run in ledger.runs.values()}
    enabled_at = {one.automation_id: one.enabled_at for one in rules}
    assert all(
        NOON + timedelta(seconds=run.trigger_seq) > enabled_at[run.automation_id] for run in docket.runs
    )


@given(many_rules, events())
def test_each_case_is_one_run_or_moves_one(rules: list[EnabledRule], told: list[Told]) -> None:
    """Nothing that concerns a rule goes without a line that says what came of it."""
    docket = judge(Ledger(), rules, told, 1000)
    messages = {one.entity_ids[0]: one.message for one in told if one.message is not None}
    cases = [
        (case.rule.automation_id, lead_id, case)
        for case in cases_of(rules, told, messages)
        for lead_id in case.lead_ids
        if lead_id in FACTS
    ]
    waits = {(run.automation_id, run.lead_id) for run in docket.runs if run.run_at is not None}
    lines = Counter((run.automation_id, run.lead_id) for run in docket.runs)
    for pair, count in Counter((automation_id, lead_id) for automation_id, lead_id, _ in cases).items():
        assert lines[pair] == count if pair not in waits else lines[pair] <= count
    assert len({(run.automation_id, run.lead_id, run.trigger_seq) for run in docket.runs}) == len(docket.runs)


def started(rule: EnabledRule, standing: Standing, *, depth: int = 0, spent: int = 0) -> RunReason | None:
    docket = Docket(
        standings={(rule.automation_id, LEADS[1]): standing},
        this_hour={rule.automation_id: spent},
        runs_per_hour=10,
    )
    told = Told(9, "lead.updated", [LEADS[1]], ["name"], depth=depth)
    for case in cases_of([rule], [told], {}):
        docket.judge(case, FACTS)
    (run,) = docket.runs
    return run.reason


def a_rule(*, once: bool = False, conditions: Iterable[Condition] = ()) -> EnabledRule:
    return EnabledRule(
        automation_id=uuid4(),
        version_id=uuid4(),
        name="Regra",
        enabled_at=NOON,
        rule=Rule(
            trigger=Trigger.LEAD_UPDATED,
            no_reply_after_s=None,
            once_per_lead=once,
            match=Match.ALL,
            conditions=list(conditions),
            actions=(),
        ),
    )


def test_which_guard_is_named() -> None:
    """The condition before all of them: what it stopped, no guard had to."""
    assert started(a_rule(), Standing()) is None
    assert started(a_rule(), Standing(is_live=True)) is RunReason.ALREADY_RUNNING
    assert started(a_rule(), Standing(has_acted=True)) is None
    assert started(a_rule(once=True), Standing(has_acted=True, is_live=True)) is RunReason.ONCE_PER_LEAD
    assert started(a_rule(), Standing(last_hour=LEAD_RUNS_PER_HOUR - 1)) is None
    assert started(a_rule(), Standing(last_hour=LEAD_RUNS_PER_HOUR)) is RunReason.RATE_GUARD
    assert started(a_rule(), Standing(), spent=9) is None
    assert started(a_rule(), Standing(), spent=10) is RunReason.RATE_GUARD
    assert started(a_rule(), Standing(is_live=True), depth=MAX_DEPTH) is RunReason.LOOP_GUARD
    cold = Condition(ConditionField.SCORE, ConditionOp.LT, "0")
    assert started(a_rule(conditions=[cold]), Standing(), depth=MAX_DEPTH) is RunReason.CONDITION
