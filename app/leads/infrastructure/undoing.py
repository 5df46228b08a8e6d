"""Undoing an import: leads it made go as deleted ones do, leads it changed get back what they had.

What others touched since stays. A lead that was made is theirs as soon as its version moved or anything hangs on it; of
one that was changed each field comes back by itself, where it still holds what the import put there; identities and
tags go where they are still the rows that the import wrote. A lead that others were merged into stays as it is: what a
row says of it may be another's. So does one whose row does not tell any more what was before. A fixed number of
statements, however many rows.
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.domain import ActorKind
from app.common.work import Work
from app.leads.domain.undo import Undone, WrittenRow
from app.leads.infrastructure.identities import elect_primaries, refresh_contacts, release_identities
from app.tags.wiring import hold_tags

STAGE_DDL = text(
    """
    CREATE TEMP TABLE IF NOT EXISTS stage_undo (
        n int PRIMARY KEY, lead_id uuid NOT NULL, is_created boolean NOT NULL, written_at timestamptz NOT NULL,
        undo jsonb, version int NOT NULL DEFAULT 1, is_touched boolean NOT NULL DEFAULT false,
        used text[] NOT NULL DEFAULT '{}', verdict text, is_whole boolean NOT NULL DEFAULT false,
        is_kept boolean NOT NULL DEFAULT false
    ) ON COMMIT DELETE ROWS
    """
)
VERSIONS = Statement(
    text("UPDATE pg_temp.stage_undo SET version = cast(undo ->> 'version' as int) WHERE undo ? 'version'")
)
HOLD = Statement(
    text(
        """
        SELECT s.lead_id FROM (SELECT DISTINCT lead_id FROM pg_temp.stage_undo ORDER BY lead_id) s CROSS JOIN LATERAL (
            SELECT FROM lead l WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = s.lead_id
            FOR NO KEY UPDATE
        ) AS held
        """
    )
)
# Looked up one by one (OFFSET): PostgreSQL knows nothing about the temporary table, and would rather read all that the
# workspace has. What is locked, or was found by the same statement, is written where it was found.
LEAD = """CROSS JOIN LATERAL (
        SELECT k.ctid AS tid, k.* FROM lead k
        WHERE k.workspace_id = cast(:workspace_id as uuid) AND k.id = s.lead_id OFFSET 0
    ) AS l"""
# An entry that an undo wrote is nobody's touch; a note of the import's own is named by its row.
JUDGE = Statement(
    text(
        f"""
        WITH held AS (
            SELECT s.n, l.deleted_at IS NOT NULL AS is_deleted, l.merged_into_id IS NOT NULL AS is_merged,
                l.version = s.version AS is_whole,
                s.is_touched OR EXISTS (
                    SELECT FROM lead m
                    WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.merged_into_id = l.id OFFSET 0
                ) AS is_touched,
                s.is_created AND (
                    l.version <> s.version OR l.stage_entered_at IS NOT NULL OR l.last_touch_at IS NOT NULL
                    OR l.engagement <> 'NEW' OR EXISTS (
                        SELECT FROM interaction i
                        WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = l.id
                            AND i.id IS DISTINCT FROM cast(s.undo ->> 'note' as uuid)
                            AND NOT (i.type = 'UPDATED' AND i.actor_kind = 'SYSTEM'
                                AND coalesce(starts_with(i.cause, 'import:'), false))
                        OFFSET 0
                    ) OR EXISTS (
                        SELECT FROM suppression p
                        WHERE p.workspace_id = cast(:workspace_id as uuid) AND p.lead_id = l.id OFFSET 0
                    )
                ) AS is_theirs
            FROM pg_temp.stage_undo s {LEAD}
        )
        UPDATE pg_temp.stage_undo s SET is_whole = h.is_whole, verdict = CASE
            WHEN h.is_deleted AND NOT h.is_merged AND s.is_created THEN 'GONE'
            WHEN h.is_deleted OR h.is_touched OR h.is_theirs OR NOT s.is_created AND s.undo IS NULL THEN 'KEEP'
            WHEN s.is_created THEN 'DELETE'
            ELSE 'RESTORE'
        END
        FROM held h WHERE h.n = s.n
        """  # noqa: S608 - a constant of ours
    )
)
TO_DELETE = Statement(
    text("SELECT lead_id FROM pg_temp.stage_undo WHERE verdict = 'DELETE' ORDER BY lead_id")
)
# As `changing.py` has it, but for the identities: thousands of them are released by their index.
DELETE = Statement(
    text(
        """
        WITH changed AS (
            UPDATE lead SET deleted_at = now(), updated_at = now(), version = version + 1
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
            RETURNING id
        )
        INSERT INTO interaction (workspace_id, lead_id, type, content, actor_kind, cause)
        SELECT cast(:workspace_id as uuid), id, 'UPDATED', 'deletedAt', :actor_kind, cast(:cause as text) FROM changed
        """
    )
)
TAGS = Statement(
    text(
        """
        SELECT DISTINCT cast(tag as uuid) AS tag_id
        FROM pg_temp.stage_undo s CROSS JOIN LATERAL jsonb_array_elements_text(s.undo -> 'tags') AS tag
        WHERE s.verdict = 'RESTORE'
        """
    )
)
# One that a person took off and put on again since is theirs.
TAKE_TAGS = Statement(
    text(
        """
        WITH added AS (
            SELECT s.n, g.tid, s.is_whole OR g.created_at = s.written_at AS is_ours
            FROM pg_temp.stage_undo s CROSS JOIN LATERAL jsonb_array_elements_text(s.undo -> 'tags') AS tag
            CROSS JOIN LATERAL (
                SELECT t.ctid AS tid, t.created_at FROM lead_tag t
                WHERE t.workspace_id = cast(:workspace_id as uuid) AND t.lead_id = s.lead_id
                    AND t.tag_id = cast(tag as uuid) OFFSET 0
            ) AS g
            WHERE s.verdict = 'RESTORE' AND s.undo ? 'tags'
        ), taken AS (
            DELETE FROM lead_tag t USING added a
            WHERE t.workspace_id = cast(:workspace_id as uuid) AND t.ctid = a.tid AND a.is_ours
            RETURNING a.n
        ), kept AS (
            UPDATE pg_temp.stage_undo s SET is_kept = true FROM added a WHERE a.n = s.n AND NOT a.is_ours
        )
        SELECT DISTINCT n FROM taken
        """
    )
)
TAKE_NOTES = Statement(
    text(
        """
        WITH found AS (
            SELECT s.n, e.tid FROM pg_temp.stage_undo s CROSS JOIN LATERAL (
                SELECT i.ctid AS tid FROM interaction i
                WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.id = cast(s.undo ->> 'note' as uuid)
                    AND i.lead_id = s.lead_id AND i.type = 'NOTE' OFFSET 0
            ) AS e
            WHERE s.verdict = 'RESTORE' AND s.undo ? 'note'
        )
        DELETE FROM interaction i USING found f
        WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.ctid = f.tid
        RETURNING f.n
        """
    )
)
# Somebody made it the primary one, or wrote to it: theirs.
TAKE_IDENTITIES = Statement(
    text(
        """
        WITH added AS (
            SELECT i.tid, s.n, (s.is_whole OR i.created_at = s.written_at) AND i.value <> ALL (s.used) AND NOT (
                i.is_primary AND EXISTS (
                    SELECT FROM lead_identity o
                    WHERE o.workspace_id = i.workspace_id AND o.lead_id = i.lead_id AND o.kind = i.kind
                        AND o.created_at < i.created_at OFFSET 0
                )
            ) AS is_ours
            FROM pg_temp.stage_undo s CROSS JOIN LATERAL jsonb_array_elements(s.undo -> 'identities') AS a(pair)
            CROSS JOIN LATERAL (
                SELECT k.ctid AS tid, k.* FROM lead_identity k
                WHERE k.workspace_id = cast(:workspace_id as uuid) AND k.lead_id = s.lead_id
                    AND k.kind = a.pair ->> 0 AND k.value = a.pair ->> 1 OFFSET 0
            ) AS i
            WHERE s.verdict = 'RESTORE' AND s.undo ? 'identities'
        ), taken AS (
            DELETE FROM lead_identity i USING added a
            WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.ctid = a.tid AND a.is_ours
            RETURNING a.n
        ), kept AS (
            UPDATE pg_temp.stage_undo s SET is_kept = true FROM added a WHERE a.n = s.n AND NOT a.is_ours
        )
        SELECT DISTINCT n FROM taken
        """
    )
)
FIELDS = {"name": "text", "company": "text", "title": "text", "avatar_url": "text", "owner_id": "uuid"}
"""What comes back as a whole; of `metadata` each key does by itself."""


def _is_ours(name: str) -> str:
    return f"""(s.undo #> '{{fields,{name}}}' IS NOT NULL
        AND l.{name} IS NOT DISTINCT FROM cast(s.undo #>> '{{fields,{name},1}}' as {FIELDS[name]}))"""


def _is_kept(name: str) -> str:
    """Neither what the import wrote nor what was there before it."""
    return f"""(s.undo #> '{{fields,{name}}}' IS NOT NULL
        AND l.{name} IS DISTINCT FROM cast(s.undo #>> '{{fields,{name},1}}' as {FIELDS[name]})
        AND l.{name} IS DISTINCT FROM cast(s.undo #>> '{{fields,{name},0}}' as {FIELDS[name]}))"""


def _came_back(name: str) -> str:
    return f"CASE WHEN {_is_ours(name)} THEN '{'owner' if name == 'owner_id' else _camel(name)}' END"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(one.capitalize() for one in rest)


RESTORE = Statement(
    text(
        f"""
        WITH meta AS (
            SELECT s.n, array_agg(k.key) FILTER (WHERE k.is_ours) AS keys,
                jsonb_object_agg(k.key, k.before) FILTER (WHERE k.is_ours AND k.before IS NOT NULL) AS before,
                bool_or(k.is_kept) AS is_kept
            FROM pg_temp.stage_undo s {LEAD}
            CROSS JOIN LATERAL (
                SELECT a.key, b.value AS before, l.metadata -> a.key IS NOT DISTINCT FROM a.value AS is_ours,
                    l.metadata -> a.key IS DISTINCT FROM a.value AND l.metadata -> a.key IS DISTINCT FROM b.value
                        AS is_kept
                FROM jsonb_each(s.undo #> '{{fields,metadata,1}}') AS a
                LEFT JOIN jsonb_each(s.undo #> '{{fields,metadata,0}}') AS b USING (key)
                WHERE a.value IS DISTINCT FROM b.value
            ) k
            WHERE s.verdict = 'RESTORE' AND s.undo #> '{{fields,metadata}}' IS NOT NULL
            GROUP BY s.n
        ), wanted AS (
            SELECT s.n, l.tid, meta.keys, meta.before, s.undo,
                s.is_kept OR coalesce(meta.is_kept, false) OR {" OR ".join(map(_is_kept, FIELDS))} AS is_kept,
                array_remove(ARRAY[
                    {", ".join(map(_came_back, FIELDS))},
                    CASE WHEN meta.keys IS NOT NULL THEN 'metadata' END,
                    CASE WHEN s.n = ANY (cast(:identity_ns as int[])) THEN 'identities' END,
                    CASE WHEN s.n = ANY (cast(:tag_ns as int[])) THEN 'tags' END
                ], NULL) AS back
            FROM pg_temp.stage_undo s LEFT JOIN meta USING (n) {LEAD}
            WHERE s.verdict = 'RESTORE'
        ), changed AS (
            UPDATE lead l SET {
            ", ".join(
                f"{name} = CASE WHEN {_is_ours(name)} "
                f"THEN cast(s.undo #>> '{{fields,{name},0}}' as {kind}) ELSE l.{name} END"
                for name, kind in FIELDS.items()
            )
        },
                metadata = (l.metadata - coalesce(s.keys, '{{}}')) || coalesce(s.before, '{{}}'),
                updated_at = now(), version = l.version + 1
            FROM wanted s
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.ctid = s.tid AND s.back <> '{{}}'
            RETURNING s.n, l.id, s.back
        ), told AS (
            INSERT INTO interaction (workspace_id, lead_id, type, content, actor_kind, cause)
            SELECT cast(:workspace_id as uuid), id, 'UPDATED', array_to_string(back, ', '), :actor_kind,
                cast(:cause as text)
            FROM changed
        ), kept AS (
            UPDATE pg_temp.stage_undo s SET is_kept = true FROM wanted w WHERE w.n = s.n AND w.is_kept
        )
        SELECT n, id FROM changed ORDER BY id
        """  # noqa: S608 - names of ours
    )
)
ENDED = Statement(
    text(
        """
        SELECT n, lead_id, verdict, verdict = 'KEEP' OR is_kept AS is_kept FROM pg_temp.stage_undo
        WHERE verdict IS NOT NULL ORDER BY n
        """
    )
)


async def undo_leads(
    work: Work,
    workspace_id: UUID,
    rows: Sequence[WrittenRow],
    *,
    cause: str,
    settle: Callable[[], Awaitable[object]],
) -> Undone:
    """Takes back what these rows wrote; the caller announces it. `cause` stands in the leads' timelines.

    `settle` runs once the leads are locked. It may set `is_touched` on rows of `pg_temp.stage_undo` that are to stay,
    `used` to values of identities that are in use, and `version` to what an untouched lead has by now.
    """
    await work.execute(STAGE_DDL)
    await work.copy(
        "stage_undo",
        ("n", "lead_id", "is_created", "written_at", "undo"),
        [(row.n, row.lead_id, row.is_created, row.at, row.undo) for row in rows],
    )
    await work.fetch(VERSIONS)
    await work.fetch(HOLD, workspace_id=workspace_id)
    await settle()
    await work.fetch(JUDGE, workspace_id=workspace_id)
    deleted = await _delete(work, workspace_id, cause)
    changed = await _restore(work, workspace_id, cause)
    noted = {row["n"] for row in await work.fetch(TAKE_NOTES, workspace_id=workspace_id)}
    ended = await work.fetch(ENDED)
    return Undone(
        deleted=deleted,
        restored=sorted({row["lead_id"] for row in ended if row["n"] in noted or row["n"] in changed}),
        kept=[row["n"] for row in ended if row["is_kept"]],
        bumped=[row["n"] for row in ended if row["n"] in changed and not row["is_kept"]],
    )


async def _delete(work: Work, workspace_id: UUID, cause: str) -> list[UUID]:
    ids = [row["lead_id"] for row in await work.fetch(TO_DELETE)]
    if not ids:
        return []
    await work.fetch(
        DELETE, workspace_id=workspace_id, ids=ids, actor_kind=ActorKind.SYSTEM.value, cause=cause
    )
    await release_identities(work, workspace_id, ids)
    return ids


async def _restore(work: Work, workspace_id: UUID, cause: str) -> set[int]:
    """The rows whose leads changed."""
    # The tags are held first: who deletes one waits here, not while it holds it.
    await hold_tags(work, workspace_id, [row["tag_id"] for row in await work.fetch(TAGS)])
    tagged = await work.fetch(TAKE_TAGS, workspace_id=workspace_id)
    known = await work.fetch(TAKE_IDENTITIES, workspace_id=workspace_id)
    rows = await work.fetch(
        RESTORE,
        workspace_id=workspace_id,
        tag_ns=[row["n"] for row in tagged],
        identity_ns=[row["n"] for row in known],
        actor_kind=ActorKind.SYSTEM.value,
        cause=cause,
    )
    fewer = {row["n"] for row in known}
    if ids := [row["id"] for row in rows if row["n"] in fewer]:
        await elect_primaries(work, workspace_id, ids)
        await refresh_contacts(work, workspace_id, ids)
    return {row["n"] for row in rows}
