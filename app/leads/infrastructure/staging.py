"""Rows on their way in: two temporary tables, filled by COPY (which PostgreSQL refuses for tables with row-level
security), and what became of each row once all is written.

`outcome` is NULL as long as a row is to be written. What is NULL at the end was written, and gets its outcome then.
"""

from collections.abc import Sequence

import orjson
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work
from app.leads.domain.identity import IdentityKind
from app.leads.domain.staged import StagedLead, WrittenLead

DDL = (
    text(
        """
        CREATE TEMP TABLE IF NOT EXISTS stage_lead (
            n int PRIMARY KEY, lead_id uuid DEFAULT uuidv7(), known boolean NOT NULL DEFAULT false, outcome text,
            name text, fallback_name text NOT NULL, company text, title text, avatar_url text, email text, phone text,
            metadata jsonb, handles text[] NOT NULL, note text,
            added jsonb, tag_ids uuid[], tags_left_out boolean NOT NULL DEFAULT false, note_id uuid,
            has_changed boolean NOT NULL DEFAULT false, identity_taken text, undo jsonb
        ) ON COMMIT DELETE ROWS
        """
    ),
    text(
        """
        CREATE TEMP TABLE IF NOT EXISTS stage_identity (
            n int NOT NULL, kind text NOT NULL, value text NOT NULL, strength int NOT NULL, is_first boolean NOT NULL
        ) ON COMMIT DELETE ROWS
        """
    ),
    text(
        "CREATE TEMP TABLE IF NOT EXISTS stage_tag (n int NOT NULL, tag_id uuid NOT NULL) ON COMMIT DELETE ROWS"
    ),
)
# A row that was not written names no lead, except who it is a double of, or who was left as they were.
FINISH = Statement(
    text(
        """
        UPDATE pg_temp.stage_lead SET
            outcome = coalesce(outcome, CASE WHEN NOT known THEN 'CREATED' WHEN has_changed THEN 'UPDATED'
                ELSE 'UNCHANGED' END),
            lead_id = CASE WHEN outcome IS NULL OR (known AND outcome NOT IN ('SUPPRESSED', 'ERASED')) THEN lead_id END
        RETURNING n, lead_id, outcome, identity_taken, tags_left_out
        """
    )
)


async def make_stage(work: Work) -> None:
    for table in DDL:
        await work.execute(table)


LEAD_COLUMNS = (
    *("n", "name", "fallback_name", "company", "title", "avatar_url", "email", "phone", "metadata"),
    *("handles", "note"),
)
IDENTITY_COLUMNS = ("n", "kind", "value", "strength", "is_first")
STRENGTH = {kind: kind.strength for kind in IdentityKind}


async def stage(work: Work, staged: Sequence[StagedLead]) -> None:
    """In one pass: at 20,000 rows a chunk each look at a row costs as much as one of PostgreSQL's at an index."""
    leads: list[Sequence[object]] = []
    identities: list[Sequence[object]] = []
    for row in staged:
        primary: dict[IdentityKind, str] = {}
        for one in row.identities:
            kind, value = one.kind, one.value
            identities.append((row.n, kind, value, STRENGTH[kind], kind not in primary))
            primary.setdefault(kind, value)
        leads.append(
            (
                row.n,
                row.name,
                row.fallback_name,
                row.company,
                row.title,
                row.avatar_url,
                primary.get(IdentityKind.EMAIL),
                primary.get(IdentityKind.PHONE),
                orjson.dumps(row.metadata).decode() if row.metadata else None,
                [value for _, value in sorted((one.kind, one.value) for one in row.identities)],
                row.note,
            )
        )
    await work.copy("stage_lead", LEAD_COLUMNS, leads)
    await work.copy("stage_identity", IDENTITY_COLUMNS, identities)


async def finish(work: Work) -> list[WrittenLead]:
    """In the order of their rows."""
    rows = sorted(await work.fetch(FINISH), key=lambda row: int(row["n"]))
    return [
        WrittenLead(
            row["n"],
            row["lead_id"],
            row["outcome"],
            IdentityKind(row["identity_taken"]) if row["identity_taken"] else None,
            row["tags_left_out"],
        )
        for row in rows
    ]
