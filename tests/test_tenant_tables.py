"""The tenant wall in the catalogue: row-level security, keys and grants of every table of the migrated database.

Nothing here names a tenant table; a table, index, view or function that needs an exception stands in a list with why.
"""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.board import CREATE_LEAD
from tests.fixtures.tenants import tenant_tables

Ask = Callable[[str], Any]

WITHOUT_WORKSPACE = {
    "alembic_version": "Alembic's own",
    "app_user": "a person belongs to several workspaces; sp_app sees them by membership",
    "login_attempt": "counted before anybody is signed in; the system door only",
    "workspace": "the tenant itself: its id is the key",
}
SYSTEM_ONLY = {
    "login_attempt": "counted before anybody is signed in",
}
"""Tables that have no row-level security because sp_app has no access at all."""
KEYS_WITHOUT_WORKSPACE = {
    "pk_session": "found by its token, before the workspace is known",
    "uq_session_family_hash": "the same",
    "pk_revocation": "polled over all workspaces by time",
    "uq_api_key_secret_hash": "256 random bits that nobody gives: found by the system door, tells nothing",
    "uq_invitation_token_hash": "the same",
    "uq_channel_account_inbound_token": "256 random bits that nobody gives: found by the system door, tells nothing",
    "uq_channel_account_local": "the local mailbox is one for the installation: an address in it is one account's",
}
"""Keys and unique indexes that would tell one workspace of another's rows, if sp_app could reach the table."""
INDEXES_WITHOUT_WORKSPACE = {
    "ix_automation_run_ended": "the system door clears what has ended long ago",
    "ix_automation_run_lease": "the system door reaps leases over all workspaces",
    "ix_bulk_change_due": "the system door claims due rows over all workspaces",
    "ix_bulk_change_lease": "the system door reaps leases over all workspaces",
    "ix_bulk_send_due": "the system door claims due rows over all workspaces",
    "ix_bulk_send_lease": "the system door reaps leases over all workspaces",
    "ix_conversation_snoozed": "the system door finds whom to wake over all workspaces",
    "ix_delivery_account": "the system door drains one account",
    "ix_delivery_due": "the system door claims due rows over all workspaces",
    "ix_delivery_lease": "the system door reaps leases over all workspaces",
    "ix_feed_event_at": "the system door clears what is too old to resume from",
    "ix_file_unused": "the system door clears what nothing has used",
    "ix_idempotency_at": "the system door clears what is older than a day",
    "ix_imap_mailbox_due": "the system door claims due rows over all workspaces",
    "ix_imap_mailbox_lease": "the system door reaps leases over all workspaces",
    "ix_import_job_due": "the system door claims due rows over all workspaces",
    "ix_import_job_lease": "the system door reaps leases over all workspaces",
    "ix_inbound_event_due": "the system door claims due rows over all workspaces",
    "ix_inbound_event_lease": "the system door reaps leases over all workspaces",
    "ix_lead_lexemes": "each lexeme begins with its workspace's digits",
    "ix_member_user_id": "the system door reads somebody's workspaces",
    "ix_message_lexemes": "each lexeme begins with its workspace's digits",
    "ix_revocation_at": "the system door polls",
    "ix_send_pace_look": "the system door claims of batches over all workspaces",
    "ix_system_mail_created_at": "the system door clears what is over",
    "ix_system_mail_due": "the system door claims due rows over all workspaces",
    "ix_system_mail_lease": "the system door reaps leases over all workspaces",
    "ix_score_sweep_due": "the system door claims due rows over all workspaces",
    "ix_score_sweep_lease": "the system door reaps leases over all workspaces",
    "ix_session_expires_at": "the system door clears what is over",
    "ix_session_user_id_workspace_id": "the system door finds the workspace used last",
}
DEFINER_FUNCTIONS = frozenset({"search_conversations"})
"""SECURITY DEFINER functions of ours; each must pin its search_path, and take the tenant from the policies' setting."""
VIEWS_OF_THEIR_OWNER = {
    "searched_lead": "with sp_app's policies PostgreSQL would not use the search's index (docs/decisions/0019)",
}
"""Views that see with the eyes of sp_system; each must take the tenant from the policies' setting."""

TABLES = """
SELECT c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
    has_table_privilege('sp_app', c.oid, 'SELECT, INSERT, UPDATE, DELETE')
        OR has_any_column_privilege('sp_app', c.oid, 'SELECT, INSERT, UPDATE') AS app_may,
    has_any_column_privilege('sp_app', c.oid, 'SELECT') AS app_reads
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1
"""
POLICIES = """
SELECT tablename, policyname, permissive, roles::text[] AS roles, cmd, qual, with_check
FROM pg_policies WHERE schemaname = 'public'
"""
KEYS = """
SELECT c.conname, c.conrelid::regclass::text AS name, c.confrelid::regclass::text AS referenced,
    c.confdeltype::text AS on_delete,
    array(SELECT attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k(n, place)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY place) AS columns,
    array(SELECT attname::text FROM unnest(c.confkey) WITH ORDINALITY AS k(n, place)
        JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY place) AS target
FROM pg_constraint c WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
"""
INDEXES = """
SELECT i.indexrelid::regclass::text AS name, i.indrelid::regclass::text AS table_name, i.indisunique AS is_unique,
    pg_get_indexdef(i.indexrelid, 1, true) AS first
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace
"""


@pytest.fixture
async def ask(doors: Doors) -> Ask:
    async def ask(sql: str) -> Sequence[Any]:
        async with doors.open_system() as system:
            return (await system.execute(text(sql))).all()

    return ask


async def test_every_table_has_a_workspace_or_a_reason(ask: Ask, doors: Doors) -> None:
    named = {row.name for row in await ask(TABLES)}
    assert named - set(await tenant_tables(doors)) == set(WITHOUT_WORKSPACE)


async def test_every_table_that_a_tenant_may_touch_is_behind_the_wall(ask: Ask) -> None:
    policies = {(row.tablename, row.policyname): row for row in await ask(POLICIES)}
    for table in await ask(TABLES):
        if table.name in SYSTEM_ONLY:
            assert not table.app_may, f"sp_app may reach {table.name}"
            continue
        if table.name == "alembic_version":
            continue
        assert table.enabled, f"{table.name}: ENABLE ROW LEVEL SECURITY"
        assert table.forced, f"{table.name}: FORCE ROW LEVEL SECURITY"
        tenant, system = policies[table.name, "tenant"], policies[table.name, "system"]
        assert tenant.roles == ["sp_app"]
        assert system.roles == ["sp_system"]
        for condition in (tenant.qual, tenant.with_check):
            assert condition is not None, f"{table.name}: the policy needs USING and WITH CHECK"
            assert "current_setting('app.workspace_id'" in condition, condition
        others = {name for of, name in policies if of == table.name} - {"tenant", "system"}
        assert not others, f"{table.name}: permissive policies add up, so {others} would open the wall"


async def test_a_workspace_column_is_never_null(ask: Ask) -> None:
    nullable = await ask(
        "SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attname = 'workspace_id' "
        "AND NOT a.attnotnull"
    )
    # A revocation of a user concerns all their workspaces.
    assert {row.relname for row in nullable} <= {"revocation"}


async def test_no_foreign_key_crosses_workspaces(ask: Ask, doors: Doors) -> None:
    tenants = await tenant_tables(doors)
    crossing = [
        row.conname
        for row in await ask(KEYS)
        if row.name in tenants
        and row.referenced in tenants
        and not (row.columns[0] == row.target[0] == "workspace_id")
    ]
    assert crossing == []


async def test_every_tenant_row_dies_with_its_workspace(ask: Ask, doors: Doors) -> None:
    """By a key of its own, or by that of what it belongs to."""
    cascading = [row for row in await ask(KEYS) if row.on_delete == "c" and row.columns[0] == "workspace_id"]
    dying, before = {"workspace"}, 0
    while len(dying) > before:
        before = len(dying)
        dying |= {row.name for row in cascading if row.referenced in dying}
    # Both are cleared by their age, and a mail may concern no workspace.
    assert set(await tenant_tables(doors)) - dying == {"revocation", "system_mail"}


async def test_keys_of_tenant_tables_begin_with_the_workspace(ask: Ask, doors: Doors) -> None:
    """A unique key over all workspaces tells one of another's values: the insert fails although the row is hidden."""
    tenants = await tenant_tables(doors)
    found = {
        row.name
        for row in await ask(INDEXES)
        if row.table_name in tenants and row.is_unique and row.first != "workspace_id"
    }
    assert found == set(KEYS_WITHOUT_WORKSPACE)


async def test_indexes_of_tenant_tables_begin_with_the_workspace(ask: Ask, doors: Doors) -> None:
    tenants = await tenant_tables(doors)
    found = {
        row.name
        for row in await ask(INDEXES)
        if row.table_name in tenants and not row.is_unique and row.first != "workspace_id"
    }
    assert found == set(INDEXES_WITHOUT_WORKSPACE)


async def test_views_see_with_the_eyes_of_who_asks(ask: Ask) -> None:
    """A plain view over a table with row-level security shows what its owner sees."""
    blind = await ask(
        "SELECT relname AS name, pg_get_viewdef(oid) AS definition, "
        "has_table_privilege('sp_app', oid, 'INSERT, UPDATE, DELETE') AS app_writes "
        "FROM pg_class WHERE relnamespace = 'public'::regnamespace AND "
        "(relkind = 'm' OR relkind = 'v' AND NOT coalesce(reloptions::text[] @> ARRAY['security_invoker=true'], false))"
    )
    assert {row.name for row in blind} == set(VIEWS_OF_THEIR_OWNER)
    for row in blind:
        condition = row.definition.partition("WHERE")[2].strip(" ;()\n")
        assert condition.startswith("workspace_id = (NULLIF(current_setting('app.workspace_id'"), condition
        assert " OR " not in condition, condition
        assert not row.app_writes, row.name


async def test_such_a_view_shows_each_workspace_its_own(ana: Person, eve: Person, doors: Doors) -> None:
    for person in (ana, eve):
        await person.run(CREATE_LEAD, {"input": {"name": "Segredo"}})
    for view in VIEWS_OF_THEIR_OWNER:
        for person in (ana, eve):
            async with doors.open_work(person.workspace_id) as work:
                seen = (await work.execute(text(f"SELECT DISTINCT workspace_id FROM {view}"))).scalars().all()
            assert seen == [person.workspace_id]
        async with doors.open_system() as system:
            await system.execute(text("SET LOCAL ROLE sp_app"))
            assert (await system.execute(text(f"SELECT count(*) FROM {view}"))).scalar_one() == 0


async def test_only_known_functions_run_as_their_owner(ask: Ask) -> None:
    functions = await ask(
        "SELECT proname AS name, proconfig::text[] AS config, has_function_privilege('public', oid, 'EXECUTE') AS open "
        "FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
    )
    assert {row.name for row in functions} == DEFINER_FUNCTIONS
    for row in functions:
        assert any(setting.startswith("search_path=") for setting in row.config or ()), row.name
        assert not row.open, f"{row.name}: REVOKE ALL … FROM PUBLIC"


async def test_the_roles_cannot_walk_around_the_wall(ask: Ask) -> None:
    for role in await ask("SELECT * FROM pg_roles WHERE rolname IN ('sp_app', 'sp_system')"):
        allowed = [
            name
            for name in (
                "rolsuper",
                "rolbypassrls",
                "rolcreaterole",
                "rolcreatedb",
                "rolcanlogin",
                "rolreplication",
            )
            if getattr(role, name)
        ]
        assert allowed == [], f"{role.rolname} has {allowed}"
        owned = await ask(  # temporary tables, in which imports are staged, aside
            f"SELECT relname FROM pg_class WHERE relowner = '{role.rolname}'::regrole AND relpersistence <> 't'"
        )
        assert {row.relname for row in owned} <= (
            set(VIEWS_OF_THEIR_OWNER) if role.rolname == "sp_system" else set()
        )
    (may,) = await ask(
        "SELECT has_schema_privilege('sp_app', 'public', 'CREATE') AS app_creates, "
        "has_schema_privilege('sp_system', 'public', 'CREATE') AS system_creates, "
        "pg_has_role('sp_app', 'sp_system', 'MEMBER') AS app_is_system, "
        "has_database_privilege('sp_app', current_database(), 'CREATE') AS app_makes_schemas"
    )
    assert not any(may), may


@pytest.mark.parametrize(
    ("relation", "column", "ways"),
    [
        ("app_user", "password_hash", "SELECT, INSERT, UPDATE"),
        ("app_user", "reset_hash", "SELECT, INSERT, UPDATE"),
        ("session", "token_hash", "SELECT, INSERT, UPDATE"),
        ("login_attempt", "key", "SELECT, INSERT, UPDATE"),
        ("revocation", "id", "SELECT, UPDATE"),
        ("invitation", "token_hash", "SELECT"),
        ("api_key", "secret_hash", "SELECT, UPDATE"),
        ("system_mail", "sealed", "SELECT, UPDATE"),
    ],
)
async def test_sp_app_has_no_way_to_secrets(ask: Ask, relation: str, column: str, ways: str) -> None:
    (row,) = await ask(f"SELECT has_column_privilege('sp_app', '{relation}', '{column}', '{ways}') AS may")
    assert not row.may


async def test_nobody_may_change_the_audit_log(ask: Ask) -> None:
    for role in ("sp_app", "sp_system"):
        (row,) = await ask(
            f"SELECT has_table_privilege('{role}', 'audit_event', 'UPDATE, DELETE, TRUNCATE') "
            f"OR has_any_column_privilege('{role}', 'audit_event', 'UPDATE') AS may"
        )
        assert not row.may, role


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE mine (id int)",
        "ALTER TABLE lead DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON lead",
        "COPY lead FROM PROGRAM 'true'",
    ],
)
async def test_sp_app_cannot_open_the_wall(doors: Doors, sql: str) -> None:
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        async with doors.open_work(uuid4()) as work:
            await work.execute(text(sql))


async def test_no_tenant_no_rows(ask: Ask, doors: Doors) -> None:
    """What a connection of sp_app sees that did not come through a door, or whose tenant is over."""
    tables = [row.name for row in await ask(TABLES) if row.enabled and row.app_reads]
    async with doors._engine.connect() as connection:
        for table in tables:
            count = await connection.execute(text(f"SELECT count(1) FROM {table}"))
            assert count.scalar_one() == 0, table
