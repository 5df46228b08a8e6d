"""Mutations of the inbox but sending: parse, call, return."""

from uuid import UUID

import strawberry

from app.common.domain import Role
from app.common.graphql import NO_ID, Info, mutation, parse_id
from app.conversations.presentation.queries import load_conversations
from app.conversations.presentation.types import (
    AssignConversationInput,
    ConversationIdInput,
    ConversationPayload,
    MarkConversationReadInput,
    SaveDraftInput,
    SnoozeConversationInput,
    StartConversationInput,
)
from app.conversations.wiring import inbox_use_cases
from app.leads.presentation.types import AddNoteInput, Interaction, NotePayload
from app.leads.wiring import read_interaction


@strawberry.type
class ConversationsMutation:
    @mutation(
        requires=Role.MEMBER,
        description="The conversation with a lead over an account: the one there is, or a new one.",
    )
    async def start_conversation(self, info: Info, input: StartConversationInput) -> ConversationPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            id = await inbox_use_cases(work, actor).start_conversation(
                lead_id=parse_id(input.lead_id) or NO_ID, account_id=parse_id(input.account_id) or NO_ID
            )
        return await _payload(info, id)

    @mutation(requires=Role.MEMBER, description="Gives a conversation to a member, or to nobody.")
    async def assign_conversation(self, info: Info, input: AssignConversationInput) -> ConversationPayload:
        actor = info.context.signed_in
        user_id = parse_id(input.user_id) or NO_ID if input.user_id is not None else None
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = inbox_use_cases(work, actor)
            id = await use_cases.assign_conversation(parse_id(input.id) or NO_ID, user_id=user_id)
        return await _payload(info, id)

    @mutation(requires=Role.MEMBER, description="Puts a conversation away until a moment.")
    async def snooze_conversation(self, info: Info, input: SnoozeConversationInput) -> ConversationPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = inbox_use_cases(work, actor)
            id = await use_cases.snooze_conversation(parse_id(input.id) or NO_ID, until=input.until)
        return await _payload(info, id)

    @mutation(requires=Role.MEMBER, description="Closes a conversation; a closed one stays as it is.")
    async def close_conversation(self, info: Info, input: ConversationIdInput) -> ConversationPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            id = await inbox_use_cases(work, actor).close_conversation(parse_id(input.id) or NO_ID)
        return await _payload(info, id)

    @mutation(requires=Role.MEMBER, description="Opens a closed or snoozed conversation.")
    async def reopen_conversation(self, info: Info, input: ConversationIdInput) -> ConversationPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            id = await inbox_use_cases(work, actor).reopen_conversation(parse_id(input.id) or NO_ID)
        return await _payload(info, id)

    @mutation(
        requires=Role.VIEWER,
        personal=True,
        description="Moves the viewer's own read pointer on; it never goes back.",
    )
    async def mark_conversation_read(
        self, info: Info, input: MarkConversationReadInput
    ) -> ConversationPayload:
        actor = info.context.signed_in
        up_to = parse_id(input.up_to_message_id) or NO_ID if input.up_to_message_id is not None else None
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = inbox_use_cases(work, actor)
            id = await use_cases.mark_conversation_read(parse_id(input.id) or NO_ID, up_to=up_to)
        return await _payload(info, id)

    @mutation(
        requires=Role.VIEWER,
        personal=True,
        description="Keeps what the viewer has begun to write; theirs alone.",
    )
    async def save_draft(self, info: Info, input: SaveDraftInput) -> ConversationPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = inbox_use_cases(work, actor)
            id = await use_cases.save_draft(parse_id(input.conversation_id) or NO_ID, body=input.body)
        return await _payload(info, id)

    # Here and not with the leads, who know of no conversation.
    @mutation(requires=Role.MEMBER, description="Writes a note on a lead.")
    async def add_note(self, info: Info, input: AddNoteInput) -> NotePayload:
        actor = info.context.signed_in
        conversation_id = (
            parse_id(input.conversation_id) or NO_ID if input.conversation_id is not None else None
        )
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            id = await inbox_use_cases(work, actor).add_note(
                lead_id=parse_id(input.lead_id) or NO_ID,
                body=input.body,
                conversation_id=conversation_id,
                mentions=[parse_id(id) or NO_ID for id in input.mention_user_ids or ()],
            )
        async with info.context.doors.open_reads(actor.workspace_id) as reads:
            row = await read_interaction(reads, actor.workspace_id, id)
        return NotePayload(interaction=Interaction.of(row) if row else None)


async def _payload(info: Info, id: UUID) -> ConversationPayload:
    """Read after the commit."""
    return ConversationPayload(conversation=(await load_conversations(info.context, [id]))[0])
