"""Running Alembic's migrations, and the helpers that migrations are written with.

Every tenant table goes through `protect`: row-level security, forced, with one policy for sp_app (its own workspace)
and one for sp_system (all). Migrations run as the owner, who needs CREATEDB and CREATEROLE and nothing more
(security.md 3.2); under FORCE the owner itself sees no rows, so data is touched under `as_system`, and a foreign key
over existing rows goes through `add_tenant_key`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.common.database import asyncpg_url

ROOT = Path(__file__).resolve().parents[2] / "migrations"
LOCK_KEY = 7_283_345
TENANT = "nullif(current_setting('app.workspace_id', true), '')::uuid"


def alembic_config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(ROOT))
    config.set_main_option(
        "file_template", "%%(year)d-%%(month).2d-%%(day).2d-%%(hour).2d%%(minute).2d_%%(slug)s"
    )
    config.attributes["database_url"] = asyncpg_url(database_url)
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Brings the database up to `revision`. Two at once wait for each other; done already, it does nothing."""
    command.upgrade(alembic_config(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    command.downgrade(alembic_config(database_url), revision)


def head_revision() -> str:
    """What Alembic says; the API asks `common/revision.py`, which is 0.3 s faster to import."""
    head = ScriptDirectory(str(ROOT)).get_current_head()
    assert head is not None
    return head


def create_roles() -> None:
    """sp_app and sp_system, NOLOGIN; the owner may SET them and inherits nothing from them."""
    for role in ("sp_app", "sp_system"):
        op.execute(
            f"""
            DO $$ BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} NOLOGIN; END IF;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- two clusters' databases migrate at once
            END $$
            """
        )
    op.execute("GRANT sp_app, sp_system TO CURRENT_USER WITH INHERIT FALSE, SET TRUE")
    op.execute("GRANT USAGE ON SCHEMA public TO sp_app, sp_system")
    op.execute(
        "DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO sp_app', current_database()); END $$"
    )


def protect(
    table: str, *, column: str = "workspace_id", grants: str = "SELECT, INSERT, UPDATE, DELETE"
) -> None:
    """The tenant wall of one table. `grants` is what sp_app may; sp_system may do everything."""
    protect_by(table, f"{column} = (SELECT {TENANT})", grants=grants)


def protect_by(table: str, condition: str, *, grants: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """As `protect`, for a table whose tenant follows from another one (a user by their membership)."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON {table} TO sp_app USING ({condition}) WITH CHECK ({condition})")
    op.execute(f"CREATE POLICY system ON {table} TO sp_system USING (true) WITH CHECK (true)")
    op.execute(f"GRANT {grants} ON {table} TO sp_app")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO sp_system")


def system_only(table: str) -> None:
    """A table without a tenant that sp_app may not even see (sessions, login attempts)."""
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO sp_system")


@contextmanager
def as_system() -> Iterator[None]:
    """Statements inside see all rows (the owner itself sees none under FORCE): check their row counts."""
    op.execute("SET LOCAL ROLE sp_system")
    yield
    op.execute("RESET ROLE")


def add_tenant_key(
    table: str, columns: Sequence[str], referenced: str, referenced_columns: Sequence[str]
) -> None:
    """A foreign key over tables with rows, validated with FORCE off: under it PostgreSQL sees no row to refuse."""
    names = [table] if table == referenced else [table, referenced]
    for name in names:
        op.execute(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY")
    op.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT fk_{table}_{'_'.join(columns)} FOREIGN KEY ({', '.join(columns)}) "
        f"REFERENCES {referenced} ({', '.join(referenced_columns)})"
    )
    for name in names:
        op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
