"""Which staged rows are people the workspace knows, which are not to be written, and whose identities are others'."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Reads, Work
from app.leads.domain.identity import Identity, IdentityKind
from app.leads.domain.staged import ImportPolicy, StagedLead
from app.leads.infrastructure.unwanted import leave_out_unwanted

Settle = Callable[[], Awaitable[object]]
"""Runs after each match, and may set `outcome` on rows that are not to be written."""

# A number that somebody has on WhatsApp is theirs as a phone number too. Most workspaces have none: asked once.
ANY_WHATSAPP = """
    EXISTS (
        SELECT FROM lead_identity
        WHERE workspace_id = cast(:workspace_id as uuid) AND kind = 'WHATSAPP' AND released_at IS NULL
    )
"""
HAS_WHATSAPP = Statement(text(f"SELECT {ANY_WHATSAPP} AS is_there"))
ALSO_WHATSAPP = f"SELECT 'WHATSAPP' WHERE t.kind = 'PHONE' AND (SELECT {ANY_WHATSAPP})"
# Who has the staged identities now: looked up one by one, before anything is joined to it. OFFSET: of a table that is
# filled faster than it is analysed PostgreSQL would rather read all that the workspace has, for every chunk.
HOLDERS = f"""
    SELECT t.n, t.kind, t.value, t.strength, i.held_as, i.lead_id
    FROM pg_temp.stage_identity t CROSS JOIN LATERAL (SELECT t.kind UNION ALL {ALSO_WHATSAPP}) AS k(kind)
    CROSS JOIN LATERAL (
        SELECT i.kind AS held_as, i.lead_id FROM lead_identity i
        WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.kind = k.kind AND i.value = t.value
            AND i.released_at IS NULL
        OFFSET 0
    ) AS i
"""  # noqa: S608 - constants of ours
MATCH = Statement(
    text(
        f"""
        WITH holder AS MATERIALIZED ({HOLDERS}), matched AS (
            SELECT DISTINCT ON (n) n, lead_id FROM holder ORDER BY n, strength, held_as
        ), marked AS (
            UPDATE pg_temp.stage_lead s SET lead_id = m.lead_id, known = true FROM matched m WHERE m.n = s.n
            RETURNING s.n
        )
        SELECT count(*) AS known FROM marked
        """  # noqa: S608 - constants of ours
    )
)
HELD_AMONG = Statement(
    text(
        """
        SELECT t.kind, t.value FROM unnest(cast(:kinds as text[]), cast(:values as text[])) AS t(kind, value)
        WHERE EXISTS (
            SELECT FROM (VALUES (t.kind), (CASE t.kind WHEN 'PHONE' THEN 'WHATSAPP' END)) AS k(kind)
            CROSS JOIN LATERAL (
                SELECT FROM lead_identity i WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.kind = k.kind
                    AND i.value = t.value AND i.released_at IS NULL OFFSET 0
            ) AS held OFFSET 0
        )
        """
    )
)
# What is in a temporary table PostgreSQL learns only when told: without it, it takes rows "to be written" for few, and
# joins 20,000 of them to each other one by one.
LEARN = Statement(text("ANALYZE pg_temp.stage_lead (n, lead_id, known, outcome)"))
SAME_LEAD_TWICE = Statement(
    text(
        """
        UPDATE pg_temp.stage_lead s SET outcome = 'DUPLICATE_IN_FILE'
        FROM (
            SELECT n, row_number() OVER (PARTITION BY lead_id ORDER BY n) AS place FROM pg_temp.stage_lead WHERE known
        ) r
        WHERE r.n = s.n AND r.place > 1
        """
    )
)
SETTLE_POLICY = Statement(
    text(
        """
        UPDATE pg_temp.stage_lead SET outcome = 'SKIPPED_EXISTING'
        WHERE outcome IS NULL AND known = (cast(:policy as text) = 'CREATE_ONLY')
        """
    )
)
LOCK_KNOWN = Statement(
    text(
        """
        SELECT count(*) FROM (
            SELECT DISTINCT lead_id FROM pg_temp.stage_lead WHERE known AND outcome IS NULL ORDER BY lead_id
        ) s CROSS JOIN LATERAL (
            SELECT FROM lead l WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = s.lead_id
            FOR NO KEY UPDATE
        ) AS held
        """
    )
)
# A matched lead may have been erased, deleted, merged or parted again before its lock was got.
NO_LONGER_THEIRS = Statement(
    text(
        f"""
        WITH holder AS MATERIALIZED ({HOLDERS})
        SELECT n, lead_id FROM pg_temp.stage_lead WHERE known AND outcome IS NULL
        EXCEPT SELECT n, lead_id FROM holder LIMIT 1
        """  # noqa: S608 - constants of ours
    )
)
# `is_late`: by the match it was nobody's. A WhatsApp number's key lets a phone number in, if it is written after it.
ELSEWHERE = Statement(
    text(
        f"""
        WITH holder AS MATERIALIZED ({HOLDERS})
        SELECT s.n, h.kind, NOT s.known OR (h.held_as <> h.kind AND EXISTS (
            SELECT FROM lead_identity p WHERE p.workspace_id = cast(:workspace_id as uuid) AND p.lead_id = s.lead_id
                AND p.kind = h.kind AND p.value = h.value AND p.created_at = now() OFFSET 0
        )) AS is_late
        FROM holder h JOIN pg_temp.stage_lead s USING (n)
        WHERE h.lead_id <> s.lead_id AND s.outcome IS NULL
        ORDER BY s.n, h.strength DESC
        """  # noqa: S608 - constants of ours
    )
)
MARK_TAKEN = Statement(
    text(
        """
        UPDATE pg_temp.stage_lead s SET identity_taken = t.kind
        FROM unnest(cast(:ns as int[]), cast(:kinds as text[])) AS t(n, kind) WHERE t.n = s.n
        """
    )
)


class LostTheRace(Exception):
    """Another transaction took an identity, or the lead that had it, between match and write: match again."""


async def held_among(reads: Reads, workspace_id: UUID, identities: Collection[Identity]) -> set[Identity]:
    """Those by which the workspace knows somebody."""
    rows = await reads.fetch(
        HELD_AMONG,
        workspace_id=workspace_id,
        kinds=[one.kind for one in identities],
        values=[one.value for one in identities],
    )
    return {Identity(IdentityKind(row["kind"]), row["value"]) for row in rows}


async def match(
    work: Work, workspace_id: UUID, staged: Sequence[StagedLead], policy: ImportPolicy, settle: Settle
) -> bool:
    """Who is known, and which rows are not to be written; whether anybody is known."""
    row = await work.fetch_one(MATCH, workspace_id=workspace_id)
    has_known = row is not None and row["known"] > 0
    if has_known:
        await work.fetch(LEARN)
        await work.fetch(SAME_LEAD_TWICE)
    await settle()
    await leave_out_unwanted(work, workspace_id, staged)
    if policy is ImportPolicy.UPDATE_ONLY or (policy is ImportPolicy.CREATE_ONLY and has_known):
        await work.fetch(SETTLE_POLICY, policy=policy)
    return has_known


async def hold_known(work: Work, workspace_id: UUID) -> None:
    """Raises LostTheRace where a matched lead is not the identity's any more."""
    await work.fetch(LOCK_KNOWN, workspace_id=workspace_id)
    if await work.fetch(NO_LONGER_THEIRS, workspace_id=workspace_id):
        raise LostTheRace


async def mark_taken(work: Work, workspace_id: UUID, *, has_known: bool, is_forecast: bool = False) -> None:
    """Rows one of whose identities another lead has, the strongest of them. Raises LostTheRace if it was taken
    meanwhile, which of a forecast is nobody's loss."""
    if not has_known:
        there = await work.fetch_one(HAS_WHATSAPP, workspace_id=workspace_id)
        if there is None or not there["is_there"]:
            return
    rows = await work.fetch(ELSEWHERE, workspace_id=workspace_id)
    if not is_forecast and any(row["is_late"] for row in rows):
        raise LostTheRace
    if taken := {row["n"]: row["kind"] for row in rows}:
        await work.fetch(MARK_TAKEN, ns=list(taken), kinds=list(taken.values()))
