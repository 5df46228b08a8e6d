"""Tables of the inbox. Every column a list of conversations shows stands in the conversation's row."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Named,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    Uuid,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

from app.common.database import ThingColumns, metadata, tenant_key
from app.common.leases import DueTable, LeasedColumns
from app.conversations.infrastructure.batch_tables import send_batch

QUEUED_ALONE = "status = 'queued' AND (send_batch_id IS NULL OR resend > 0)"
"""People's messages, which do not stand in line behind a batch; also one of a batch that a person sends again."""


class ConversationColumns(ThingColumns):
    lead_id: Named[UUID] = Column(Uuid)
    """Not unique: a merge just repoints it."""
    account_id: Named[UUID] = Column(Uuid)
    channel: Named[str] = Column(Text)
    contact_address: Named[str] = Column(Text)
    status: Named[str] = Column(Text, server_default=text("'OPEN'"))
    is_dormant: Named[bool] = Column(Boolean, server_default=text("false"))
    """Born of a bulk send or an automation: hidden from unfiltered lists until the lead answers."""
    assignee_id: Named[UUID | None] = Column(Uuid)
    snoozed_until: Named[datetime | None] = Column(DateTime(timezone=True))
    subject: Named[str | None] = Column(Text)
    """Of the newest message that had one: a reply takes it over."""
    activity_at: Named[datetime] = Column(DateTime(timezone=True), server_default=func.now())
    """The order of the inbox: the newest message, the end of a snooze, else the start. Only goes up."""
    last_message_id: Named[UUID | None] = Column(Uuid)
    last_message_at: Named[datetime | None] = Column(DateTime(timezone=True))
    last_inbound_at: Named[datetime | None] = Column(DateTime(timezone=True))
    last_outbound_at: Named[datetime | None] = Column(DateTime(timezone=True))
    waiting_since: Named[datetime | None] = Column(DateTime(timezone=True))
    """The first message of the lead's that nobody has answered."""
    message_count: Named[int] = Column(server_default=text("0"))
    inbound_count: Named[int] = Column(server_default=text("0"))
    updated_at: Named[datetime] = Column(DateTime(timezone=True), server_default=func.now())


conversation = Table(
    "conversation",
    metadata,
    ConversationColumns,
    tenant_key("lead_id", "lead", ondelete="CASCADE"),
    tenant_key("account_id", "channel_account"),
    UniqueConstraint("workspace_id", "account_id", "contact_address"),
    Index("ix_conversation_activity", "workspace_id", text("activity_at DESC"), text("id DESC")),
    Index(
        "ix_conversation_assignee",
        "workspace_id",
        "assignee_id",
        text("activity_at DESC"),
        text("id DESC"),
    ),
    Index("ix_conversation_lead", "workspace_id", "lead_id"),
    Index("ix_conversation_snoozed", "snoozed_until", postgresql_where=text("status = 'SNOOZED'")),
)


class ConversationReadColumns(TypedColumns):
    """How far a member has read: unread is the conversation's inbound_count less this."""

    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    user_id: Named[UUID] = Column(Uuid, primary_key=True)
    conversation_id: Named[UUID] = Column(Uuid, primary_key=True)
    inbound_count_read: Named[int]
    updated_at: Named[datetime] = Column(DateTime(timezone=True), server_default=func.now())


def _of_member() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["workspace_id", "user_id"], ["member.workspace_id", "member.user_id"], ondelete="CASCADE"
    )


conversation_read = Table(
    "conversation_read",
    metadata,
    ConversationReadColumns,
    tenant_key("conversation_id", "conversation", ondelete="CASCADE"),
    _of_member(),
    Index("ix_conversation_read_conversation", "workspace_id", "conversation_id"),
)


class DraftColumns(TypedColumns):
    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    user_id: Named[UUID] = Column(Uuid, primary_key=True)
    conversation_id: Named[UUID] = Column(Uuid, primary_key=True)
    body: Named[str] = Column(Text)
    updated_at: Named[datetime] = Column(DateTime(timezone=True), server_default=func.now())


draft = Table(
    "draft",
    metadata,
    DraftColumns,
    tenant_key("conversation_id", "conversation", ondelete="CASCADE"),
    _of_member(),
    Index("ix_draft_conversation", "workspace_id", "conversation_id"),
)


class MessageColumns(ThingColumns):
    conversation_id: Named[UUID] = Column(Uuid)
    position: Named[int]
    """1, 2, 3 … in its conversation: given under the conversation's lock, so it is also the order of the feed."""
    account_id: Named[UUID] = Column(Uuid)
    direction: Named[str] = Column(Text)
    author_kind: Named[str] = Column(Text)
    author_id: Named[UUID | None] = Column(Uuid)
    subject: Named[str | None] = Column(Text)
    body: Named[str] = Column(Text)
    quoted_text: Named[str | None] = Column(Text)
    html_body: Named[str | None] = Column(Text)
    """Sanitised before it was written."""
    status: Named[str] = Column(Text)
    error: Named[str | None] = Column(Text)
    not_before: Named[datetime | None] = Column(DateTime(timezone=True))
    sent_at: Named[datetime | None] = Column(DateTime(timezone=True))
    inbound_count: Named[int] = Column(server_default=text("0"))
    """The conversation's inbound_count once this message was in: where a read pointer up to here stands."""
    is_auto_reply: Named[bool] = Column(Boolean, server_default=text("false"))
    external_id: Named[str | None] = Column(Text)
    """What makes an inbound message the same one when it comes again."""
    rfc_message_id: Named[str | None] = Column(Text)
    """The Message-ID of its header, in angle brackets."""
    thread_ids: Named[Sequence[str]] = Column(ARRAY(Text), server_default=text("'{}'"))
    """References and In-Reply-To as they came: what a reply's References begin with."""
    inbound_event_id: Named[UUID | None] = Column(Uuid)
    lexemes: Named[str | None] = Column(TSVECTOR)
    """What a search finds it by; each lexeme begins with its workspace's digits (`infrastructure/search.py`)."""


message = Table(
    "message",
    metadata,
    MessageColumns,
    tenant_key("conversation_id", "conversation", ondelete="CASCADE"),
    ForeignKeyConstraint(["author_id"], ["app_user.id"], ondelete="SET NULL"),
    UniqueConstraint("workspace_id", "conversation_id", "position"),
    Index(
        "uq_message_external_id",
        "workspace_id",
        "account_id",
        "external_id",
        unique=True,
        postgresql_where=text("external_id IS NOT NULL"),
    ),
    Index(
        "ix_message_rfc_message_id",
        "workspace_id",
        "account_id",
        "rfc_message_id",
        postgresql_where=text("rfc_message_id IS NOT NULL"),
    ),
    Index("ix_message_lexemes", "lexemes", postgresql_using="gin"),
    # Of columns that never change: what is about sending would be written anew with each status (docs/decisions/0047).
    Index(
        "ix_message_received",
        "workspace_id",
        "created_at",
        postgresql_where=text("direction = 'INBOUND'"),
    ),
)


class AttachmentColumns(ThingColumns):
    message_id: Named[UUID] = Column(Uuid)
    file_id: Named[UUID] = Column(Uuid)
    position: Named[int]


attachment = Table(
    "attachment",
    metadata,
    AttachmentColumns,
    tenant_key("message_id", "message", ondelete="CASCADE"),
    tenant_key("file_id", "file"),
    UniqueConstraint("workspace_id", "message_id", "position"),
    Index("ix_attachment_file", "workspace_id", "file_id"),
)


class DeliveryColumns(LeasedColumns, ThingColumns):
    """The ledger: one row a message to one person, from the moment it is accepted until it ends (delivery.md 3.2).

    `run_at` is when it may leave, `error` the code of what became of it.
    """

    account_id: Named[UUID] = Column(Uuid)
    lead_id: Named[UUID] = Column(Uuid)
    origin_kind: Named[str] = Column(Text)
    origin_id: Named[UUID] = Column(Uuid)
    """What asked for it: for a person's message, the message itself. No foreign key upward."""
    step: Named[int] = Column(server_default=text("0"))
    visit: Named[int] = Column(server_default=text("0"))
    conversation_id: Named[UUID | None] = Column(Uuid)
    position: Named[int | None]
    """Its message's place in the conversation: what was written first leaves first."""
    message_id: Named[UUID | None] = Column(Uuid)
    resend: Named[int] = Column(server_default=text("0"))
    """How often a person pressed "send again": each makes a new provider key."""
    provider_id: Named[str | None] = Column(Text)
    """What the provider calls it. Not unique: a mail server that numbers anew has accepted it all the same."""
    send_batch_id: Named[UUID | None] = Column(Uuid)
    """Of a bulk send's recipient. Its conversation and message are made by its first intent: one that was never sent
    leaves no trace in the inbox."""
    time_zone: Named[str | None] = Column(Text)
    """The lead's when it was accepted, for quiet hours; None: the workspace's."""
    quiet_until: Named[datetime | None] = Column(DateTime(timezone=True))
    """When the quiet hours end that it was put off by; it waits for them as long as this is its `run_at`."""
    settled_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """When it was sent, failed for good or nobody could say any more; None: it is none of these now."""
    answers_since: Named[datetime | None] = Column(DateTime(timezone=True))
    """Of a person's answer: the conversation's `waiting_since` until then; None: nobody waited."""
    stops_on_reply: Named[bool] = Column(Boolean, server_default=text("false"))
    """Of a rule that acts on silence: whoever answers while it waits here does not get it. A batch's always stops."""
    has_replied: Named[bool] = Column(Boolean, server_default=text("false"))
    """The lead answered since it was handed over, on whatever channel."""
    has_bounced: Named[bool] = Column(Boolean, server_default=text("false"))
    has_complained: Named[bool] = Column(Boolean, server_default=text("false"))


delivery = Table(
    "delivery",
    metadata,
    DeliveryColumns,
    tenant_key("account_id", "channel_account"),
    tenant_key("lead_id", "lead", ondelete="CASCADE"),
    tenant_key("message_id", "message", ondelete="CASCADE"),
    UniqueConstraint(
        "workspace_id", "origin_kind", "origin_id", "step", "visit", "lead_id", name="uq_delivery_origin"
    ),
    # A batch's recipients have no message before their intent, and are claimed by the hundred: in no index in vain.
    Index(
        "uq_delivery_message",
        "workspace_id",
        "message_id",
        unique=True,
        postgresql_where=text("message_id IS NOT NULL"),
    ),
    Index("ix_delivery_due", "run_at", "id", postgresql_where=text(QUEUED_ALONE)),
    Index("ix_delivery_account", "account_id", "run_at", "id", postgresql_where=text(QUEUED_ALONE)),
    tenant_key("send_batch_id", send_batch.name),
    Index(
        "ix_delivery_batch_due",
        "workspace_id",
        "send_batch_id",
        "run_at",
        "id",
        postgresql_where=text("status = 'queued' AND send_batch_id IS NOT NULL AND resend = 0"),
    ),
    Index(
        "ix_delivery_batch",
        "workspace_id",
        "send_batch_id",
        "status",
        "id",
        postgresql_include=["has_replied", "has_bounced", "has_complained"],
        postgresql_where=text("send_batch_id IS NOT NULL"),
    ),
    Index(
        "ix_delivery_quiet",
        "workspace_id",
        "id",
        postgresql_where=text("status = 'queued' AND run_at = quiet_until"),
    ),
    # Nobody gets one batch twice: also not by an address that moved to another lead meanwhile.
    Index(
        "uq_delivery_batch_conversation",
        "workspace_id",
        "conversation_id",
        "send_batch_id",
        "step",
        "visit",
        unique=True,
        postgresql_where=text("send_batch_id IS NOT NULL AND conversation_id IS NOT NULL"),
    ),
    Index("ix_delivery_lease", "lease_until", postgresql_where=text("status IN ('claimed', 'sending')")),
    Index(
        "ix_delivery_open",
        "workspace_id",
        "conversation_id",
        "position",
        postgresql_where=text("status IN ('queued', 'claimed', 'sending') AND conversation_id IS NOT NULL"),
    ),
    Index("ix_delivery_unknown", "workspace_id", "id", postgresql_where=text("status = 'unknown'")),
    Index(
        "ix_delivery_provider_id",
        "workspace_id",
        "account_id",
        "provider_id",
        postgresql_where=text("provider_id IS NOT NULL"),
    ),
    Index("ix_delivery_lead", "workspace_id", "lead_id"),
    Index(
        "ix_delivery_settled",
        "workspace_id",
        "status",
        "settled_at",
        postgresql_include=["lead_id"],
        postgresql_where=text("settled_at IS NOT NULL"),
    ),
    Index(
        "ix_delivery_answer",
        "workspace_id",
        "settled_at",
        postgresql_include=["answers_since"],
        postgresql_where=text("status = 'sent' AND answers_since IS NOT NULL"),
    ),
    postgresql_with={"fillfactor": 80},
)


class DeliveryAttemptColumns(TypedColumns):
    """The evidence: each time something was handed to a provider, and what it said. Append only."""

    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    delivery_id: Named[UUID] = Column(Uuid, primary_key=True)
    n: Named[int] = Column(primary_key=True, autoincrement=False)
    resend: Named[int]
    started_at: Named[datetime] = Column(DateTime(timezone=True), server_default=func.now())
    ended_at: Named[datetime | None] = Column(DateTime(timezone=True))
    outcome: Named[str | None] = Column(Text)
    """None: nobody came back to say."""
    provider_code: Named[str | None] = Column(Text)


delivery_attempt = Table(
    "delivery_attempt",
    metadata,
    DeliveryAttemptColumns,
    tenant_key("delivery_id", "delivery", ondelete="CASCADE"),
)

earlier = delivery.alias("earlier")
deliveries = DueTable(
    delivery,
    waiting="queued",
    held="claimed",
    key="account_id",
    among=or_(delivery.c.send_batch_id.is_(None), delivery.c.resend > literal_column("0")),
    # What was written first leaves first. One that waits for its time holds up nobody; one that is tried again does,
    # unless it is a batch's, which may be paused.
    blocked=exists(
        select(literal_column("1"))
        .where(
            earlier.c.workspace_id == delivery.c.workspace_id,
            earlier.c.conversation_id == delivery.c.conversation_id,
            earlier.c.position < delivery.c.position,
            or_(
                earlier.c.status.in_([literal_column("'claimed'"), literal_column("'sending'")]),
                (earlier.c.status == literal_column("'queued'"))
                & or_(earlier.c.send_batch_id.is_(None), earlier.c.resend > literal_column("0"))
                & ((earlier.c.run_at <= func.now()) | earlier.c.error.is_not(None)),
            ),
        )
        # Asked of each row that is about to be taken: as a join it would go through all that wait, every time.
        .offset(literal_column("0"))
        .correlate(delivery)
    ),
)
