"""A chunk of an import looks up its own people alone, however many the workspace has, and however little PostgreSQL
knows of a table that is being filled."""

from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Doors
from app.imports.infrastructure.file_ledger import REMEMBER_SEEN, SEEN_EARLIER, TAKEN_EARLIER
from app.imports.infrastructure.undoing import RECORD, SETTLE
from app.leads.infrastructure import bulk, known_leads, matching, undoing
from app.leads.infrastructure.matching import LEARN
from app.leads.infrastructure.staging import make_stage, stage
from app.settings import Settings
from tests.factories.file_imports import ImportDesk
from tests.factories.staged import row
from tests.fixtures.plans import Given, check_rows_alone

FILL = Statement(
    text(
        """
        WITH made AS (
            INSERT INTO lead (workspace_id, name, stage_id, rank, source)
            SELECT cast(:workspace_id as uuid), 'Lead ' || n, stage.id, n::text, 'MANUAL'
            FROM generate_series(1, 4000) AS n,
                (SELECT id FROM stage WHERE workspace_id = cast(:workspace_id as uuid) ORDER BY position LIMIT 1)
                    AS stage
            RETURNING id
        ), told AS (
            INSERT INTO interaction (workspace_id, lead_id, type, content, actor_kind)
            SELECT cast(:workspace_id as uuid), id, 'NOTE', 'Met', 'HUMAN' FROM made
        )
        INSERT INTO lead_identity (workspace_id, lead_id, kind, value, is_primary)
        SELECT cast(:workspace_id as uuid), id, 'EMAIL', id || '@example.com', true FROM made
        """
    )
)
KNOW = Statement(
    text(
        """
        UPDATE pg_temp.stage_lead s SET lead_id = l.id, known = true
        FROM (
            SELECT id, row_number() OVER () AS n FROM lead WHERE workspace_id = cast(:workspace_id as uuid)
        ) AS l
        WHERE l.n = s.n AND s.n <= 250
        """
    )
)
UNDO = Statement(
    text(
        """
        INSERT INTO pg_temp.stage_undo (n, lead_id, is_created, written_at, undo, verdict)
        SELECT row_number() OVER (), id, false, now(), '{"version": 1}', 'RESTORE'
        FROM lead WHERE workspace_id = cast(:workspace_id as uuid) LIMIT 1000
        """
    )
)
LARGE = {"lead", "lead_identity", "interaction"}
"""Those that are filled here: a table of three rows is read whole, and rightly."""

CROWD = text(
    """
    WITH w AS (
        INSERT INTO workspace (id, name, locale, time_zone, phone_region)
        SELECT uuidv7(), 'Small', 'en', 'UTC', 'BR' FROM generate_series(1, 1500) RETURNING id
    ), s AS (
        INSERT INTO stage (workspace_id, name, kind, position) SELECT id, 'New', 'OPEN', 1 FROM w
        RETURNING workspace_id, id
    ), l AS (
        INSERT INTO lead (workspace_id, name, stage_id, rank, source)
        SELECT s.workspace_id, 'Lead', s.id, n::text, 'MANUAL' FROM s, generate_series(1, 2) AS n
        RETURNING workspace_id, id
    ), t AS (
        INSERT INTO interaction (workspace_id, lead_id, type, content, actor_kind)
        SELECT workspace_id, id, 'NOTE', 'Met', 'HUMAN' FROM l
    )
    INSERT INTO lead_identity (workspace_id, lead_id, kind, value, is_primary)
    SELECT workspace_id, id, 'EMAIL', id || '@example.com', true FROM l
    """
)


@pytest.fixture(params=["a new table", "many small workspaces"])
async def desk(request: pytest.FixtureRequest, own: tuple[Settings, Doors]) -> ImportDesk:
    """A workspace of 4,000 leads of which PostgreSQL has not learnt yet: it knows nothing at all, or that workspaces
    have two or three."""
    settings, doors = own
    desk = await ImportDesk.open(doors, settings)
    if request.param == "many small workspaces":
        await desk.execute(CROWD)
        owner = await asyncpg.connect(settings.database_url)
        for table in sorted(LARGE):
            await owner.execute(f"ANALYZE {table}")
        await owner.close()
    return desk


@pytest.mark.parametrize("known", [250, 0])
async def test_a_chunk_is_looked_up_row_by_row(desk: ImportDesk, known: int) -> None:
    async with desk.doors.open_work(desk.workspace_id) as work:
        await work.fetch(FILL, workspace_id=desk.workspace_id)
        await make_stage(work)
        rows = [row(n, email=f"new{n}@example.com", phone=f"+55119{n:08}", note="Met") for n in range(1, 501)]
        await stage(work, rows)
        if known:
            await work.fetch(KNOW, workspace_id=desk.workspace_id)
            await work.fetch(LEARN)
        dry = (SEEN_EARLIER, TAKEN_EARLIER, REMEMBER_SEEN)
        for statement in (*statements(bulk, known_leads, matching), *dry):
            await check_rows_alone(work, statement, Given(desk.workspace_id), LARGE)


async def test_an_undo_is_looked_up_row_by_row(desk: ImportDesk) -> None:
    """But for what it updates and deletes: by then PostgreSQL knows the table."""
    async with desk.doors.open_work(desk.workspace_id) as work:
        await work.fetch(FILL, workspace_id=desk.workspace_id)
        await work.execute(undoing.STAGE_DDL)
        await work.fetch(UNDO, workspace_id=desk.workspace_id)
        for statement in (*statements(undoing), SETTLE, RECORD):
            await check_rows_alone(work, statement, Given(desk.workspace_id), LARGE)


def statements(*modules: Any) -> Iterator[Statement]:
    for module in modules:
        found = [one for one in vars(module).values() if isinstance(one, Statement) and one is not LEARN]
        assert found
        yield from found
