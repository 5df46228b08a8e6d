"""createSnippet, updateSnippet, deleteSnippet and the list, through HTTP."""

import asyncio

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.sending import codes
from tests.factories.templates import create_snippet, delete_snippet, update_snippet

LIST = "{ snippets { shortcut body version } }"


async def test_snippets_are_made_changed_and_deleted(ana: Person) -> None:
    made = (await create_snippet(ana, shortcut="/Oi", body="Oi, {{ lead.first_name }}!"))["snippet"]
    assert (made["shortcut"], made["version"]) == ("oi", 1)
    await create_snippet(ana, shortcut="agenda")
    assert [one["shortcut"] for one in (await ana.run(LIST))["snippets"]] == ["agenda", "oi"]
    changed = (await update_snippet(ana, id=made["id"], version=1, body="Olá!"))["snippet"]
    assert (changed["shortcut"], changed["body"], changed["version"]) == ("oi", "Olá!", 2)
    stale = await update_snippet(ana, id=made["id"], version=1, body="Hi!")
    assert codes(stale) == [("CONFLICT", ["version"])]
    assert stale["snippet"]["body"] == "Olá!"
    assert (await delete_snippet(ana, made["id"]))["deletedIds"] == [made["id"]]
    assert codes(await delete_snippet(ana, made["id"])) == [("NOT_FOUND", ["id"])]
    assert [one["shortcut"] for one in (await ana.run(LIST))["snippets"]] == ["agenda"]


async def test_a_shortcut_is_taken_once(ana: Person, eve: Person) -> None:
    payloads = await asyncio.gather(*(create_snippet(ana, shortcut="race") for _ in range(8)))
    assert sorted(codes(payload) for payload in payloads) == [[]] + [[("CONFLICT", ["shortcut"])]] * 7
    other = (await create_snippet(ana, shortcut="other"))["snippet"]
    taken = await update_snippet(ana, id=other["id"], version=1, shortcut="/RACE")
    assert codes(taken) == [("CONFLICT", ["shortcut"])]
    assert codes(await create_snippet(eve, shortcut="race")) == []


async def test_bad_input_is_refused_at_its_field(ana: Person) -> None:
    both = await create_snippet(ana, shortcut="a b", body="{{ lead.nome }} {% x %}")
    assert codes(both) == [("INVALID", ["shortcut"]), ("INVALID", ["body"]), ("INVALID", ["body"])]
    assert codes(await create_snippet(ana, body="")) == [("INVALID", ["body"])]
    assert codes(await create_snippet(ana, body="x" * 20_001)) == [("INVALID", ["body"])]
    assert (await ana.run(LIST))["snippets"] == []


async def test_a_foreign_snippet_is_not_found(ana: Person, eve: Person) -> None:
    theirs = (await create_snippet(eve, shortcut="theirs"))["snippet"]["id"]
    for id in (theirs, "nonsense"):
        assert codes(await update_snippet(ana, id=id, version=1, body="x")) == [("NOT_FOUND", ["id"])]
        assert codes(await delete_snippet(ana, id)) == [("NOT_FOUND", ["id"])]
    assert [one["body"] for one in (await eve.run(LIST))["snippets"]] == ["Hi"]


async def test_a_viewer_reads_snippets_and_makes_none(ana: Person, doors: Doors) -> None:
    made = (await create_snippet(ana, shortcut="oi"))["snippet"]
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    assert [one["shortcut"] for one in (await viewer.run(LIST))["snippets"]] == ["oi"]
    for payload in (
        await create_snippet(viewer),
        await update_snippet(viewer, id=made["id"], version=1, body="x"),
        await delete_snippet(viewer, made["id"]),
    ):
        assert codes(payload) == [("FORBIDDEN", [])]
