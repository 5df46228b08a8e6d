"""Writing identities of leads, as all who write them do, and what the lead repeats of them."""

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Doors, Work
from app.leads.domain.errors import IdentityTaken
from app.leads.domain.identity import Identity, IdentityKind
from app.leads.wiring import (
    add_identities,
    find_holders,
    reclaim_identities,
    refresh_contacts,
    release_identities,
    remove_identities,
)
from tests.factories.accounts import Person

FIRST, SECOND, THIRD = (Identity(IdentityKind.EMAIL, f"{name}@example.com") for name in "abc")
PHONE = Identity(IdentityKind.PHONE, "+5511987654321")
ROWS = Statement(
    text(
        """
        SELECT l.email, l.phone, l.handles, i.id, i.kind, i.value, i.is_primary
        FROM lead l LEFT JOIN lead_identity i ON i.workspace_id = l.workspace_id AND i.lead_id = l.id
        WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = cast(:lead_id as uuid) ORDER BY i.kind, i.value
        """
    )
)


class Undo(Exception):
    pass


async def new_lead(person: Person, **input: Any) -> UUID:
    payload = await person.run(
        "mutation ($input: CreateLeadInput!) { createLead(input: $input) { lead { id } errors { code } } }",
        {"input": {"name": "Bia", **input}},
    )
    return UUID(payload["createLead"]["lead"]["id"])


async def rows_of(work: Work, person: Person, lead_id: UUID) -> list[Any]:
    return await work.fetch(ROWS, workspace_id=person.workspace_id, lead_id=lead_id)


def primaries(rows: list[Any]) -> list[str]:
    return [row["value"] for row in rows if row["is_primary"]]


async def test_of_several_of_a_kind_one_is_primary(ana: Person, doors: Doors) -> None:
    lead_id = await new_lead(ana, email=FIRST.value)
    async with doors.open_work(ana.workspace_id) as work:
        ws = ana.workspace_id
        await add_identities(work, ws, lead_id, {"1": SECOND, "2": PHONE, "3": FIRST})
        assert primaries(await rows_of(work, ana, lead_id)) == [FIRST.value, PHONE.value]
        await add_identities(work, ws, lead_id, {"1": THIRD}, primary=True)
        await refresh_contacts(work, ws, [lead_id])
        rows = await rows_of(work, ana, lead_id)
        assert primaries(rows) == [THIRD.value, PHONE.value]
        assert (rows[0]["email"], rows[0]["phone"]) == (THIRD.value, PHONE.value)
        assert rows[0]["handles"] == [FIRST.value, SECOND.value, THIRD.value, PHONE.value]


async def test_where_the_primary_goes_the_oldest_takes_its_place(ana: Person, doors: Doors) -> None:
    lead_id = await new_lead(ana, email=SECOND.value)
    async with doors.open_work(ana.workspace_id) as work:
        ws = ana.workspace_id
        await add_identities(work, ws, lead_id, {"1": FIRST, "2": THIRD}, primary=False)
        ids = {row["value"]: row["id"] for row in await rows_of(work, ana, lead_id)}
        assert await remove_identities(work, ws, lead_id, [ids[SECOND.value]]) == [SECOND]
        await refresh_contacts(work, ws, [lead_id])
        rows = await rows_of(work, ana, lead_id)
        assert (primaries(rows), rows[0]["email"]) == ([FIRST.value], FIRST.value)
        await remove_identities(work, ws, lead_id, list(ids.values()))
        await refresh_contacts(work, ws, [lead_id])
        rows = await rows_of(work, ana, lead_id)
        assert (rows[0]["email"], rows[0]["handles"], rows[0]["id"]) == (None, [], None)


async def test_a_taken_one_names_who_has_it(ana: Person, doors: Doors) -> None:
    holder, other = await new_lead(ana, email=FIRST.value), await new_lead(ana)
    with pytest.raises(IdentityTaken) as taken:
        async with doors.open_work(ana.workspace_id) as work:
            await add_identities(work, ana.workspace_id, other, {"phone": PHONE, "email": FIRST})
    assert (taken.value.lead_id, taken.value.path) == (holder, ("email",))
    async with doors.open_work(ana.workspace_id) as work:
        assert primaries(await rows_of(work, ana, other)) == []
        found = await find_holders(work, ana.workspace_id, [PHONE, FIRST])
        assert [(one.lead_id, one.identity) for one in found] == [(holder, FIRST)]


async def test_released_ones_are_free_and_come_back_where_nobody_took_them(ana: Person, doors: Doors) -> None:
    first, ws = await new_lead(ana, email=FIRST.value, phone=PHONE.value), ana.workspace_id
    async with doors.open_work(ws) as work:
        before = [tuple(row) for row in await rows_of(work, ana, first)]
        await release_identities(work, ws, [first])
    second = await new_lead(ana, email=FIRST.value)
    async with doors.open_work(ws) as work:
        await refresh_contacts(work, ws, [first])
        assert [tuple(row) for row in await rows_of(work, ana, first)] == before, "it keeps its own rows"
        with suppress(Undo):
            async with work.savepoint():
                assert await reclaim_identities(work, ws, [first]) == [(first, FIRST)]
                raise Undo
        await release_identities(work, ws, [second])
        assert await reclaim_identities(work, ws, [first, second]) == [(second, FIRST)]
        assert [tuple(row) for row in await rows_of(work, ana, first)] == before


async def test_of_two_who_want_one_one_gets_it(ana: Person, doors: Doors) -> None:
    leads, ws = [await new_lead(ana) for _ in range(6)], ana.workspace_id

    async def take(lead_id: UUID) -> UUID | None:
        try:
            async with doors.open_work(ws) as work:
                await add_identities(work, ws, lead_id, {"a": PHONE, "b": FIRST, "c": SECOND})
        except IdentityTaken as taken:
            return taken.lead_id
        return None

    holders = await asyncio.gather(*(take(lead_id) for lead_id in leads))
    winner = leads[holders.index(None)]
    assert sorted(holders, key=str) == sorted([None, *[winner] * 5], key=str)
