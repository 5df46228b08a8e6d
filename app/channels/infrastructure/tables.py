"""Tables of channels: accounts with their encrypted credentials, and what came in for them, raw."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Named,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from app.common.database import EditedColumns, ThingColumns, metadata, tenant_key, workspace_key
from app.common.leases import DueTable, LeasedColumns

WAITING, HELD = "queued", "claimed"


class ChannelAccountColumns(EditedColumns):
    channel: Named[str] = Column(Text)
    name: Named[str] = Column(Text)
    address: Named[str] = Column(Text)
    """Normalised; what people write to."""
    status: Named[str] = Column(Text, server_default=text("'CONNECTED'"))
    status_reason: Named[str | None] = Column(Text)
    daily_limit: Named[int | None]
    rate_per_minute: Named[int | None]
    burst: Named[int | None]
    """Messages that may leave at once under the rate; None: a second's worth, at least 1."""
    sending_domain: Named[str | None] = Column(Text)
    """The registrable domain of its address: subdomains count as one (`domain/sending_domain.py`)."""
    feedback_provider: Named[str | None] = Column(Text)
    """Who tells of bounces and complaints by webhook: SES or SENDGRID."""
    feedback_key: Named[str | None] = Column(Text)
    """What its webhooks are verified by: SendGrid's public key, or the ARN of the SNS topic. No secret."""
    smtp_secret: Named[bytes | None] = Column(LargeBinary)
    """The encrypted SMTP URL; None: the local mailbox."""
    imap_secret: Named[bytes | None] = Column(LargeBinary)
    inbound_token: Named[str] = Column(Text)
    """Names the account in POST /webhooks/email/{token}."""


channel_account = Table(
    "channel_account",
    metadata,
    ChannelAccountColumns,
    workspace_key(),
    UniqueConstraint("workspace_id", "channel", "address"),
    UniqueConstraint("inbound_token"),
    # The local mailbox is one for the whole installation: an address in it is one account's.
    Index(
        "uq_channel_account_local",
        "address",
        unique=True,
        postgresql_where=text("smtp_secret IS NULL AND channel = 'EMAIL' AND status <> 'DISCONNECTED'"),
    ),
)


class SendingDomainColumns(TypedColumns):
    """What a domain may send a day, over all accounts whose address is under it."""

    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    domain: Named[str] = Column(Text, primary_key=True)
    daily_limit: Named[int | None]
    updated_at: Named[datetime] = Column(DateTime(timezone=True), server_default=func.now())


sending_domain = Table("sending_domain", metadata, SendingDomainColumns, workspace_key())


class SendPaceColumns(TypedColumns):
    """How much of a limit is used up: of an ACCOUNT (key: its id), a sending DOMAIN (key: the domain), a BATCH (its
    id). An account without a domain is a domain of its own, by its id. Who claims takes the rows that nobody holds, and
    waits for none; all others lock them by kind and key, after all else but the feed's head (docs/decisions/0029)."""

    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    kind: Named[str] = Column(Text, primary_key=True)
    key: Named[str] = Column(Text, primary_key=True)
    next_free_at: Named[datetime] = Column(DateTime(timezone=True), server_default=func.now())
    """GCRA: the theoretical arrival time of the next message (delivery.md 3.3)."""
    look_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """Of a BATCH: when the worker should look at it next; None: it has ended."""
    served_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """When something of it was claimed last: who waited longest is served first."""
    brake_until: Named[datetime | None] = Column(DateTime(timezone=True))
    """The provider said to wait."""
    day: Named[date | None] = Column(Date)
    """In the workspace's zone, and never back; of a day before today, `day_count` is 0."""
    day_count: Named[int] = Column(server_default=text("0"))


send_pace = Table(
    "send_pace",
    metadata,
    SendPaceColumns,
    workspace_key(),
    Index("ix_send_pace_look", "look_at", postgresql_where=text("look_at IS NOT NULL")),
    postgresql_with={"fillfactor": 50},
)


class InboundEventColumns(LeasedColumns, ThingColumns):
    """Something a provider sent, kept as it came; acknowledged once it is here, worked on later."""

    provider: Named[str] = Column(Text)
    account_id: Named[UUID] = Column(Uuid)
    external_id: Named[str] = Column(Text)
    """The provider's own id of it, or a digest: a repeat changes nothing."""
    raw: Named[bytes] = Column(LargeBinary)


inbound_event = Table(
    "inbound_event",
    metadata,
    InboundEventColumns,
    tenant_key("account_id", "channel_account", ondelete="CASCADE"),
    UniqueConstraint(
        "workspace_id", "provider", "account_id", "external_id", name="uq_inbound_event_external_id"
    ),
    *DueTable.indexes("inbound_event", WAITING, HELD),
)


class ImapMailboxColumns(LeasedColumns, ThingColumns):
    """Where the reading of an account's IMAP mailbox stands; its id is the account's."""

    uid_validity: Named[int | None] = Column(BigInteger)
    uid: Named[int] = Column(BigInteger, server_default=text("0"))
    """The last UID whose mail is in `inbound_event`, under this UIDVALIDITY."""


imap_mailbox = Table(
    "imap_mailbox",
    metadata,
    ImapMailboxColumns,
    ForeignKeyConstraint(
        ["workspace_id", "id"], ["channel_account.workspace_id", "channel_account.id"], ondelete="CASCADE"
    ),
    *DueTable.indexes("imap_mailbox", WAITING, HELD),
)

inbound_events = DueTable(inbound_event, waiting=WAITING, held=HELD)
imap_mailboxes = DueTable(imap_mailbox, waiting=WAITING, held=HELD)
