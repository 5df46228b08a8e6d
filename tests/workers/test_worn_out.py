"""A due row that ends every worker which takes it up."""

from sqlalchemy import text

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.imports import finished, import_leads, profile
from tests.fixtures.processes import Worker


async def test_a_row_no_worker_outlives_is_given_up(ana: Person, doors: Doors, worker: Worker) -> None:
    """As five dead workers leave it: held, its lease over, and nobody there to write an error."""
    import_id = await import_leads(ana, [profile("bia")])
    await finished(ana, import_id)
    async with doors.open_system() as system:
        await system.execute(
            text(
                "UPDATE import_job SET status = 'RUNNING', attempt = 5, token = gen_random_uuid(), "
                "finished_at = NULL, lease_until = now() - interval '1 second' WHERE id = :id"
            ),
            {"id": import_id},
        )
    state = await finished(ana, import_id)
    assert state["status"] == "FAILED"
    assert "5 attempts" in state["failure"]
