"""The migrations: from nothing to head as a plain owner, down and up again, two at once, and what they say of locks.

On a cluster of this file's own: roles belong to the cluster, and here nobody made sp_app before the first migration.
"""

import asyncio
import io
import pkgutil
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import CheckConstraint, Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

import app
from app.common.database import asyncpg_url, metadata
from app.common.migrations import ROOT, add_tenant_key, alembic_config, downgrade, head_revision, upgrade
from app.embedded.access import Database
from app.embedded.backup import execute, query
from app.embedded.privileges import find_binaries
from app.embedded.testing import private_servers

Answer = TypeVar("Answer")
FILE_NAME = re.compile(r"\d{4}-\d{2}-\d{2}-\d{4}_[a-z0-9_]+\.py")
SQUAWK = Path(sys.executable).with_name("squawk")
UPGRADE = "import sys; from app.common.migrations import upgrade; upgrade(sys.argv[1])"
REVISIONS: list[Script] = list(ScriptDirectory(str(ROOT)).walk_revisions())[::-1]

EXCUSED_LINTS = {
    "prefer-bigint-over-int": "versions, positions, rows and attempts fit into 32 bits",
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The owner's address in a cluster where nothing was migrated yet."""
    with private_servers() as environment:
        yield environment["SALESPAD_DATABASE_URL"]


@pytest.fixture
def empty(server: str) -> str:
    """A new database's address."""
    name = f"migrations_{secrets.token_hex(4)}"
    query(Database(server, find_binaries()), f"CREATE DATABASE {name};")
    return urlsplit(server)._replace(path=f"/{name}").geturl()


@pytest.fixture
def migrated(empty: str) -> str:
    upgrade(empty)
    return empty


def ask(url: str, question: Callable[[Connection], Answer]) -> Answer:
    """As the owner, committed."""

    async def run() -> Answer:
        engine = create_async_engine(asyncpg_url(url))
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(question)
        finally:
            await engine.dispose()

    return asyncio.run(run())


def rows(url: str, sql: str) -> list[Any]:
    return ask(url, lambda connection: list(connection.execute(text(sql))))


def dump(url: str) -> str:
    """The whole schema: tables, policies, grants, functions."""
    database = Database(url, find_binaries())
    dumped = execute(database, "pg_dump", "--schema-only", "--schema=public", "-d", database.address)
    return "\n".join(
        line for line in dumped.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))
    )


def import_all_tables() -> None:
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


def test_up_from_nothing_as_an_owner_who_may_only_make_databases_and_roles(server: str, empty: str) -> None:
    before = rows(empty, "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname LIKE 'sp\\_%'")
    upgrade(empty)
    after = rows(
        empty,
        "SELECT rolname, rolsuper, rolbypassrls, rolcanlogin, rolcreaterole, rolcreatedb FROM pg_roles "
        "WHERE rolname LIKE 'sp\\_%' ORDER BY rolname",
    )
    assert ("sp_owner", False, False) in [tuple(row) for row in before]
    assert [tuple(row) for row in after] == [
        ("sp_app", False, False, False, False, False),
        ("sp_owner", False, False, True, True, True),
        ("sp_system", False, False, False, False, False),
    ]
    assert rows(empty, "SELECT version_num FROM alembic_version")[0][0] == head_revision()


def test_tables_in_code_are_the_tables_in_the_database(migrated: str) -> None:
    import_all_tables()

    def differences(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    assert ask(migrated, differences) == []


def test_checks_in_code_are_the_checks_in_the_database(migrated: str) -> None:
    """Alembic compares no CHECK constraints."""
    import_all_tables()
    in_code = {
        str(check.name)
        for table in metadata.tables.values()
        for check in table.constraints
        if isinstance(check, CheckConstraint)
    }
    found = rows(
        migrated,
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace",
    )
    assert {row[0] for row in found} == in_code


def test_each_step_down_and_up_again_gives_the_same_schema(migrated: str) -> None:
    at_head = dump(migrated)
    for script in reversed(REVISIONS):
        downgrade(migrated, str(script.down_revision or "base"))
        upgrade(migrated, script.revision)
        downgrade(migrated, str(script.down_revision or "base"))
    assert rows(
        migrated, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )[0] == ("alembic_version",)
    upgrade(migrated)
    assert dump(migrated) == at_head


def test_running_twice_does_nothing(migrated: str) -> None:
    once = dump(migrated)
    upgrade(migrated)
    assert dump(migrated) == once


def test_two_migrators_at_once_both_succeed(empty: str) -> None:
    migrators = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, empty], cwd=ROOT.parent, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ended = [(migrator.communicate(timeout=60)[1], migrator.returncode) for migrator in migrators]
    assert [code for _, code in ended] == [0, 0], ended
    assert rows(empty, "SELECT version_num FROM alembic_version") == [(head_revision(),)]


def test_revisions_stand_in_one_line_in_files_named_by_their_date() -> None:
    files = [Path(script.path).name for script in REVISIONS]
    assert [name for name in files if not FILE_NAME.fullmatch(name)] == []
    assert files == sorted(files), "a migration is dated after the one it follows"
    assert [script.down_revision for script in REVISIONS] == [
        None,
        *(script.revision for script in REVISIONS[:-1]),
    ]


@pytest.mark.parametrize("script", REVISIONS, ids=lambda script: script.revision)
def test_no_migration_locks_a_table_in_use_for_long(script: Script, tmp_path: Path) -> None:
    """By squawk, each migration alone: an index on a table that an earlier one made must be built concurrently."""
    output = io.StringIO()
    config = alembic_config("postgresql://nobody@nowhere/none")
    config.output_buffer = output
    command.upgrade(config, f"{script.down_revision or 'base'}:{script.revision}", sql=True)
    # What env.py sets on the connection; and Alembic's own table is not ours to judge.
    sql = re.sub(r"CREATE TABLE alembic_version \(.*?\);", "", output.getvalue(), flags=re.DOTALL)
    file = tmp_path / "migration.sql"
    file.write_text(f"SET lock_timeout = '5s';\nSET statement_timeout = '10min';\n{sql}")
    excluded = [f"--exclude={','.join(EXCUSED_LINTS)}"]
    linted = subprocess.run(
        [SQUAWK, "--pg-version=18.0", "--no-error-on-unmatched-pattern", "--reporter=gcc", *excluded, file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_a_key_over_an_orphan_is_refused_and_leaves_the_wall_standing(migrated: str) -> None:
    """Under FORCE PostgreSQL's own validation sees no row and would pass it: `add_tenant_key` lifts it meanwhile."""
    make_parent_and_orphan(migrated)
    with pytest.raises(Exception, match="violates foreign key constraint"):
        ask(migrated, add_key)
    assert rows(migrated, FORCED) == [("orphan", True), ("parent", True)]
    ask(migrated, lambda connection: run_as(connection, "sp_system", "DELETE FROM orphan"))
    ask(migrated, add_key)
    assert rows(migrated, FORCED) == [("orphan", True), ("parent", True)]
    keys = rows(
        migrated, "SELECT conname FROM pg_constraint WHERE conrelid = 'orphan'::regclass AND contype = 'f'"
    )
    assert keys == [("fk_orphan_workspace_id_parent_id",)]


def test_a_key_added_the_plain_way_would_pass_over_an_orphan(migrated: str) -> None:
    """Why `add_tenant_key` exists: when this fails, PostgreSQL has learnt it and the helper may go."""
    make_parent_and_orphan(migrated)
    ask(
        migrated,
        lambda connection: connection.execute(
            text(
                "ALTER TABLE orphan ADD FOREIGN KEY (workspace_id, parent_id) REFERENCES parent (workspace_id, id)"
            )
        ),
    )


BEFORE_THE_DASHBOARD = """
INSERT INTO workspace (id, name, locale, time_zone, phone_region) VALUES ({w}, 'W', 'en', 'UTC', 'BR');
INSERT INTO stage (workspace_id, id, name, kind, position) VALUES ({w}, {w}, 'New', 'OPEN', 0);
INSERT INTO lead (workspace_id, id, name, stage_id, rank, source) VALUES ({w}, {w}, 'Bia', {w}, 'a', 'MANUAL');
INSERT INTO channel_account (workspace_id, id, channel, name, address, inbound_token)
    VALUES ({w}, {w}, 'EMAIL', 'Sales', 'sales@example.com', 't');
INSERT INTO conversation (workspace_id, id, lead_id, account_id, channel, contact_address)
    VALUES ({w}, {w}, {w}, {w}, 'EMAIL', 'bia@example.com');
INSERT INTO message (workspace_id, id, conversation_id, position, account_id, direction, author_kind, body, status,
    created_at, sent_at, is_auto_reply)
SELECT {w}, overlay({w}::text PLACING lpad(n::text, 4, '0') FROM 33)::uuid, {w}, n, {w}, direction, 'HUMAN', 'x',
    status, timestamptz '2026-01-01 00:00Z' + n * interval '1 hour',
    CASE WHEN status = 'SENT' THEN timestamptz '2026-01-01 00:30Z' + n * interval '1 hour' END, is_auto
FROM (VALUES (1, 'OUTBOUND', 'SENT', false), (2, 'INBOUND', 'RECEIVED', true), (3, 'INBOUND', 'RECEIVED', false),
    (4, 'INBOUND', 'RECEIVED', false), (5, 'OUTBOUND', 'CANCELED', false), (6, 'OUTBOUND', 'SENT', false),
    (7, 'OUTBOUND', 'FAILED', false)) AS said(n, direction, status, is_auto);
INSERT INTO delivery (workspace_id, id, status, account_id, lead_id, origin_kind, origin_id, conversation_id,
    message_id)
SELECT {w}, id, lower(status), {w}, {w}, 'MESSAGE', id, {w}, id FROM message WHERE direction = 'OUTBOUND';
INSERT INTO delivery_attempt (workspace_id, delivery_id, n, resend, started_at, ended_at)
SELECT {w}, id, 1, 0, created_at, timestamptz '2026-01-02 00:00Z' FROM message WHERE status = 'FAILED';
"""
SETTLED = "SELECT status, settled_at, answers_since FROM delivery ORDER BY id"


def test_what_was_sent_before_there_were_figures_is_dated(empty: str) -> None:
    """An auto-reply waits for nobody, a canceled message answers nothing; two that wait are answered once."""
    upgrade(empty, "0012")
    workspace_id = f"'{uuid4()}'::uuid"

    def as_system(connection: Connection) -> None:
        connection.execute(text("SET ROLE sp_system"))
        for statement in BEFORE_THE_DASHBOARD.format(w=workspace_id).split(";")[:-1]:
            connection.execute(text(statement))

    ask(empty, as_system)
    upgrade(empty)
    assert ask(empty, settled) == [
        ("sent", "2026-01-01 01:30", None),
        ("canceled", None, None),
        ("sent", "2026-01-01 06:30", "2026-01-01 03:00"),
        ("failed", "2026-01-02 00:00", None),
    ]


def settled(connection: Connection) -> list[tuple[str, str | None, str | None]]:
    connection.execute(text("SET ROLE sp_system"))
    return [
        (row.status, *(at and f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" for at in row[1:]))
        for row in connection.execute(text(SETTLED))
    ]


FORCED = (
    "SELECT relname, relforcerowsecurity FROM pg_class WHERE relname IN ('orphan', 'parent') ORDER BY relname"
)


def add_key(connection: Connection) -> None:
    in_migration(
        connection,
        lambda: add_tenant_key("orphan", ["workspace_id", "parent_id"], "parent", ["workspace_id", "id"]),
    )


def make_parent_and_orphan(url: str) -> None:
    def make(connection: Connection) -> None:
        from app.common.migrations import protect

        connection.execute(
            text("CREATE TABLE parent (workspace_id uuid, id uuid, PRIMARY KEY (workspace_id, id))")
        )
        connection.execute(text("CREATE TABLE orphan (workspace_id uuid, id uuid, parent_id uuid)"))
        in_migration(connection, lambda: (protect("parent"), protect("orphan")))
        run_as(
            connection,
            "sp_system",
            "INSERT INTO orphan SELECT uuidv7(), uuidv7(), uuidv7()",
        )

    ask(url, make)


def in_migration(connection: Connection, steps: Callable[[], object]) -> None:
    """As a migration's `upgrade` runs: `alembic.op` works on this connection."""
    from alembic.operations import Operations

    with Operations.context(MigrationContext.configure(connection)):
        steps()


def run_as(connection: Connection, role: str, sql: str) -> None:
    connection.execute(text(f"SET LOCAL ROLE {role}"))
    assert connection.execute(text(sql)).rowcount == 1
    connection.execute(text("RESET ROLE"))
