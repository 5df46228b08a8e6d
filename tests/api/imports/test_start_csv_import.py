"""startCsvImport: what an upload may become, once."""

import asyncio
import time
from typing import Any

import pytest
from itsdangerous import TimestampSigner
from sqlalchemy import text

from app.common.domain import ClientKind, Role
from app.common.work import Doors
from app.files.wiring import FileTokens
from app.settings import Settings
from tests.factories.accounts import Person, add_member, sign_up
from tests.factories.files import PNG, uploaded, zipped
from tests.factories.import_files import (
    COLUMNS,
    FILE_ID,
    resting,
    shown,
    start,
    upload_table,
)

JOBS = text("SELECT * FROM import_job WHERE workspace_id = :workspace_id")
DROPPED = text("DELETE FROM file WHERE workspace_id = :workspace_id")
EMAIL = {"column": "E-mail", "field": "EMAIL"}


def refusal(payload: dict[str, Any]) -> tuple[str, list[str]]:
    assert payload["leadImport"] is None
    (error,) = payload["errors"]
    return error["code"], error["path"]


async def jobs(doors: Doors, person: Person) -> list[Any]:
    async with doors.open_system() as system:
        found = await system.execute(JOBS, {"workspace_id": person.workspace_id})
        return list(found.mappings().all())


async def test_an_upload_becomes_an_import_with_all_that_was_asked_for(ana: Person, doors: Doors) -> None:
    token = await upload_table(ana, name="Clientes de março.csv")
    made = await start(
        ana, token, mapping=[EMAIL], policy="FILL_EMPTY", ownerId=str(ana.user_id), dryRun=True, basis=" LI "
    )
    assert made["errors"] == []
    assert (made["leadImport"]["source"], made["leadImport"]["fileName"]) == ("CSV", "Clientes de março.csv")
    (job,) = await jobs(doors, ana)
    assert (str(job["id"]), job["policy"], job["owner_id"]) == (
        made["leadImport"]["id"],
        "FILL_EMPTY",
        ana.user_id,
    )
    assert (job["basis"], job["is_dry_run"], job["created_by"]) == ("LI", True, ana.user_id)


async def test_one_upload_is_one_import(ana: Person) -> None:
    token = await upload_table(ana)
    assert (await start(ana, token))["errors"] == []
    assert refusal(await start(ana, token)) == ("CONFLICT", ["uploadToken"])


async def test_two_starts_at_once_make_one_import(ana: Person, doors: Doors) -> None:
    token = await upload_table(ana)
    answers = await asyncio.gather(*(start(ana, token) for _ in range(4)))
    assert sorted(len(one["errors"]) for one in answers) == [0, 1, 1, 1]
    assert all(refusal(one) == ("CONFLICT", ["uploadToken"]) for one in answers if one["errors"])
    assert len(await jobs(doors, ana)) == 1


async def test_twenty_calls_at_once_with_one_key_are_one(ana: Person, doors: Doors) -> None:
    token = await upload_table(ana)
    answers = await asyncio.gather(*(start(ana, token, idempotencyKey="once") for _ in range(20)))
    assert [one["errors"] for one in answers] == [[]] * 20
    assert len({one["leadImport"]["id"] for one in answers}) == len(await jobs(doors, ana)) == 1
    assert refusal(await start(ana, token, idempotencyKey="once", dryRun=True)) == (
        "CONFLICT",
        ["idempotencyKey"],
    )


async def test_somebody_elses_upload_is_unknown(ana: Person, doors: Doors) -> None:
    token = await upload_table(ana)
    colleague = await add_member(doors, ana, role=Role.MEMBER)
    stranger = await sign_up(ana.http)
    for other in (colleague, stranger):
        assert refusal(await start(other, token)) == ("NOT_FOUND", ["uploadToken"])
    assert refusal(await start(ana, token[:-2] + "xx")) == ("NOT_FOUND", ["uploadToken"])
    assert (await start(ana, token))["errors"] == []


async def test_an_upload_that_is_too_old_is_sent_again(
    ana: Person, doors: Doors, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upload_table(ana)
    async with doors.open_work(ana.workspace_id) as work:
        file_id = (await work.execute(FILE_ID, {"workspace_id": ana.workspace_id})).scalar_one()
    earlier = int(time.time()) - settings.upload_ttl_s - 60
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: earlier)
    token = FileTokens(settings).upload(ana.workspace_id, ana.user_id, file_id)
    monkeypatch.undo()
    assert refusal(await start(ana, token)) == ("INVALID", ["uploadToken"])


async def test_a_token_whose_file_is_gone_was_used(ana: Person, doors: Doors) -> None:
    token = await upload_table(ana)
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(DROPPED, {"workspace_id": ana.workspace_id})
    assert refusal(await start(ana, token)) == ("CONFLICT", ["uploadToken"])


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(PNG, "image/png"), (zipped({"a.csv": "Nome"}), "application/zip")],
    ids=["picture", "archive"],
)
async def test_what_is_no_table_is_told_what_to_send_and_stays_unused(
    ana: Person, doors: Doors, content: bytes, media_type: str
) -> None:
    token = await upload_table(ana, content, media_type=media_type)
    for _ in range(2):
        payload = await start(ana, token)
        assert refusal(payload) == ("INVALID", ["uploadToken"])
        assert media_type in payload["errors"][0]["message"]
    assert await jobs(doors, ana) == []


async def test_notes_are_no_table(ana: Person) -> None:
    token = (await uploaded(ana, b"some notes"))["uploadToken"]
    assert refusal(await start(ana, token)) == ("INVALID", ["uploadToken"])


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"ownerId": "01a205d6-e55c-7aad-85ad-c6414991f43f"}, "NOT_FOUND", ["ownerId"]),
        ({"ownerId": "nobody"}, "NOT_FOUND", ["ownerId"]),
        ({"tagIds": ["01a205d6-e55c-7aad-85ad-c6414991f43f"]}, "NOT_FOUND", ["tagIds", "0"]),
        ({"basis": "x" * 201}, "INVALID", ["basis"]),
        ({"mapping": []}, "INVALID", ["mapping"]),
        ({"mapping": [{"column": "a\0", "field": "EMAIL"}]}, "INVALID", ["mapping", "0", "column"]),
        ({"idempotencyKey": ""}, "INVALID", ["idempotencyKey"]),
    ],
    ids=["owner", "no id", "tag", "basis", "empty mapping", "NUL", "key"],
)
async def test_what_is_wrong_leaves_the_upload_unused(
    ana: Person, fields: dict[str, Any], code: str, path: list[str]
) -> None:
    token = await upload_table(ana)
    assert refusal(await start(ana, token, **fields)) == (code, path)
    assert (await start(ana, token))["errors"] == []


async def test_an_import_that_waits_goes_on_with_what_the_second_call_says(ana: Person, doors: Doors) -> None:
    token = await upload_table(ana)
    waiting = await resting(doors, ana, "NEEDS_MAPPING", phase="ANALYZE", has_file=True)
    refused = await start(ana, token)
    assert refusal(refused) == ("INVALID", ["mapping"])
    assert "suggestedMapping" in refused["errors"][0]["message"]
    refused = await start(ana, token, mapping=[EMAIL, {"column": "Fax", "field": "PHONE"}])
    assert refusal(refused) == ("INVALID", ["mapping", "1", "column"])
    went_on = await start(ana, token, mapping=[EMAIL], policy="CREATE_ONLY", ownerId=str(ana.user_id))
    assert went_on["errors"] == []
    assert went_on["leadImport"]["id"] == waiting
    assert went_on["leadImport"]["processedRows"] in (0, 1)
    (job,) = await jobs(doors, ana)
    assert (job["policy"], job["owner_id"], job["phase"]) == ("CREATE_ONLY", ana.user_id, "RUN")
    assert refusal(await start(ana, token, mapping=[EMAIL])) == ("CONFLICT", ["uploadToken"])


async def test_two_that_go_on_at_once_are_one(ana: Person, doors: Doors) -> None:
    token = await upload_table(ana)
    await resting(doors, ana, "NEEDS_MAPPING", phase="ANALYZE", has_file=True)
    answers = await asyncio.gather(*(start(ana, token, mapping=[EMAIL]) for _ in range(4)))
    assert sorted(len(one["errors"]) for one in answers) == [0, 1, 1, 1]
    assert all(refusal(one)[0] == "CONFLICT" for one in answers if one["errors"])


async def test_what_waits_shows_its_file(ana: Person, doors: Doors) -> None:
    waiting = await resting(doors, ana, "NEEDS_MAPPING", phase="ANALYZE", counts={}, processed_rows=0)
    state = await shown(ana, waiting)
    assert (state["status"], state["columns"]) == ("NEEDS_MAPPING", COLUMNS)
    assert state["preview"] == [["Bia", "b@example.com", ""]]
    assert state["suggestedMapping"][2] == {"column": "Contato", "field": "PHONE", "confidence": 0.5}
    assert (state["dryRunCounts"], state["errorReportUrl"], state["finishAt"]) == (None, None, None)


async def test_only_members_on_the_web_start_imports(ana: Person, doors: Doors) -> None:
    token = await upload_table(ana)
    for role, client in ((Role.VIEWER, ClientKind.WEB), (Role.MEMBER, ClientKind.EXTENSION)):
        other = await add_member(doors, ana, role=role, client=client)
        payload = await start(other, token)
        assert payload["errors"][0]["code"] == "FORBIDDEN"
