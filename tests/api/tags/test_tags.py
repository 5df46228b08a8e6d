"""createTag, updateTag, deleteTag and the list, through HTTP."""

import asyncio
from typing import Any

import pytest

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.imports import imported, profile
from tests.fixtures.processes import Worker

CREATE = """mutation ($input: CreateTagInput!) {
  createTag(input: $input) { tag { id name color } errors { code message path } } }"""
UPDATE = """mutation ($input: UpdateTagInput!) {
  updateTag(input: $input) { tag { id name color } errors { code message path } } }"""
DELETE = """mutation ($input: DeleteTagInput!) {
  deleteTag(input: $input) { deletedIds errors { code message path } } }"""


async def create(person: Person, **input: Any) -> dict[str, Any]:
    return (await person.run(CREATE, {"input": input}))["createTag"]  # type: ignore[no-any-return]


async def update(person: Person, **input: Any) -> dict[str, Any]:
    return (await person.run(UPDATE, {"input": input}))["updateTag"]  # type: ignore[no-any-return]


async def names(person: Person) -> list[str]:
    return [tag["name"] for tag in (await person.run("{ tags { name } }"))["tags"]]


def refusal(payload: dict[str, Any]) -> tuple[str, list[str]]:
    (error,) = payload["errors"]
    return error["code"], error["path"]


async def test_tags_are_made_and_listed_by_name(ana: Person) -> None:
    made = await create(ana, name="  Zebra ")
    assert made["tag"]["name"] == "Zebra"
    await create(ana, name="ábaco", color="#ABCDEF")
    assert await names(ana) == ["ábaco", "Zebra"]
    tags = (await ana.run("{ tags { color } }"))["tags"]
    assert tags[0]["color"] == "#abcdef"


async def test_a_name_is_unique_without_case_and_accents(ana: Person, eve: Person) -> None:
    await create(ana, name="Ação")
    assert refusal(await create(ana, name="ACAO")) == ("CONFLICT", ["name"])
    other = await create(ana, name="Other")
    assert refusal(await update(ana, id=other["tag"]["id"], name="acão")) == ("CONFLICT", ["name"])
    assert (await create(eve, name="Ação"))["errors"] == []


async def test_of_many_who_make_the_same_tag_at_once_one_does(ana: Person) -> None:
    payloads = await asyncio.gather(*(create(ana, name="Race") for _ in range(8)))
    assert sum(payload["tag"] is not None for payload in payloads) == 1
    assert {refusal(payload)[0] for payload in payloads if payload["tag"] is None} == {"CONFLICT"}
    assert await names(ana) == ["Race"]


@pytest.mark.parametrize(
    ("input", "path"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "  "}, ["name"]),
        ({"name": "n" * 51}, ["name"]),
        ({"name": "a\x00b"}, ["name"]),
        ({"name": "fine", "color": "red"}, ["color"]),
        ({"name": "fine", "color": "#12345g"}, ["color"]),
    ],
)
async def test_bad_input_is_refused_at_its_field(ana: Person, input: dict[str, str], path: list[str]) -> None:
    assert refusal(await create(ana, **input)) == ("INVALID", path)
    assert await names(ana) == []


async def test_an_update_keeps_what_is_left_out_and_clears_what_is_null(ana: Person) -> None:
    tag = (await create(ana, name="Feira", color="#123456"))["tag"]
    assert (await update(ana, id=tag["id"], name="Feira 2026"))["tag"]["color"] == "#123456"
    cleared = (await update(ana, id=tag["id"], color=None))["tag"]
    assert cleared["name"] == "Feira 2026"
    assert cleared["color"] != "#123456"
    assert refusal(await update(ana, id=tag["id"], name=None)) == ("INVALID", ["name"])


async def test_a_deleted_tag_leaves_its_leads(ana: Person, worker: Worker) -> None:
    tag = (await create(ana, name="Feira"))["tag"]
    await imported(ana, [profile("bia")], tagIds=[tag["id"]])
    assert (await ana.run(DELETE, {"input": {"id": tag["id"]}}))["deleteTag"]["deletedIds"] == [tag["id"]]
    found = await ana.run("{ leads { edges { node { tags { name } } } } }")
    assert found["leads"]["edges"] == [{"node": {"tags": []}}]
    assert refusal((await ana.run(DELETE, {"input": {"id": tag["id"]}}))["deleteTag"]) == (
        "NOT_FOUND",
        ["id"],
    )


async def test_a_foreign_tag_is_not_found(ana: Person, eve: Person) -> None:
    theirs = (await create(eve, name="Theirs"))["tag"]["id"]
    for id in (theirs, "nonsense", "01890000-0000-7000-8000-000000000000"):
        assert refusal(await update(ana, id=id, name="Mine")) == ("NOT_FOUND", ["id"])
        assert refusal((await ana.run(DELETE, {"input": {"id": id}}))["deleteTag"]) == ("NOT_FOUND", ["id"])
    assert await names(eve) == ["Theirs"]


async def test_a_viewer_reads_tags_and_makes_none(ana: Person, doors: Doors) -> None:
    await create(ana, name="Feira")
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    assert await names(viewer) == ["Feira"]
    assert refusal(await create(viewer, name="Mine")) == ("FORBIDDEN", [])
    assert await names(ana) == ["Feira"]
