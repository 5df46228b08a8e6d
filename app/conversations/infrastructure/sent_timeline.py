"""Implements the port Timeline: what was sent stands on its lead's timeline."""

from uuid import UUID

from app.common.domain import ActorKind, Channel, Direction
from app.common.work import Work
from app.leads.domain.timeline import Entry, InteractionType
from app.leads.wiring import timeline


class SentTimeline:
    def __init__(self, work: Work, workspace_id: UUID) -> None:
        self._work, self._workspace_id = work, workspace_id

    async def record_sent(
        self,
        lead_id: UUID,
        *,
        channel: Channel,
        conversation_id: UUID,
        message_id: UUID,
        author_id: UUID | None,
        content: str,
    ) -> None:
        entry = Entry(
            lead_id=lead_id,
            type=InteractionType.MESSAGE,
            actor_kind=ActorKind.HUMAN,
            actor_id=author_id,
            channel=channel,
            direction=Direction.OUTBOUND,
            content=content,
            conversation_id=conversation_id,
            message_id=message_id,
        )
        await timeline(self._work, self._workspace_id).record([entry])
