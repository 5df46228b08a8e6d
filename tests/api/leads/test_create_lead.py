"""createLead through HTTP."""

import asyncio
from typing import Any

import pytest

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member

CREATE = """mutation ($input: CreateLeadInput!) {
  createLead(input: $input) {
    lead { id name email phone company title source engagement score version rank stage { id name } owner { email }
      tags { name } identities { kind value isPrimary } metadata
      provenance { source row actor { email } leadImport { id } } }
    errors { code message path } } }"""


async def create(person: Person, **input: Any) -> dict[str, Any]:
    return (await person.run(CREATE, {"input": {"name": "Bia", **input}}))["createLead"]  # type: ignore[no-any-return]


def refusals(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


async def test_a_lead_has_what_was_given_normalised(ana: Person) -> None:
    tag = (await ana.run('mutation { createTag(input: {name: "Feira"}) { tag { id } } }'))["createTag"][
        "tag"
    ]["id"]
    payload = await create(
        ana,
        name=" Bia Souza ",
        email="Bia@Example.COM",
        phone="(11) 98765-4321",
        company="Acme",
        title="Diretora",
        linkedin="https://br.linkedin.com/in/Bia-Souza/",
        instagram="@Bia.Souza",
        facebook="https://m.facebook.com/profile.php?id=100012345",
        tagIds=[tag, tag],
        ownerId=str(ana.user_id),
        metadata={"origin": "fair", "visits": 3},
    )
    assert payload["errors"] == []
    lead = payload["lead"]
    assert (lead["name"], lead["email"], lead["phone"]) == ("Bia Souza", "bia@example.com", "+5511987654321")
    assert {one["kind"]: one["value"] for one in lead["identities"]} == {
        "EMAIL": "bia@example.com",
        "PHONE": "+5511987654321",
        "LINKEDIN": "bia-souza",
        "INSTAGRAM": "bia.souza",
        "FACEBOOK": "100012345",
    }
    assert lead["stage"]["name"] == "Novo"
    assert lead["tags"] == [{"name": "Feira"}]
    assert lead["owner"] == {"email": ana.email}
    assert lead["metadata"] == {"origin": "fair", "visits": 3}
    assert (lead["source"], lead["engagement"], lead["score"], lead["version"]) == ("MANUAL", "NEW", 0, 1)
    assert lead["provenance"] == [
        {"source": "MANUAL", "row": None, "actor": {"email": ana.email}, "leadImport": None}
    ]


async def test_a_name_is_enough(ana: Person) -> None:
    first, second = (await create(ana))["lead"], (await create(ana))["lead"]
    assert first["id"] != second["id"]
    assert first["rank"] < second["rank"]


async def test_a_known_identity_is_a_conflict_that_shows_the_lead(ana: Person) -> None:
    known = (await create(ana, name="Known", instagram="bia"))["lead"]
    payload = await create(ana, email="new@example.com", instagram="https://instagram.com/BIA")
    assert refusals(payload) == [("CONFLICT", ["instagram"])]
    assert payload["lead"]["id"] == known["id"]
    assert (await create(ana, email="new@example.com"))["errors"] == []


async def test_of_many_who_make_the_same_person_at_once_one_does(ana: Person) -> None:
    payloads = await asyncio.gather(
        *(create(ana, email="bia@example.com", instagram="bia") for _ in range(10))
    )
    assert sum(payload["errors"] == [] for payload in payloads) == 1
    assert len({payload["lead"]["id"] for payload in payloads}) == 1


@pytest.mark.parametrize(
    ("input", "path"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "n" * 10_000}, ["name"]),
        ({"name": "a\x00b"}, ["name"]),
        ({"company": "c" * 201}, ["company"]),
        ({"email": "not an address"}, ["email"]),
        ({"phone": "12"}, ["phone"]),
        ({"linkedin": "javascript:alert(1)"}, ["linkedin"]),
        ({"instagram": "https://www.facebook.com/bia"}, ["instagram"]),
        ({"facebook": "https://www.facebook.com/groups/1"}, ["facebook"]),
        ({"instagram": "in valid"}, ["instagram"]),
        ({"tagIds": ["01890000-0000-7000-8000-000000000000"] * 101}, ["tagIds"]),
    ],
)
async def test_bad_input_is_refused_at_its_field(ana: Person, input: dict[str, Any], path: list[str]) -> None:
    assert refusals(await create(ana, **input)) == [("INVALID", path)]
    assert (await ana.run("{ leads { totalCount } }"))["leads"]["totalCount"] == 0


async def test_every_wrong_field_is_told_at_once(ana: Person) -> None:
    payload = await create(ana, name="", email="x", phone="y")
    assert refusals(payload) == [("INVALID", ["name"]), ("INVALID", ["email"]), ("INVALID", ["phone"])]


async def test_foreign_things_are_not_found(ana: Person, eve: Person) -> None:
    stage = (await eve.run("{ stages { id } }"))["stages"][0]["id"]
    tag = (await eve.run('mutation { createTag(input: {name: "T"}) { tag { id } } }'))["createTag"]["tag"][
        "id"
    ]
    for input, path in [
        ({"stageId": stage}, ["stageId"]),
        ({"stageId": "nonsense"}, ["stageId"]),
        ({"ownerId": str(eve.user_id)}, ["ownerId"]),
        ({"tagIds": [tag]}, ["tagIds", "0"]),
    ]:
        assert refusals(await create(ana, **input)) == [("NOT_FOUND", path)]
    assert (await ana.run("{ leads { totalCount } }"))["leads"]["totalCount"] == 0


async def test_a_viewer_makes_no_lead(ana: Person, doors: Doors) -> None:
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    assert refusals(await create(viewer)) == [("FORBIDDEN", [])]
