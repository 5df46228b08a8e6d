"""Tables of accounts. Only member has a workspace in its key: people and sessions come before the tenant."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
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
from sqlalchemy import Column as SqlColumn

from app.common.database import metadata, workspace_key


class AppUserColumns(TypedColumns):
    id: Named[UUID] = SqlColumn(Uuid, primary_key=True, server_default=text("uuidv7()"))
    name: Named[str] = SqlColumn(Text)
    email: Named[str] = SqlColumn(Text)
    """Normalised and lower-cased (`domain/user.py::clean_email`)."""
    password_hash: Named[str] = SqlColumn(Text)
    locale: Named[str] = SqlColumn(Text)
    created_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())
    updated_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())


app_user = Table("app_user", metadata, AppUserColumns, UniqueConstraint("email"))


class WorkspaceColumns(TypedColumns):
    id: Named[UUID] = SqlColumn(Uuid, primary_key=True, server_default=text("uuidv7()"))
    name: Named[str] = SqlColumn(Text)
    locale: Named[str] = SqlColumn(Text)
    time_zone: Named[str] = SqlColumn(Text)
    phone_region: Named[str] = SqlColumn(Text)
    created_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())
    updated_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())
    version: Named[int] = SqlColumn(server_default=text("1"))


workspace = Table("workspace", metadata, WorkspaceColumns)


class MemberColumns(TypedColumns):
    workspace_id: Named[UUID] = SqlColumn(Uuid, primary_key=True)
    user_id: Named[UUID] = SqlColumn(Uuid, primary_key=True)
    role: Named[str] = SqlColumn(Text)
    joined_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())


member = Table(
    "member",
    metadata,
    MemberColumns,
    workspace_key(),
    ForeignKeyConstraint(["user_id"], ["app_user.id"], ondelete="CASCADE"),
    CheckConstraint("role IN ('OWNER', 'ADMIN', 'MEMBER', 'VIEWER')", name="role"),
    Index(None, "user_id"),
)


class SessionColumns(TypedColumns):
    """One row is a whole family of refresh tokens: any of them has `family_hash`, the live one
    `token_hash`.
    """

    id: Named[UUID] = SqlColumn(Uuid, primary_key=True, server_default=text("uuidv7()"))
    user_id: Named[UUID] = SqlColumn(Uuid)
    workspace_id: Named[UUID] = SqlColumn(Uuid)
    client: Named[str] = SqlColumn(Text)
    family_hash: Named[bytes] = SqlColumn(LargeBinary)
    token_hash: Named[bytes] = SqlColumn(LargeBinary)
    prev_hash: Named[bytes | None] = SqlColumn(LargeBinary)
    rotated_at: Named[datetime | None] = SqlColumn(DateTime(timezone=True))
    expires_at: Named[datetime] = SqlColumn(DateTime(timezone=True))
    revoked_at: Named[datetime | None] = SqlColumn(DateTime(timezone=True))
    user_agent: Named[str] = SqlColumn(Text)
    ip_prefix: Named[str] = SqlColumn(Text)
    created_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())
    last_used_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())


session = Table(
    "session",
    metadata,
    SessionColumns,
    workspace_key(),
    ForeignKeyConstraint(["user_id"], ["app_user.id"], ondelete="CASCADE"),
    UniqueConstraint("family_hash"),
    Index(None, "user_id", "workspace_id"),
    Index(None, "expires_at"),
)


class RevocationColumns(TypedColumns):
    """What makes access tokens void before they expire. No foreign keys: it outlives what it is about."""

    id: Named[UUID] = SqlColumn(Uuid, primary_key=True, server_default=text("uuidv7()"))
    kind: Named[str] = SqlColumn(Text)
    session_id: Named[UUID | None] = SqlColumn(Uuid)
    user_id: Named[UUID | None] = SqlColumn(Uuid)
    workspace_id: Named[UUID | None] = SqlColumn(Uuid)
    at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())


revocation = Table(
    "revocation",
    metadata,
    RevocationColumns,
    CheckConstraint("kind IN ('SESSION', 'MEMBER', 'USER')", name="kind"),
    Index(None, "at"),
)


class LoginAttemptColumns(TypedColumns):
    """Recent attempts under one key (a hash of an e-mail or of an IP prefix): its row lock makes counting
    exact.
    """

    key: Named[bytes] = SqlColumn(LargeBinary, primary_key=True)
    attempts: Named[Sequence[datetime]] = SqlColumn(ARRAY(DateTime(timezone=True)))
    last_at: Named[datetime] = SqlColumn(DateTime(timezone=True))


login_attempt = Table("login_attempt", metadata, LoginAttemptColumns, Index(None, "last_at"))
