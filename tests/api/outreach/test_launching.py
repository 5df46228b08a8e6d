"""launchBulkSend, and what may happen to a bulk send until everybody is taken in."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from app.settings import Settings
from tests.factories.accounts import Person, add_member
from tests.factories.bulk_sends import (
    delete_template,
    drafted,
    leads,
    move,
    moved,
    refusal,
    state,
    template,
    until,
)
from tests.factories.channels import connected, disconnect
from tests.factories.sending import smtp_account
from tests.fixtures.processes import Worker, eventually

LATER = (datetime.now(UTC) + timedelta(days=1)).isoformat()
BATCHES = "SELECT id, status FROM send_batch WHERE workspace_id = :workspace_id"
RECIPIENTS = "SELECT lead_id, status FROM delivery WHERE workspace_id = :workspace_id"
COME = "UPDATE bulk_send SET start_at = now(), run_at = now() WHERE workspace_id = :workspace_id RETURNING id"
NO_SUBJECT = """mutation ($id: ID!) {
  updateTemplate(input: {id: $id, version: 1, subject: null}) { errors { code path } } }"""
FILTERED = "SELECT id FROM bulk_send WHERE workspace_id = :workspace_id AND filter IS NOT NULL"


async def rows(doors: Doors, person: Person, query: str) -> list[Any]:
    async with doors.open_work(person.workspace_id) as work:
        return list(await work.execute(text(query), {"workspace_id": person.workspace_id}))


async def test_nobody_to_write_to_is_refused_and_says_why(ana: Person) -> None:
    await leads(ana, 2, email=None)
    await leads(ana, 1, company=None)
    bulk_send = await drafted(ana, templateId=await template(ana, "Hello {{ lead.company }}"))
    answer = await move(ana, "launch", bulk_send["id"])
    assert refusal(answer) == ("INVALID", ["id"])
    told = answer["errors"][0]["message"]
    assert "2 have no address" in told
    assert "1 lack a value that the template requires (lead.company: " in told
    assert (await state(ana, bulk_send["id"]))["status"] == "DRAFT"


async def test_nobody_who_matches_is_refused(ana: Person) -> None:
    bulk_send = await drafted(ana, filter={"search": "nobody"})
    assert refusal(await move(ana, "launch", bulk_send["id"])) == ("INVALID", ["id"])


async def test_launched_many_times_at_once_it_is_launched_once(
    ana: Person, doors: Doors, worker: Worker
) -> None:
    made = await leads(ana, 5)
    await leads(ana, 2, email=None)
    bulk_send = await drafted(ana, startAt=LATER)
    answers = await asyncio.gather(*(move(ana, "launch", bulk_send["id"]) for _ in range(8)))
    assert [answer["errors"] for answer in answers] == [[]] * 8
    assert {answer["bulkSend"]["status"] for answer in answers} == {"SCHEDULED"}
    found = await until(ana, bulk_send["id"], counts={"eligible": 5, "queued": 5, "excluded": 2})
    assert found["exclusions"] == [{"reason": "NO_ADDRESS", "count": 2}]
    assert [row.status for row in await rows(doors, ana, BATCHES)] == ["PAUSED"]
    assert sorted(str(row.lead_id) for row in await rows(doors, ana, RECIPIENTS)) == sorted(made)

    async def is_forgotten() -> bool:
        return not await rows(doors, ana, FILTERED)

    await eventually(is_forgotten, what="the filter forgotten")


async def test_it_starts_when_its_time_has_come_for_those_who_were_there(
    ana: Person, doors: Doors, worker: Worker
) -> None:
    await leads(ana, 3)
    bulk_send = await drafted(ana, startAt=LATER)
    await moved(ana, "launch", bulk_send["id"])
    await leads(ana, 2)
    found = await until(ana, bulk_send["id"], counts={"eligible": 3})
    assert (found["status"], found["startedAt"]) == ("SCHEDULED", None)
    await eventually(lambda: rows(doors, ana, COME), what="its time")

    async def has_started() -> bool:
        return (await state(ana, bulk_send["id"]))["startedAt"] is not None

    await eventually(has_started, what="the start")
    assert [row.status for row in await rows(doors, ana, BATCHES)] == ["RUNNING"]
    assert (await state(ana, bulk_send["id"]))["counts"]["eligible"] == 3


async def test_a_scheduled_one_is_paused_and_waits_again(ana: Person, worker: Worker) -> None:
    await leads(ana, 1)
    bulk_send = await drafted(ana, startAt=LATER)
    await moved(ana, "launch", bulk_send["id"])
    paused = await moved(ana, "pause", bulk_send["id"])
    assert paused["status"] == "PAUSED"
    assert paused["pauseReason"].startswith("PAUSED_BY_MEMBER: ")
    assert (await moved(ana, "resume", bulk_send["id"]))["status"] == "SCHEDULED"


async def test_a_template_that_lost_its_subject_is_not_launched(ana: Person) -> None:
    await leads(ana, 1)
    id = await template(ana)
    bulk_send = await drafted(ana, templateId=id)
    await ana.run(NO_SUBJECT, {"id": id})
    assert refusal(await move(ana, "launch", bulk_send["id"])) == ("INVALID", ["templateId"])
    assert (await state(ana, bulk_send["id"]))["status"] == "DRAFT"


async def test_launched_while_its_template_is_deleted_it_is_one_or_the_other(
    ana: Person, doors: Doors, worker: Worker
) -> None:
    """Before the deletion it is sent with the text as it was; after it, it is refused and stays a draft."""
    await leads(ana, 1)
    account = await connected(ana)
    outcomes = set()
    for turn in range(6):
        id = await template(ana)
        bulk_send = await drafted(ana, templateId=id, accountId=account["id"], startAt=LATER)
        acts = [move(ana, "launch", bulk_send["id"]), delete_template(ana, id)]
        answers = await asyncio.gather(*(acts if turn % 2 else reversed(acts)))
        answer = next(one for one in answers if one is not None)
        found = await state(ana, bulk_send["id"])
        if answer["errors"]:
            assert (*refusal(answer), found["status"]) == ("NOT_FOUND", ["id"], "DRAFT")
        else:
            found = await until(ana, bulk_send["id"], counts={"eligible": 1, "queued": 1})
            assert found["status"] == "SCHEDULED"
        assert found["template"]["id"] == id
        outcomes.add(found["status"])
    assert len(await rows(doors, ana, BATCHES)) == len(await rows(doors, ana, RECIPIENTS))
    assert outcomes <= {"DRAFT", "SCHEDULED"}


async def test_why_it_is_paused_is_told_in_the_readers_language(ana: Person, doors: Doors) -> None:
    await leads(ana, 1)
    bulk_send = await drafted(ana, startAt=LATER)
    await moved(ana, "launch", bulk_send["id"])
    paused = await moved(ana, "pause", bulk_send["id"])
    assert paused["pauseReason"].startswith("PAUSED_BY_MEMBER: Alguém")
    bruno = await add_member(doors, ana, role=Role.VIEWER)
    async with doors.open_system() as system:
        await system.execute(text("UPDATE app_user SET locale = 'en' WHERE id = :id"), {"id": bruno.user_id})
    assert (await state(bruno, bulk_send["id"]))["pauseReason"].startswith("PAUSED_BY_MEMBER: Somebody")


async def test_a_draft_is_canceled_and_never_launched(ana: Person) -> None:
    await leads(ana, 1)
    bulk_send = await drafted(ana)
    canceled = await moved(ana, "cancel", bulk_send["id"])
    assert canceled["status"] == "CANCELED"
    assert canceled["finishedAt"] is not None
    assert await moved(ana, "cancel", bulk_send["id"]) == canceled
    for how in ("launch", "pause", "resume"):
        assert refusal(await move(ana, how, bulk_send["id"])) == ("CONFLICT", ["id"])


@pytest.mark.parametrize("how", ["pause", "resume"])
async def test_a_draft_neither_stands_still_nor_goes_on(ana: Person, how: str) -> None:
    bulk_send = await drafted(ana)
    assert refusal(await move(ana, how, bulk_send["id"])) == ("CONFLICT", ["id"])


async def test_canceled_while_it_is_launched_nobody_is_left_in_line(
    ana: Person, doors: Doors, worker: Worker
) -> None:
    await leads(ana, 5)
    for _ in range(3):
        bulk_send = await drafted(ana, startAt=LATER)
        launch, cancel = await asyncio.gather(
            move(ana, "launch", bulk_send["id"]), move(ana, "cancel", bulk_send["id"])
        )
        assert cancel["errors"] == []
        assert [error["code"] for error in launch["errors"]] in ([], ["CONFLICT"])
        found = await until(ana, bulk_send["id"], status="CANCELED", counts={"queued": 0})
        assert found["counts"]["eligible"] == found["counts"]["canceled"]

        async def has_ended(id: str = bulk_send["id"]) -> bool:
            return (await state(ana, id))["finishedAt"] is not None

        await eventually(has_ended, what="the end")
    assert {row.status for row in await rows(doors, ana, RECIPIENTS)} <= {"canceled"}


async def test_a_template_deleted_before_the_launch_is_refused(ana: Person) -> None:
    await leads(ana, 1)
    id = await template(ana)
    bulk_send = await drafted(ana, templateId=id)
    await delete_template(ana, id)
    assert refusal(await move(ana, "launch", bulk_send["id"])) == ("NOT_FOUND", ["id"])


async def test_a_template_deleted_after_the_launch_is_sent_all_the_same(ana: Person, worker: Worker) -> None:
    await leads(ana, 2)
    id = await template(ana)
    bulk_send = await drafted(ana, templateId=id, startAt=LATER)
    await moved(ana, "launch", bulk_send["id"])
    await delete_template(ana, id)
    found = await until(ana, bulk_send["id"], status="SCHEDULED", counts={"queued": 2})
    assert found["template"]["id"] == id
    assert found["template"]["deletedAt"] is not None


async def test_an_account_disconnected_before_the_launch_is_refused(ana: Person) -> None:
    await leads(ana, 1)
    account = await connected(ana)
    bulk_send = await drafted(ana, accountId=account["id"])
    await disconnect(ana, account["id"])
    answer = await move(ana, "launch", bulk_send["id"])
    assert refusal(answer) == ("CONFLICT", ["id"])
    assert "resume" not in answer["errors"][0]["message"], "there is nothing to resume yet"


async def test_an_account_disconnected_in_the_middle_pauses_it(
    ana: Person, doors: Doors, settings: Settings, worker: Worker
) -> None:
    await leads(ana, 3)
    # A mail server that does not answer: nobody is sent to meanwhile.
    account = str(await smtp_account(ana, doors, settings, "smtp://127.0.0.1:1"))
    bulk_send = await drafted(ana, accountId=account, startAt=LATER)
    await moved(ana, "launch", bulk_send["id"])
    await until(ana, bulk_send["id"], counts={"queued": 3})
    await disconnect(ana, account)
    await eventually(lambda: rows(doors, ana, COME), what="its time")
    found = await until(ana, bulk_send["id"], status="PAUSED", counts={"queued": 3})
    assert found["pauseReason"].startswith("ACCOUNT_DISCONNECTED: ")
    assert [row.status for row in await rows(doors, ana, BATCHES)] == ["PAUSED"]
    assert refusal(await move(ana, "resume", bulk_send["id"])) == ("CONFLICT", ["id"])
