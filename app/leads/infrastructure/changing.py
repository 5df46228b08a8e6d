"""One change to many leads that are locked: one statement each, which writes their timelines too and returns the ids of
those that were different before. All take the same parameters."""

from sqlalchemy import text

from app.common.database import Statement
from app.leads.domain.bulk_change import ChangeKind
from app.leads.domain.timeline import InteractionType

TOLD = """
    told AS (
        INSERT INTO interaction (workspace_id, lead_id, type, content, actor_id, actor_kind, cause)
        SELECT cast(:workspace_id as uuid), id, '<type>', content, cast(:actor_id as uuid), :actor_kind, :cause
        FROM changed
    )
    SELECT id FROM changed
"""
ADD_TAG = """
    WITH tagged AS (
        INSERT INTO lead_tag (workspace_id, lead_id, tag_id)
        SELECT cast(:workspace_id as uuid), id, cast(:target_id as uuid)
        FROM unnest(cast(:ids as uuid[])) AS id ORDER BY id
        ON CONFLICT DO NOTHING RETURNING lead_id
    ), changed AS (
        UPDATE lead SET updated_at = now(), version = version + 1
        WHERE workspace_id = cast(:workspace_id as uuid) AND id IN (SELECT lead_id FROM tagged)
        RETURNING id, '+' || cast(:name as text) AS content
    ),
"""
REMOVE_TAG = """
    WITH untagged AS (
        DELETE FROM lead_tag
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:ids as uuid[]))
            AND tag_id = cast(:target_id as uuid)
        RETURNING lead_id
    ), changed AS (
        UPDATE lead SET updated_at = now(), version = version + 1
        WHERE workspace_id = cast(:workspace_id as uuid) AND id IN (SELECT lead_id FROM untagged)
        RETURNING id, '−' || cast(:name as text) AS content
    ),
"""
STAGE = """
    WITH moved AS (
        UPDATE lead SET stage_id = cast(:target_id as uuid), rank = replace(id::text, '-', '') || 'i',
            stage_entered_at = now(), lost_reason = NULL, updated_at = now(), version = version + 1
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
            AND stage_id <> cast(:target_id as uuid)
        RETURNING id, old.stage_id AS from_id, coalesce(old.stage_entered_at, old.created_at) AS entered_at
    ), changed AS (
        SELECT m.*, s.name, s.name || ' → ' || cast(:name as text) AS content
        FROM moved m JOIN stage s ON s.workspace_id = cast(:workspace_id as uuid) AND s.id = m.from_id
    ), kept AS (
        INSERT INTO stage_change (workspace_id, lead_id, from_stage_id, from_name, to_stage_id, to_name, entered_at,
            actor_id, actor_kind, cause)
        SELECT cast(:workspace_id as uuid), id, from_id, name, cast(:target_id as uuid), :name, entered_at,
            cast(:actor_id as uuid), :actor_kind, :cause
        FROM changed
    ),
"""
OWNER = """
    WITH changed AS (
        UPDATE lead SET owner_id = cast(:target_id as uuid), updated_at = now(), version = version + 1
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
            AND owner_id IS DISTINCT FROM cast(:target_id as uuid)
        RETURNING id, cast(:name as text) AS content
    ),
"""
DELETE = """
    WITH changed AS (
        UPDATE lead SET deleted_at = now(), updated_at = now(), version = version + 1
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[])) AND deleted_at IS NULL
        RETURNING id, 'deletedAt' AS content
    ), released AS (
        UPDATE lead_identity SET released_at = now()
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id IN (SELECT id FROM changed)
            AND released_at IS NULL
    ),
"""


def _told(change: str, type: InteractionType) -> Statement:
    return Statement(text(change + TOLD.replace("<type>", type.value)))


CHANGES = {
    ChangeKind.ADD_TAG: _told(ADD_TAG, InteractionType.TAGGED),
    ChangeKind.REMOVE_TAG: _told(REMOVE_TAG, InteractionType.TAGGED),
    ChangeKind.STAGE: _told(STAGE, InteractionType.STAGE_CHANGED),
    ChangeKind.OWNER: _told(OWNER, InteractionType.ASSIGNED),
    ChangeKind.DELETE: _told(DELETE, InteractionType.UPDATED),
}
