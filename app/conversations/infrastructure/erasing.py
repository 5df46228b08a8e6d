"""A person's conversations, gone for good, with messages, drafts, deliveries and their attempts (by foreign keys)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from app.channels.wiring import erase_mails
from app.common.database import Statement
from app.common.work import Work
from app.files.wiring import let_go

HOLD = Statement(
    text(
        """
        SELECT id, channel, contact_address FROM conversation
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY id FOR UPDATE
        """
    )
)
HOLD_DELIVERIES = Statement(
    text(
        """
        SELECT id FROM delivery
        WHERE workspace_id = cast(:workspace_id as uuid) AND (
            lead_id = ANY (cast(:lead_ids as uuid[])) OR conversation_id = ANY (cast(:ids as uuid[]))
        )
        ORDER BY id FOR UPDATE
        """
    )
)
BROUGHT = Statement(
    text(
        """
        SELECT array(
            SELECT DISTINCT a.file_id FROM message m
            JOIN attachment a ON (a.workspace_id, a.message_id) = (m.workspace_id, m.id)
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.conversation_id = ANY (cast(:ids as uuid[]))
        ) AS files, array(
            SELECT DISTINCT m.inbound_event_id FROM message m
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.conversation_id = ANY (cast(:ids as uuid[]))
                AND m.inbound_event_id IS NOT NULL
        ) AS events
        """
    )
)
DROP_DELIVERIES = Statement(
    text(
        """
        DELETE FROM delivery WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
        """
    )
)
DROP = Statement(
    text(
        """
        DELETE FROM conversation WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
        """
    )
)


@dataclass(frozen=True, slots=True)
class HeldConversation:
    id: UUID
    channel: str
    contact_address: str


async def hold_conversations(
    work: Work, workspace_id: UUID, lead_ids: Sequence[UUID]
) -> list[HeldConversation]:
    """Theirs, and what is being sent in them; the leads are held."""
    rows = await work.fetch(HOLD, workspace_id=workspace_id, lead_ids=list(lead_ids))
    ids = [row["id"] for row in rows]
    await work.fetch(HOLD_DELIVERIES, workspace_id=workspace_id, lead_ids=list(lead_ids), ids=ids)
    return [HeldConversation(row["id"], row["channel"], row["contact_address"]) for row in rows]


async def erase_conversations(
    work: Work, workspace_id: UUID, lead_ids: Sequence[UUID], addresses: Sequence[str]
) -> Sequence[UUID]:
    """The files that are to be removed once this is committed. `addresses`: mails that name one go as well, whosever
    they are."""
    ids = [one.id for one in await hold_conversations(work, workspace_id, lead_ids)]
    row = await work.fetch_one(BROUGHT, workspace_id=workspace_id, ids=ids)
    assert row is not None
    held = await work.fetch(HOLD_DELIVERIES, workspace_id=workspace_id, lead_ids=list(lead_ids), ids=ids)
    await work.fetch(DROP_DELIVERIES, workspace_id=workspace_id, ids=[one["id"] for one in held])
    await work.fetch(DROP, workspace_id=workspace_id, ids=ids)
    await erase_mails(work, workspace_id, row["events"], addresses)
    return await let_go(work, workspace_id, row["files"])
