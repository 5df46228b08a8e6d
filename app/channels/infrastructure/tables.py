"""Tables of channels: accounts with their encrypted credentials, and what came in for them, raw."""

from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Named,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
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
