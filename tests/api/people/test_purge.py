"""The purge of leads that were deleted long ago, beside others who are at them."""

from uuid import UUID

import pytest
from sqlalchemy import text

from app.common import telemetry
from app.common.work import Doors
from app.people.wiring import purge_leads
from app.settings import Settings
from tests.factories.accounts import Person, sign_up
from tests.factories.conversations import make_lead
from tests.factories.merging import run_sql
from tests.fixtures.databases import bare_database
from tests.fixtures.tenants import in_process


async def long_gone(person: Person, doors: Doors) -> UUID:
    id = await make_lead(person)
    await run_sql(
        person,
        doors,
        "UPDATE lead SET deleted_at = now() - interval '31 days' WHERE workspace_id = :workspace_id AND id = :id "
        "RETURNING id",
        id=id,
    )
    return id


async def test_one_that_somebody_holds_keeps_nobody_else(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a database without a worker, which would purge them itself."""
    own = await bare_database(settings)
    hasty = own.model_copy(update={"statement_timeout_s": 5})
    doors, impatient = Doors(own), Doors(hasty)
    async with in_process(own) as server:
        ana = await sign_up(server.http)
        held, free = await long_gone(ana, doors), await long_gone(ana, doors)
    telemetry.configure_logging(settings)  # as the worker does: keys it does not know are dropped
    found = [(ana.workspace_id, held), (ana.workspace_id, free)]
    try:
        async with doors.open_work(ana.workspace_id) as work:
            hold = text("SELECT FROM lead WHERE workspace_id = :workspace_id AND id = :id FOR UPDATE")
            await work.execute(hold, {"workspace_id": ana.workspace_id, "id": held})
            assert await purge_leads(impatient, hasty, found) == 1
            assert str(held) in "".join(capsys.readouterr())
            left = await run_sql(ana, doors, "SELECT id FROM lead WHERE workspace_id = :workspace_id")
            assert [row.id for row in left] == [held]
        assert await purge_leads(impatient, hasty, found[:1]) == 1
        assert await run_sql(ana, doors, "SELECT id FROM lead WHERE workspace_id = :workspace_id") == []
    finally:
        await impatient.close()
        await doors.close()
