"""Mutations that send: a message, its calling back, its sending again."""

from datetime import datetime

import strawberry

from app.common.domain import Role
from app.common.graphql import NO_ID, Context, Info, mutation, parse_id, user_error
from app.conversations.domain.sending import MessageMoved, send_request
from app.conversations.infrastructure.reads import messages_by_id
from app.conversations.presentation.queries import load_messages
from app.conversations.presentation.types import Message, MessagePayload
from app.conversations.wiring import sending_use_cases


@strawberry.input(description="A message to a lead.")
class SendMessageInput:
    conversation_id: strawberry.ID = strawberry.field(description="In which conversation.")
    body: str | None = strawberry.field(
        description="The text, 1 to 100,000 characters; null: the template's, with the lead's values.",
        default=None,
    )
    subject: str | None = strawberry.field(
        description="At most 200 characters; null: the template's, else the conversation's. The first message needs"
        " one.",
        default=None,
    )
    template_id: strawberry.ID | None = strawberry.field(
        description="What the body comes of where it is null, and the subject where that is; as the template is now.",
        default=None,
    )
    attachment_tokens: list[str] | None = strawberry.field(
        description="Tokens of uploads, at most 20, of 25 MB in all.", default=None
    )
    not_before: datetime | None = strawberry.field(
        description="Not sent sooner than this, a year ahead at most; null or past: now.", default=None
    )
    idempotency_key: strawberry.ID = strawberry.field(
        description="The same key sends once, however often it is tried; 1 to 200 characters."
    )


@strawberry.input(description="Which message.")
class MessageIdInput:
    id: strawberry.ID = strawberry.field(description="The message.")


@strawberry.type
class SendingMutation:
    @mutation(
        requires=Role.MEMBER,
        description="Writes to a lead. It answers at once, QUEUED or SCHEDULED; the feed tells how it goes on.",
    )
    async def send_message(self, info: Info, input: SendMessageInput) -> MessagePayload:
        actor = info.context.signed_in
        request = send_request(
            conversation_id=parse_id(input.conversation_id) or NO_ID,
            body=input.body,
            subject=input.subject,
            attachment_tokens=input.attachment_tokens or [],
            not_before=input.not_before,
            template_id=parse_id(input.template_id) or NO_ID if input.template_id is not None else None,
        )
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            message_id = await sending_use_cases(
                work, actor.workspace_id, info.context.settings
            ).send_message(request, idempotency_key=input.idempotency_key, author_id=actor.user_id)
            rows = await messages_by_id(work, actor.workspace_id, [message_id])
        return MessagePayload(message=Message.of(rows[message_id]))

    @mutation(requires=Role.MEMBER, description="Calls a message back whose sending has not begun.")
    async def cancel_message(self, info: Info, input: MessageIdInput) -> MessagePayload:
        actor, message_id = info.context.signed_in, parse_id(input.id) or NO_ID
        try:
            async with info.context.doors.open_work(actor.workspace_id, actor) as work:
                use_cases = sending_use_cases(work, actor.workspace_id, info.context.settings)
                await use_cases.cancel_message(message_id)
        except MessageMoved as moved:
            return await _as_it_is(info.context, moved)
        return MessagePayload(message=(await load_messages(info.context, [message_id]))[0])

    @mutation(
        requires=Role.MEMBER,
        description="Sends a FAILED or UNKNOWN message again. One that is UNKNOWN may then arrive twice.",
    )
    async def resend_message(self, info: Info, input: MessageIdInput) -> MessagePayload:
        actor, message_id = info.context.signed_in, parse_id(input.id) or NO_ID
        try:
            async with info.context.doors.open_work(actor.workspace_id, actor) as work:
                use_cases = sending_use_cases(work, actor.workspace_id, info.context.settings)
                await use_cases.resend_message(message_id)
        except MessageMoved as moved:
            return await _as_it_is(info.context, moved)
        return MessagePayload(message=(await load_messages(info.context, [message_id]))[0])


async def _as_it_is(context: Context, moved: MessageMoved) -> MessagePayload:
    message = (await load_messages(context, [moved.message_id]))[0]
    return MessagePayload(message=message, errors=[user_error(moved)])
