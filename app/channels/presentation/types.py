"""GraphQL types and inputs of channel accounts."""

import asyncpg
import strawberry

from app.channels.domain.account import ChannelAccountStatus
from app.common.domain import Channel, Role
from app.common.graphql import Info, Payload, enum_type, nested

enum_type(
    ChannelAccountStatus,
    "How an account fares.",
    CONNECTED="It works.",
    DEGRADED="It works, but not as it should; `statusReason` says why.",
    DISCONNECTED="Nothing goes through it: connect its address again.",
    NEEDS_REAUTH="Its server refuses the login: give it a new one.",
)


@strawberry.type(description="An address or number of the workspace that messages come and go through.")
class ChannelAccount:
    id: strawberry.ID = strawberry.field(description="Its id.")
    channel: Channel = strawberry.field(description="What kind it is.")
    name: str = strawberry.field(description="Its name; recipients see it as the sender's.")
    address: str | None = strawberry.field(description="What people write to.")
    status: ChannelAccountStatus = strawberry.field(description="How it fares.")
    status_reason: str | None = strawberry.field(description="Why it fares so, and what to do.")
    daily_limit: int | None = strawberry.field(description="Messages a day at most; null: no limit.")
    inbound_token: strawberry.Private[str]

    @nested(description="Where a raw message (message/rfc822) for it may be POSTed; null for all but admins.")
    def inbound_url(self, info: Info) -> str | None:
        is_admin = info.context.signed_in.role.includes(Role.ADMIN)
        return f"{info.context.settings.base_url}/webhooks/email/{self.inbound_token}" if is_admin else None

    @classmethod
    def of(cls, row: asyncpg.Record, prefix: str = "") -> "ChannelAccount":
        """From columns of `channel_account`, `id` as text, under their names with this prefix."""
        return cls(
            id=row[f"{prefix}id"],
            channel=Channel(row[f"{prefix}channel"]),
            name=row[f"{prefix}name"],
            address=row[f"{prefix}address"],
            status=ChannelAccountStatus(row[f"{prefix}status"]),
            status_reason=row[f"{prefix}status_reason"],
            daily_limit=row[f"{prefix}daily_limit"],
            inbound_token=row[f"{prefix}inbound_token"],
        )


SERVERS = (
    "User and password percent-encoded, host, port. It is tried before it is stored, and never shown again."
)


@strawberry.input(description="An e-mail address to send from and receive at.")
class ConnectEmailInput:
    name: str = strawberry.field(description="1 to 200 characters; recipients see it as the sender's name.")
    address: str = strawberry.field(description="The e-mail address.")
    smtp_url: str | None = strawberry.field(
        description=f"smtps://user:password@host:465, or smtp://…:587 for STARTTLS. {SERVERS} Null: the local mailbox.",
        default=None,
    )
    imap_url: str | None = strawberry.field(
        description=f"imaps://user:password@host:993, or imap://…:143 for STARTTLS: what arrives in its INBOX from now "
        f"on is read. {SERVERS}",
        default=None,
    )


@strawberry.input(description="What to change of an account; what is left out stays.")
class UpdateChannelAccountInput:
    id: strawberry.ID = strawberry.field(description="The account.")
    name: str | None = strawberry.field(description="1 to 200 characters.", default=strawberry.UNSET)
    smtp_url: str | None = strawberry.field(
        description="As in connectEmail; null: the local mailbox.", default=strawberry.UNSET
    )
    imap_url: str | None = strawberry.field(
        description="As in connectEmail; the same mailbox is read on where it was left; null: none is read any more.",
        default=strawberry.UNSET,
    )
    daily_limit: int | None = strawberry.field(
        description="At least 1; null: no limit.", default=strawberry.UNSET
    )


@strawberry.input(description="An account.")
class ChannelAccountIdInput:
    id: strawberry.ID = strawberry.field(description="The account.")


@strawberry.type(description="The account as it is now.")
class ChannelAccountPayload(Payload):
    account: ChannelAccount | None = strawberry.field(description="Null when it was refused.", default=None)
