"""Doubles in a file: what becomes of a row does not depend on where its chunk begins."""

from pathlib import Path

import pytest

from app.common.work import Doors
from app.settings import Settings
from tests.factories.file_imports import ImportDesk

OTHERS = [f"Other {n},other{n}@example.com," for n in range(600)]
"""More than the first chunk has."""
BOTH = "Ana,ana@example.com,+5511987654321"


@pytest.fixture
async def desk(own: tuple[Settings, Doors], tmp_path: Path) -> ImportDesk:
    settings, doors = own
    mine = settings.model_copy(update={"files_dir": tmp_path, "import_turn_s": 0.001})
    mine.__dict__.pop("files_folder", None)
    return await ImportDesk.open(doors, mine)


def table(*rows: str) -> bytes:
    return "\n".join(["Name,E-mail,Phone", *rows, ""]).encode()


async def outcomes(
    desk: ImportDesk, known: list[str], rows: list[str], policy: str
) -> list[tuple[str, str | None, bool]]:
    """Of the rows that are no others', and whether a lead stands in it; the dry run before counts the same."""
    desk = await ImportDesk.open(desk.doors, desk.settings)
    await desk.start(table(*known))
    await desk.finish()
    dry = await desk.start(table(*rows), policy=policy, is_dry_run=True)
    await desk.finish()
    id = await desk.start(table(*rows), policy=policy)
    await desk.finish()
    await desk.check(id)
    assert (await desk.state(dry))["dry_run_counts"] == (await desk.state(id))["counts"]
    rows_now = await desk.rows(id)
    found = {row["row"]: (row["outcome"], row["code"], row["lead_id"] is not None) for row in rows_now}
    return [found[n] for n, row in enumerate(rows, start=1) if row not in OTHERS]


@pytest.mark.parametrize("policy", ["UPSERT", "FILL_EMPTY"])
@pytest.mark.parametrize(
    ("known", "double"),
    [
        (["Bia,bia@example.com,"], "Bia S,bia@example.com,+5511987654321"),
        (["Ana,ana@example.com,", "Bia,,+5511987654321"], "Bia S,,+5511987654321"),
        ([], "Bia,bia@example.com,+5511987654321"),
    ],
    ids=["a known colleague", "whose number it is", "nobody known"],
)
async def test_a_double_is_one_wherever_its_chunk_begins(
    desk: ImportDesk, known: list[str], double: str, policy: str
) -> None:
    near = await outcomes(desk, known, [BOTH, double, *OTHERS], policy)
    assert await outcomes(desk, known, [BOTH, *OTHERS, double], policy) == near
    assert (near[1][0] == "DUPLICATE_IN_FILE") == (not known)
