"""Backup and restore of the whole database, with PostgreSQL's own programs.

Under FORCE row-level security the owner sees no rows, so a plain dump as the owner fails or, worse, is empty.
The dump is taken as sp_system, whose policies show it everything; a table that has none for it stops the
backup. Roles belong to the cluster and not to the dump: restore makes them first. It goes into an empty
database only, in one transaction. Signing keys and passwords are not inside: they stay in the data
directory's secrets.json or in the environment.
"""

import os
import subprocess
from pathlib import Path

from app.embedded.access import Database, open_database
from app.embedded.config import Config
from app.embedded.processes import EmbeddedError

UNSEEN_SQL = """
SELECT string_agg(c.relname, ', ' ORDER BY c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
 WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity
   AND NOT EXISTS (SELECT FROM pg_policy p
                    WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('*', 'r')
                      AND pg_get_expr(p.polqual, p.polrelid) = 'true'
                      AND (p.polroles = '{0}' OR 'sp_system'::regrole = ANY (p.polroles)));
"""

# Alembic's own table and the sequences have no grant for sp_system; reading them is all it gets here.
READ_SQL = """
SELECT format('GRANT SELECT ON %s TO sp_system', oid::regclass) FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S') \\gexec
"""

OBJECTS_SQL = """
SELECT (SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace)
     + (SELECT count(*) FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e'));
"""

# As the first migration does. Only while the restore runs the owner has what sp_system has, and that may CREATE: some
# functions and a view of the dump are sp_system's, and it is the owner who grants what is to be granted on them.
ROLES_SQL = """
SELECT format('CREATE ROLE %I NOLOGIN', name) FROM unnest(ARRAY['sp_app', 'sp_system']) AS name
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \\gexec
GRANT sp_app TO CURRENT_USER WITH INHERIT FALSE, SET TRUE;
GRANT sp_system TO CURRENT_USER WITH INHERIT TRUE, SET TRUE;
GRANT TEMPORARY ON DATABASE :"DBNAME" TO sp_app;
GRANT USAGE ON SCHEMA public TO sp_app;
GRANT USAGE, CREATE ON SCHEMA public TO sp_system;
"""
AFTERWARDS_SQL = """
REVOKE CREATE ON SCHEMA public FROM sp_system;
GRANT sp_system TO CURRENT_USER WITH INHERIT FALSE, SET TRUE;
"""


def backup(config: Config, file: Path) -> None:
    """Write FILE in one step: a backup that was killed leaves the old file as it was."""
    if file.is_dir():
        raise EmbeddedError(f"{file} is a folder: give a file name in it.")
    if not file.parent.is_dir():
        raise EmbeddedError(f"There is no folder {file.parent}: make it first.")
    with open_database(config) as database:
        if not query(database, "SELECT 1 FROM pg_roles WHERE rolname = 'sp_system';"):
            raise EmbeddedError("There is nothing to back up: this database was never migrated.")
        unseen = query(database, UNSEEN_SQL)
        if unseen:
            raise EmbeddedError(
                f"A backup would miss rows: sp_system has no policy that shows it all of {unseen}."
            )
        query(database, READ_SQL)
        draft = file.with_name(file.name + ".part")
        try:
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        except OSError as error:
            raise EmbeddedError(f"Cannot write {draft}: {error.strerror}.") from None
        has_replaced = file.exists()
        try:
            flags = ["--format=custom", "--enable-row-security", "--role=sp_system", "--schema=public"]
            execute(database, "pg_dump", *flags, "-f", str(draft), "-d", database.address)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
    told = ", in place of the file that was there" if has_replaced else ""
    print(f"Wrote {file} ({file.stat().st_size:,} bytes){told}.")


def restore(config: Config, file: Path) -> None:
    """Read FILE into an empty database, all or nothing."""
    if not file.is_file():
        raise EmbeddedError(f"There is no file {file}.")
    if not is_dump(file):
        raise EmbeddedError(f"{file} is no backup made by python3 -m app backup.")
    with open_database(config) as database:
        execute(database, "pg_restore", "--list", str(file))
        if query(database, OBJECTS_SQL) != "0":
            raise EmbeddedError(
                "This database is not empty, and restoring would mix two: stop SalesPad, then "
                "python3 -m app reset  (it deletes what is there), then restore again."
            )
        query(database, ROLES_SQL)
        try:
            flags = ["--single-transaction", "--exit-on-error", "--schema=public"]
            execute(database, "pg_restore", *flags, "-d", database.address, str(file))
        finally:
            query(database, AFTERWARDS_SQL)
        query(database, "ANALYZE;")
    print(f"Restored {file}.")


def is_dump(file: Path) -> bool:
    """Whether it begins as PostgreSQL's custom format does."""
    try:
        with file.open("rb") as content:
            return content.read(5) == b"PGDMP"
    except OSError as error:
        raise EmbeddedError(f"Cannot read {file}: {error.strerror}.") from None


def query(database: Database, script: str) -> str:
    return execute(database, "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database.address, script=script)


def execute(database: Database, program: str, *arguments: str, script: str = "") -> str:
    done = subprocess.run(
        [database.program(program), *arguments],
        input=script,
        capture_output=True,
        text=True,
        env=database.environment,
        check=False,
    )
    if done.returncode != 0:
        raise EmbeddedError(f"{program} failed:\n{done.stderr.strip()[-3000:]}")
    return done.stdout.strip()
