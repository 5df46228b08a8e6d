"""Tables of batches: deliveries that are switched together. Their pace is a table of channels (`send_pace`)."""

from uuid import UUID

from sqlalchemy import Column, ForeignKeyConstraint, Named, Table, Text, Uuid

from app.common.database import ThingColumns, metadata, tenant_key, workspace_key


class SendBatchColumns(ThingColumns):
    """Deliveries that are switched together: RUNNING, PAUSED or CANCELED. An intent holds it FOR SHARE, so that after
    the switch has committed nothing of it is handed over any more."""

    status: Named[str] = Column(Text)
    account_id: Named[UUID] = Column(Uuid)
    template_version_id: Named[UUID] = Column(Uuid)
    author_id: Named[UUID | None] = Column(Uuid)
    rate_per_minute: Named[int | None]
    burst: Named[int | None]
    """As of a channel account."""


send_batch = Table(
    "send_batch",
    metadata,
    SendBatchColumns,
    workspace_key(),
    tenant_key("account_id", "channel_account"),
    tenant_key("template_version_id", "template_version"),
    ForeignKeyConstraint(["author_id"], ["app_user.id"], ondelete="SET NULL"),
)
