"""eraseLead, over imports of files: what they keep of a person, wherever it stands, and nobody else's."""

from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import text

from app.common.work import Doors
from tests.api.people.test_erase_lead import erased
from tests.factories.accounts import Person
from tests.factories.leads import new_lead, the_lead
from tests.factories.people import Known, created
from tests.factories.undoing import imported, lead_ids, staged, undone
from tests.fixtures.traces import rows_with

JOB = text(
    """
    INSERT INTO import_job (workspace_id, id, status, phase, source, policy, tag_ids, file_name, columns, mapping,
        suggested, preview, total_rows, finished_at)
    VALUES (:workspace_id, :id, :status, 'RUN', 'CSV', 'UPSERT', '{}', :file_name, :columns, cast(:mapping as jsonb),
        cast(:mapping as jsonb), cast(:preview as jsonb), 3, CASE WHEN :status = 'COMPLETED' THEN now() END)
    """
)
ROW = text(
    """
    INSERT INTO import_row (workspace_id, import_id, row, outcome, code, field, payload, at)
    VALUES (:workspace_id, :id, :row, 'REJECTED', 'INVALID_EMAIL', :field, cast(:payload as jsonb), now())
    """
)
LEFT = text(
    """
    SELECT j.status, j.file_name, j.columns, cast(j.mapping as text) AS mapping, cast(j.preview as text) AS preview,
        (SELECT cast(json_agg(r.payload -> 'cells' ORDER BY r.row) as text) FROM import_row r
            WHERE r.workspace_id = j.workspace_id AND r.import_id = j.id) AS rows,
        ARRAY(SELECT r.field FROM import_row r
            WHERE r.workspace_id = j.workspace_id AND r.import_id = j.id ORDER BY r.row) AS fields
    FROM import_job j WHERE j.workspace_id = :workspace_id AND j.id = :id
    """
)
HEADERS = ("Nome", "Sobrenome", "E-mail", "Telefone")


async def job(
    person: Person,
    doors: Doors,
    rows: list[list[str]],
    *,
    status: str = "COMPLETED",
    file_name: str = "leads.csv",
    headers: tuple[str, ...] = HEADERS,
) -> dict[str, Any]:
    """Of which every row was rejected for its third column; they are its preview too, unless it has ended."""
    of = {"workspace_id": person.workspace_id, "id": uuid4()}
    mapping = [{"column": header, "field": "IGNORE", "confidence": 1} for header in headers]
    preview = None if status == "COMPLETED" else orjson.dumps(rows).decode()
    async with doors.open_work(person.workspace_id) as work:
        given = {"status": status, "file_name": file_name, "columns": list(headers), "preview": preview}
        await work.execute(JOB, of | given | {"mapping": orjson.dumps(mapping).decode()})
        for n, cells in enumerate(rows, 1):
            payload = orjson.dumps({"cells": cells}).decode()
            await work.execute(ROW, of | {"row": n, "payload": payload, "field": headers[2]})
    return of


async def left(doors: Doors, of: dict[str, Any]) -> Any:
    async with doors.open_work(of["workspace_id"]) as work:
        return (await work.execute(LEFT, of)).one()


def written_as(known: Known) -> list[list[str]]:
    """Each is by itself enough to know them; the last is somebody else."""
    first, last = known.name.split()
    phone = f"({known.phone[3:5]}) {known.phone[5:10]}-{known.phone[10:]}"
    return [
        ["", "", f" {known.email.upper()} ", ""],
        ["", "", "x@", phone],
        [first.upper(), last, "x@", ""],
        [known.name, "", "x@", ""],
        ["Caio", "Souza", "caio@", "11 2222-3333"],
    ]


async def test_rejected_rows_and_previews_that_name_them_go(ana: Person, doors: Doors) -> None:
    known = Known.somebody()
    lead_id = await created(ana, known)
    rows = written_as(known)
    jobs = {
        status: await job(ana, doors, rows, status=status)
        for status in ("COMPLETED", "PAUSED", "NEEDS_MAPPING")
    }

    await erased(ana, lead_id, known.name)

    assert await rows_with(doors, known.traces) == {}
    for status, of in jobs.items():
        found = await left(doors, of)
        assert orjson.loads(found.rows) == [None, None, None, None, rows[-1]]
        assert found.preview is None if status == "COMPLETED" else orjson.loads(found.preview) == [rows[-1]]
        assert (found.file_name, found.columns) == ("leads.csv", list(HEADERS))


async def test_a_file_that_is_called_after_them_has_no_name(ana: Person, doors: Doors) -> None:
    known = Known.somebody()
    lead_id = await created(ana, known)
    names = {
        f"{known.email}.csv": None,
        f"contrato-{known.name.replace(' ', '_')}-2026.csv": None,
        f"Zuleika {known.word[:4]}.csv": f"Zuleika {known.word[:4]}.csv",
    }
    jobs = {name: await job(ana, doors, [], file_name=name) for name in names}
    await erased(ana, lead_id, known.name)
    assert {name: (await left(doors, of)).file_name for name, of in jobs.items()} == names


async def test_a_file_without_headers_has_nobody_for_them(ana: Person, doors: Doors) -> None:
    """The first person of it was read as its headers."""
    known = Known.somebody()
    lead_id = await created(ana, known)
    first, last = known.name.split()
    headers = (first, last, known.email, known.phone)
    of = await job(ana, doors, [["Caio", "Souza", "caio@", ""]], status="PAUSED", headers=headers)
    await erased(ana, lead_id, known.name)
    assert await rows_with(doors, known.traces) == {}
    found = await left(doors, of)
    assert found.columns == ["#1", "#2", "#3", "#4"]
    assert [one["column"] for one in orjson.loads(found.mapping)] == found.columns
    assert found.fields == ["#3"]


async def test_what_takes_a_row_back_goes_and_is_counted(ana: Person, doors: Doors) -> None:
    """Theirs, and that of another lead whose row was about them before: that one keeps what the import wrote."""
    known = Known.somebody()
    lead_id = await created(ana, known)
    other = await new_lead(ana, email="outra@example.com", company=f"antes: {known.email}")
    third = await new_lead(ana, email="terceira@example.com", company="0")
    rows = [
        staged(1, email=known.email, company=f"{known.word} nova"),
        staged(2, email="outra@example.com", company="1"),
        staged(3, email="terceira@example.com", company="1"),
    ]
    claim = await imported(doors, ana, rows)
    assert "import_row.undo" in await rows_with(doors, known.traces)

    await erased(ana, lead_id, known.name)

    assert await rows_with(doors, known.traces) == {}
    assert (await lead_ids(doors, claim))[1] is None
    assert await undone(doors, claim) == 1
    companies = [(await the_lead(ana, one["id"]) or {})["company"] for one in (other, third)]
    assert companies == ["1", "0"]
