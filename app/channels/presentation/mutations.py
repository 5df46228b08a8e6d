"""Mutations of channel accounts: what can be tried is tried before the transaction."""

from dataclasses import replace
from uuid import UUID

import strawberry

from app.channels.domain.account import clean_changes, new_email_account
from app.channels.presentation.queries import load_accounts
from app.channels.presentation.types import (
    ChannelAccountIdInput,
    ChannelAccountPayload,
    ConnectEmailInput,
    UpdateChannelAccountInput,
)
from app.channels.wiring import account_use_cases, try_servers
from app.common.domain import Role
from app.common.graphql import NO_ID, Info, given, mutation, parse_id


@strawberry.type
class ChannelsMutation:
    @mutation(
        requires=Role.ADMIN,
        description="Connects an e-mail address; its servers are tried first. A disconnected one comes back to life.",
    )
    async def connect_email(self, info: Info, input: ConnectEmailInput) -> ChannelAccountPayload:
        actor, settings = info.context.signed_in, info.context.settings
        new = new_email_account(
            name=input.name,
            address=input.address,
            smtp_url=input.smtp_url,
            imap_url=input.imap_url,
            rate_per_minute=input.rate_per_minute,
            burst=input.burst,
            feedback_provider=input.feedback_provider,
            feedback_key=input.feedback_key,
            has_local_mailbox=bool(settings.mailbox_smtp_url),
        )
        new = replace(new, start=await try_servers(settings, smtp=new.smtp, imap=new.imap))
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            id = await account_use_cases(work, settings, actor).connect_email(new)
        return await _payload(info, id)

    @mutation(requires=Role.ADMIN, description="Changes an account; a server that is given is tried first.")
    async def update_channel_account(
        self, info: Info, input: UpdateChannelAccountInput
    ) -> ChannelAccountPayload:
        actor, settings = info.context.signed_in, info.context.settings
        changes = clean_changes(
            given(
                input,
                *("name", "smtp_url", "imap_url", "daily_limit", "rate_per_minute", "burst"),
                *("feedback_provider", "feedback_key"),
            ),
            has_local_mailbox=bool(settings.mailbox_smtp_url),
        )
        start = await try_servers(settings, smtp=changes.get("smtp"), imap=changes.get("imap"))
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = account_use_cases(work, settings, actor)
            id = await use_cases.update_channel_account(parse_id(input.id) or NO_ID, changes, start)
        return await _payload(info, id)

    @mutation(
        requires=Role.ADMIN,
        description="Ends an account: its logins are forgotten, what waits is not sent; its conversations stay.",
    )
    async def disconnect_channel_account(
        self, info: Info, input: ChannelAccountIdInput
    ) -> ChannelAccountPayload:
        actor, settings = info.context.signed_in, info.context.settings
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = account_use_cases(work, settings, actor)
            id = await use_cases.disconnect_channel_account(parse_id(input.id) or NO_ID)
        return await _payload(info, id)


async def _payload(info: Info, id: UUID) -> ChannelAccountPayload:
    """Read after the commit."""
    return ChannelAccountPayload(account=(await load_accounts(info.context, [str(id)]))[0])
