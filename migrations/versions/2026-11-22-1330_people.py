"""Invitations, API keys, the audit log, system mail, and what reacts to the feed.

A lead's owner and a conversation's assignee are no longer cleared by a foreign key, silently and all at once: a
reaction to `member.changed` does it, and the feed tells of it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from app.common.migrations import protect

revision = "0007"
down_revision = "0006"

NOW = sa.text("now()")
NEW_ID = sa.text("uuidv7()")
ROLES = "role IN ('OWNER', 'ADMIN', 'MEMBER', 'VIEWER')"
MEMBER_KEYS = (("lead", "owner_id"), ("import_job", "owner_id"), ("conversation", "assignee_id"))
NEW_TABLES = ("reaction_failure", "feed_consumer", "system_mail", "audit_event", "api_key", "invitation")


def upgrade() -> None:
    op.add_column("app_user", sa.Column("reset_hash", sa.LargeBinary))
    op.add_column("app_user", sa.Column("reset_expires_at", sa.DateTime(timezone=True)))
    create_invitations()
    create_api_keys()
    create_audit()
    create_system_mail()
    create_reactions()
    # What the tenant's door may do in the transaction that takes somebody's rights away.
    protect("revocation", grants="INSERT")
    protect("session", grants="SELECT (id, user_id, workspace_id, client, revoked_at), UPDATE (revoked_at)")
    for table, column in MEMBER_KEYS:
        op.execute(
            "-- squawk-ignore ban-drop-constraint\n"  # what it saw to, the reaction sees to
            f"ALTER TABLE {table} DROP CONSTRAINT fk_{table}_workspace_id_{column}"
        )


def downgrade() -> None:
    """The keys to member come back unchecked: a reaction that is under way may have left an owner who is gone."""
    for table, column in MEMBER_KEYS:
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT fk_{table}_workspace_id_{column} "
            f"FOREIGN KEY (workspace_id, {column}) REFERENCES member (workspace_id, user_id) "
            f"ON DELETE SET NULL ({column}) NOT VALID"
        )
    for table in ("session", "revocation"):
        for policy in ("tenant", "system"):
            op.execute(f"DROP POLICY {policy} ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"REVOKE ALL ON {table} FROM sp_app")
    op.execute("REVOKE SELECT (id, user_id, workspace_id, client, revoked_at) ON session FROM sp_app")
    op.execute("REVOKE UPDATE (revoked_at) ON session FROM sp_app")
    for table in NEW_TABLES:
        op.drop_table(table)
    op.drop_column("app_user", "reset_expires_at")
    op.drop_column("app_user", "reset_hash")


def create_invitations() -> None:
    op.create_table(
        "invitation",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("invited_by", sa.Uuid, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_invitation"),
        workspace_key("invitation"),
        user_key("invitation", "invited_by"),
        sa.UniqueConstraint("workspace_id", "email", name="uq_invitation_workspace_id_email"),
        sa.UniqueConstraint("token_hash", name="uq_invitation_token_hash"),
        sa.CheckConstraint(ROLES, name=op.f("ck_invitation_role")),
    )
    readable = "workspace_id, id, email, role, invited_by, expires_at, created_at"
    protect("invitation", grants=f"SELECT ({readable}), INSERT, UPDATE, DELETE")


def create_api_keys() -> None:
    op.create_table(
        "api_key",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("last_four", sa.Text, nullable=False),
        sa.Column("created_by", sa.Uuid, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_api_key"),
        workspace_key("api_key"),
        user_key("api_key", "created_by"),
        sa.UniqueConstraint("secret_hash", name="uq_api_key_secret_hash"),
        sa.CheckConstraint(ROLES, name=op.f("ck_api_key_role")),
    )
    readable = "workspace_id, id, name, role, last_four, created_by, created_at, last_used_at, revoked_at"
    protect("api_key", grants=f"SELECT ({readable}), INSERT, UPDATE (revoked_at)")


def create_audit() -> None:
    op.create_table(
        "audit_event",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("object_id", sa.Uuid),
        sa.Column("actor_id", sa.Uuid),
        sa.Column("client", sa.Text),
        sa.Column("session_id", sa.Uuid),
        sa.Column("ip_prefix", sa.Text, nullable=False),
        sa.Column("before", JSONB, nullable=False),
        sa.Column("after", JSONB, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_audit_event"),
        workspace_key("audit_event"),
    )
    protect("audit_event", grants="SELECT, INSERT")
    op.execute("REVOKE UPDATE, DELETE ON audit_event FROM sp_system")


def create_system_mail() -> None:
    op.create_table(
        "system_mail",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("attempt", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("token", sa.Uuid),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_system_mail"),
        sa.CheckConstraint(
            "status IN ('queued', 'sending', 'sent', 'failed')", name=op.f("ck_system_mail_status")
        ),
    )
    where_due, where_held = sa.text("status = 'queued'"), sa.text("status = 'sending'")
    op.create_index("ix_system_mail_due", "system_mail", ["run_at", "id"], postgresql_where=where_due)
    op.create_index("ix_system_mail_lease", "system_mail", ["lease_until"], postgresql_where=where_held)
    op.create_index("ix_system_mail_created_at", "system_mail", ["created_at"])
    protect("system_mail", grants="SELECT (workspace_id, id, kind, status, created_at), INSERT")


def create_reactions() -> None:
    op.create_table(
        "feed_consumer",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("failures", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "consumer", name="pk_feed_consumer"),
        workspace_key("feed_consumer"),
    )
    op.create_table(
        "reaction_failure",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("error_id", sa.Text, nullable=False),
        sa.Column("error_type", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "consumer", "seq", name="pk_reaction_failure"),
        workspace_key("reaction_failure"),
    )
    for table in ("feed_consumer", "reaction_failure"):
        protect(table)


def workspace_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id"], ["workspace.id"], name=f"fk_{table}_workspace_id", ondelete="CASCADE"
    )


def user_key(table: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], ["app_user.id"], name=f"fk_{table}_{column}", ondelete="CASCADE")
