"""The table of bulk sends: what was asked for, and how far the worker has come with it. Recipients are ledger rows."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Column,
    DateTime,
    ForeignKeyConstraint,
    Named,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from app.common.database import JsonObject, ThingColumns, metadata, tenant_key, workspace_key
from app.common.leases import DueTable, LeasedColumns

WAITING, HELD, IDLE = "queued", "claimed", "idle"


class BulkSendColumns(LeasedColumns, ThingColumns):
    """`state` is the bulk send's; `status` and the rest of the lease are its due row's: the worker starts it, expands
    its audience, watches over it and ends it, and is IDLE when there is nothing to do."""

    updated_at: Named[datetime] = Column(DateTime(timezone=True), server_default=func.now())
    name: Named[str] = Column(Text)
    state: Named[str] = Column(Text, server_default=text("'DRAFT'"))
    pause_reason: Named[str | None] = Column(Text)
    template_id: Named[UUID] = Column(Uuid)
    account_id: Named[UUID] = Column(Uuid)
    filter: Named[Mapping[str, object] | None] = Column(JsonObject)
    """Who it is for, while that is still to be found out: it may hold a search for a person."""
    start_at: Named[datetime | None] = Column(DateTime(timezone=True))
    rate_per_minute: Named[int | None]
    burst: Named[int | None]
    created_by: Named[UUID | None] = Column(Uuid)
    send_batch_id: Named[UUID | None] = Column(Uuid)
    """From its launch on; the batch's status follows the state."""
    launched_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """Leads that were made later are none of its audience."""
    started_at: Named[datetime | None] = Column(DateTime(timezone=True))
    finished_at: Named[datetime | None] = Column(DateTime(timezone=True))
    after_id: Named[UUID | None] = Column(Uuid)
    """Leads up to this one have been taken in or excluded."""
    expanded_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """When all of its audience had been."""
    exclusions: Named[Mapping[str, object]] = Column(JsonObject, server_default=text("'{}'"))
    """How many leads are none of its recipients, by reason."""
    told: Named[Mapping[str, object]] = Column(JsonObject, server_default=text("'{}'"))
    """The counts that the feed was last told of."""
    judged_from: Named[Mapping[str, object]] = Column(JsonObject, server_default=text("'{}'"))
    """The counts at its last start: rates that pause it are of what came since."""


bulk_send = Table(
    "bulk_send",
    metadata,
    BulkSendColumns,
    workspace_key(),
    tenant_key("template_id", "template"),
    tenant_key("account_id", "channel_account"),
    tenant_key("send_batch_id", "send_batch"),
    ForeignKeyConstraint(["created_by"], ["app_user.id"], ondelete="SET NULL"),
    UniqueConstraint("workspace_id", "send_batch_id"),
    *DueTable.indexes("bulk_send", WAITING, HELD),
)
bulk_sends = DueTable(bulk_send, waiting=WAITING, held=HELD)
