"""eraseLead, through HTTP: what is left, who may, and that nothing brings the person back."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from app.common.domain import Role
from app.common.work import Doors
from app.files.wiring import drop_unused_files
from app.people.infrastructure.erasing import erase_person
from app.people.wiring import long_deleted_leads, purge_leads
from tests.factories.accounts import Person, add_member, audited
from tests.factories.bulk_changes import change_state
from tests.factories.bulk_sends import drafted, moved
from tests.factories.bulk_sends import state as bulk_send_state
from tests.factories.conversations import make_lead
from tests.factories.imports import finished, import_leads, imported, profile
from tests.factories.inbound import letter, post_mail, report, worked_on
from tests.factories.merging import merged as merged_into
from tests.factories.merging import run_sql, unmerged
from tests.factories.people import CREATE, Known, created, everywhere, mailbox, talked
from tests.factories.sending import Outlet, accepted, codes
from tests.fixtures.processes import Api, Worker, eventually
from tests.fixtures.traces import files_with, rows_with

ERASE = """mutation ($input: EraseLeadInput!) {
  eraseLead(input: $input) { deletedIds errors { code message path } } }"""
LEAD = "query ($id: ID!) { lead(id: $id) { id } }"
SEARCH = "query ($search: String!) { leads(filter: {search: $search}) { edges { node { id } } } }"
SUPPRESS = "mutation ($input: SuppressInput!) { suppress(input: $input) { errors { code path } } }"

WAITING_CHANGE = """
INSERT INTO bulk_change (workspace_id, status, filter, change, total, progress_at, run_at)
VALUES (:workspace_id, 'QUEUED', cast(:filter as jsonb), jsonb_build_object('delete', cast(:none as text)), 1, now(),
    now() + interval '1 hour')
RETURNING id
"""


async def erase(person: Person, id: object, word: str) -> dict[str, Any]:
    answer = await person.run(ERASE, {"input": {"id": str(id), "confirmEmailOrName": word}})
    return answer["eraseLead"]  # type: ignore[no-any-return]


async def erased(person: Person, id: object, word: str) -> list[str]:
    answer = await erase(person, id, word)
    assert answer["errors"] == [], answer
    return answer["deletedIds"]  # type: ignore[no-any-return]


async def test_nothing_is_left_of_a_person(outlet: Outlet, api_server: Api, worker: Worker) -> None:
    known, other = Known.somebody(), Known.somebody()
    person = outlet.person
    lead_id, merged = await everywhere(outlet, known), await created(person, other, email=None)
    await merged_into(person, lead_id, merged)
    bounce = report("sales@ours.example", message_id="<nobody@ours.example>", recipient=known.email)
    await post_mail(person.http, await mailbox(outlet), bounce)
    await worked_on(outlet.doors, person.workspace_id)
    broken = [profile("x" * 40, name=known.name, email=known.email), profile(known.handle, phone="1")]
    assert (await imported(person, broken))["counts"] == {"REJECTED": 2}
    await person.run(SUPPRESS, {"input": {"value": known.email}})
    await person.run(SUPPRESS, {"input": {"leadId": str(lead_id)}})
    traces = (*known.traces, *other.traces)
    before = await rows_with(outlet.doors, traces)
    assert {"lead.name", "message.body", "inbound_event.raw", "file.name", "import_row.payload"} <= set(
        before
    )
    assert files_with(outlet.settings.files_folder, traces)

    assert set(await erased(person, lead_id, f" {known.email.upper()} ")) == {str(lead_id), str(merged)}

    assert await rows_with(outlet.doors, traces) == {}
    assert files_with(outlet.settings.files_folder, traces) == []
    logs = (api_server.log() + worker.log()).lower()
    assert not [trace for trace in traces if trace in logs]
    assert (await person.run(LEAD, {"id": str(lead_id)}))["lead"] is None
    (row,) = [one for one in await audited(outlet.doors, person.workspace_id) if one.action == "lead.erased"]
    assert (row.object_id, row.before, row.after) == (lead_id, {}, {})


async def test_no_import_no_mail_and_no_hand_brings_them_back(outlet: Outlet) -> None:
    known, person = Known.somebody(), outlet.person
    lead_id = await everywhere(outlet, known)
    await erased(person, lead_id, known.name)
    rows = [
        profile("somebody.else", email=known.email),
        profile(known.handle),
        profile("another.one", phone=known.phone),
        profile(f"not.{known.handle}"),
    ]
    state = await imported(person, rows)
    assert state["counts"] == {"SUPPRESSED": 3, "CREATED": 1}
    assert {one["code"] for one in state["rowErrors"]} == {"ERASED"}
    letters = [
        letter(
            "sales@ours.example",
            sender=f"{known.name} <{known.email}>",
            files=[("a.txt", "text/plain", b"x")],
        ),
        report("sales@ours.example", message_id="<nobody@ours.example>", recipient=known.email),
    ]
    for raw in letters:
        await post_mail(person.http, await mailbox(outlet), raw)
    events = await worked_on(outlet.doors, person.workspace_id)
    assert [(one.status, one.error) for one in events] == [("done", "ERASED")] * 2
    for field in ("email", "phone", "instagram"):
        given = {"name": "Bia", field: getattr(known, {"instagram": "handle"}.get(field, field))}
        answer = (await person.run(CREATE, {"input": given}))["createLead"]
        assert codes(answer) == [("CONFLICT", [field])]
    answer = (await person.run(SUPPRESS, {"input": {"value": known.email}}))["suppress"]
    assert codes(answer) == [("CONFLICT", ["value"])]
    found = await rows_with(outlet.doors, [known.email, known.phone.lstrip("+")])
    assert found == {}


async def test_a_rejected_row_that_names_them_is_not_kept(outlet: Outlet) -> None:
    known, person = Known.somebody(), outlet.person
    await erased(person, await created(person, known), known.name)
    rows = [
        profile("x" * 40, email=known.email),
        profile(known.handle, phone="1"),
        profile("any.one", phone=known.phone, name="x" * 201),
        profile("any.two", email=known.email, name="\x00"),
        profile("any.three", name="x" * 201),
    ]
    state = await imported(person, rows)
    assert state["counts"] == {"SUPPRESSED": 4, "REJECTED": 1}
    assert [one["code"] for one in state["rowErrors"]] == ["ERASED"] * 4 + ["TOO_LONG"]
    assert await rows_with(outlet.doors, [known.word, known.phone.lstrip("+")]) == {}


@pytest.mark.parametrize("given", [0, 1, 2], ids=["the kept lead", "one merged", "one merged before that"])
async def test_of_merged_leads_whichever_is_given_all_go(outlet: Outlet, given: int) -> None:
    person, people = outlet.person, [Known.somebody() for _ in range(3)]
    ids = [await created(person, known) for known in people]
    for id in ids:
        await person.run(SUPPRESS, {"input": {"leadId": str(id)}})
    await merged_into(person, ids[1], ids[2])
    await merged_into(person, ids[0], ids[1])
    assert set(await erased(person, ids[given], people[2].email)) == {str(id) for id in ids}
    traces = [trace for known in people for trace in known.traces] + [str(id) for id in ids]
    assert set(await rows_with(outlet.doors, traces)) <= {"feed_event.entity_ids", "feed_event.after"}, (
        "ids alone"
    )
    for table in ("merge", "merge_journal", "suppression", "lead"):
        assert await outlet.sql(f"SELECT count(*) FROM {table} WHERE workspace_id = :workspace_id") == 0


async def test_a_merge_that_was_undone_binds_nobody(outlet: Outlet) -> None:
    person, kept, other = outlet.person, Known.somebody(), Known.somebody()
    ids = [await created(person, known) for known in (kept, other)]
    await unmerged(person, await merged_into(person, *ids))
    assert await erased(person, ids[1], other.name) == [str(ids[1])]
    assert await rows_with(outlet.doors, other.traces) == {}
    assert (await person.run(LEAD, {"id": str(ids[0])}))["lead"] is not None


async def test_a_change_of_many_that_looks_for_them_ends(outlet: Outlet) -> None:
    person, known = outlet.person, Known.somebody()
    lead_id = await created(person, known)

    async def waiting(*terms: str) -> str:
        made = await outlet.sql(
            WAITING_CHANGE, filter=orjson.dumps({"terms": terms}).decode(), none=str(UUID(int=0))
        )
        return str(made)

    theirs = [await waiting(known.word), await waiting("zulei"), await waiting("acme", known.phone[-6:])]
    other = await waiting("acme")
    await erased(person, lead_id, known.name)
    for id in theirs:
        state = await change_state(person, id)
        assert (state["status"], state["failure"][:8]) == ("FAILED", "Start it")
    assert (await change_state(person, other))["status"] == "RUNNING"
    kept = "SELECT count(*) FROM bulk_change WHERE workspace_id = :workspace_id AND filter IS NOT NULL"
    assert await outlet.sql(kept) == 1


async def test_a_bulk_send_that_looks_for_them_ends(outlet: Outlet) -> None:
    person, known = outlet.person, Known.somebody()
    lead_id = await created(person, known)
    later = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    theirs = [
        await drafted(person, filter={"search": search}) for search in (known.word, known.email, "Zulei")
    ]
    other = await drafted(person, filter={"search": "acme"})
    launched = await drafted(person, filter={"search": known.word}, startAt=later)
    await moved(person, "launch", launched["id"])
    await erased(person, lead_id, known.name)
    for one in theirs:
        state = await bulk_send_state(person, one["id"])
        assert (state["status"], state["pauseReason"].partition(":")[0]) == ("CANCELED", "SEARCH_ERASED")
        assert state["finishedAt"] is not None
    assert (await bulk_send_state(person, other["id"]))["status"] == "DRAFT"
    assert await rows_with(outlet.doors, known.traces) == {}


async def test_another_workspace_knows_nothing_of_it(ana: Person, eve: Person, worker: Worker) -> None:
    known = Known.somebody()
    await erased(ana, await created(ana, known), known.name)
    await created(eve, known)


async def test_the_word_must_be_the_persons(ana: Person, eve: Person, doors: Doors) -> None:
    lead_id = await make_lead(ana, name="Bia São João", email="bia@a.example")
    for word in ("", "Bia", "yes", "bia@b.example", "x" * 10_000):
        assert codes(await erase(ana, lead_id, word)) == [("INVALID", ["confirmEmailOrName"])]
    theirs = await make_lead(eve, name="Bia São João")
    for id in (theirs, "nobody"):
        assert codes(await erase(ana, id, "Bia São João")) == [("NOT_FOUND", ["id"])]
    member = await add_member(doors, ana, role=Role.MEMBER)
    assert codes(await erase(member, lead_id, "Bia São João")) == [("FORBIDDEN", [])]
    answers = await asyncio.gather(*(erase(ana, lead_id, " bia SAO joao ") for _ in range(4)))
    assert sorted(codes(one) for one in answers) == [[]] + [[("NOT_FOUND", ["id"])]] * 3


async def test_erased_while_an_import_and_a_send_and_a_mail_touch_them(outlet: Outlet) -> None:
    person = outlet.person
    for _ in range(3):
        known = Known.somebody()
        lead_id = await created(person, known)
        conversation_id = await talked(outlet, known)
        inbox = await mailbox(outlet)
        sender = f"{known.name} <{known.email}>"
        raws = [letter("sales@ours.example", sender=sender, body=known.word) for _ in range(3)]
        await accepted(person, conversation_id, body=known.word)
        rows = [profile(f"{known.word}.{n}") for n in range(100)] + [profile("any.handle", email=known.email)]
        import_id, deleted, *_ = await asyncio.gather(
            import_leads(person, rows),
            erased(person, lead_id, known.name),
            *(post_mail(person.http, inbox, raw) for raw in raws),
        )
        assert deleted == [str(lead_id)]
        await worked_on(outlet.doors, person.workspace_id)
        await finished(person, import_id)
        again = await person.run(SEARCH, {"search": known.name})
        assert again["leads"]["edges"] == []
        assert await rows_with(outlet.doors, [known.email, known.phone.lstrip("+")]) == {}


async def files_gone(outlet: Outlet, known: Known) -> None:
    """Those that a worker's chores came to first it may still be at."""
    await eventually(
        lambda: files_with(outlet.settings.files_folder, [known.word]) == [], what="the end of their files"
    )


async def test_files_go_though_the_process_dies_after_the_commit(outlet: Outlet) -> None:
    known = Known.somebody()
    lead_id = await everywhere(outlet, known)
    async with outlet.doors.open_work(outlet.person.workspace_id) as work:
        _, files = await erase_person(work, outlet.person.workspace_id, lead_id, known.name)
        assert len(files) == 2
        assert files_with(outlet.settings.files_folder, [known.word])
    async with outlet.doors.open_system() as system:
        await drop_unused_files(system, settings=outlet.settings, limit=5000)
    await files_gone(outlet, known)


async def test_a_lead_deleted_long_ago_is_purged_and_may_come_again(outlet: Outlet) -> None:
    known, recent, person = Known.somebody(), Known.somebody(), outlet.person
    long_ago, lately = await everywhere(outlet, known), await created(person, recent)
    rejected = [profile("x" * 40, name=known.name, email=known.email)]
    assert (await imported(person, rejected))["counts"] == {"REJECTED": 1}
    for id, days in ((long_ago, 31), (lately, 29)):
        await outlet.sql(
            "UPDATE lead_identity SET released_at = now() WHERE workspace_id = :workspace_id AND lead_id = :id",
            id=id,
        )
        await outlet.sql(
            """UPDATE lead SET deleted_at = now() - :days * interval '1 day'
            WHERE workspace_id = :workspace_id AND id = :id""",
            id=id,
            days=days,
        )
    async with outlet.doors.open_system() as system:
        found = await long_deleted_leads(system, outlet.settings, limit=5000)
    await purge_leads(outlet.doors, outlet.settings, found)

    async def is_purged() -> bool:
        left = await run_sql(person, outlet.doors, "SELECT id FROM lead WHERE workspace_id = :workspace_id")
        return [row.id for row in left] == [lately]

    await eventually(is_purged, what="the purge, by whichever worker")
    traces = await rows_with(outlet.doors, [known.email])
    assert set(traces) <= {"import_row.payload"}
    await files_gone(outlet, known)
    await created(person, known)
