"""Implements the port `Timeline`."""

from collections.abc import Mapping, Sequence, Set
from uuid import UUID

from sqlalchemy import bindparam, select, text

from app.accounts.wiring import hold_members
from app.common.database import Statement
from app.common.work import Work
from app.leads.domain.timeline import Entry
from app.leads.infrastructure.tables import lead

ADD = Statement(
    text(
        """
        INSERT INTO interaction (workspace_id, id, lead_id, type, channel, direction, content, actor_id, actor_kind,
            cause, conversation_id, message_id, mentions)
        SELECT cast(:workspace_id as uuid), e.id, e.lead_id, e.type, e.channel, e.direction, e.content, e.actor_id,
            e.actor_kind, e.cause, e.conversation_id, e.message_id, cast(e.mentions as uuid[])
        FROM unnest(cast(:ids as uuid[]), cast(:lead_ids as uuid[]), cast(:types as text[]), cast(:channels as text[]),
            cast(:directions as text[]), cast(:contents as text[]), cast(:actor_ids as uuid[]),
            cast(:actor_kinds as text[]), cast(:causes as text[]), cast(:conversation_ids as uuid[]),
            cast(:message_ids as uuid[]), cast(:mentions as text[])) AS e(id, lead_id, type, channel, direction,
            content, actor_id, actor_kind, cause, conversation_id, message_id, mentions)
        """
    )
)
ADDED_SENT = """
INSERT INTO interaction (workspace_id, id, lead_id, type, channel, direction, content, actor_id, actor_kind,
    conversation_id, message_id, mentions)
SELECT cast(:workspace_id as uuid), cast(:interaction_id as uuid), {lead_id}, 'MESSAGE', {channel}, 'OUTBOUND',
    cast(:excerpt as text), {author_id}, 'HUMAN', {conversation_id}, cast(:message_id as uuid), '{{}}'
FROM {rows}"""
"""The entry of a message that a member sent, for the statement that makes the message."""
HOLD_LEAD = Statement(
    select(lead.c.id)
    .where(
        lead.c.workspace_id == bindparam("workspace_id"),
        lead.c.id == bindparam("lead_id"),
        lead.c.deleted_at.is_(None),
    )
    .with_for_update(read=True)  # a merge of the lead waits, and so does this for one
)


class TimelineRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def add(self, workspace_id: UUID, entries: Mapping[UUID, Entry]) -> None:
        rows = list(entries.values())
        await self._work.fetch(
            ADD,
            workspace_id=workspace_id,
            ids=list(entries),
            lead_ids=[one.lead_id for one in rows],
            types=[one.type.value for one in rows],
            channels=[one.channel and one.channel.value for one in rows],
            directions=[one.direction and one.direction.value for one in rows],
            contents=[one.content for one in rows],
            actor_ids=[one.actor_id for one in rows],
            actor_kinds=[one.actor_kind.value for one in rows],
            causes=[one.cause for one in rows],
            conversation_ids=[one.conversation_id for one in rows],
            message_ids=[one.message_id for one in rows],
            mentions=[f"{{{','.join(map(str, one.mentions))}}}" for one in rows],
        )

    async def hold_lead(self, workspace_id: UUID, lead_id: UUID) -> bool:
        return bool(await self._work.fetch(HOLD_LEAD, workspace_id=workspace_id, lead_id=lead_id))

    async def hold_members(self, workspace_id: UUID, user_ids: Sequence[UUID]) -> Set[UUID]:
        return await hold_members(self._work, workspace_id, user_ids)
