"""What leads hold of a person: the lead, those merged into it, and all that hangs on them.

Left out is what only serves the writing of rows: versions, ranks, the columns that searches and lists are made of.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.exporting import Section
from app.common.work import Reads

PERSON = Statement(
    text(
        """
        WITH RECURSIVE person AS (
            SELECT id, 0 AS depth FROM lead
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:lead_id as uuid)
            UNION
            SELECT l.id, 1 FROM lead l JOIN person p ON l.merged_into_id = p.id
            WHERE l.workspace_id = cast(:workspace_id as uuid)
        )
        SELECT id FROM person GROUP BY id ORDER BY min(depth), id
        """
    )
)
MERGED_INTO = Statement(
    text(
        """
        WITH RECURSIVE kept AS (
            SELECT merged_into_id AS id, 1 AS depth FROM lead
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:lead_id as uuid)
            UNION
            SELECT l.merged_into_id, k.depth + 1 FROM lead l JOIN kept k ON l.id = k.id
            WHERE l.workspace_id = cast(:workspace_id as uuid)
        )
        SELECT id FROM kept WHERE id IS NOT NULL ORDER BY depth DESC LIMIT 1
        """
    )
)
LEADS = """
    SELECT l.id, l.created_at AS "createdAt", l.name, l.email, l.phone, l.company, l.title, l.avatar_url AS "avatarUrl",
        l.stage_id AS "stageId", s.name AS "stageName", l.stage_entered_at AS "stageEnteredAt",
        l.lost_reason AS "lostReason", l.owner_id AS "ownerId", l.source, l.basis, l.time_zone AS "timeZone",
        l.engagement, l.score, l.metadata,
        l.created_by AS "createdBy", l.deleted_at AS "deletedAt", l.last_touch_at AS "lastTouchAt",
        l.merged_into_id AS "mergedIntoId"
    FROM lead l JOIN stage s ON (s.workspace_id, s.id) = (l.workspace_id, l.stage_id)
    WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = ANY (cast(:lead_ids as uuid[]))
    ORDER BY l.created_at, l.id
"""
SECTIONS = {
    "leads": LEADS,
    "identities": """
        SELECT id, lead_id AS "leadId", kind, value, is_primary AS "isPrimary", created_at AS "createdAt",
            released_at AS "releasedAt"
        FROM lead_identity
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY kind, value, id
    """,
    "tags": """
        SELECT lt.lead_id AS "leadId", lt.tag_id AS "tagId", t.name, lt.created_at AS "createdAt"
        FROM lead_tag lt JOIN tag t ON (t.workspace_id, t.id) = (lt.workspace_id, lt.tag_id)
        WHERE lt.workspace_id = cast(:workspace_id as uuid) AND lt.lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY t.name_key, lt.tag_id, lt.lead_id
    """,
    "stageHistory": """
        SELECT id, lead_id AS "leadId", from_stage_id AS "fromStageId", from_name AS "fromName",
            to_stage_id AS "toStageId", to_name AS "toName", entered_at AS "enteredAt", left_at AS "leftAt",
            actor_id AS "actorId", actor_kind AS "actorKind", cause, lost_reason AS "lostReason"
        FROM stage_change
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY left_at, id
    """,
    "timeline": """
        SELECT id, lead_id AS "leadId", created_at AS "createdAt", type, channel, direction, content,
            actor_id AS "actorId", actor_kind AS "actorKind", cause, conversation_id AS "conversationId",
            message_id AS "messageId", mentions
        FROM interaction
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY created_at, id
    """,
    "scoreEvents": """
        SELECT id AS "messageId", lead_id AS "leadId", kind, channel, conversation_id AS "conversationId", at
        FROM score_event
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY at, id
    """,
    "suppressions": """
        SELECT id, lead_id AS "leadId", value, channel, reason, created_at AS "createdAt", created_by AS "createdBy"
        FROM suppression
        WHERE workspace_id = cast(:workspace_id as uuid) AND (lead_id = ANY (cast(:lead_ids as uuid[])) OR value IN (
            SELECT unnest(CASE WHEN kind = 'EMAIL' THEN array[value, '@' || split_part(value, '@', -1)]
                ELSE array[value] END)
            FROM lead_identity
            WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:lead_ids as uuid[]))
        ))
        ORDER BY created_at, id
    """,
}
STATEMENTS = {name: Statement(text(sql)) for name, sql in SECTIONS.items()}


async def person_of(reads: Reads, workspace_id: UUID, lead_id: UUID) -> Sequence[UUID]:
    """The lead, deleted or not, and those that were merged into it; nobody: there is no such lead."""
    rows = await reads.fetch(PERSON, workspace_id=workspace_id, lead_id=lead_id)
    return [row["id"] for row in rows]


async def merged_into(reads: Reads, workspace_id: UUID, lead_id: UUID) -> UUID | None:
    """The lead that it is part of by now, to whose document the rest went."""
    row = await reads.fetch_one(MERGED_INTO, workspace_id=workspace_id, lead_id=lead_id)
    return row["id"] if row else None


def export_leads(reads: Reads, workspace_id: UUID, lead_ids: Sequence[UUID]) -> Mapping[str, Section]:
    given = {"workspace_id": workspace_id, "lead_ids": list(lead_ids)}
    return {name: reads.stream(statement, **given) for name, statement in STATEMENTS.items()}
