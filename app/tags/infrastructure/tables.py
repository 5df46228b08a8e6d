"""The table `tag`."""

from sqlalchemy import Column, Named, Table, Text, UniqueConstraint

from app.common.database import EditedColumns, metadata, workspace_key


class TagColumns(EditedColumns):
    name: Named[str] = Column(Text)
    name_key: Named[str] = Column(Text)
    """The name without case and accents."""
    color: Named[str] = Column(Text)


tag = Table("tag", metadata, TagColumns, workspace_key(), UniqueConstraint("workspace_id", "name_key"))
