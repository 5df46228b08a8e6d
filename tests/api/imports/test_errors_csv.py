"""GET /imports/{id}/errors.csv: downloaded, corrected, uploaded; just those rows are mended."""

import csv
import io
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from app.common.domain import ClientKind, Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member, sign_up
from tests.factories.import_files import resting, shown, start, upload_table
from tests.fixtures.processes import Worker, eventually

SPEAK = "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { errors { code } } }"
NAMES = "{ leads(first: 20, sort: NAME) { edges { node { name email } } } }"
REJECTED = text(
    """
    INSERT INTO import_row (workspace_id, import_id, row, outcome, code, field, payload)
    SELECT :workspace_id, cast(:id as uuid), n, 'REJECTED', 'INVALID_EMAIL', 'E-mail',
        jsonb_build_object('cells', jsonb_build_array('N' || n, repeat('x', :width), '=1+1'))
    FROM generate_series(1, :count) AS n
    """
)
TABLE = (
    'Nome;E-mail;Obs\nBia;bia@example.com;\nCaio;caio@;=1+1\nDuda;duda@;"a;b\nc"\nEva;eva@example.com;x;y\n'
)


def path_of(person: Person, import_id: str) -> str:
    return f"/imports/{import_id}/errors.csv"


def bearer(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}"}


async def fetched(person: Person, import_id: str) -> httpx.Response:
    return await person.http.get(path_of(person, import_id), headers=bearer(person))


def lines(answer: httpx.Response, delimiter: str = ";") -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(b"\xef\xbb\xbf")
    sheet = answer.content.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(sheet, newline=""), delimiter=delimiter, strict=True))


async def ended(person: Person, import_id: str) -> Any:
    async def rested() -> Any:
        state = await shown(person, import_id)
        return state if state["status"] not in ("ANALYZING", "QUEUED", "RUNNING") else None

    return await eventually(rested, timeout_s=30, what="the end of the import")


async def run(person: Person, content: bytes, **fields: Any) -> Any:
    """The import of a file, once it rests."""
    made = await start(person, await upload_table(person, content), **fields)
    assert made["errors"] == []
    return await ended(person, made["leadImport"]["id"])


async def reject(doors: Doors, person: Person, import_id: str, count: int, width: int = 3) -> None:
    given = {"workspace_id": person.workspace_id, "id": import_id, "count": count, "width": width}
    async with doors.open_work(person.workspace_id) as work:
        await work.execute(REJECTED, given)


async def test_what_is_corrected_and_uploaded_mends_just_those_rows(ana: Person, worker: Worker) -> None:
    await ana.run(SPEAK, {"input": {"locale": "en"}})
    state = await run(ana, TABLE.encode("cp1252"))
    assert state["status"] == "COMPLETED_WITH_ERRORS"
    report = await fetched(ana, state["id"])
    head, *rows = lines(report)
    assert head == ["Nome", "E-mail", "Obs", "row", "code", "message"]
    assert [row[:5] for row in rows] == [
        ["Caio", "caio@", "'=1+1", "2", "INVALID_EMAIL"],
        ["Duda", "duda@", "a;b\nc", "3", "INVALID_EMAIL"],
        ["Eva", "eva@example.com", "x;y", "4", "RAGGED_ROW"],
    ]
    assert rows[0][5] == "E-mail: Give an e-mail address, such as ana@example.com."
    corrected = report.content.replace(b"caio@", b"caio@example.com").replace(b"duda@", b"duda@example.com")
    mended = await run(ana, corrected)
    assert (mended["status"], mended["totalRows"]) == ("COMPLETED", 3)
    assert {one["outcome"]: one["count"] for one in mended["counts"] if one["count"]} == {"CREATED": 3}
    found = [edge["node"] for edge in (await ana.run(NAMES))["leads"]["edges"]]
    assert found == [
        {"name": name, "email": f"{name.lower()}@example.com"} for name in ("Bia", "Caio", "Duda", "Eva")
    ]


async def test_a_dry_run_tells_what_the_run_would_and_the_run_goes_on_from_it(
    ana: Person, worker: Worker
) -> None:
    token = await upload_table(ana, TABLE.encode())
    first = await start(ana, token, dryRun=True)
    dry = await ended(ana, first["leadImport"]["id"])
    assert (dry["status"], dry["processedRows"]) == ("NEEDS_MAPPING", 0)
    assert (await ana.run(NAMES))["leads"]["edges"] == []
    assert [row[3] for row in lines(await fetched(ana, dry["id"]))[1:]] == ["2", "3", "4"]
    again = await start(ana, token)
    assert (again["errors"], again["leadImport"]["id"]) == ([], dry["id"])
    ran = await ended(ana, dry["id"])
    assert ran["counts"] == dry["dryRunCounts"] == ran["dryRunCounts"]
    assert ran["rowErrors"] == dry["rowErrors"]


async def test_a_link_opens_it_in_the_readers_language_without_a_token(ana: Person, doors: Doors) -> None:
    id = await resting(doors, ana, "COMPLETED_WITH_ERRORS", counts={"REJECTED": 2})
    await reject(doors, ana, id, 2)
    for locale, word in (("pt-BR", "Dê um"), ("en", "Give an")):
        await ana.run(SPEAK, {"input": {"locale": locale}})
        url = urlsplit((await shown(ana, id))["errorReportUrl"])
        answer = await ana.http.get(f"{url.path}?{url.query}")
        assert [word in row[-1] for row in lines(answer)[1:]] == [True, True]
    other = await resting(doors, ana, "COMPLETED_WITH_ERRORS", counts={"REJECTED": 2})
    assert (await ana.http.get(f"{path_of(ana, other)}?{url.query}")).status_code == 404
    assert (await ana.http.get(f"{url.path}?{url.query[:-2]}xx")).status_code == 404


@pytest.mark.parametrize(("count", "width"), [(1201, 3), (12, 1_000_000)], ids=["many", "wide"])
async def test_all_of_them_come_page_by_page(ana: Person, doors: Doors, count: int, width: int) -> None:
    id = await resting(doors, ana, "COMPLETED_WITH_ERRORS", counts={"REJECTED": count})
    await reject(doors, ana, id, count, width)
    csv.field_size_limit(2_000_000)
    found = lines(await fetched(ana, id))
    assert [row[3] for row in found[1:]] == [str(n) for n in range(1, count + 1)]


async def test_who_may_not_gets_none(ana: Person, doors: Doors) -> None:
    id = await resting(doors, ana, "COMPLETED_WITH_ERRORS", counts={"REJECTED": 1})
    await reject(doors, ana, id, 1)
    for role, client in ((Role.VIEWER, ClientKind.WEB), (Role.MEMBER, ClientKind.EXTENSION)):
        other = await add_member(doors, ana, role=role, client=client)
        assert (await fetched(other, id)).status_code == 403
        told = "query ($id: ID!) { leadImport(id: $id) { errorReportUrl } }"
        assert (await other.run(told, {"id": id}))["leadImport"]["errorReportUrl"] is None
    stranger = await sign_up(ana.http)
    assert (await fetched(stranger, id)).status_code == 404
    assert (await ana.http.get(path_of(ana, id))).status_code == 401
    assert (await ana.http.get(path_of(ana, "no-id"), headers=bearer(ana))).status_code == 404
    strange = await ana.http.get(path_of(ana, id), params={"filter": "{}"}, headers=bearer(ana))
    assert strange.status_code == 400


async def test_where_nothing_was_rejected_there_is_no_report_to_link_to(ana: Person, doors: Doors) -> None:
    id = await resting(doors, ana, "COMPLETED")
    assert (await shown(ana, id))["errorReportUrl"] is None
    assert len(lines(await fetched(ana, id))) == 1


async def test_a_table_of_one_column_has_its_report(ana: Person, worker: Worker) -> None:
    started = await start(ana, await upload_table(ana, "email\nbia@example.com\ncaio@\n"))
    state = await ended(ana, started["leadImport"]["id"])
    assert state["status"] == "COMPLETED_WITH_ERRORS"
    sheet = lines(await fetched(ana, state["id"]))
    assert [row[:3] for row in sheet] == [["email", "row", "code"], ["caio@", "2", "INVALID_EMAIL"]]
