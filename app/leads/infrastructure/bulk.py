"""Set-based writing of leads for other modules: imports at the speed of COPY.

Rows are staged in two temporary tables (PostgreSQL refuses COPY into a table with row-level security), matched with
the workspace's identities, and written by a fixed number of statements whatever their number. Identities are inserted
in the order of their key, so two imports of the same people wait for each other and never deadlock; the lead is
inserted in the same statement, so neither can exist without the other (delivery.md 0.10).
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import orjson
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work
from app.leads.domain.identity import IdentityKind
from app.leads.domain.staged import ImportPolicy, LeadDefaults, StagedLead, WrittenLead
from app.leads.infrastructure.unwanted import ERASED, SUPPRESSED, leave_out_unwanted

MATCH_ATTEMPTS = 5

STAGE_DDL = text(
    """
    CREATE TEMP TABLE IF NOT EXISTS stage_lead (
        n int PRIMARY KEY, lead_id uuid NOT NULL DEFAULT uuidv7(), known boolean NOT NULL DEFAULT false,
        outcome text, name text, fallback_name text NOT NULL, company text, title text, avatar_url text,
        email text, phone text, metadata jsonb
    ) ON COMMIT DELETE ROWS
    """
)
STAGE_IDENTITY_DDL = text(
    """
    CREATE TEMP TABLE IF NOT EXISTS stage_identity (
        n int NOT NULL, kind text NOT NULL, value text NOT NULL, strength int NOT NULL
    ) ON COMMIT DELETE ROWS
    """
)
MATCH = Statement(
    text(
        """
        UPDATE pg_temp.stage_lead s SET lead_id = m.lead_id, known = true
        FROM (
            SELECT DISTINCT ON (t.n) t.n, i.lead_id
            FROM pg_temp.stage_identity t CROSS JOIN LATERAL (
                SELECT t.kind UNION ALL SELECT 'WHATSAPP' WHERE t.kind = 'PHONE'
            ) AS k(kind)
            JOIN lead_identity i
                ON i.workspace_id = cast(:workspace_id as uuid) AND i.kind = k.kind AND i.value = t.value
                    AND i.released_at IS NULL
            ORDER BY t.n, t.strength, i.kind
        ) m
        WHERE m.n = s.n
        """
    )
)
SAME_LEAD_TWICE = Statement(
    text(
        """
        UPDATE pg_temp.stage_lead s SET outcome = 'DUPLICATE_IN_FILE'
        WHERE s.known AND EXISTS (
            SELECT FROM pg_temp.stage_lead before WHERE before.known AND before.lead_id = s.lead_id AND before.n < s.n
        )
        """
    )
)
SETTLE_POLICY = Statement(
    text(
        """
        UPDATE pg_temp.stage_lead SET outcome = 'SKIPPED_EXISTING'
        WHERE outcome IS NULL AND (
            (known AND cast(:policy as text) = 'CREATE_ONLY') OR (NOT known AND cast(:policy as text) = 'UPDATE_ONLY')
        )
        """
    )
)
LOCK_KNOWN = Statement(
    text(
        """
        SELECT l.id FROM lead l
        WHERE l.workspace_id = cast(:workspace_id as uuid)
            AND l.id IN (SELECT s.lead_id FROM pg_temp.stage_lead s WHERE s.known AND s.outcome IS NULL)
        ORDER BY l.id FOR NO KEY UPDATE
        """
    )
)
# A matched lead may have been erased, deleted, merged or parted again before its lock was got.
NO_LONGER_THEIRS = Statement(
    text(
        """
        SELECT s.n FROM pg_temp.stage_lead s
        WHERE s.known AND s.outcome IS NULL AND NOT EXISTS (
            SELECT FROM pg_temp.stage_identity t
            JOIN lead_identity i
                ON i.workspace_id = cast(:workspace_id as uuid) AND i.value = t.value AND i.released_at IS NULL
                    AND (i.kind = t.kind OR (t.kind = 'PHONE' AND i.kind = 'WHATSAPP'))
            WHERE t.n = s.n AND i.lead_id = s.lead_id
        )
        LIMIT 1
        """
    )
)
WRITE = Statement(
    text(
        """
        WITH fresh AS (
            INSERT INTO lead_identity (workspace_id, lead_id, kind, value, is_primary)
            SELECT cast(:workspace_id as uuid), s.lead_id, t.kind, t.value, NOT EXISTS (
                SELECT FROM lead_identity i WHERE i.workspace_id = cast(:workspace_id as uuid)
                    AND i.lead_id = s.lead_id AND i.kind = t.kind
            )
            FROM pg_temp.stage_identity t JOIN pg_temp.stage_lead s USING (n)
            WHERE s.outcome IS NULL AND (cast(:policy as text) <> 'FILL_EMPTY' OR NOT s.known OR NOT EXISTS (
                SELECT FROM lead_identity i WHERE i.workspace_id = cast(:workspace_id as uuid)
                    AND i.lead_id = s.lead_id AND i.kind = t.kind
            )) AND NOT (t.kind = 'PHONE' AND EXISTS (
                SELECT FROM lead_identity w WHERE w.workspace_id = cast(:workspace_id as uuid)
                    AND w.kind = 'WHATSAPP' AND w.value = t.value AND w.released_at IS NULL AND w.lead_id <> s.lead_id
            ))
            ORDER BY t.kind, t.value, t.n
            ON CONFLICT DO NOTHING
            RETURNING lead_id
        ), created AS (
            INSERT INTO lead
                (workspace_id, id, name, company, title, avatar_url, email, phone, stage_id, rank, owner_id, source,
                 metadata, created_by, basis, handles)
            SELECT cast(:workspace_id as uuid), s.lead_id, coalesce(s.name, s.fallback_name), s.company, s.title,
                s.avatar_url, s.email, s.phone, cast(:stage_id as uuid),
                replace(s.lead_id::text, '-', '') || 'i', cast(:owner_id as uuid),
                cast(:source as text), coalesce(s.metadata, '{}'), cast(:created_by as uuid),
                cast(:basis as text),
                array(SELECT t.value FROM pg_temp.stage_identity t WHERE t.n = s.n ORDER BY t.kind, t.value)
            FROM pg_temp.stage_lead s
            WHERE NOT s.known AND s.outcome IS NULL AND EXISTS (SELECT FROM fresh WHERE fresh.lead_id = s.lead_id)
            RETURNING id
        )
        UPDATE pg_temp.stage_lead s SET outcome = CASE WHEN s.known THEN 'UPDATED' ELSE 'CREATED' END
        WHERE EXISTS (SELECT FROM fresh WHERE fresh.lead_id = s.lead_id) AND s.outcome IS NULL
        """
    )
)
# `is_late`: by the match it was nobody's. A WhatsApp number's key lets a phone number in, if it is written after it.
LOST = Statement(
    text(
        """
        SELECT s.n, t.kind, NOT s.known OR (i.kind <> t.kind AND EXISTS (
            SELECT FROM lead_identity p WHERE p.workspace_id = i.workspace_id AND p.lead_id = s.lead_id
                AND p.kind = t.kind AND p.value = t.value AND p.created_at = now()
        )) AS is_late
        FROM pg_temp.stage_identity t CROSS JOIN LATERAL (
            SELECT t.kind UNION ALL SELECT 'WHATSAPP' WHERE t.kind = 'PHONE'
        ) AS k(kind)
        JOIN pg_temp.stage_lead s USING (n)
        JOIN lead_identity i ON i.workspace_id = cast(:workspace_id as uuid) AND i.kind = k.kind AND i.value = t.value
        WHERE i.lead_id <> s.lead_id AND i.released_at IS NULL
            AND (s.outcome IS NULL OR s.outcome IN ('CREATED', 'UPDATED'))
        ORDER BY t.n, t.strength DESC
        """
    )
)
UPDATE_KNOWN = Statement(
    text(
        """
        WITH wanted AS (
            SELECT s.n, l.id,
                CASE WHEN cast(:fill as boolean) THEN coalesce(l.name, s.name)
                    ELSE coalesce(s.name, l.name) END AS name,
                CASE WHEN cast(:fill as boolean) THEN coalesce(l.company, s.company)
                    ELSE coalesce(s.company, l.company) END AS company,
                CASE WHEN cast(:fill as boolean) THEN coalesce(l.title, s.title)
                    ELSE coalesce(s.title, l.title) END AS title,
                CASE WHEN cast(:fill as boolean) THEN coalesce(l.avatar_url, s.avatar_url)
                    ELSE coalesce(s.avatar_url, l.avatar_url) END AS avatar_url,
                CASE WHEN cast(:fill as boolean) THEN coalesce(s.metadata, '{}') || l.metadata
                    ELSE l.metadata || coalesce(s.metadata, '{}') END AS metadata,
                coalesce(l.owner_id, cast(:owner_id as uuid)) AS owner_id,
                coalesce(l.email, (
                    SELECT i.value FROM lead_identity i
                    WHERE i.workspace_id = l.workspace_id AND i.lead_id = l.id AND i.kind = 'EMAIL' AND i.is_primary
                )) AS email,
                coalesce(l.phone, (
                    SELECT i.value FROM lead_identity i
                    WHERE i.workspace_id = l.workspace_id AND i.lead_id = l.id AND i.kind = 'PHONE' AND i.is_primary
                )) AS phone,
                CASE WHEN s.outcome = 'UPDATED' THEN array(
                    SELECT i.value FROM lead_identity i
                    WHERE i.workspace_id = l.workspace_id AND i.lead_id = l.id ORDER BY i.kind, i.value
                ) ELSE l.handles END AS handles,
                s.outcome = 'UPDATED' AS has_fresh
            FROM pg_temp.stage_lead s
            JOIN lead l ON l.workspace_id = cast(:workspace_id as uuid) AND l.id = s.lead_id
            WHERE s.known AND (s.outcome IS NULL OR s.outcome = 'UPDATED')
        ), changed AS (
            UPDATE lead l SET name = w.name, company = w.company, title = w.title, avatar_url = w.avatar_url,
                metadata = w.metadata, owner_id = w.owner_id, email = w.email, phone = w.phone, handles = w.handles,
                updated_at = now(), version = l.version + 1
            FROM wanted w
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = w.id AND (
                coalesce(w.has_fresh, false) OR (l.name, l.company, l.title, l.avatar_url, l.metadata, l.owner_id)
                    IS DISTINCT FROM (w.name, w.company, w.title, w.avatar_url, w.metadata, w.owner_id)
            )
            RETURNING w.n
        )
        UPDATE pg_temp.stage_lead s SET outcome = 'UPDATED' FROM changed WHERE changed.n = s.n
        """
    )
)
ADD_TAGS = Statement(
    text(
        """
        WITH tagged AS (
            INSERT INTO lead_tag (workspace_id, lead_id, tag_id)
            SELECT cast(:workspace_id as uuid), s.lead_id, t.id
            FROM pg_temp.stage_lead s CROSS JOIN tag t
            WHERE t.workspace_id = cast(:workspace_id as uuid) AND t.id = ANY (cast(:tag_ids as uuid[]))
                AND (s.outcome IN ('CREATED', 'UPDATED') OR (s.known AND s.outcome IS NULL))
            ORDER BY s.lead_id, t.id
            ON CONFLICT DO NOTHING RETURNING lead_id
        )
        UPDATE pg_temp.stage_lead s SET outcome = 'UPDATED'
        WHERE s.outcome IS NULL AND s.lead_id IN (SELECT lead_id FROM tagged)
        """
    )
)
OUTCOMES = Statement(
    text(
        "SELECT n, lead_id, known, coalesce(outcome, 'UNCHANGED') AS outcome FROM pg_temp.stage_lead ORDER BY n"
    )
)


class LostTheRace(Exception):
    """Another transaction took an identity, or the lead that had it, between match and write: match again."""


async def upsert_leads(
    work: Work,
    workspace_id: UUID,
    staged: Sequence[StagedLead],
    policy: ImportPolicy,
    defaults: LeadDefaults,
    *,
    settle: Callable[[], Awaitable[object]],
) -> list[WrittenLead]:
    """Writes leads whose identities do not repeat among them; the caller announces what was written.

    `settle` runs after each match and may set `outcome` on rows of `pg_temp.stage_lead` that are not to be written.
    """
    await work.execute(STAGE_DDL)
    await work.execute(STAGE_IDENTITY_DDL)
    taken = await _match_and_write(work, workspace_id, staged, policy, defaults, settle)
    fill = policy is ImportPolicy.FILL_EMPTY
    await work.fetch(UPDATE_KNOWN, workspace_id=workspace_id, fill=fill, owner_id=defaults.owner_id)
    if defaults.tag_ids:
        await work.fetch(ADD_TAGS, workspace_id=workspace_id, tag_ids=list(defaults.tag_ids))
    return [
        WrittenLead(
            row["n"],
            row["lead_id"] if _is_written_to(row["known"], row["outcome"]) else None,
            row["outcome"],
            taken.get(row["n"]),
        )
        for row in await work.fetch(OUTCOMES)
    ]


def _is_written_to(known: bool, outcome: str) -> bool:
    return outcome not in (SUPPRESSED, ERASED) and (known or outcome == "CREATED")


async def _match_and_write(
    work: Work,
    workspace_id: UUID,
    staged: Sequence[StagedLead],
    policy: ImportPolicy,
    defaults: LeadDefaults,
    settle: Callable[[], Awaitable[object]],
) -> dict[int, IdentityKind]:
    """New leads and identities; the rows one of whose identities another lead has. Raises LostTheRace at last."""
    for attempt in range(MATCH_ATTEMPTS):
        try:
            async with work.savepoint():
                await _stage(work, staged)
                await _match(work, workspace_id, staged, policy, settle)
                await work.fetch(
                    WRITE,
                    workspace_id=workspace_id,
                    policy=policy,
                    stage_id=defaults.stage_id,
                    owner_id=defaults.owner_id,
                    source=defaults.source,
                    created_by=defaults.created_by,
                    basis=defaults.basis,
                )
                return await _identities_elsewhere(work, workspace_id)
        except LostTheRace:
            if attempt == MATCH_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


async def _stage(work: Work, staged: Sequence[StagedLead]) -> None:
    """COPY: the rows, and their identities."""
    await work.copy(
        "stage_lead",
        ("n", "name", "fallback_name", "company", "title", "avatar_url", "email", "phone", "metadata"),
        [
            (
                row.n,
                row.name,
                row.fallback_name,
                row.company,
                row.title,
                row.avatar_url,
                row.value_of(IdentityKind.EMAIL),
                row.value_of(IdentityKind.PHONE),
                orjson.dumps(row.metadata).decode() if row.metadata else None,
            )
            for row in staged
        ],
    )
    await work.copy(
        "stage_identity",
        ("n", "kind", "value", "strength"),
        [(row.n, one.kind.value, one.value, one.kind.strength) for row in staged for one in row.identities],
    )


async def _match(
    work: Work,
    workspace_id: UUID,
    staged: Sequence[StagedLead],
    policy: ImportPolicy,
    settle: Callable[[], Awaitable[object]],
) -> None:
    """Raises LostTheRace where a matched lead is not the identity's any more."""
    await work.fetch(MATCH, workspace_id=workspace_id)
    await work.fetch(SAME_LEAD_TWICE)
    await settle()
    await leave_out_unwanted(work, workspace_id, staged)
    await work.fetch(SETTLE_POLICY, policy=policy)
    await work.fetch(LOCK_KNOWN, workspace_id=workspace_id)
    if await work.fetch(NO_LONGER_THEIRS, workspace_id=workspace_id):
        raise LostTheRace


async def _identities_elsewhere(work: Work, workspace_id: UUID) -> dict[int, IdentityKind]:
    """Rows one of whose identities another lead has. Raises LostTheRace if it was taken meanwhile."""
    rows = await work.fetch(LOST, workspace_id=workspace_id)
    if any(row["is_late"] for row in rows):
        raise LostTheRace
    return {row["n"]: IdentityKind(row["kind"]) for row in rows}
