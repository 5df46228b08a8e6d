"""The dashboard's figures, on data made by hand: each is worked out beside it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.board import moved, stage_ids
from tests.factories.figures import DASHBOARD, Past, asked
from tests.factories.merging import merged

DELETE = "mutation ($ids: [ID!]!) { deleteLeads(input: {ids: $ids}) { errors { code } } }"
AUTOMATION = "INSERT INTO automation (workspace_id, name) VALUES (:workspace_id, 'Welcome') RETURNING id"
VERSION = """
INSERT INTO automation_version (workspace_id, automation_id, number, rule) VALUES (:workspace_id, :id, 1, '{}')
RETURNING id
"""
RUN = """
INSERT INTO automation_run (workspace_id, automation_id, version_id, lead_id, trigger_seq, status, started_at,
    finished_at)
VALUES (:workspace_id, :automation_id, :version_id, :lead_id, :seq, :status, :started_at, :finished_at)
"""
NOTHING: dict[str, Any] = {
    "leads": 0,
    "sent": 0,
    "failed": 0,
    "unknown": 0,
    "replyRate": None,
    "medianFirstResponseSeconds": None,
    "automationRuns": 0,
    "automationSkips": 0,
}


def on(day: int, hour: int = 12, minute: int = 0, *, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


FROM, TO = on(10), on(13)


@pytest.fixture
def past(ana: Person, doors: Doors) -> Past:
    return Past(ana, doors)


def days(told: dict[str, Any]) -> list[tuple[str, int, int, int]]:
    return [(one["day"], one["leads"], one["sent"], one["received"]) for one in told["perDay"]]


# ── leads and days ────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_workspace_without_anything_has_days_and_stages_all_the_same(past: Past) -> None:
    await past.live_in("UTC")
    told = await past.dashboard(FROM, TO)
    assert days(told) == [(f"2026-03-{day}", 0, 0, 0) for day in (10, 11, 12, 13)]
    assert [one["stage"]["id"] for one in told["byStage"]] == await stage_ids(past.person)
    assert {one["count"] for one in told["byStage"]} == {0}
    assert {name: told[name] for name in NOTHING} == NOTHING


async def test_leads_count_where_they_stand_now_and_on_the_day_they_were_made(past: Past) -> None:
    await past.live_in("UTC")
    first, second, *_ = await stage_ids(past.person)
    await past.lead(on(10, 12))
    late = await past.lead(on(12, 23, 59))
    await past.lead(on(12, 0))
    await past.lead(on(10, 11, 59))
    await past.lead(on(13, 12))
    gone = await past.lead(on(11))
    await moved(past.person, str(late), second)
    await past.sql("UPDATE lead SET deleted_at = now() WHERE id = :id", id=gone)

    told = await past.dashboard(FROM, TO)
    assert told["leads"] == 3, "from noon on, until noon and without it; a deleted one is none"
    counts = {one["stage"]["id"]: one["count"] for one in told["byStage"]}
    assert (counts.pop(first), counts.pop(second), sum(counts.values())) == (2, 1, 0)
    assert [(day, leads) for day, leads, _, _ in days(told)] == [
        ("2026-03-10", 1),
        ("2026-03-11", 0),
        ("2026-03-12", 2),
        ("2026-03-13", 0),
    ]
    assert (await past.dashboard(on(10), on(10, 12, 1)))["leads"] == 1


async def test_a_day_is_the_workspaces(past: Past) -> None:
    """In São Paulo it is three hours earlier: what came at half past two in the morning came the evening before."""
    await past.live_in("America/Sao_Paulo")
    talk = await past.talk()
    await past.settled(talk, on(11, 2, 30))
    await past.settled(talk, on(11, 3, 0))
    await past.heard(talk, on(12, 2, 59))
    told = await past.dashboard(on(10, 3), on(13, 3))
    assert days(told) == [("2026-03-10", 0, 1, 0), ("2026-03-11", 0, 1, 1), ("2026-03-12", 0, 0, 0)]
    assert told["sent"] == 2


async def test_a_day_whose_midnight_comes_twice_begins_with_the_period(past: Past) -> None:
    """In Havana, where clocks go back at one in the morning."""
    await past.live_in("America/Havana")
    talk = await past.talk()
    await past.settled(talk, on(1, 4, 30, month=11))
    told = await past.dashboard(on(1, 4, month=11), on(2, 5, month=11))
    assert (days(told), told["sent"]) == ([("2026-11-01", 0, 1, 0)], 1)


@pytest.mark.parametrize(
    ("zone", "day", "first_hour", "last_hour"),
    [
        ("America/New_York", on(8), (5, 0), (27, 59)),
        ("America/New_York", on(1, month=11), (4, 0), (28, 59)),
        ("Asia/Kolkata", on(8), (-6, 30), (18, 29)),
        ("Pacific/Kiritimati", on(8), (-14, 0), (9, 59)),
    ],
    ids=["23 hours", "25 hours", "half an hour", "far ahead"],
)
async def test_a_day_is_as_long_as_its_clock_says(
    past: Past, zone: str, day: datetime, first_hour: tuple[int, int], last_hour: tuple[int, int]
) -> None:
    """Its first and last minute count to it, the minutes around them to its neighbours: none twice, none to no day."""
    await past.live_in(zone)
    midnight = day.replace(hour=0)
    begins, last = (
        midnight + timedelta(hours=hour, minutes=minute) for hour, minute in (first_hour, last_hour)
    )
    talk = await past.talk()
    for at in (begins - timedelta(minutes=1), begins, last, last + timedelta(minutes=1)):
        await past.settled(talk, at)
    told = await past.dashboard(midnight - timedelta(days=3), midnight + timedelta(days=4))
    sent = {day: sent for day, _, sent, _ in days(told)}
    around = [(day + timedelta(days=more)).date().isoformat() for more in (-1, 0, 1)]
    assert [sent[one] for one in around] == [1, 2, 1]
    assert sum(sent.values()) == 4 == told["sent"]


async def test_days_go_on_without_a_gap_for_ten_years(past: Past) -> None:
    await past.live_in("UTC")
    since = on(10) - timedelta(days=3_660)
    told = [day for day, _, _, _ in days(await past.dashboard(since, on(10)))]
    assert told == sorted(set(told))
    assert (len(told), told[0], told[-1]) == (3_661, "2016-03-02", "2026-03-10")
    assert (await past.dashboard(FROM, FROM))["perDay"] == []


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_messages_count_by_what_became_of_them_when_it_did(past: Past) -> None:
    talk = await past.talk()
    for status, count in {"sent": 3, "failed": 2, "unknown": 1, "canceled": 1}.items():
        for n in range(count):
            await past.settled(talk, on(10, 12, n), status)
    for status in ("sent", "failed", "unknown"):
        await past.settled(talk, on(10, 11, 59), status)
        await past.settled(talk, on(13), status)
    await past.settled(talk, on(10), "sent")
    told = await past.dashboard(FROM, TO)
    assert (told["sent"], told["failed"], told["unknown"]) == (4, 2, 1)


async def test_auto_replies_came_in_and_are_no_replies(past: Past) -> None:
    await past.live_in("UTC")
    talk = await past.talk()
    await past.settled(talk, on(10))
    await past.heard(talk, on(11), is_auto_reply=True)
    told = await past.dashboard(FROM, TO)
    assert days(told)[1] == ("2026-03-11", 0, 0, 1)
    assert told["replyRate"] == 0.0


async def test_the_reply_rate_is_of_the_leads_that_were_written_to_in_the_period(past: Past) -> None:
    """Four were: one replied, one before it was written to, one to the last of three messages after the period, one
    over another account. Not in it: who was written to before, who replied unasked, to whom it failed."""
    replied, early, late, elsewhere = [await past.talk() for _ in range(4)]
    await past.settled(replied, on(10))
    await past.heard(replied, on(11))
    await past.heard(early, on(10))
    await past.settled(early, on(10, 13))
    for day in (10, 11, 12):
        await past.settled(late, on(day, 13))
    await past.heard(late, on(20))
    await past.settled(elsewhere, on(10))
    await past.heard(await past.talk(lead_id=elsewhere.lead_id), on(12))

    before, unasked, failed = [await past.talk() for _ in range(3)]
    await past.settled(before, on(9))
    await past.heard(before, on(11))
    await past.heard(unasked, on(11))
    await past.settled(failed, on(10), "failed")
    await past.heard(failed, on(11))
    assert (await past.dashboard(FROM, TO))["replyRate"] == 0.75
    assert (await past.dashboard(on(10), on(10, 12, 1)))["replyRate"] == 1.0


async def test_a_merged_lead_is_one_and_a_deleted_one_stays_in_the_reply_rate(past: Past) -> None:
    """Three were written to, of whom one replied; then two of them are one person, and the third is deleted."""
    replied, same, deleted = [await past.talk() for _ in range(3)]
    for talk in (replied, same, deleted):
        await past.settled(talk, on(10))
    await past.heard(replied, on(11))
    told = await past.dashboard(FROM, TO)
    assert (told["sent"], told["replyRate"]) == (3, pytest.approx(1 / 3))
    await merged(past.person, same.lead_id, replied.lead_id)
    await past.person.run(DELETE, {"ids": [str(deleted.lead_id)]})
    told = await past.dashboard(FROM, TO)
    assert (told["sent"], told["replyRate"]) == (3, 0.5)


async def test_a_message_answers_what_came_before_it_not_after(past: Past) -> None:
    """Written to again after the reply, and silent since: of the later period it is one that has not replied."""
    talk = await past.talk()
    await past.settled(talk, on(10))
    await past.heard(talk, on(11))
    await past.settled(talk, on(12))
    assert (await past.dashboard(on(10), on(12)))["replyRate"] == 1.0
    assert (await past.dashboard(on(12), on(13)))["replyRate"] == 0.0


async def test_the_median_is_of_what_was_answered_in_the_period(past: Past) -> None:
    talk = await past.talk()
    for minutes, at in ((1, on(10)), (10, on(11)), (600, on(12))):
        await past.settled(talk, at, answers_since=at - timedelta(minutes=minutes))
    assert (await past.dashboard(FROM, TO))["medianFirstResponseSeconds"] == 600
    await past.settled(talk, on(12, 13), answers_since=on(12, 12, 40))
    assert (await past.dashboard(FROM, TO))["medianFirstResponseSeconds"] == 900, (
        "between the two in the middle"
    )
    await past.settled(talk, on(12, 14))
    await past.settled(talk, on(12, 14), "failed", answers_since=on(1))
    await past.settled(talk, on(13), answers_since=on(1))
    await past.settled(talk, on(10, 11, 59), answers_since=on(1))
    assert (await past.dashboard(FROM, TO))["medianFirstResponseSeconds"] == 900


# ── automations ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_runs_count_when_they_begin_and_skips_when_they_are_found(past: Past) -> None:
    automation_id = await past.sql(AUTOMATION)
    version_id = await past.sql(VERSION, id=automation_id)
    runs = [
        ("SUCCEEDED", on(10), on(20)),
        ("FAILED", on(11), on(11)),
        ("CANCELED", on(12), on(12)),
        ("SUCCEEDED", on(9), on(11)),
        ("CANCELED", None, on(11)),
        ("WAITING", None, None),
        ("SKIPPED", None, on(11)),
        ("SKIPPED", None, on(12)),
        ("SKIPPED", None, on(13)),
        ("RUNNING", on(12), None),
    ]
    for seq, (status, started_at, finished_at) in enumerate(runs):
        await past.sql(
            RUN,
            automation_id=automation_id,
            version_id=version_id,
            lead_id=await past.lead(on(1)),
            seq=seq,
            status=status,
            started_at=started_at,
            finished_at=finished_at,
        )
    told = await past.dashboard(FROM, TO)
    assert (told["automationRuns"], told["automationSkips"]) == (4, 2)


# ── who, and what cannot be asked ─────────────────────────────────────────────────────────────────────────────────────
async def test_a_viewer_reads_it_and_another_workspace_sees_nothing_of_it(
    past: Past, eve: Person, doors: Doors
) -> None:
    talk = await past.talk(lead_id=await past.lead(on(11)))
    await past.settled(talk, on(10), answers_since=on(9))
    await past.heard(talk, on(11))
    viewer = await add_member(doors, past.person, role=Role.VIEWER)
    told = await Past(viewer, doors).dashboard(FROM, TO)
    assert (told["leads"], told["sent"], told["replyRate"]) == (1, 1, 1.0)
    theirs = await Past(eve, doors).dashboard(FROM, TO)
    assert {name: theirs[name] for name in NOTHING} == NOTHING
    assert not any(count for _, *counts in days(theirs) for count in counts)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-03-10T12:00:00Z", "2026-03-10T11:00:00Z"),
        ("2016-03-10T12:00:00Z", "2026-03-31T12:00:00Z"),
        ("1999-12-31T23:59:59Z", "2000-01-02T00:00:00Z"),
        ("2026-03-10T12:00:00", "2026-03-11T12:00:00Z"),
        ("0001-01-01T00:00:00+14:00", "2026-03-11T12:00:00Z"),
        ("9999-12-31T23:59:59-14:00", "2026-03-11T12:00:00Z"),
        ("yesterday", "2026-03-11T12:00:00Z"),
    ],
    ids=["backwards", "too long", "too early", "no offset", "before time", "after time", "no moment"],
)
async def test_a_period_that_is_none_is_refused(ana: Person, since: str, until: str) -> None:
    assert await ana.refused(DASHBOARD, {"from": since, "to": until}) == "BAD_USER_INPUT"


async def test_only_what_is_asked_for_is_told(past: Past) -> None:
    """A figure by itself says what it says among the others."""
    talk = await past.talk(lead_id=await past.lead(on(11)))
    await past.settled(talk, on(10), answers_since=on(9))
    await past.heard(talk, on(11))
    whole = await past.dashboard(FROM, TO)
    for name in (*NOTHING, "byStage { count }", "perDay { leads sent received }"):
        alone = "query ($from: DateTime!, $to: DateTime!) { dashboard(from: $from, to: $to) { ...it } }"
        fragment = f"fragment it on Dashboard {{ {name} }}"
        told = (await past.person.run(f"{alone} {fragment}", asked(FROM, TO)))["dashboard"]
        field, inner = name.split()[0], name.split()[2:-1]
        expected = whole[field]
        if inner:
            expected = [{key: one[key] for key in inner} for one in expected]
        assert told == {field: expected}
