"""Rules of scores: what may be saved, and how a score is told."""

from uuid import uuid4

import pytest

from app.common.domain import Refusals
from app.leads.domain.score_texts import TEXTS, Counted, Reason, explained
from app.leads.domain.scoring import (
    COUNTED,
    DEFAULT_RULES,
    MAX_POINTS,
    MAX_RULES,
    ScoreEventKind,
    ScoreRule,
    TooManyRules,
    checked_rules,
    may_score,
    scored,
)

TAG = str(uuid4())


def paths_of(*rules: ScoreRule) -> list[tuple[str, ...]]:
    with pytest.raises(Refusals) as refused:
        checked_rules(rules)
    return [one.path for one in refused.value.refusals]


def counted(event: ScoreEventKind, **of: object) -> Counted:
    given: dict[str, object] = {"value": None, "name": None, "times": 1, "days": 0, "gained": 10, "kept": 10}
    return Counted(event=event, **{**given, **of})  # type: ignore[arg-type]


def test_the_defaults_may_be_saved() -> None:
    assert checked_rules(DEFAULT_RULES) == list(DEFAULT_RULES)
    assert checked_rules([]) == []


@pytest.mark.parametrize("points", [1, -1, MAX_POINTS, -MAX_POINTS])
def test_points_within_bounds(points: int) -> None:
    checked_rules([ScoreRule(ScoreEventKind.TAG_ADDED, TAG, points, 3650)])


@pytest.mark.parametrize("points", [0, MAX_POINTS + 1, -MAX_POINTS - 1, 2**31 - 1])
def test_points_beyond_them(points: int) -> None:
    assert paths_of(*DEFAULT_RULES, ScoreRule(ScoreEventKind.TAG_ADDED, TAG, points)) == [
        ("rules", "5", "points")
    ]


@pytest.mark.parametrize("days", [0, -1, 3651, 2**31 - 1])
def test_half_lives_beyond_bounds(days: int) -> None:
    assert paths_of(ScoreRule(ScoreEventKind.MESSAGE_SENT, None, 1, days)) == [("rules", "0", "halfLifeDays")]


def test_what_a_lead_has_neither_fades_nor_is_one_of_several() -> None:
    assert paths_of(ScoreRule(ScoreEventKind.HAS_EMAIL, "EMAIL", 1, 14)) == [
        ("rules", "0", "halfLifeDays"),
        ("rules", "0", "value"),
    ]


@pytest.mark.parametrize(
    ("event", "value"),
    [
        (ScoreEventKind.MESSAGE_RECEIVED, "email"),
        (ScoreEventKind.MESSAGE_SENT, ""),
        (ScoreEventKind.MESSAGE_SENT, "\x00"),
        (ScoreEventKind.IMPORTED, "MANUAL"),
        (ScoreEventKind.IMPORTED, "x" * 10_000),
    ],
)
def test_values_that_are_none(event: ScoreEventKind, value: str) -> None:
    assert paths_of(ScoreRule(event, value, 1)) == [("rules", "0", "value")]


@pytest.mark.parametrize("value", ["", "vip", "00000000", "-" * 36, "\x00"])
def test_ids_that_are_none(value: str) -> None:
    of = ScoreRule(ScoreEventKind.TAG_ADDED, value, 1), ScoreRule(ScoreEventKind.STAGE_CHANGED, value, 1)
    assert paths_of(*of) == [("rules", "0", "value"), ("rules", "1", "value")]


def test_two_rules_about_the_same() -> None:
    """However an id is written."""
    of = [ScoreRule(ScoreEventKind.TAG_ADDED, one, 1) for one in (TAG, TAG.upper(), None)]
    assert paths_of(*of) == [("rules", "1", "event")]


def test_too_many_rules() -> None:
    with pytest.raises(TooManyRules):
        checked_rules([ScoreRule(ScoreEventKind.TAG_ADDED, str(uuid4()), 1) for _ in range(MAX_RULES + 1)])


def test_a_reply_that_grows_old_is_told_as_silence() -> None:
    reply = counted(ScoreEventKind.MESSAGE_RECEIVED, days=14, kept=5)
    assert explained([reply], "en") == [Reason("Replied 14 days ago", 10), Reason("14 days silent", -5)]
    assert explained([reply], "pt-BR") == [
        Reason("Respondeu há 14 dias", 10),
        Reason("14 dias em silêncio", -5),
    ]
    assert explained([reply], "fr") == explained([reply], "en")


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (0, "Replied 3 times, last today"),
        (1, "Replied 3 times, last yesterday"),
        (2, "Replied 3 times, last 2 days ago"),
    ],
)
def test_several_are_one_reason(days: int, text: str) -> None:
    of = counted(ScoreEventKind.MESSAGE_RECEIVED, times=3, days=days, gained=30, kept=29)
    assert [one.text for one in explained([of], "en")] == [
        text,
        ["Earlier ones faded", "1 day silent", "2 days silent"][days],
    ]


def test_more_than_count_are_not_told_as_so_many() -> None:
    texts = [
        explained([counted(ScoreEventKind.MESSAGE_RECEIVED, times=times)], "en")[0].text
        for times in (COUNTED - 1, COUNTED)
    ]
    assert texts == ["Replied 9 times, last today", "Replied 10+ times, last today"]


def test_what_a_rule_names_is_named() -> None:
    of = [
        counted(ScoreEventKind.TAG_ADDED, value=TAG, name="VIP", days=3),
        counted(ScoreEventKind.STAGE_CHANGED, value=TAG, name="{Won}", days=1),
        counted(ScoreEventKind.IMPORTED, value="LINKEDIN", days=0),
    ]
    assert [one.text for one in explained(of, "en")] == [
        "Tagged “VIP” 3 days ago",
        "Came to “{Won}” yesterday",
        "Imported today (LINKEDIN)",
    ]


@pytest.mark.parametrize("locale", sorted(TEXTS))
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("event", sorted(ScoreEventKind))
def test_each_kind_has_words_in_each_language(event: ScoreEventKind, times: int, locale: str) -> None:
    if times > 1 and not TEXTS[locale].of[event][1]:
        assert TEXTS["en"].of[event][1] == ""
        return
    (reason,) = explained([counted(event, times=times, days=5)], locale)
    assert reason.text.strip()
    assert "{" not in reason.text
    assert (str(times) in reason.text) == (times > 1)


def test_many_leads_are_told_a_thousand_at_a_time() -> None:
    ids = [uuid4() for _ in range(2001)]
    told = scored(ids)
    assert [len(one.entity_ids) for one in told] == [1000, 1000, 1]
    assert [id for one in told for id in one.entity_ids] == ids
    assert all(not may_score(one.changed) for one in told)
    assert may_score(["score", "tags"])
