"""The database as SalesPad needs it: migrated, with roles that cannot walk round the tenants' wall, and with room for
the connections of every process."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from app.embedded.config import ROOT
from app.embedded.doctor.finding import Finding, judge_clock
from app.embedded.doctor.rows import look_at_rows

if TYPE_CHECKING:
    import asyncpg

    Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

OWNER_ROLES = ("sp_app", "sp_system")
MINIMUM_VERSION = 18
CONNECTIONS_EACH = 24
PROCESSES = 2
"""An API and a worker, where none is connected."""

ROLES_SQL = """
SELECT r.rolname AS name, r.rolsuper OR r.rolbypassrls AS is_too_strong,
       pg_has_role(current_user, r.oid, 'SET') AS can_set,
       EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relkind = 'r' AND c.relrowsecurity) AS owns_tables
  FROM pg_roles r WHERE r.rolname IN ('sp_app', 'sp_system') ORDER BY 1
"""
WALL_SQL = """
SELECT c.relname AS name FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
   AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
   AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
 ORDER BY 1
"""
GRANTS_SQL = """
SELECT r.role || ' on ' || c.relname AS name
  FROM pg_class c CROSS JOIN (VALUES ('sp_app'), ('sp_system')) r(role)
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'alembic_version'
   AND EXISTS (SELECT FROM pg_policy p JOIN pg_roles o ON o.oid = ANY (p.polroles)
                WHERE p.polrelid = c.oid AND o.rolname = r.role)
   AND NOT has_any_column_privilege(r.role::name, c.oid, 'SELECT')
   AND NOT has_any_column_privilege(r.role::name, c.oid, 'INSERT')
 ORDER BY 1
"""
CONNECTIONS_SQL = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
       - current_setting('reserved_connections')::int AS there,
       (SELECT count(DISTINCT split_part(application_name, ' ', 2)) FROM pg_stat_activity
         WHERE application_name LIKE 'salespad/sp\\_% %') AS processes
"""


async def ask_database(url: str, *, connections_each: int = CONNECTIONS_EACH) -> list[Finding]:
    """Everything the database itself can say. `connections_each`: of one process, both pools together."""
    import asyncpg

    scheme, _, rest = url.partition("://")
    try:
        connection = await asyncpg.connect(f"{scheme.partition('+')[0]}://{rest}", timeout=5)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        fix = "check SALESPAD_DATABASE_URL and that it is up"
        return [Finding("database", f"not reachable: {error!s}", fix)]
    try:
        return [
            judge_version(connection.get_server_version()),
            *await check_clock(connection),
            *await check_connections(connection, connections_each),
            await check_migrations(connection),
            *await check_roles(connection),
            *await look_at_rows(connection),
        ]
    finally:
        await connection.close(timeout=5)


def judge_version(version: "asyncpg.ServerVersion") -> Finding:
    fix = "" if version.major >= MINIMUM_VERSION else f"use {MINIMUM_VERSION} or newer"
    return Finding("database", f"PostgreSQL {version.major}.{version.micro}", fix)


async def check_clock(connection: "Connection") -> list[Finding]:
    began = time.time()
    theirs: float = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    ended = time.time()
    return list(judge_clock("the database's", theirs - (began + ended) / 2, doubt_s=ended - began))


async def check_connections(connection: "Connection", each: int) -> list[Finding]:
    row = await connection.fetchrow(CONNECTIONS_SQL)
    assert row is not None
    return [judge_connections(there=row["there"], processes=row["processes"], each=each)]


def judge_connections(*, there: int, processes: int, each: int) -> Finding:
    """Of the processes that are connected now, or of the two there must be."""
    counted = max(processes, PROCESSES)
    wanted = counted * each
    text = f"{counted} processes x {each} connections = {wanted}, of {there} that PostgreSQL has for them"
    if wanted <= there:
        return Finding("connections", text)
    fix = f"raise max_connections by {wanted - there}, or lower SALESPAD_POOL_SIZE by {-((there - wanted) // counted)}"
    return Finding("connections", text, f"{fix}, and restart")


async def check_migrations(connection: "Connection") -> Finding:
    has_versions = await connection.fetchval("SELECT to_regclass('public.alembic_version') IS NOT NULL")
    rows = await connection.fetch("SELECT version_num FROM alembic_version") if has_versions else []
    return judge_migrations({str(row["version_num"]) for row in rows})


def judge_migrations(applied: set[str]) -> Finding:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(ROOT / "migrations"))
    heads, known = set(scripts.get_heads()), {script.revision for script in scripts.walk_revisions()}
    if applied == heads:
        return Finding("migrations", f"up to date ({', '.join(sorted(heads)) or 'none yet'})")
    text = f"database at {', '.join(sorted(applied)) or 'nothing'}, code at {', '.join(sorted(heads))}"
    if applied - known:
        return Finding("migrations", f"{text}: a newer release was here", "bring the code up to that release")
    return Finding("migrations", text, "run  python3 -m app migrate")


async def check_roles(connection: "Connection") -> list[Finding]:
    roles = await connection.fetch(ROLES_SQL)
    missing = set(OWNER_ROLES) - {role["name"] for role in roles}
    found = [judge_role(**role) for role in roles]
    if missing:
        text = f"missing: {', '.join(sorted(missing))}"
        return [*found, Finding("roles", text, "run  python3 -m app migrate")]
    open_tables = [row["name"] for row in await connection.fetch(WALL_SQL)]
    revoked = [row["name"] for row in await connection.fetch(GRANTS_SQL)]
    return [*found, *judge_wall(open_tables), *judge_grants(revoked)]


def judge_role(name: str, *, is_too_strong: bool, can_set: bool, owns_tables: bool = False) -> Finding:
    if is_too_strong:
        fix = f"ALTER ROLE {name} NOSUPERUSER NOBYPASSRLS"
        return Finding("roles", f"{name} passes by row-level security", fix)
    if owns_tables:
        fix = f"as an administrator: REASSIGN OWNED BY {name} TO the owner of the other tables"
        return Finding("roles", f"{name} owns a tenant table, and could open it to itself", fix)
    if not can_set:
        fix = f"as an administrator: GRANT {name} TO the database user WITH INHERIT FALSE, SET TRUE"
        return Finding("roles", f"we may not act as {name}", fix)
    return Finding("roles", f"{name} is in order")


def judge_wall(tables: Sequence[str]) -> list[Finding]:
    if not tables:
        return []
    fix = "; ".join(
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY; ALTER TABLE {name} FORCE ROW LEVEL SECURITY"
        for name in tables
    )
    return [Finding("roles", f"row-level security is off: {', '.join(tables)}", fix)]


def judge_grants(revoked: Sequence[str]) -> list[Finding]:
    if not revoked:
        return []
    fix = "GRANT them as the table's migration does (grep protect migrations/versions)"
    return [Finding("roles", f"may do nothing any more: {', '.join(revoked)}", fix)]
