"""One table: a file of a workspace. Its bytes lie in the storage under its workspace's and its own id."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Named,
    Table,
    Text,
    Uuid,
    text,
)

from app.common.database import ThingColumns, metadata, workspace_key


class FileColumns(ThingColumns):
    name: Named[str] = Column(Text)
    media_type: Named[str] = Column(Text, server_default=text("'application/octet-stream'"))
    """As sniffed from the bytes, never as claimed."""
    size: Named[int] = Column(BigInteger, server_default=text("0"))
    sha256: Named[bytes | None] = Column(LargeBinary)
    created_by: Named[UUID | None] = Column(Uuid)
    """The user who uploaded it; None: it came with a message."""
    stored_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """When all of its bytes were in the storage; None: they never all came."""
    used_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """When a message or an import took it; None: deleted a day after it was made."""


file = Table(
    "file",
    metadata,
    FileColumns,
    workspace_key(),
    ForeignKeyConstraint(["created_by"], ["app_user.id"], ondelete="SET NULL"),
    Index("ix_file_unused", "created_at", postgresql_where=text("used_at IS NULL")),
)
