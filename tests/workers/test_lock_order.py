"""Two who take the same rows: one of them waits before it holds what the other comes to (docs/decisions/0026)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.channels.domain.account import ChannelAccountStatus, Side
from app.channels.infrastructure.repository import report_account
from app.common.work import Doors, Work
from app.outreach.wiring import hold_bulk_sends
from app.tags.infrastructure.repository import TagRepository
from tests.factories.accounts import Person
from tests.factories.bulk_sends import drafted
from tests.factories.channels import disconnect
from tests.factories.leads import new_lead, new_tag
from tests.factories.mail import add_mailbox
from tests.factories.merging import asked_to_merge, asked_to_unmerge, merged, run_sql
from tests.factories.staged import row, settled
from tests.factories.undoing import imported, staged, undo_chunk
from tests.fixtures.doors import backend
from tests.fixtures.processes import eventually

WAITS = text("SELECT count(*) FROM pg_stat_activity WHERE cast(:pid as int) = ANY (pg_blocking_pids(pid))")
ADD_READING = """
INSERT INTO imap_mailbox (workspace_id, id, status, uid_validity, uid, token, lease_until)
VALUES (:workspace_id, :id, 'claimed', 1, 1, gen_random_uuid(), now() + interval '1 h') RETURNING id
"""
HOLD_READING = text(
    "UPDATE imap_mailbox SET lease_until = lease_until WHERE workspace_id = :workspace_id AND id = :id"
)
RECIPIENT = text(
    "INSERT INTO delivery (workspace_id, status, account_id, lead_id, origin_kind, origin_id)"
    " VALUES (:workspace_id, 'canceled', :account_id, :lead_id, 'BULK_SEND', :id)"
)
TAG = "mutation ($input: TagLeadsInput!) { tagLeads(input: $input) { errors { code } } }"


@asynccontextmanager
async def held_up(doors: Doors, holder: Work, other: Awaitable[Any]) -> AsyncIterator[asyncio.Future[Any]]:
    """Who waits for what the holder has, while that goes on to what it takes next."""
    task = asyncio.ensure_future(other)
    pid = await backend(holder)

    async def waits() -> object:
        async with doors.open_system() as system:
            return task.done() or (await system.execute(WAITS, {"pid": pid})).scalar_one()

    await eventually(waits, what="who waits")
    assert not task.done(), "it waits"
    async with asyncio.timeout(30):
        yield task


async def tag_leads(person: Person, tag_id: str, *lead_ids: object) -> None:
    given = {"leadIds": [str(id) for id in lead_ids], "addTagIds": [tag_id]}
    payload = (await person.run(TAG, {"input": given}))["tagLeads"]
    assert payload["errors"] == [], payload


async def test_who_disconnects_an_account_waits_for_who_reads_its_mailbox(ana: Person, doors: Doors) -> None:
    mailbox = await add_mailbox(doors, ana)
    await run_sql(ana, doors, ADD_READING, id=mailbox.id)
    async with doors.open_work(ana.workspace_id) as reading:
        await reading.execute(HOLD_READING, {"workspace_id": ana.workspace_id, "id": mailbox.id})
        async with held_up(doors, reading, disconnect(ana, str(mailbox.id))) as disconnecting:
            status = ChannelAccountStatus.DEGRADED
            await report_account(reading, ana.workspace_id, mailbox.id, status, "Away.", side=Side.READING)
    payload = await disconnecting
    assert (payload["errors"], payload["account"]["status"]) == ([], "DISCONNECTED")


async def test_an_undo_of_an_import_waits_for_who_deletes_its_tag(ana: Person, doors: Doors) -> None:
    await imported(doors, ana, [staged(1, "Bia", email="bia@example.com")])
    tag_id = UUID(await new_tag(ana, "Feira"))
    claim = await imported(doors, ana, [staged(1, email="bia@example.com", tags=("Feira",))])
    async with doors.open_work(ana.workspace_id) as deleting:
        tags = TagRepository(deleting)
        await tags.get(ana.workspace_id, tag_id)
        async with held_up(doors, deleting, undo_chunk(doors, claim, chunk_rows=7)) as undoing:
            await tags.remove(ana.workspace_id, tag_id)
    await undoing


async def test_an_undo_of_a_merge_waits_for_who_deletes_a_tag(ana: Person, doors: Doors) -> None:
    kept, away = (await new_lead(ana))["id"], (await new_lead(ana))["id"]
    tag_id = await new_tag(ana, "Feira")
    await tag_leads(ana, tag_id, away)
    merge_id = await merged(ana, kept, away)
    async with doors.open_work(ana.workspace_id) as deleting:
        tags = TagRepository(deleting)
        await tags.get(ana.workspace_id, UUID(tag_id))
        async with held_up(doors, deleting, asked_to_unmerge(ana, merge_id)) as undoing:
            await tags.remove(ana.workspace_id, UUID(tag_id))
    assert (await undoing)["errors"] == []


async def test_an_import_waits_for_who_renames_its_tag_before_it_makes_others(
    ana: Person, doors: Doors
) -> None:
    tag_id = UUID(await new_tag(ana, "Antiga"))
    rows = [row(1, email="bia@example.com", tags=("Feira",))]
    async with doors.open_work(ana.workspace_id) as renaming:
        tags = TagRepository(renaming)
        renamed, _ = (await tags.get(ana.workspace_id, tag_id)).update({"name": "Feira"})
        async with held_up(doors, renaming, settled(doors, ana, rows, tag_ids=[tag_id])) as importing:
            await tags.save(ana.workspace_id, renamed)
    (written,), _ = await importing
    assert written.outcome == "CREATED"


async def test_a_merge_waits_for_who_takes_its_leads_into_a_bulk_send(ana: Person, doors: Doors) -> None:
    """Of one origin the ledger has a lead once: who was sent to as both stays in it as both."""
    kept, away = (await new_lead(ana))["id"], (await new_lead(ana))["id"]
    bulk_send = await drafted(ana)
    of = {"workspace_id": ana.workspace_id, "id": bulk_send["id"], "account_id": bulk_send["account"]["id"]}
    async with doors.open_work(ana.workspace_id) as first:
        await first.execute(RECIPIENT, of | {"lead_id": away})
    async with doors.open_work(ana.workspace_id) as chunk:
        await hold_bulk_sends(chunk, ana.workspace_id)
        await chunk.execute(RECIPIENT, of | {"lead_id": kept})
        async with held_up(doors, chunk, asked_to_merge(ana, kept, away)) as merging:
            pass
    assert (await merging)["errors"] == []
    rows = await run_sql(
        ana, doors, "SELECT cast(lead_id as text) FROM delivery WHERE workspace_id = :workspace_id"
    )
    assert {id for (id,) in rows} == {kept, away}
