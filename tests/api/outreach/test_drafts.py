"""createBulkSend and updateBulkSend: drafts, of which nobody is told."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.bulk_sends import (
    ALL,
    asked,
    create,
    delete_template,
    drafted,
    moved,
    refusal,
    state,
    template,
    update,
)
from tests.factories.channels import connected, disconnect

COUNT = text("SELECT count(*) FROM bulk_send WHERE workspace_id = :workspace_id")
START = text("UPDATE bulk_send SET start_at = :start_at WHERE id = :id")
NOTHING = dict.fromkeys(("eligible", "excluded", "queued", "sent", "failed", "unknown", "canceled"), 0)


async def test_a_bulk_send_is_made_as_a_draft(ana: Person) -> None:
    start = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    input = await asked(ana, name=" October ", startAt=start.isoformat(), ratePerMinute=60, burst=5)
    made = (await create(ana, input))["bulkSend"]
    assert made["name"] == "October"
    assert made["status"] == "DRAFT"
    assert datetime.fromisoformat(made["startAt"]) == start
    assert (made["ratePerMinute"], made["burst"]) == (60, 5)
    assert (made["template"]["id"], made["account"]["id"]) == (input["templateId"], input["accountId"])
    assert NOTHING.items() <= made["counts"].items()
    assert (made["pauseReason"], made["startedAt"], made["finishedAt"]) == (None, None, None)
    assert await state(ana, made["id"]) == made


async def test_the_same_key_twenty_times_at_once_makes_one(ana: Person, doors: Doors) -> None:
    input = await asked(ana)
    answers = await asyncio.gather(*(create(ana, input) for _ in range(20)))
    assert {answer["bulkSend"]["id"] for answer in answers} == {answers[0]["bulkSend"]["id"]}
    async with doors.open_work(ana.workspace_id) as work:
        found = await work.execute(COUNT, {"workspace_id": ana.workspace_id})
        assert found.scalar_one() == 1


async def test_the_same_key_with_another_input_is_a_conflict(ana: Person) -> None:
    input = await asked(ana)
    await create(ana, input)
    assert refusal(await create(ana, input | {"ratePerMinute": 3})) == ("CONFLICT", ["idempotencyKey"])


PAST = "2020-01-01T00:00:00Z"
FAR = "2999-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("input", "code", "path"),
    [
        ({"name": " "}, "INVALID", ["name"]),
        ({"name": "x" * 201}, "INVALID", ["name"]),
        ({"ratePerMinute": 0}, "INVALID", ["ratePerMinute"]),
        ({"ratePerMinute": 100_001}, "INVALID", ["ratePerMinute"]),
        ({"burst": 5}, "INVALID", ["burst"]),
        ({"ratePerMinute": 5, "burst": 0}, "INVALID", ["burst"]),
        ({"startAt": PAST}, "INVALID", ["startAt"]),
        ({"startAt": FAR}, "INVALID", ["startAt"]),
        ({"filter": {"deleted": True}}, "INVALID", ["filter", "deleted"]),
        ({"templateId": str(uuid4())}, "NOT_FOUND", ["templateId"]),
        ({"templateId": "nonsense"}, "NOT_FOUND", ["templateId"]),
        ({"accountId": str(uuid4())}, "NOT_FOUND", ["accountId"]),
        ({"idempotencyKey": ""}, "INVALID", ["idempotencyKey"]),
    ],
    ids=[
        *(
            "no name",
            "a long name",
            "no rate",
            "a high rate",
            "a burst of nothing",
            "no burst",
            "past",
            "far",
        ),
        *("deleted leads", "no template", "no id of a template", "no account", "no key"),
    ],
)
async def test_what_cannot_be_sent_is_refused(
    ana: Person, input: dict[str, Any], code: str, path: list[str]
) -> None:
    assert refusal(await create(ana, await asked(ana) | input)) == (code, path)


async def test_all_that_is_wrong_is_told_at_once(ana: Person) -> None:
    answer = await create(ana, await asked(ana) | {"name": "", "ratePerMinute": -1, "startAt": PAST})
    assert {tuple(error["path"]) for error in answer["errors"]} == {
        ("name",),
        ("ratePerMinute",),
        ("startAt",),
    }


async def test_a_deleted_template_is_none(ana: Person) -> None:
    id = await template(ana)
    await delete_template(ana, id)
    assert refusal(await create(ana, await asked(ana, templateId=id))) == ("NOT_FOUND", ["templateId"])


async def test_a_mail_needs_a_subject(ana: Person) -> None:
    """Who has no conversation yet has no subject to go on with."""
    bare = await template(ana, subject=None)
    assert refusal(await create(ana, await asked(ana, templateId=bare))) == ("INVALID", ["templateId"])
    draft = await drafted(ana)
    assert refusal(await update(ana, id=draft["id"], templateId=bare)) == ("INVALID", ["templateId"])
    assert await state(ana, draft["id"]) == draft


async def test_a_disconnected_account_sends_nothing(ana: Person) -> None:
    account = await connected(ana)
    await disconnect(ana, account["id"])
    answer = await create(ana, await asked(ana, accountId=account["id"]))
    assert refusal(answer) == ("CONFLICT", ["accountId"])
    assert "Connect it again" in answer["errors"][0]["message"]


async def test_what_is_another_workspaces_is_none(ana: Person, eve: Person) -> None:
    theirs = await asked(eve)
    for name in ("templateId", "accountId"):
        answer = await create(ana, await asked(ana) | {name: theirs[name]})
        assert refusal(answer) == ("NOT_FOUND", [name])


async def test_a_draft_is_changed(ana: Person) -> None:
    draft = await drafted(ana, ratePerMinute=60, burst=5)
    other = await template(ana)
    changed = await update(
        ana, id=draft["id"], name="November", templateId=other, ratePerMinute=None, burst=None
    )
    assert changed["errors"] == []
    assert changed["bulkSend"]["name"] == "November"
    assert changed["bulkSend"]["template"]["id"] == other
    assert changed["bulkSend"]["ratePerMinute"] is None
    assert changed["bulkSend"]["account"] == draft["account"]


@pytest.mark.parametrize(
    ("input", "code", "path"),
    [
        ({"name": None}, "INVALID", ["name"]),
        ({"name": ""}, "INVALID", ["name"]),
        ({"filter": None}, "INVALID", ["filter"]),
        ({"templateId": None}, "INVALID", ["templateId"]),
        ({"accountId": str(uuid4())}, "NOT_FOUND", ["accountId"]),
        ({"startAt": PAST}, "INVALID", ["startAt"]),
        ({"id": str(uuid4())}, "NOT_FOUND", ["id"]),
    ],
    ids=["name cleared", "no name", "filter cleared", "template cleared", "no account", "past", "unknown"],
)
async def test_what_a_draft_cannot_be_is_refused(
    ana: Person, input: dict[str, Any], code: str, path: list[str]
) -> None:
    draft = await drafted(ana)
    assert refusal(await update(ana, **{"id": draft["id"]} | input)) == (code, path)
    assert await state(ana, draft["id"]) == draft


async def test_a_draft_whose_start_has_passed_is_changed_all_the_same(ana: Person, doors: Doors) -> None:
    """Only a start that is given anew has to be ahead."""
    draft = await drafted(ana)
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(START, {"id": draft["id"], "start_at": datetime.fromisoformat(PAST)})
    changed = await update(ana, id=draft["id"], name="November")
    assert changed["errors"] == []
    assert changed["bulkSend"]["name"] == "November"
    assert datetime.fromisoformat(changed["bulkSend"]["startAt"]) == datetime.fromisoformat(PAST)
    other = "2021-01-01T00:00:00Z"
    assert refusal(await update(ana, id=draft["id"], startAt=other)) == ("INVALID", ["startAt"])


async def test_only_a_draft_is_changed(ana: Person) -> None:
    draft = await drafted(ana)
    await moved(ana, "cancel", draft["id"])
    assert refusal(await update(ana, id=draft["id"], name="November")) == ("CONFLICT", ["id"])


async def test_bulk_sends_are_listed_newest_first(ana: Person, eve: Person) -> None:
    await drafted(eve)
    made = [(await drafted(ana, name=secrets.token_hex(4)))["id"] for _ in range(3)]
    found = (await ana.run(ALL))["bulkSends"]
    assert [one["id"] for one in found] == made[::-1]
    assert await state(ana, str(uuid4())) is None
    assert await state(eve, made[0]) is None
