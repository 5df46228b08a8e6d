"""How a workspace mapped a file is there for the next one with the same headers, for that workspace only."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.common.work import Doors
from app.imports.domain.mapping import ERROR_COLUMNS, LeadField, checked_mapping
from app.imports.infrastructure.mappings import MAX_REMEMBERED, remember_mapping, remembered_mapping
from tests.factories.accounts import Person
from tests.factories.import_files import COLUMNS as FILE_COLUMNS
from tests.factories.import_files import resting, start, upload_table
from tests.fixtures.doors import new_workspace

COLUMNS = ["Nome", "E-mail", "E-mail ", "x"]
GIVEN = [("E-mail", LeadField.EMAIL), ("Nome", LeadField.COMPANY), ("x", LeadField.PHONE)]
KEPT = text("SELECT count(*), min(used_at) FROM import_mapping WHERE workspace_id = :workspace_id")
FILL = text(
    "INSERT INTO import_mapping (workspace_id, headers, mapping, used_at) "
    "SELECT :workspace_id, int4send(n), '[]', now() - make_interval(mins => n) FROM generate_series(1, :n) AS n"
)


async def remember(
    doors: Doors, workspace_id: UUID, columns: list[str], given: list[tuple[str, LeadField]]
) -> None:
    async with doors.open_work(workspace_id) as work:
        await remember_mapping(work, workspace_id, columns, checked_mapping(columns, given))


async def remembered(doors: Doors, workspace_id: UUID, columns: list[str]) -> Any:
    async with doors.open_reads(workspace_id) as reads:
        return await remembered_mapping(reads, workspace_id, columns)


async def test_what_was_said_last_is_remembered_by_headers(doors: Doors) -> None:
    workspace_id, other = await new_workspace(doors), await new_workspace(doors)
    assert await remembered(doors, workspace_id, COLUMNS) is None
    await remember(doors, workspace_id, COLUMNS, GIVEN)
    expected = {
        "Nome": LeadField.COMPANY,
        "E-mail": LeadField.EMAIL,
        "E-mail ": LeadField.IGNORE,
        "x": LeadField.PHONE,
    }
    assert await remembered(doors, workspace_id, COLUMNS) == expected
    assert await remembered(doors, workspace_id, [*COLUMNS, *ERROR_COLUMNS]) == expected
    shouted = [column.upper() for column in COLUMNS]
    assert await remembered(doors, workspace_id, shouted) == {k.upper(): v for k, v in expected.items()}
    assert await remembered(doors, workspace_id, COLUMNS[::-1]) is None
    assert await remembered(doors, other, COLUMNS) is None
    await remember(doors, workspace_id, COLUMNS, [("x", LeadField.EMAIL)])
    assert (await remembered(doors, workspace_id, COLUMNS))["x"] is LeadField.EMAIL
    assert (await remembered(doors, workspace_id, COLUMNS))["E-mail"] is LeadField.IGNORE


async def test_what_was_used_longest_ago_makes_room(doors: Doors) -> None:
    workspace_id, other = await new_workspace(doors), await new_workspace(doors)
    async with doors.open_system() as system:
        for id in (workspace_id, other):
            await system.execute(FILL, {"workspace_id": id, "n": MAX_REMEMBERED})
        oldest = (await system.execute(KEPT, {"workspace_id": workspace_id})).one()[1]
    for _ in range(2):
        await remember(doors, workspace_id, COLUMNS, GIVEN)
        async with doors.open_system() as system:
            count, since = (await system.execute(KEPT, {"workspace_id": workspace_id})).one()
            assert (count, since > oldest) == (MAX_REMEMBERED, True)
            assert (await system.execute(KEPT, {"workspace_id": other})).one()[0] == MAX_REMEMBERED
    assert await remembered(doors, workspace_id, COLUMNS) is not None


async def test_a_mapping_given_to_an_import_that_waits_is_remembered(ana: Person, doors: Doors) -> None:
    token = await upload_table(ana)
    await resting(doors, ana, "NEEDS_MAPPING", phase="ANALYZE", has_file=True)
    given = [{"column": "E-mail", "field": "EMAIL"}, {"column": "Contato", "field": "METADATA"}]
    assert (await start(ana, token, mapping=[*given, {"column": "Fax", "field": "NOTE"}]))["errors"]
    assert await remembered(doors, ana.workspace_id, FILE_COLUMNS) is None
    assert (await start(ana, token, mapping=given, dryRun=True))["errors"] == []
    assert await remembered(doors, ana.workspace_id, FILE_COLUMNS) == {
        "Nome": LeadField.IGNORE,
        "E-mail": LeadField.EMAIL,
        "Contato": LeadField.METADATA,
    }


async def test_files_without_a_header_have_nothing_in_common(doors: Doors) -> None:
    workspace_id = await new_workspace(doors)
    nameless = ["Column 1", "Column 2"]
    for columns in (nameless, [*nameless, *ERROR_COLUMNS]):
        await remember(doors, workspace_id, columns, [("Column 1", LeadField.EMAIL)])
        assert await remembered(doors, workspace_id, columns) is None
    await remember(doors, workspace_id, ["Nome", "Column 2"], [("Column 2", LeadField.EMAIL)])
    assert await remembered(doors, workspace_id, ["Nome", "Column 2"]) is not None
