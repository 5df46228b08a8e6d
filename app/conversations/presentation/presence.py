"""Who is where: the subscription that is being there, and the mutation that says somebody types."""

from collections.abc import AsyncGenerator
from typing import Annotated, cast
from uuid import UUID

import strawberry

from app.accounts.presentation.types import User
from app.accounts.wiring import member_by_id
from app.common.domain import Role
from app.common.graphql import ClientError, Info, OkPayload, mutation, parse_id, subscription
from app.common.sharing import Scope, SharedItem
from app.conversations.application import presence as application
from app.conversations.application.presence import Change
from app.conversations.domain.errors import ConversationNotFound
from app.conversations.presentation.types import user_of
from app.conversations.wiring import are_there


@strawberry.type(description="Where a member is at this moment. Lossy: nothing of it is ever stored.")
class Presence:
    user: User = strawberry.field(description="Who.")
    online: bool = strawberry.field(description="Whether they are there; false: they have left.")
    conversation_id: strawberry.ID | None = strawberry.field(description="At this conversation.")
    lead_id: strawberry.ID | None = strawberry.field(description="At this lead.")
    typing: bool = strawberry.field(description="Whether they are writing in the conversation.")


@strawberry.input(description="In which conversation the viewer is writing.")
class SetTypingInput:
    conversation_id: strawberry.ID = strawberry.field(description="The conversation.")


@strawberry.type
class PresenceSubscription:
    @subscription(
        requires=Role.VIEWER,
        personal=True,
        description="Who is there now, then who comes, leaves or types; subscribing is being there oneself.",
    )
    async def presence(
        self,
        info: Info,
        conversation_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Be at this conversation, and see who is; null: see all."),
        ] = None,
        lead_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Be at this lead, and see who is; null: see all."),
        ] = None,
    ) -> AsyncGenerator[Presence, None]:
        actor = info.context.signed_in
        here = application.Presence(
            actor.user_id,
            parse_id(conversation_id) if conversation_id is not None else None,
            parse_id(lead_id) if lead_id is not None else None,
        )
        conversation_is_there, lead_is_there = await _are_there(info, here.conversation_id, here.lead_id)
        if conversation_id is not None and not conversation_is_there:
            raise ClientError("No such conversation.", "NOT_FOUND")
        if lead_id is not None and not lead_is_there:
            raise ClientError("No such lead.", "NOT_FOUND")
        async for change in info.context.services["presence"].follow(actor.workspace_id, here):
            yield _shared(info, change)


@strawberry.type
class PresenceMutation:
    @mutation(
        requires=Role.VIEWER,
        personal=True,
        description="Shows the viewer as typing in a conversation for six seconds; call it again while they do.",
    )
    async def set_typing(self, info: Info, input: SetTypingInput) -> OkPayload:
        actor, key = info.context.signed_in, parse_id(input.conversation_id)
        if key is None or not (await _are_there(info, key, None))[0]:
            raise ConversationNotFound("conversationId")
        info.context.services["presence"].type(actor.workspace_id, actor.user_id, key)
        return OkPayload(ok=True)


async def _are_there(info: Info, conversation_id: UUID | None, lead_id: UUID | None) -> tuple[bool, bool]:
    workspace_id = info.context.signed_in.workspace_id
    async with info.context.doors.open_reads(workspace_id) as reads:
        return await are_there(reads, workspace_id, conversation_id=conversation_id, lead_id=lead_id)


def _shared(info: Info, change: Change) -> Presence:
    async def load(_: Scope) -> Presence | None:
        user = await info.context.shares.once(change, "user", lambda: _load_user(info, change.who.user_id))
        if user is None:
            return None
        return Presence(
            user=user,
            online=change.is_online,
            conversation_id=_id(change.who.conversation_id),
            lead_id=_id(change.who.lead_id),
            typing=change.is_typing,
        )

    return cast("Presence", SharedItem(change, load))


async def _load_user(info: Info, user_id: UUID) -> User | None:
    workspace_id = info.context.signed_in.workspace_id
    async with info.context.doors.open_reads(workspace_id) as reads:
        row = await member_by_id(reads, workspace_id, user_id)
    return user_of(row) if row else None


def _id(id: UUID | None) -> strawberry.ID | None:
    return strawberry.ID(str(id)) if id else None
