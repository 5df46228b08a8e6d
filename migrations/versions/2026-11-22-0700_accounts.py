"""Users, workspaces, members, sessions; the feed and the idempotency keys every module stands on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from app.common.migrations import TENANT, create_roles, protect, protect_by, system_only

revision = "0001"
down_revision = None

NOW = sa.func.now()
ID = sa.text("uuidv7()")


def upgrade() -> None:
    create_roles()
    op.execute("GRANT SELECT ON alembic_version TO sp_app, sp_system")
    create_people()
    create_sessions()
    create_common()

    shared = f"member.user_id = app_user.id AND member.workspace_id = (SELECT {TENANT})"
    # Column grants: sp_app can never read a password's hash.
    protect_by(
        "app_user", f"EXISTS (SELECT FROM member WHERE {shared})", grants="SELECT (id, name, email, locale)"
    )
    protect("workspace", column="id", grants="SELECT, UPDATE")
    for table in ("member", "idempotency", "feed_head", "feed_event"):
        protect(table)
    for table in ("session", "revocation", "login_attempt"):
        system_only(table)


def downgrade() -> None:
    """The roles stay: they belong to the cluster, and other databases in it may use them."""
    for table in (
        "login_attempt",
        "revocation",
        "session",
        "feed_event",
        "feed_head",
        "idempotency",
        "app_user",  # its policy reads member, so it goes first, its keys with it
        "member",
        "workspace",
    ):
        op.execute(f"DROP TABLE {table} CASCADE")


def create_people() -> None:
    op.create_table(
        "app_user",
        sa.Column("id", sa.Uuid, server_default=ID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_app_user"),
        sa.UniqueConstraint("email", name="uq_app_user_email"),
    )
    op.create_table(
        "workspace",
        sa.Column("id", sa.Uuid, server_default=ID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("phone_region", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("version", sa.Integer, server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workspace"),
    )
    op.create_table(
        "member",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", name="pk_member"),
        workspace_key("member"),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name="fk_member_user_id", ondelete="CASCADE"),
        sa.CheckConstraint("role IN ('OWNER', 'ADMIN', 'MEMBER', 'VIEWER')", name=op.f("ck_member_role")),
    )
    op.create_index("ix_member_user_id", "member", ["user_id"])


def create_sessions() -> None:
    op.create_table(
        "session",
        sa.Column("id", sa.Uuid, server_default=ID, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("family_hash", sa.LargeBinary, nullable=False),
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("prev_hash", sa.LargeBinary),
        sa.Column("rotated_at", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("ip_prefix", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_session"),
        workspace_key("session"),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name="fk_session_user_id", ondelete="CASCADE"),
        sa.UniqueConstraint("family_hash", name="uq_session_family_hash"),
    )
    op.create_index("ix_session_user_id_workspace_id", "session", ["user_id", "workspace_id"])
    op.create_index("ix_session_expires_at", "session", ["expires_at"])
    op.create_table(
        "revocation",
        sa.Column("id", sa.Uuid, server_default=ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("session_id", sa.Uuid),
        sa.Column("user_id", sa.Uuid),
        sa.Column("workspace_id", sa.Uuid),
        sa.Column("at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revocation"),
        sa.CheckConstraint("kind IN ('SESSION', 'MEMBER', 'USER')", name=op.f("ck_revocation_kind")),
    )
    op.create_index("ix_revocation_at", "revocation", ["at"])
    op.create_table(
        "login_attempt",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("attempts", sa.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_login_attempt"),
    )
    op.create_index("ix_login_attempt_last_at", "login_attempt", ["last_at"])


def create_common() -> None:
    op.create_table(
        "idempotency",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("request_hash", sa.LargeBinary, nullable=False),
        sa.Column("entity_id", sa.Uuid),
        sa.Column("at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "key", name="pk_idempotency"),
        workspace_key("idempotency"),
    )
    op.create_table(
        "feed_head",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("seq", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("floor", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name="pk_feed_head"),
        workspace_key("feed_head"),
    )
    op.create_table(
        "feed_event",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("entity_ids", sa.ARRAY(sa.Uuid), nullable=False),
        sa.Column("changed", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("before", JSONB, nullable=False),
        sa.Column("after", JSONB, nullable=False),
        sa.Column("actor", sa.Uuid),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("cause_seq", sa.BigInteger),
        sa.Column("depth", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "seq", name="pk_feed_event"),
        workspace_key("feed_event"),
        sa.CheckConstraint("cardinality(entity_ids) <= 1000", name=op.f("ck_feed_event_entity_ids_max")),
    )
    op.create_index("ix_feed_event_at", "feed_event", ["at"])
    op.create_index("ix_idempotency_at", "idempotency", ["at"])


def workspace_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id"], ["workspace.id"], name=f"fk_{table}_workspace_id", ondelete="CASCADE"
    )
