"""A backup and its restore, compared row by row over every table, and object by object over the schema.

The rows come through the API and the worker, into a database of the test's own.
"""

import json
import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.embedded.access import Database
from app.embedded.backup import OBJECTS_SQL, backup, execute, query, restore
from app.embedded.config import OFF, ROOT, Config
from app.embedded.privileges import find_binaries
from app.embedded.processes import EmbeddedError
from tests.run.conftest import wait_until

SIGN_UP = """mutation ($input: SignUpInput!) {
  signUp(input: $input) { session { accessToken } errors { code message } }
}"""
IMPORT = """mutation ($input: ImportLeadsInput!) {
  importLeads(input: $input) { leadImport { id } errors { code message } }
}"""
TABLES_SQL = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1;"
)


@contextmanager
def empty_database() -> Iterator[Config]:
    """A database of its own in the tests' cluster, owned by sp_owner, as the launcher makes it."""
    server = os.environ["SALESPAD_DATABASE_URL"]
    name = f"backup_{secrets.token_hex(4)}"
    query(Database(server, find_binaries()), f"CREATE DATABASE {name};")
    try:
        yield Config(database_url=urlsplit(server)._replace(path=f"/{name}").geturl())
    finally:
        query(Database(server, find_binaries()), f"DROP DATABASE {name};")


def database_of(config: Config) -> Database:
    assert config.database_url is not None
    return Database(config.database_url, find_binaries())


@contextmanager
def product_on(config: Config) -> Iterator[str]:
    """API and worker as processes of their own; the API's address."""
    environment = os.environ | {"SALESPAD_DATABASE_URL": config.database_url or "", "SALESPAD_REDIS_URL": OFF}
    command = [sys.executable, "-m", "app", "api", "--port", "0"]
    api = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    worker = subprocess.Popen([sys.executable, "-m", "workers.main"], cwd=ROOT, env=environment)
    try:
        assert api.stdout is not None
        yield api.stdout.readline().removeprefix("Listening on ").strip()
    finally:
        for process in (api, worker):
            process.terminate()
        for process in (api, worker):
            process.wait(15)


def call(url: str, document: str, variables: dict[str, object], token: str = "") -> dict[str, object]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    body = json.dumps({"query": document, "variables": {"input": variables}}).encode()
    with urllib.request.urlopen(
        urllib.request.Request(f"{url}/graphql", body, headers), timeout=30
    ) as answer:
        result = json.load(answer)
    assert "errors" not in result, result
    payload: dict[str, object] = next(iter(result["data"].values()))
    assert payload["errors"] == [], payload
    return payload


def write_rows(url: str) -> None:
    person = {
        "email": "ana@example.com",
        "password": "um segredo longo",
        "name": "Ana",
        "workspaceName": "Ação",
    }
    session = call(url, SIGN_UP, dict(person))["session"]
    assert isinstance(session, dict)
    leads = [
        {"name": f"Lead {n} ção", "profileUrl": f"https://www.instagram.com/lead{n}/", "metadata": {"n": n}}
        for n in range(50)
    ]
    variables = {"platform": "INSTAGRAM", "leads": leads, "idempotencyKey": "backup-test"}
    call(url, IMPORT, dict(variables), str(session["accessToken"]))


def rows_of(database: Database) -> dict[str, list[str]]:
    """Every row of every table as text, read as the role that sees all; sorted, since tables have no order."""
    found = {}
    for table in query(database, TABLES_SQL).splitlines():
        role = "RESET ROLE" if table == "alembic_version" else "SET ROLE sp_system"
        text = query(
            database, f"{role}; SELECT to_jsonb(t) FROM public.{table} t ORDER BY to_jsonb(t)::text;"
        )
        found[table] = text.splitlines()
    return found


def schema_of(database: Database) -> list[str]:
    """Tables, owners, policies, FORCE, grants, functions: what pg_dump says, without its random line;
    sorted, since the order of grants is that of their granting."""
    flags = ["--schema-only", "--schema=public", "-d", database.address]
    lines = execute(database, "pg_dump", *flags).splitlines()
    return sorted(line for line in lines if line and not line.startswith(("\\restrict", "\\unrestrict")))


def test_round_trip(servers: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from app.common.migrations import upgrade

    file = tmp_path / "salespad.dump"
    with empty_database() as source, empty_database() as target:
        upgrade(str(source.database_url))
        with product_on(source) as url:
            write_rows(url)
            counted = "SET ROLE sp_system; SELECT count(*) FROM lead;"
            wait_until(lambda: query(database_of(source), counted) == "50", what="the import")
        backup(source, file)
        assert "in place of" not in capsys.readouterr().out
        backup(source, file)
        assert "in place of the file that was there" in capsys.readouterr().out
        before, schema = rows_of(database_of(source)), schema_of(database_of(source))
        assert {"alembic_version", "workspace", "lead", "lead_identity"} <= {
            name for name in before if before[name]
        }
        assert file.stat().st_mode & 0o777 == 0o600

        restore(target, file)
        assert rows_of(database_of(target)) == before
        assert schema_of(database_of(target)) == schema
        assert any("FORCE ROW LEVEL SECURITY" in line for line in schema)
        can_create = "SELECT has_schema_privilege('sp_system', 'public', 'CREATE');"
        assert query(database_of(target), can_create) == "f"
        inherited = (
            "SELECT count(*) FROM pg_auth_members WHERE member = current_user::regrole AND inherit_option;"
        )
        assert query(database_of(target), inherited) == "0"
        for role in ("sp_app", "sp_system"):
            assert query(database_of(target), f"SET ROLE {role}; SELECT count(*) FROM searched_lead;") == "0"
        upgrade(str(target.database_url))

        with pytest.raises(EmbeddedError, match="not empty"):
            restore(target, file)
        assert rows_of(database_of(target)) == before


def test_table_that_a_backup_would_miss_stops_it(servers: None, tmp_path: Path) -> None:
    from app.common.migrations import upgrade

    with empty_database() as source:
        upgrade(str(source.database_url))
        query(
            database_of(source),
            "CREATE TABLE hidden (n int); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        )
        with pytest.raises(EmbeddedError, match="hidden"):
            backup(source, tmp_path / "salespad.dump")
        assert list(tmp_path.iterdir()) == []


def test_damaged_file_leaves_the_database_empty(servers: None, tmp_path: Path) -> None:
    file = tmp_path / "salespad.dump"
    file.write_bytes(b"PGDMP but no dump")
    with empty_database() as target:
        with pytest.raises(EmbeddedError, match="pg_restore failed"):
            restore(target, file)
        assert query(database_of(target), OBJECTS_SQL) == "0"


def test_where_no_backup_can_be_is_said_in_one_line(tmp_path: Path) -> None:
    nowhere = Config(database_url="postgresql://127.0.0.1:1/nobody")
    with pytest.raises(EmbeddedError, match=r"There is no folder .*/absent: make it first\."):
        backup(nowhere, tmp_path / "absent" / "salespad.dump")
    with pytest.raises(EmbeddedError, match="is a folder: give a file name in it"):
        backup(nowhere, tmp_path)
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Ana")
    with pytest.raises(EmbeddedError, match=r"letter.txt is no backup made by python3 -m app backup\."):
        restore(nowhere, letter)
