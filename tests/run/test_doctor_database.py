"""What is wrong in a database, found in one that is broken that way, and told with what to do."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import TypeAlias
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import pytest

from app.accounts.wiring import system_mails
from app.common.leases import DueTable
from app.common.migrations import downgrade, upgrade
from app.common.work import Doors
from app.embedded.access import Database
from app.embedded.backup import query
from app.embedded.config import OFF, ROOT, Config
from app.embedded.doctor import findings
from app.embedded.doctor.database import ask_database, judge_connections, judge_migrations, judge_role
from app.embedded.doctor.finding import Finding
from app.embedded.doctor.rows import DUE_TABLES_SQL
from app.embedded.privileges import find_binaries
from app.embedded.processes import free_port
from app.settings import Settings
from tests.run.conftest import Launcher
from workers.kinds import registry

Own: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture(scope="module")
def url(servers: None) -> Iterator[str]:
    """A migrated database that nobody else looks into."""
    there, name = os.environ["SALESPAD_DATABASE_URL"], f"own_{secrets.token_hex(4)}"
    cluster = Database(there, find_binaries())
    query(cluster, f"CREATE DATABASE {name};")
    own = urlsplit(there)._replace(path=f"/{name}").geturl()
    upgrade(own)
    yield own
    query(
        cluster, f"DROP DATABASE {name};"
    )  # autovacuum may be at it: it gives way, but FORCE has no right to end it


@pytest.fixture
async def owner(url: str) -> AsyncIterator[Own]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def as_system(owner: Own, sql: str, *values: object) -> None:
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE sp_system")
        await owner.execute(sql, *values)


async def problems(url: str, *, connections_each: int = 1) -> dict[str, str]:
    found = await ask_database(url, connections_each=connections_each)
    return {finding.subject: finding.text for finding in found if finding.fix}


async def new_workspace(owner: Own) -> UUID:
    id = uuid4()
    await as_system(
        owner,
        "INSERT INTO workspace (id, name, locale, time_zone, phone_region) VALUES ($1, 'W', 'en', 'UTC', 'BR')",
        id,
    )
    return id


QUEUED = "INSERT INTO system_mail (workspace_id, kind, status, run_at, lease_until, created_at) VALUES "


async def test_a_migrated_database_is_well(url: str) -> None:
    assert await problems(url) == {}


async def test_rows_that_stand_still(url: str, owner: Own) -> None:
    workspace_id = uuid4()
    values = "($1, 'INVITATION', $2, now() - interval '2 hours', now() - interval '1 hour', now())"
    await as_system(owner, QUEUED + values, workspace_id, "queued")
    assert (await problems(url))["due rows"] == "1 of system_mail due and not done, the first for 120 minutes"
    await as_system(owner, "UPDATE system_mail SET status = 'sending'")
    assert "held past their lease, the first for 60 min" in (await problems(url))["due rows"]
    await as_system(owner, "UPDATE system_mail SET status = 'failed'")
    assert await problems(url) == {"mail out": "1 of SalesPad's own could not be sent in 7 days"}
    await as_system(owner, "UPDATE system_mail SET error = 'OVER'")  # taken up or revoked before it went out
    assert await problems(url) == {}
    await as_system(owner, "UPDATE system_mail SET created_at = now() - interval '8 days'")
    assert await problems(url) == {}
    await as_system(owner, "UPDATE system_mail SET status = 'queued', run_at = now() - interval '1 minute'")
    assert await problems(url) == {}


async def test_the_metric_leaves_out_what_waits_for_its_time(
    url: str, owner: Own, settings: Settings
) -> None:
    workspace_id = uuid4()
    async with AsyncExitStack() as stack:
        doors = Doors(settings.model_copy(update={"database_url": url}))
        stack.push_async_callback(doors.close)
        async with doors.open_system() as system:
            others = await system_mails.count(system)
        for when, lease, status, counted in (
            ("1 hour", "NULL", "queued", 0),
            ("-1 hour", "NULL", "queued", 1),
            ("-1 hour", "now() + interval '1 hour'", "sending", 2),
        ):
            values = f"($1, 'INVITATION', $2, now() + interval '{when}', {lease}, now())"
            await as_system(owner, QUEUED + values, workspace_id, status)
            async with doors.open_system() as system:
                assert await system_mails.count(system) == others + counted
    await as_system(owner, "DELETE FROM system_mail WHERE workspace_id = $1", workspace_id)


async def test_every_due_row_is_looked_at(owner: Own, settings: Settings) -> None:
    looked_at = {(row["name"], row["moment"]) for row in await owner.fetch(DUE_TABLES_SQL)}
    tables = {
        kind.table.table.name for kind in registry(settings).values() if isinstance(kind.table, DueTable)
    }
    assert {(table, moment) for table in tables for moment in ("run_at", "lease_until")} <= looked_at
    conditions = {
        row["condition"] for row in await owner.fetch(DUE_TABLES_SQL) if row["name"] == "automation_run"
    }
    assert len(conditions) == 3, "what waits to act, what waits to call, and what is held"


async def test_poison_and_a_consumer_far_behind(url: str, owner: Own) -> None:
    workspace_id = await new_workspace(owner)
    await as_system(
        owner,
        "INSERT INTO reaction_failure (workspace_id, consumer, seq, kind, error_id, error_type)"
        " VALUES ($1, 'departures', 7, 'member.changed', 'e0b1', 'KeyError')",
        workspace_id,
    )
    assert (await problems(url))["reactions"] == "departures gave 1 event(s) up: error_id e0b1"
    await as_system(owner, "DELETE FROM reaction_failure")
    await as_system(
        owner,
        "INSERT INTO feed_event (workspace_id, seq, kind, entity_ids, changed, before, after, actor_kind, at)"
        " VALUES ($1, 8, 'member.changed', '{}', '{}', '{}', '{}', 'SYSTEM', now() - interval '1 hour')",
        workspace_id,
    )
    assert await problems(url) == {}
    await as_system(
        owner,
        "INSERT INTO feed_consumer (workspace_id, consumer, seq) VALUES ($1, 'departures', 7)",
        workspace_id,
    )
    assert (await problems(url))["reactions"] == "departures is 60 minutes behind in 1 workspace(s)"
    await as_system(owner, "DELETE FROM workspace WHERE id = $1", workspace_id)
    assert await problems(url) == {}


async def test_a_wall_with_holes(url: str, owner: Own) -> None:
    await owner.execute("ALTER TABLE lead NO FORCE ROW LEVEL SECURITY")
    assert (await problems(url))["roles"] == "row-level security is off: lead"
    await owner.execute("ALTER TABLE lead FORCE ROW LEVEL SECURITY; REVOKE ALL ON lead FROM sp_app")
    assert (await problems(url))["roles"] == "may do nothing any more: sp_app on lead"
    await owner.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON lead TO sp_app")
    assert await problems(url) == {}


def test_roles() -> None:
    assert judge_role("sp_app", is_too_strong=True, can_set=True).fix
    assert judge_role("sp_app", is_too_strong=False, can_set=False).fix
    assert judge_role("sp_app", is_too_strong=False, can_set=True, owns_tables=True).fix
    assert not judge_role("sp_app", is_too_strong=False, can_set=True).fix


async def test_more_processes_than_connections(url: str) -> None:
    found = await problems(url, connections_each=2_000)
    assert "x 2000 connections" in found["connections"]
    assert judge_connections(there=97, processes=4, each=24) == Finding(
        "connections", "4 processes x 24 connections = 96, of 97 that PostgreSQL has for them"
    )
    too_many = judge_connections(there=97, processes=5, each=24)
    assert too_many.fix == "raise max_connections by 23, or lower SALESPAD_POOL_SIZE by 5, and restart"
    assert "2 processes x 24" in judge_connections(there=97, processes=0, each=24).text


async def test_processes_are_counted(url: str) -> None:
    """By what their connections are called, whatever database of the server they are in."""
    opened = [
        await asyncpg.connect(url, server_settings={"application_name": f"salespad/{role} elsewhere:{pid}"})
        for role, pid in (("sp_app", 1), ("sp_system", 1), ("sp_app", 2), ("sp_app", 3))
    ]
    found = next(one for one in await ask_database(url) if one.subject == "connections")
    assert int(found.text.split()[0]) >= 3
    for connection in opened:
        await connection.close()


async def test_a_schema_of_another_release(url: str) -> None:
    await asyncio.to_thread(downgrade, url, "0006")
    assert (await problems(url))["migrations"].startswith("database at 0006, code at ")
    await asyncio.to_thread(upgrade, url)
    assert await problems(url) == {}
    assert judge_migrations({"0"}).fix == "bring the code up to that release"
    assert judge_migrations({"0001"}).fix == "run  python3 -m app migrate"
    assert judge_migrations(set()).fix == "run  python3 -m app migrate"


def test_beside_the_embedded_servers(launcher: Launcher) -> None:
    """The launcher's stand-in migrates nothing: so roles and tables are missing in earnest."""
    launcher.start_ready()
    found = {one.subject: one for one in findings(Config(home=launcher.home, port=launcher.port))}
    assert found["port"].text == f"SalesPad is running: http://127.0.0.1:{launcher.port}"
    assert found["database"].text.startswith("PostgreSQL 18.")
    assert found["redis"].text == "answers"
    assert found["roles"].text == "missing: sp_app, sp_system"
    assert found["roles"].fix == found["migrations"].fix == "run  python3 -m app migrate"
    assert [name for name in ("database", "redis", "connections") if found[name].fix] == []


@pytest.mark.parametrize("is_there", [True, False])
def test_the_command(url: str, is_there: bool) -> None:
    """Its exit code says whether anything is wrong, with an external database and without Redis."""
    changes = {"SALESPAD_DATABASE_URL": url if is_there else "postgresql://a:b@127.0.0.1:9/x"}
    changes |= {"SALESPAD_REDIS_URL": OFF, "SALESPAD_PORT": str(free_port()), "SALESPAD_POOL_SIZE": "1"}
    told = subprocess.run(
        [sys.executable, "-m", "app", "doctor"],
        cwd=ROOT,
        env=dict(os.environ) | changes,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("not reachable" in told.stdout) is not is_there, told.stdout
    assert told.returncode == (0 if is_there else 1), told.stdout
