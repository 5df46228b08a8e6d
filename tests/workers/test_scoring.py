"""Leads are scored as something happens to them: by what they are and by the messages with them, each once."""

import random
from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID

import pytest
from sqlalchemy import text

from app.common.work import Doors
from app.conversations.domain.events import MessageUpdated
from app.leads.domain.events import LeadCreated, LeadUpdated
from app.leads.domain.scoring import COUNTED, DEFAULT_RULES, ScoreEventKind, ScoreRule
from app.leads.domain.staged import ImportPolicy, LeadDefaults
from app.leads.wiring import LeadRepository, upsert_leads
from app.settings import Settings
from app.tags.domain import TagChanged
from tests.factories.staged import nothing, row
from tests.fixtures.score_desk import ScoreDesk, received, sent

REPLY = ScoreRule(ScoreEventKind.MESSAGE_RECEIVED, None, 60, 7)
FIRST = """
SELECT first_score(:workspace_id, :email, :phone, :company, :title, :source)
"""


@pytest.fixture
async def scoring(own: tuple[Settings, Doors]) -> ScoreDesk:
    settings, doors = own
    return await ScoreDesk.with_rules(doors, settings, REPLY)


async def test_a_reply_counts_and_is_told(scoring: ScoreDesk) -> None:
    bia, ana = await scoring.lead(), await scoring.lead()
    await scoring.exchange(bia)
    await scoring.react()
    assert await scoring.scores() == {bia: 60, ana: 0}
    assert await scoring.told() == [(bia, "+50")]
    (event,) = await scoring.events()
    assert (event.entity_ids, event.depth, event.actor_kind) == ([bia], 1, "SYSTEM")
    assert event.cause_seq is not None


async def test_what_is_told_twice_counts_once(scoring: ScoreDesk) -> None:
    await scoring.save(REPLY, ScoreRule(ScoreEventKind.MESSAGE_SENT, None, -3))
    await scoring.sweep()
    bia = await scoring.lead()
    reply, mail = await scoring.exchange(bia), await scoring.exchange(bia, sent=True)
    await scoring.tell(received(reply), sent(mail))
    await scoring.react()
    await scoring.tell(received(reply), sent(mail))
    await scoring.react()
    assert await scoring.scores() == {bia: 57}
    assert len(await scoring.events()) == 1


async def test_automatic_replies_do_not_count(scoring: ScoreDesk) -> None:
    bia = await scoring.lead()
    await scoring.exchange(bia, auto=True)
    await scoring.react()
    assert (await scoring.scores(), await scoring.events()) == ({bia: 0}, [])


async def test_a_message_that_is_gone_holds_nothing_up(scoring: ScoreDesk) -> None:
    bia = await scoring.lead()
    gone = await scoring.exchange(bia)
    await scoring.sql("DELETE FROM message WHERE workspace_id = :workspace_id AND id = :id", id=gone)
    await scoring.exchange(bia)
    await scoring.react()
    assert await scoring.scores() == {bia: 60}


async def test_only_the_newest_count(scoring: ScoreDesk) -> None:
    bia = await scoring.lead()
    for _ in range(COUNTED + 2):
        await scoring.exchange(bia)
    await scoring.react()
    assert await scoring.scores() == {bia: 60 * COUNTED}


async def test_its_own_news_are_no_news(scoring: ScoreDesk) -> None:
    bia = await scoring.lead()
    await scoring.exchange(bia)
    for _ in range(3):
        await scoring.react()
    assert len(await scoring.events()) == 1


async def test_where_a_new_lead_begins_no_threshold_is_crossed(scoring: ScoreDesk) -> None:
    await scoring.save(ScoreRule(ScoreEventKind.HAS_EMAIL, None, 70), REPLY)
    await scoring.sweep()
    bia, ana = await scoring.lead(email="bia@example.org"), await scoring.lead(email="ana@example.org")
    await scoring.tell(LeadCreated(entity_ids=[bia, ana], after={"source": "MANUAL"}))
    await scoring.exchange(bia)
    await scoring.react()
    assert await scoring.scores() == {bia: 130, ana: 70}
    assert await scoring.told() == [(bia, "+100")]
    assert [sorted(one.entity_ids) for one in await scoring.events()] == [sorted([bia, ana])]


async def test_a_tag_counts_as_long_as_the_lead_has_it(scoring: ScoreDesk) -> None:
    bia = await scoring.lead()
    vip = await scoring.tag(bia)
    await scoring.tag(bia)
    await scoring.save(ScoreRule(ScoreEventKind.TAG_ADDED, str(vip), 30))
    tagged = LeadUpdated(entity_ids=[bia], changed=["tags"])
    await scoring.tell(tagged)
    await scoring.react()
    assert await scoring.scores() == {bia: 30}
    await scoring.sql("DELETE FROM lead_tag WHERE workspace_id = :workspace_id AND tag_id = :id", id=vip)
    await scoring.tell(tagged)
    await scoring.react()
    assert await scoring.scores() == {bia: 0}


@pytest.mark.parametrize("is_any", [True, False])
async def test_a_tag_that_is_deleted_takes_its_points_along(scoring: ScoreDesk, is_any: bool) -> None:
    bia = await scoring.lead()
    vip = await scoring.tag(bia)
    await scoring.save(ScoreRule(ScoreEventKind.TAG_ADDED, None if is_any else str(vip), 60))
    await scoring.sweep()
    assert await scoring.scores() == {bia: 60}
    await scoring.sql("DELETE FROM tag WHERE workspace_id = :workspace_id AND id = :id", id=vip)
    await scoring.tell(TagChanged(entity_ids=[vip], changed=["deleted"]))
    await scoring.react()
    assert await scoring.sweep()
    assert await scoring.scores() == {bia: 0}
    assert await scoring.told() == []
    assert not await scoring.sweep()


async def test_a_tag_that_no_rule_is_about(scoring: ScoreDesk) -> None:
    await scoring.tell(TagChanged(entity_ids=[await scoring.tag()], changed=["deleted"]))
    await scoring.react()
    assert not await scoring.sweep()


async def test_deleted_leads_are_left_alone(scoring: ScoreDesk) -> None:
    bia = await scoring.lead()
    await scoring.sql("UPDATE lead SET deleted_at = now() WHERE workspace_id = :workspace_id")
    await scoring.exchange(bia)
    await scoring.react()
    assert await scoring.scores() == {bia: 0}
    assert await scoring.reasons(bia) == []
    await scoring.sql("UPDATE lead SET deleted_at = NULL WHERE workspace_id = :workspace_id")
    await scoring.tell(LeadUpdated(entity_ids=[bia], changed=["deletedAt"]))
    await scoring.react()
    assert await scoring.scores() == {bia: 60}


# ── against a score worked out by hand ────────────────────────────────────────────────────────────────────────────────
class Model:
    """The rules, and all that happened, without SQL."""

    def __init__(self, rules: Sequence[ScoreRule]) -> None:
        self.rules = rules
        self.facts: dict[UUID, list[tuple[ScoreEventKind, str | None, int]]] = {}
        """Of each lead: the kind, what a rule's value may be, and how many days ago."""
        self.unmoved: set[UUID] = set()
        """They stand in a stage, and came into none."""

    def score(self, lead_id: UUID) -> int:
        return sum(self._of(rule, lead_id) for rule in self.rules)

    def _of(self, rule: ScoreRule, lead_id: UUID) -> int:
        days = sorted(
            age
            for kind, value, age in self.facts[lead_id]
            if kind is rule.event
            and (rule.value == value or (rule.value is None and not self._stays(kind, lead_id)))
        )
        halves = [0 if rule.half_life_days is None else age / rule.half_life_days for age in days[:COUNTED]]
        return round(sum(rule.points * 0.5**one for one in halves))

    def _stays(self, kind: ScoreEventKind, lead_id: UUID) -> bool:
        return kind is ScoreEventKind.STAGE_CHANGED and lead_id in self.unmoved


async def test_scores_are_what_the_rules_say(own: tuple[Settings, Doors]) -> None:
    """Also as time goes on; and the reasons given add up to them."""
    settings, doors = own
    rng = random.Random(8)
    desk = await ScoreDesk.with_rules(doors, settings)
    tags = [await desk.tag() for _ in range(3)]
    stage = await desk.sql("SELECT id FROM stage WHERE workspace_id = :workspace_id")
    model = Model(
        [
            ScoreRule(ScoreEventKind.TAG_ADDED, str(tags[0]), 31, 5),
            ScoreRule(ScoreEventKind.TAG_ADDED, None, -7),
            ScoreRule(ScoreEventKind.STAGE_CHANGED, str(stage), 11, 30),
            ScoreRule(ScoreEventKind.STAGE_CHANGED, None, 3),
            ScoreRule(ScoreEventKind.MESSAGE_SENT, "EMAIL", -2, 14),
            ScoreRule(ScoreEventKind.MESSAGE_RECEIVED, None, 20, 14),
            ScoreRule(ScoreEventKind.MESSAGE_RECEIVED, "EMAIL", 1),
            ScoreRule(ScoreEventKind.IMPORTED, "CSV", 9, 3),
            ScoreRule(ScoreEventKind.IMPORTED, None, 4),
            *(rule for rule in DEFAULT_RULES if rule.event is not ScoreEventKind.MESSAGE_RECEIVED),
        ]
    )
    for _ in range(25):
        await _happen(desk, model, rng, tags, str(stage))
    await desk.save(*model.rules)
    await desk.sweep()
    for days in (0, 1, 6, 100):
        if days:
            await desk.next_day(days)
            model.facts = {id: [(k, v, a + days) for k, v, a in of] for id, of in model.facts.items()}
        expected = {id: model.score(id) for id in model.facts}
        assert await desk.scores() == expected
        for id in model.facts:
            assert sum(one.kept for one in await desk.reasons(id)) == expected[id]
    assert len(set(expected.values())) > 5


async def _happen(
    desk: ScoreDesk, model: Model, rng: random.Random, tags: Sequence[UUID], stage: str
) -> None:
    """A lead, and some of what may happen to one."""
    has = {
        name: rng.choice([None, f"{name}-{rng.random()}"]) for name in ("email", "phone", "company", "title")
    }
    source, age = rng.choice(["MANUAL", "CSV", "LINKEDIN", "EMAIL"]), rng.randrange(60)
    moved = rng.choice([None, rng.randrange(age + 1)])
    id = await desk.lead(days=age, stage_days=moved, source=source, **has)
    facts = [(ScoreEventKind[f"HAS_{name.upper()}"], None, age) for name, value in has.items() if value]
    model.facts[id] = of = [*facts]
    of.append((ScoreEventKind.STAGE_CHANGED, stage, age if moved is None else moved))
    if moved is None:
        model.unmoved.add(id)
    if source in ("CSV", "LINKEDIN"):
        of.append((ScoreEventKind.IMPORTED, source, age))
    for tag_id in rng.sample(tags, rng.randrange(4)):
        days = rng.randrange(30)
        await desk.tag(id, tag_id=tag_id, days=days)
        of.append((ScoreEventKind.TAG_ADDED, str(tag_id), days))
    for _ in range(rng.choice([0, 0, 1, 3, 13])):
        is_sent, days = rng.random() < 0.3, rng.randrange(40)
        await desk.exchange(id, sent=is_sent, days=days)
        kind = ScoreEventKind.MESSAGE_SENT if is_sent else ScoreEventKind.MESSAGE_RECEIVED
        of.append((kind, "EMAIL", days))
    await desk.react()


@pytest.mark.parametrize("source", ["MANUAL", "CSV", "INSTAGRAM", "FACEBOOK", "LINKEDIN", "API", "EMAIL"])
async def test_a_lead_is_made_with_the_score_it_has(own: tuple[Settings, Doors], source: str) -> None:
    """`first_score`, in the statements that make leads, says what the rules say."""
    settings, doors = own
    desk = await ScoreDesk.with_rules(doors, settings)
    await desk.save(*DEFAULT_RULES, *(ScoreRule(ScoreEventKind.IMPORTED, one, 3) for one in (None, "CSV")))
    for number in range(16):
        names = ("email", "phone", "company", "title")
        has = {name: "x" if number >> n & 1 else None for n, name in enumerate(names)}
        id = await desk.lead(source=source, **has)
        async with doors.open_work(desk.workspace_id) as work:
            given = {"workspace_id": desk.workspace_id, "source": source, **has}
            first = (await work.execute(text(FIRST), given)).scalar_one()
        await desk.tell(LeadCreated(entity_ids=[id], after={"source": source}))
        await desk.react()
        assert (await desk.scores())[id] == first
        assert first == 5 * number.bit_count() + {"CSV": 6, "MANUAL": 0, "EMAIL": 0}.get(source, 3)


@pytest.mark.parametrize("known", [0, 1])
async def test_imported_leads_have_the_score_that_the_rules_give(
    own: tuple[Settings, Doors], known: int
) -> None:
    """A chunk with all that a lead may have or not, also where one of its people is known."""
    settings, doors = own
    desk = await ScoreDesk.with_rules(doors, settings)
    points = {"HAS_EMAIL": 1, "HAS_PHONE": 2, "HAS_COMPANY": 4, "HAS_TITLE": 8, "IMPORTED": 16}
    await desk.save(*(ScoreRule(ScoreEventKind(event), None, given) for event, given in points.items()))
    rows = []
    for n in range(16):
        values = {
            "email": f"p{n}@example.com",
            "phone": f"+5511987654{n:03}",
            "company": "Acme",
            "title": "CEO",
        }
        rows.append(
            row(n + 1, linkedin=f"p{n}", **{k: v for b, (k, v) in enumerate(values.items()) if n >> b & 1})
        )
    written = []
    for some in (rows[:known], rows):
        async with doors.open_work(desk.workspace_id) as work:
            stage_id = await LeadRepository(work).stage(desk.workspace_id, None)
            defaults = LeadDefaults(
                source="CSV", stage_id=stage_id, owner_id=None, tag_ids=(), created_by=None
            )
            written = await upsert_leads(
                work, desk.workspace_id, some, ImportPolicy.UPSERT, defaults, settle=nothing
            )
    scores = await desk.scores()
    assert [scores[one.lead_id] for one in written if one.lead_id] == [16 + n for n in range(16)]


@pytest.mark.parametrize("first", ["SENT", "DELIVERED", "READ"])
async def test_what_left_counts_whatever_is_told_of_it_first(scoring: ScoreDesk, first: str) -> None:
    """An answer that was lost, and a provider's word that came before ours."""
    await scoring.save(ScoreRule(ScoreEventKind.MESSAGE_SENT, None, 3))
    await scoring.sweep()
    bia = await scoring.lead()
    mail = await scoring.message(bia, sent=True)
    steps = ["UNKNOWN", first, *(["READ"] if first == "DELIVERED" else [])]
    for before, after in pairwise(steps):
        await scoring.tell(
            MessageUpdated(entity_ids=[mail], before={"status": before}, after={"status": after})
        )
    await scoring.react()
    assert await scoring.scores() == {bia: 3}
