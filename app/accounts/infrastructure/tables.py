"""Tables of accounts. What belongs to a workspace has it in its key: people and sessions come before the tenant."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Named,
    Table,
    Text,
    Time,
    TypedColumns,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy import Column as SqlColumn

from app.common.database import JsonObject, metadata, workspace_key
from app.common.leases import DueTable, LeasedColumns


class AppUserColumns(TypedColumns):
    id: Named[UUID] = SqlColumn(Uuid, primary_key=True, server_default=text("uuidv7()"))
    name: Named[str] = SqlColumn(Text)
    email: Named[str] = SqlColumn(Text)
    """Normalised and lower-cased (`domain/user.py::clean_email`)."""
    password_hash: Named[str] = SqlColumn(Text)
    reset_hash: Named[bytes | None] = SqlColumn(LargeBinary)
    """Of the one reset token that is good, with the moment until which it is."""
    reset_expires_at: Named[datetime | None] = SqlColumn(DateTime(timezone=True))
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
    quiet_from: Named[time | None] = SqlColumn(Time)
    quiet_to: Named[time | None] = SqlColumn(Time)
    """Between the two nothing is sent in bulk, in the lead's zone; it may span midnight. None: no such hours."""
    quiet_weekdays: Named[Sequence[int] | None] = SqlColumn(ARRAY(Integer))
    """ISO weekdays on which sending is allowed."""
    quiet_changed_at: Named[datetime | None] = SqlColumn(DateTime(timezone=True))
    """When the hours, or the zone that they are in, changed last."""
    quiet_look_at: Named[datetime | None] = SqlColumn(DateTime(timezone=True))
    """When a worker is to look at what waits for their end; None: that was done since they changed."""
    created_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())
    updated_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())
    version: Named[int] = SqlColumn(server_default=text("1"))


workspace = Table(
    "workspace",
    metadata,
    WorkspaceColumns,
    Index("ix_workspace_quiet_look", "quiet_look_at", postgresql_where=text("quiet_look_at IS NOT NULL")),
)


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


class InvitationColumns(TypedColumns):
    """One for an address in a workspace: inviting again renews it. Gone once it is accepted or revoked."""

    workspace_id: Named[UUID] = SqlColumn(Uuid, primary_key=True)
    id: Named[UUID] = SqlColumn(Uuid, primary_key=True, server_default=text("uuidv7()"))
    email: Named[str] = SqlColumn(Text)
    role: Named[str] = SqlColumn(Text)
    token_hash: Named[bytes] = SqlColumn(LargeBinary)
    invited_by: Named[UUID] = SqlColumn(Uuid)
    expires_at: Named[datetime] = SqlColumn(DateTime(timezone=True))
    created_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())


invitation = Table(
    "invitation",
    metadata,
    InvitationColumns,
    workspace_key(),
    ForeignKeyConstraint(["invited_by"], ["app_user.id"], ondelete="CASCADE"),
    UniqueConstraint("workspace_id", "email"),
    UniqueConstraint("token_hash"),
    CheckConstraint("role IN ('OWNER', 'ADMIN', 'MEMBER', 'VIEWER')", name="role"),
)


class ApiKeyColumns(TypedColumns):
    """What it may is the lesser of its own role and of that of who made it, and nothing once they are no member."""

    workspace_id: Named[UUID] = SqlColumn(Uuid, primary_key=True)
    id: Named[UUID] = SqlColumn(Uuid, primary_key=True, server_default=text("uuidv7()"))
    name: Named[str] = SqlColumn(Text)
    role: Named[str] = SqlColumn(Text)
    secret_hash: Named[bytes] = SqlColumn(LargeBinary)
    last_four: Named[str] = SqlColumn(Text)
    created_by: Named[UUID] = SqlColumn(Uuid)
    created_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())
    last_used_at: Named[datetime | None] = SqlColumn(DateTime(timezone=True))
    """Written once a minute at most."""
    revoked_at: Named[datetime | None] = SqlColumn(DateTime(timezone=True))


api_key = Table(
    "api_key",
    metadata,
    ApiKeyColumns,
    workspace_key(),
    ForeignKeyConstraint(["created_by"], ["app_user.id"], ondelete="CASCADE"),
    UniqueConstraint("secret_hash"),
    CheckConstraint("role IN ('OWNER', 'ADMIN', 'MEMBER', 'VIEWER')", name="role"),
)


class AuditEventColumns(TypedColumns):
    """Who did what, written in the transaction that did it. Nobody may change or delete a row. `before` and `after`
    hold ids, enum values and numbers only: never the value of an identifier nor a text a person wrote.
    """

    workspace_id: Named[UUID] = SqlColumn(Uuid, primary_key=True)
    id: Named[UUID] = SqlColumn(Uuid, primary_key=True, server_default=text("uuidv7()"))
    action: Named[str] = SqlColumn(Text)
    object_id: Named[UUID | None] = SqlColumn(Uuid)
    actor_id: Named[UUID | None] = SqlColumn(Uuid)
    client: Named[str | None] = SqlColumn(Text)
    session_id: Named[UUID | None] = SqlColumn(Uuid)
    """The session, or the API key."""
    ip_prefix: Named[str] = SqlColumn(Text)
    before: Named[Mapping[str, object]] = SqlColumn(JsonObject)
    after: Named[Mapping[str, object]] = SqlColumn(JsonObject)
    at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())


audit_event = Table("audit_event", metadata, AuditEventColumns, workspace_key())


class SystemMailColumns(LeasedColumns):
    """A mail of SalesPad's own, to go out. `sealed` is what it says and to whom, encrypted, and emptied once it is
    sent or given up.
    """

    workspace_id: Named[UUID] = SqlColumn(Uuid, primary_key=True)
    """Whose it is; the nil UUID where it concerns a person and no workspace."""
    id: Named[UUID] = SqlColumn(Uuid, primary_key=True, server_default=text("uuidv7()"))
    kind: Named[str] = SqlColumn(Text)
    sealed: Named[bytes | None] = SqlColumn(LargeBinary)
    created_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())


WAITING, SENDING = "queued", "sending"
system_mail = Table(
    "system_mail",
    metadata,
    SystemMailColumns,
    CheckConstraint("status IN ('queued', 'sending', 'sent', 'failed')", name="status"),
    *DueTable.indexes("system_mail", WAITING, SENDING),
    Index(None, "created_at"),
)
system_mails = DueTable(system_mail, waiting=WAITING, held=SENDING)
