"""GraphQL types and inputs of channel accounts."""

import asyncpg
import strawberry

from app.channels.domain.account import ChannelAccountStatus
from app.channels.domain.feedback import FeedbackProvider
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


enum_type(
    FeedbackProvider,
    "Who tells by webhook what became of the mails of an account, whose SMTP server is theirs.",
    SES="Amazon SES, by an SNS topic.",
    SENDGRID="SendGrid, by its Signed Event Webhook.",
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
    rate_per_minute: int | None = strawberry.field(description="Messages a minute at most; null: no limit.")
    burst: int | None = strawberry.field(
        description="Messages that may leave at once under that rate; null: a second's worth, at least 1."
    )
    feedback_provider: FeedbackProvider | None = strawberry.field(
        description="Who tells of its bounces and complaints by webhook; null: nobody."
    )
    inbound_token: strawberry.Private[str]

    @nested(description="Where a raw message (message/rfc822) for it may be POSTed; null for all but admins.")
    def inbound_url(self, info: Info) -> str | None:
        is_admin = info.context.signed_in.role.includes(Role.ADMIN)
        return f"{info.context.settings.base_url}/webhooks/email/{self.inbound_token}" if is_admin else None

    @nested(description="Where its `feedbackProvider` is to POST; null without one, and for all but admins.")
    def feedback_url(self, info: Info) -> str | None:
        if self.feedback_provider is None or not info.context.signed_in.role.includes(Role.ADMIN):
            return None
        base_url = info.context.settings.base_url
        return f"{base_url}/webhooks/{self.feedback_provider.slug}/{self.inbound_token}"

    @nested(description="Messages that have left today, in the workspace's time zone, or are about to.")
    async def sent_today(self, info: Info) -> int:
        found: int = await info.context.loader("sent_today").load(self.id)
        return found

    @classmethod
    def of(cls, row: asyncpg.Record, prefix: str = "") -> "ChannelAccount":
        """From columns of `channel_account`, `id` as text, under their names with this prefix."""
        provider = row[f"{prefix}feedback_provider"]
        return cls(
            id=row[f"{prefix}id"],
            channel=Channel(row[f"{prefix}channel"]),
            name=row[f"{prefix}name"],
            address=row[f"{prefix}address"],
            status=ChannelAccountStatus(row[f"{prefix}status"]),
            status_reason=row[f"{prefix}status_reason"],
            daily_limit=row[f"{prefix}daily_limit"],
            rate_per_minute=row[f"{prefix}rate_per_minute"],
            burst=row[f"{prefix}burst"],
            feedback_provider=FeedbackProvider(provider) if provider else None,
            inbound_token=row[f"{prefix}inbound_token"],
        )


SERVERS = (
    "User and password percent-encoded, host, port. It is tried before it is stored, and never shown again."
)


KEY = (
    "What its webhooks are verified by: of SES the ARN of the SNS topic, of SendGrid the Verification Key, which it "
    "shows once it knows `feedbackUrl`: until it is given, what comes is refused."
)
RATE = "Messages a minute at most, 1 to 60,000."
BURST = "Messages that may leave at once under the rate, 1 to 10,000."


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
    rate_per_minute: int | None = strawberry.field(description=f"{RATE} Null: no limit.", default=None)
    burst: int | None = strawberry.field(description=f"{BURST} Null: a second's worth.", default=None)

    feedback_provider: FeedbackProvider | None = strawberry.field(
        description="Who tells of its bounces and complaints by webhook.", default=None
    )
    feedback_key: str | None = strawberry.field(description=KEY, default=None)


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
    rate_per_minute: int | None = strawberry.field(
        description=f"{RATE} Null: no limit.", default=strawberry.UNSET
    )
    burst: int | None = strawberry.field(
        description=f"{BURST} Null: a second's worth.", default=strawberry.UNSET
    )

    feedback_provider: FeedbackProvider | None = strawberry.field(
        description="Who tells of its bounces and complaints by webhook; null: nobody any more. Give `feedbackKey` "
        "with it.",
        default=strawberry.UNSET,
    )
    feedback_key: str | None = strawberry.field(description=KEY, default=strawberry.UNSET)


@strawberry.input(description="An account.")
class ChannelAccountIdInput:
    id: strawberry.ID = strawberry.field(description="The account.")


@strawberry.type(description="The account as it is now.")
class ChannelAccountPayload(Payload):
    account: ChannelAccount | None = strawberry.field(description="Null when it was refused.", default=None)
