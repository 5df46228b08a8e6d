"""The whole lead: search, order, board, history, merges, suppression of a person, erasure, changes to many.

A lead's name key and lexemes are generated: no way of writing a lead can forget them. Each lexeme begins with the
last 8 hex digits of its workspace's id, as a message's does (0006); a phone number is found by its ends as well, which
people know it by. The table is rewritten once, under its lock, by the generated columns; its indexes are built beside.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from app.common.migrations import TENANT, as_system, protect

revision = "0008"
down_revision = "0007"

NOW = sa.text("now()")
NEW_ID = sa.text("uuidv7()")
NEW_TABLES = ("stage_change", "erased_identity", "bulk_change", "merge", "merge_journal")

# Marks on letters go, as in `app.common.domain.folded`; both sides of a search are folded here.
FOLDED = """
CREATE FUNCTION folded(given text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN normalize(regexp_replace(
    normalize(casefold(given COLLATE "pg_unicode_fast"), NFKD),
    '[\\u0300-\\u036f\\u0483-\\u0489\\u0591-\\u05bd\\u064b-\\u065f\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\ufe20-\\ufe2f]+',
    '', 'g'
), NFC)
"""
LEAD_LEXEMES = """
CREATE FUNCTION lead_lexemes(workspace_id uuid, name text, company text, title text, handles text[]) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_to_tsvector(array(
    SELECT right(workspace_id::text, 8) || left(word, 100)
    FROM (
        SELECT unnest(regexp_split_to_array(
            folded(concat_ws(' ', name, company, title, array_to_string(handles, ' '))), '[\\W_]+'
        )) AS word
        UNION
        SELECT right(number, size)
        FROM unnest(handles) AS number, unnest(array[4, 7, 8, 9, 10, 11]) AS size
        WHERE number ~ '^\\+[0-9]+$' AND length(number) > size + 1
    ) AS found
    WHERE word <> ''
))
"""
LEAD_QUERY = """
CREATE FUNCTION lead_query(workspace_id uuid, terms text[]) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT string_agg(quote_literal(right(workspace_id::text, 8) || left(word, 100)) || ':*', ' & ')::tsquery
    FROM unnest(terms) AS term, unnest(regexp_split_to_array(folded(term), '[\\W_]+')) AS word
    WHERE word <> ''
)
"""
SEARCHED_LEAD = """
CREATE VIEW searched_lead AS
SELECT workspace_id, id, created_at, name_key, email, phone, stage_id, owner_id, source, score, last_touch_at,
    deleted_at, merged_into_id, lexemes
FROM public.lead WHERE workspace_id = <tenant>
"""
KEYS = {
    "company": "folded(company)",
    "phone": "right(phone, 8)",
    "email": "nullif(replace(split_part(split_part(email, '@', 1), '+', 1), '.', ''), '')",
}
"""What two leads of one name have alike where they may be one person."""


def upgrade() -> None:
    for function in (FOLDED, LEAD_LEXEMES, LEAD_QUERY):
        op.execute(function)
    widen_leads()
    index_leads()
    widen_others()
    create_history()
    create_bulk_changes()
    create_merges()
    for table in NEW_TABLES:
        protect(table)
    create_search()


def downgrade() -> None:
    with as_system():
        op.execute("DROP VIEW searched_lead")
        # A deleted lead's identities were free: they cannot all come back under one key.
        op.execute("DELETE FROM lead_identity WHERE released_at IS NOT NULL")
        op.execute("DELETE FROM suppression WHERE lead_id IS NOT NULL")
    for table in reversed(NEW_TABLES):
        op.drop_table(table)
    op.drop_column("import_job", "basis")
    op.drop_column("suppression", "lead_id")
    op.drop_index("ix_suppression_newest", "suppression")
    op.drop_column("interaction", "mentions")
    op.drop_index("uq_lead_identity_primary", "lead_identity")
    op.drop_column("lead_identity", "released_at")
    op.create_unique_constraint(
        "uq_lead_identity_workspace_id_kind_value", "lead_identity", ["workspace_id", "kind", "value"]
    )
    for column in (
        *(f"{key}_key" for key in KEYS),
        "lexemes",
        "name_key",
        "handles",
        "basis",
        "merged_into_id",
        "lost_reason",
        "stage_entered_at",
    ):
        op.drop_column("lead", column)
    for index in ("score", "touch", "owner", "deleted", "board"):
        op.drop_index(f"ix_lead_{index}", "lead")
    op.execute('ALTER TABLE lead ALTER COLUMN rank TYPE text COLLATE "default"')
    op.create_index(
        "ix_lead_stage",
        "lead",
        ["workspace_id", "stage_id", "rank"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    for function in (
        "lead_query(uuid, text[])",
        "lead_lexemes(uuid, text, text, text, text[])",
        "folded(text)",
    ):
        op.execute(f"DROP FUNCTION {function}")


def widen_leads() -> None:
    op.execute("ALTER TABLE lead ADD COLUMN handles text[] NOT NULL DEFAULT '{}'")
    op.execute("ALTER TABLE lead_identity ADD COLUMN released_at timestamptz")
    with as_system():
        op.execute(
            """
            UPDATE lead SET handles = array(
                SELECT value FROM lead_identity i
                WHERE i.workspace_id = lead.workspace_id AND i.lead_id = lead.id ORDER BY kind, value
            )
            """
        )
    keys = "".join(
        f"""
            -- squawk-ignore adding-field-with-default
            ADD COLUMN {name}_key text COLLATE "C" GENERATED ALWAYS AS ({made}) STORED,"""
        for name, made in KEYS.items()
    )
    op.execute(
        f"""
        ALTER TABLE lead
            -- squawk-ignore changing-column-type
            ALTER COLUMN rank TYPE text COLLATE "C",
            ADD COLUMN stage_entered_at timestamptz,
            ADD COLUMN lost_reason text,
            ADD COLUMN basis text,
            ADD COLUMN merged_into_id uuid,{keys}
            -- squawk-ignore adding-field-with-default
            ADD COLUMN name_key text COLLATE "C" GENERATED ALWAYS AS (folded(name)) STORED NOT NULL,
            -- squawk-ignore adding-field-with-default
            ADD lexemes tsvector GENERATED ALWAYS AS (lead_lexemes(workspace_id, name, company, title, handles)) STORED
        """
    )


INDEXES = {
    "ix_lead_board": "lead (workspace_id, stage_id, rank, id) WHERE deleted_at IS NULL",
    "ix_lead_name": "lead (workspace_id, name_key, id) WHERE deleted_at IS NULL",
    "ix_lead_score": "lead (workspace_id, score DESC, id DESC) WHERE deleted_at IS NULL",
    "ix_lead_touch": (
        "lead (workspace_id, (CASE WHEN last_touch_at IS NULL THEN 'epoch'::timestamptz ELSE last_touch_at END) DESC,"
        " id DESC) WHERE deleted_at IS NULL"
    ),
    "ix_lead_owner": "lead (workspace_id, owner_id, created_at DESC, id DESC) WHERE deleted_at IS NULL",
    "ix_lead_deleted": "lead (workspace_id, deleted_at DESC, id DESC) WHERE deleted_at IS NOT NULL",
    "ix_lead_merged": "lead (workspace_id, merged_into_id) WHERE merged_into_id IS NOT NULL",
    **{
        f"ix_lead_same_{key}": (
            f"lead (workspace_id, name_key, {key}_key) WHERE deleted_at IS NULL AND {key}_key IS NOT NULL"
        )
        for key in KEYS
    },
    # A search reads all that is still pending: kept short.
    "ix_lead_lexemes": "lead USING gin (lexemes) WITH (gin_pending_list_limit = 256)",
    "ix_suppression_newest": "suppression (workspace_id, created_at DESC, id DESC)",
    "ix_suppression_lead": "suppression (workspace_id, lead_id) WHERE lead_id IS NOT NULL",
}


def create_index(name: str, what: str, unique: str = "") -> None:
    """The table is locked by its rewriting anyway: what is built beside it in the same transaction adds no wait."""
    op.execute(f"-- squawk-ignore require-concurrent-index-creation\nCREATE {unique} INDEX {name} ON {what}")


def index_leads() -> None:
    op.execute("-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX ix_lead_stage")
    op.execute(
        "-- squawk-ignore ban-drop-constraint\n"  # its place is taken by an index that leaves deleted leads out
        "ALTER TABLE lead_identity DROP CONSTRAINT uq_lead_identity_workspace_id_kind_value"
    )
    create_index(
        "uq_lead_identity_live",
        "lead_identity (workspace_id, kind, value) WHERE released_at IS NULL",
        unique="UNIQUE",
    )
    create_index(
        "uq_lead_identity_primary",
        "lead_identity (workspace_id, lead_id, kind) WHERE is_primary",
        unique="UNIQUE",
    )


def widen_others() -> None:
    op.execute("ALTER TABLE interaction ADD COLUMN mentions uuid[] NOT NULL DEFAULT '{}'")
    op.add_column("suppression", sa.Column("lead_id", sa.Uuid))
    op.add_column("import_job", sa.Column("basis", sa.Text))
    for name, what in INDEXES.items():
        create_index(name, what)
    keys = {"lead": ("merged_into_id", "lead"), "suppression": ("lead_id", "lead")}
    for table, (column, referenced) in keys.items():
        # No row has a value yet: there is nothing to validate.
        op.execute(
            "-- squawk-ignore adding-foreign-key-constraint, constraint-missing-not-valid\n"
            f"ALTER TABLE {table} ADD CONSTRAINT fk_{table}_workspace_id_{column} "
            f"FOREIGN KEY (workspace_id, {column}) REFERENCES {referenced} (workspace_id, id) ON DELETE CASCADE"
        )


def tenant_key(table: str, column: str, referenced: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id", column],
        [f"{referenced}.workspace_id", f"{referenced}.id"],
        name=f"fk_{table}_workspace_id_{column}",
        ondelete="CASCADE",
    )


def user_key(table: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], ["app_user.id"], name=f"fk_{table}_{column}", ondelete="SET NULL"
    )


def workspace_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id"], ["workspace.id"], name=f"fk_{table}_workspace_id", ondelete="CASCADE"
    )


def create_history() -> None:
    op.create_table(
        "stage_change",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("lead_id", sa.Uuid, nullable=False),
        sa.Column("from_stage_id", sa.Uuid, nullable=False),
        sa.Column("from_name", sa.Text, nullable=False),
        sa.Column("to_stage_id", sa.Uuid, nullable=False),
        sa.Column("to_name", sa.Text, nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("actor_id", sa.Uuid),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("cause", sa.Text),
        sa.Column("lost_reason", sa.Text),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_stage_change"),
        tenant_key("stage_change", "lead_id", "lead"),
        user_key("stage_change", "actor_id"),
    )
    op.create_index(
        "ix_stage_change_lead",
        "stage_change",
        ["workspace_id", "lead_id", sa.text("left_at DESC"), sa.text("id DESC")],
    )
    op.create_table(
        "erased_identity",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "hash", name="pk_erased_identity"),
        workspace_key("erased_identity"),
    )


def create_bulk_changes() -> None:
    op.create_table(
        "bulk_change",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("attempt", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("token", sa.Uuid),
        sa.Column("error", sa.Text),
        sa.Column("filter", JSONB),
        sa.Column("change", JSONB, nullable=False),
        sa.Column("created_by", sa.Uuid),
        sa.Column("total", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("done", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("changed", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("after_id", sa.Uuid),
        sa.Column("progress_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_bulk_change"),
        workspace_key("bulk_change"),
        user_key("bulk_change", "created_by"),
    )
    op.create_index(
        "ix_bulk_change_due", "bulk_change", ["run_at", "id"], postgresql_where=sa.text("status = 'QUEUED'")
    )
    op.create_index(
        "ix_bulk_change_lease", "bulk_change", ["lease_until"], postgresql_where=sa.text("status = 'RUNNING'")
    )


def create_merges() -> None:
    op.create_table(
        "merge",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("kept_id", sa.Uuid, nullable=False),
        sa.Column("merged_ids", sa.ARRAY(sa.Uuid), nullable=False),
        sa.Column("created_by", sa.Uuid),
        sa.Column("undone_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_merge"),
        tenant_key("merge", "kept_id", "lead"),
        user_key("merge", "created_by"),
    )
    op.create_index("ix_merge_kept", "merge", ["workspace_id", "kept_id"])
    op.create_table(
        "merge_journal",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("merge_id", sa.Uuid, nullable=False),
        sa.Column("n", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("table_name", sa.Text, nullable=False),
        sa.Column("before", JSONB),
        sa.Column("key", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "merge_id", "n", name="pk_merge_journal"),
        tenant_key("merge_journal", "merge_id", "merge"),
    )


def create_search() -> None:
    """Under row-level security PostgreSQL would not use the index: `@@` might tell of another's rows by an error, which
    it does not. The view is its owner's, who may see all, and holds the tenant's condition itself (0019)."""
    op.execute("GRANT CREATE ON SCHEMA public TO sp_system")
    op.execute("SET LOCAL ROLE sp_system")
    op.execute(SEARCHED_LEAD.replace("<tenant>", TENANT))
    op.execute("GRANT SELECT ON searched_lead TO sp_app")
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA public FROM sp_system")
