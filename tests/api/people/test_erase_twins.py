"""eraseLead where more than one lead is the person: copies in the trash, a copy that is live, merged ones."""

import asyncio
from typing import Any
from uuid import UUID

from tests.factories.accounts import Person
from tests.factories.inbound import letter, post_mail, worked_on
from tests.factories.people import CREATE, Known, created, mailbox
from tests.factories.sending import Outlet, codes
from tests.fixtures.traces import rows_with

ERASE = """mutation ($input: EraseLeadInput!) {
  eraseLead(input: $input) { deletedIds errors { code message path } } }"""
DELETE = "mutation ($ids: [ID!]!) { deleteLeads(input: {ids: $ids}) { errors { code } } }"
RESTORE = "mutation ($ids: [ID!]!) { restoreLeads(input: {ids: $ids}) { errors { code } } }"
MERGE = """mutation ($keep: ID!, $merge: [ID!]!) {
  mergeLeads(input: {keepId: $keep, mergeIds: $merge}) { errors { code path } } }"""


async def erase(person: Person, id: object, word: str) -> dict[str, Any]:
    answer = await person.run(ERASE, {"input": {"id": str(id), "confirmEmailOrName": word}})
    return answer["eraseLead"]  # type: ignore[no-any-return]


async def in_the_trash(person: Person, known: Known) -> UUID:
    lead_id = await created(person, known)
    assert (await person.run(DELETE, {"ids": [str(lead_id)]}))["deleteLeads"]["errors"] == []
    return lead_id


async def test_copies_in_the_trash_go_with_the_live_lead(outlet: Outlet) -> None:
    known, person = Known.somebody(), outlet.person
    old, older = await in_the_trash(person, known), await in_the_trash(person, known)
    live = await created(person, known)
    answer = await erase(person, live, known.name)
    assert (codes(answer), set(answer["deletedIds"])) == ([], {str(live), str(old), str(older)})
    assert await rows_with(outlet.doors, known.traces) == {}
    assert (await person.run(RESTORE, {"ids": [str(old)]}))["restoreLeads"]["errors"] != []


async def test_a_copy_in_the_trash_is_not_erased_without_the_live_lead(outlet: Outlet) -> None:
    known, person = Known.somebody(), outlet.person
    old, live = await in_the_trash(person, known), await created(person, known)
    answer = await erase(person, old, known.name)
    assert codes(answer) == [("CONFLICT", ["id"])]
    assert str(live) in answer["errors"][0]["message"]
    assert set((await erase(person, live, known.name))["deletedIds"]) == {str(live), str(old)}


async def test_who_was_merged_away_is_erased_with_the_lead_they_are_now(outlet: Outlet) -> None:
    known, other, person = Known.somebody(), Known.somebody(), outlet.person
    kept, gone = await created(person, other), await created(person, known)
    answer = await person.run(MERGE, {"keep": str(kept), "merge": [str(gone)]})
    assert answer["mergeLeads"]["errors"] == []
    answer = await erase(person, gone, known.name)
    assert (codes(answer), set(answer["deletedIds"])) == ([], {str(kept), str(gone)})
    assert await rows_with(outlet.doors, known.traces) == {}


async def test_erased_in_the_trash_while_they_are_made_anew(outlet: Outlet) -> None:
    """One of the two wins: never is a lead left whose mails would be thrown away."""
    person = outlet.person
    for _ in range(8):
        known = Known.somebody()
        old = await in_the_trash(person, known)
        given = {"input": {"name": "Zuleika", "email": known.email, "phone": known.phone}}
        erased, made = await asyncio.gather(erase(person, old, known.name), person.run(CREATE, given))
        is_made = not made["createLead"]["errors"]
        assert is_made == bool(erased["errors"]), (erased, made)


async def test_an_address_that_another_lead_has_by_now_stays_its_own(outlet: Outlet) -> None:
    known, person = Known.somebody(), outlet.person
    first = await created(person, known)
    raw = letter("sales@ours.example", sender=f"{known.name} <{known.email}>", body="Oi")
    await post_mail(person.http, await mailbox(outlet), raw)
    await worked_on(outlet.doors, person.workspace_id)
    update = """mutation ($input: UpdateLeadInput!) { updateLead(input: $input) { errors { code path } } }"""
    version = await outlet.sql(
        "SELECT version FROM lead WHERE workspace_id = :workspace_id AND id = :id", id=first
    )
    given = {"id": str(first), "version": version, "email": None}
    assert (await person.run(update, {"input": given}))["updateLead"]["errors"] == []
    heir = (await person.run(CREATE, {"input": {"name": "Heir", "email": known.email}}))["createLead"]["lead"]
    assert codes(await erase(person, first, known.name)) == []
    await post_mail(
        person.http, await mailbox(outlet), letter("sales@ours.example", sender=known.email, body="Eu")
    )
    events = await worked_on(outlet.doors, person.workspace_id)
    assert [(one.status, one.error) for one in events][-1] == ("done", None), events
    found = await outlet.sql(
        "SELECT lead_id FROM conversation WHERE workspace_id = :workspace_id AND contact_address = :address",
        address=known.email,
    )
    assert str(found) == heir["id"]


async def test_a_number_alone_makes_nobody_the_same(outlet: Outlet) -> None:
    bob, alice, person = Known.somebody(), Known.somebody(), outlet.person
    alice = Known(alice.word, bob.phone)
    in_trash = await in_the_trash(person, alice)
    assert codes(await erase(person, await created(person, bob), bob.name)) == []
    assert await rows_with(outlet.doors, bob.traces) == {}
    assert (await person.run(RESTORE, {"ids": [str(in_trash)]}))["restoreLeads"]["errors"] == []
    assert await rows_with(outlet.doors, [alice.email])


async def test_the_number_of_a_colleague_who_is_live_stays_theirs(outlet: Outlet) -> None:
    bob, alice, person = Known.somebody(), Known.somebody(), outlet.person
    alice = Known(alice.word, bob.phone)
    in_trash, live = await in_the_trash(person, alice), await created(person, bob)
    assert (await erase(person, in_trash, alice.name))["deletedIds"] == [str(in_trash)]
    assert (await person.run(DELETE, {"ids": [str(live)]}))["deleteLeads"]["errors"] == []
    given = {"input": {"name": "Bob", "phone": bob.phone}}
    assert (await person.run(CREATE, given))["createLead"]["errors"] == []
