"""What the rules make of leads, in SQL: one and the same for their scores and for the reasons that are given of them.

`WEIGHED` has a row for each lead and rule that something counts for: how many, when the last, how many points that was
at first (`gained`) and how many of them are left (`kept`). A score is the sum of what is left.
"""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Reads, Work
from app.leads.domain.scoring import COUNTED, IMPORTS, THRESHOLDS

# A lead that a sweep under way has not come to is still of the day before.
TARGETS = """
    rule AS MATERIALIZED (
        SELECT position, event, value, points, half_life_days FROM score_rule
        WHERE workspace_id = cast(:workspace_id as uuid)
    ), sweep AS MATERIALIZED (
        SELECT s.day, s.last_day, s.after_id, s.is_told, known_zone(s.time_zone) AS zone FROM score_sweep s
        WHERE s.workspace_id = cast(:workspace_id as uuid)
    ), target AS MATERIALIZED (
        SELECT l.id, l.score, l.stage_id, l.source, l.created_at, l.stage_entered_at,
            l.email IS NOT NULL AS has_email, l.phone IS NOT NULL AS has_phone, l.company IS NOT NULL AS has_company,
            l.title IS NOT NULL AS has_title, s.zone,
            CASE WHEN s.after_id IS NULL OR l.id <= s.after_id THEN s.day ELSE s.last_day END AS day
        FROM lead l CROSS JOIN sweep s
        WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = ANY (cast(:ids as uuid[]))
            AND l.deleted_at IS NULL
    )
"""


def _hit(at: str, counted: str) -> str:
    """What counts for a rule: how many days it is old, and what the rule gives."""
    return f"""
        SELECT t.id, r.position, r.points, cast(r.half_life_days as float) AS half_life,
            greatest(0, t.day - ({at} AT TIME ZONE t.zone)::date) AS days
        FROM target t JOIN rule r ON {counted}
    """  # noqa: S608 - parts of ours


TAGS = f"""
    r.event = 'TAG_ADDED' CROSS JOIN LATERAL (
        SELECT g.created_at AS at FROM lead_tag g
        WHERE g.workspace_id = cast(:workspace_id as uuid) AND g.lead_id = t.id
            AND coalesce(r.value = cast(g.tag_id as text), true)
        ORDER BY g.created_at DESC LIMIT {COUNTED}
    ) e
"""  # noqa: S608 - a number of ours
STAGE = """
    r.event = 'STAGE_CHANGED' AND coalesce(r.value = cast(t.stage_id as text), t.stage_entered_at IS NOT NULL)
"""
MESSAGES = f"""
    r.event IN ('MESSAGE_SENT', 'MESSAGE_RECEIVED') CROSS JOIN LATERAL (
        SELECT m.at FROM score_event m
        WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.lead_id = t.id AND m.kind = r.event
            AND coalesce(r.value = m.channel, true)
        ORDER BY m.at DESC LIMIT {COUNTED}
    ) e
"""  # noqa: S608 - a number of ours
HAS = f"""
    CASE r.event
        WHEN 'IMPORTED' THEN t.source IN ({", ".join(f"'{one}'" for one in IMPORTS)})
            AND coalesce(r.value = t.source, true)
        WHEN 'HAS_EMAIL' THEN t.has_email
        WHEN 'HAS_PHONE' THEN t.has_phone
        WHEN 'HAS_COMPANY' THEN t.has_company
        WHEN 'HAS_TITLE' THEN t.has_title
        ELSE false
    END
"""
HITS = " UNION ALL ".join(
    (
        _hit("e.at", TAGS),
        _hit("coalesce(t.stage_entered_at, t.created_at)", STAGE),
        _hit("e.at", MESSAGES),
        _hit("t.created_at", HAS),
    )
)
WEIGHED = f"""
    {TARGETS}, weighed AS (
        SELECT id, position, count(*)::int AS times, min(days) AS days, sum(points)::int AS gained,
            round(sum(points * coalesce(power(0.5, days / half_life), 1)))::int AS kept
        FROM ({HITS}) AS hit GROUP BY id, position
    )
"""  # noqa: S608 - parts of ours
SCORED = f"""
    WITH {WEIGHED}, scored AS (
        SELECT t.id, t.score AS before, coalesce(sum(w.kept), 0)::int AS after
        FROM target t LEFT JOIN weighed w USING (id) GROUP BY t.id, t.score
    )
"""  # noqa: S608 - parts of ours
OUTDATED = Statement(text(f"{SCORED} SELECT id FROM scored WHERE before <> after ORDER BY id"))  # noqa: S608
HOLD = Statement(
    text(
        """
        SELECT id FROM lead WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
        ORDER BY id FOR NO KEY UPDATE
        """
    )
)
# Several thresholds at once are one entry: the furthest. Where new rules have not come to a lead yet, they may be why.
RESCORE = Statement(
    text(
        f"""
        {SCORED}, changed AS (
            UPDATE lead l SET score = s.after FROM scored s
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = s.id AND s.before <> s.after
            RETURNING l.id, s.before, s.after
        ), told AS (
            INSERT INTO interaction (workspace_id, lead_id, type, content, actor_kind)
            SELECT cast(:workspace_id as uuid), c.id, 'SCORE',
                CASE WHEN c.after > c.before THEN '+' || max(t.at) ELSE '−' || min(t.at) END, 'SYSTEM'
            FROM changed c JOIN unnest(cast(:thresholds as int[])) AS t(at)
                ON least(c.before, c.after) < t.at AND greatest(c.before, c.after) >= t.at
                CROSS JOIN sweep w
            WHERE cast(:is_told as boolean) AND (w.is_told OR w.after_id IS NULL OR c.id <= w.after_id)
            GROUP BY c.id, c.before, c.after
        )
        SELECT id FROM changed ORDER BY id
        """  # noqa: S608 - parts of ours
    )
)
REASONS = Statement(
    text(
        f"""
        WITH {WEIGHED}
        SELECT r.event, r.value, coalesce(g.name, s.name) AS name, w.times, w.days, w.gained, w.kept
        FROM weighed w JOIN rule r USING (position)
            LEFT JOIN tag g ON g.workspace_id = cast(:workspace_id as uuid) AND r.event = 'TAG_ADDED'
                AND cast(g.id as text) = r.value
            LEFT JOIN stage s ON s.workspace_id = cast(:workspace_id as uuid) AND r.event = 'STAGE_CHANGED'
                AND cast(s.id as text) = r.value
        ORDER BY w.position
        """  # noqa: S608 - names of ours
    )
)


async def outdated(work: Work, workspace_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
    """Those whose score is another than the rules make it. Locks nothing: most leads need no write at all."""
    rows = await work.fetch(OUTDATED, workspace_id=workspace_id, ids=list(ids)) if ids else []
    return [row["id"] for row in rows]


async def hold(work: Work, workspace_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
    """Until the commit, in the order of their ids; those that there are."""
    rows = await work.fetch(HOLD, workspace_id=workspace_id, ids=list(ids)) if ids else []
    return [row["id"] for row in rows]


async def rescore(work: Work, workspace_id: UUID, ids: Sequence[UUID], *, is_told: bool) -> list[UUID]:
    """Of leads that are held: those whose score is another now. `is_told`: thresholds are told in their timelines."""
    if not ids:
        return []
    rows = await work.fetch(
        RESCORE, workspace_id=workspace_id, ids=list(ids), thresholds=list(THRESHOLDS), is_told=is_told
    )
    return [row["id"] for row in rows]


async def reasons_of(reads: Reads, workspace_id: UUID, lead_id: UUID) -> list[asyncpg.Record]:
    """By rule that something counts for, in the rules' order; none for a lead that is deleted or unknown."""
    return await reads.fetch(REASONS, workspace_id=workspace_id, ids=[lead_id])
