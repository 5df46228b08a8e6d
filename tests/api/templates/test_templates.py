"""createTemplate, updateTemplate, deleteTemplate and the list, through HTTP."""

import asyncio
import re

import pytest
from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member, sign_up
from tests.factories.sending import codes
from tests.factories.templates import CREATE, create_template, delete_template, template, update_template
from tests.fixtures.documents import ROOT

LIST = "{ templates { name } }"
ONE = "query ($id: ID!) { template(id: $id) { name body version } }"
MALFORMED = ("nonsense", "01890000-0000-7000-8000-000000000000")


async def names(person: Person) -> list[str]:
    return [one["name"] for one in (await person.run(LIST))["templates"]]


async def versions(doors: Doors, person: Person, id: str) -> list[tuple[int, str]]:
    async with doors.open_work(person.workspace_id) as work:
        rows = await work.execute(
            text(
                "SELECT number, body FROM template_version "
                "WHERE workspace_id = :workspace_id AND template_id = :id ORDER BY number"
            ),
            {"workspace_id": person.workspace_id, "id": id},
        )
        return [(row.number, row.body) for row in rows]


async def test_a_template_is_made_with_its_variables(ana: Person) -> None:
    made = await template(
        ana,
        name="  Boas-vindas ",
        channel="EMAIL",
        subject='Olá, {{ lead.first_name | fallback: "tudo bem" }}',
        body="{{ lead.company }} e {{ workspace.name }}",
    )
    assert (made["name"], made["channel"], made["version"]) == ("Boas-vindas", "EMAIL", 1)
    assert made["variables"] == ["lead.first_name", "lead.company", "workspace.name"]
    assert made["required"] == ["lead.company", "workspace.name"]
    assert (await ana.run(ONE, {"id": made["id"]}))["template"] == {
        "name": "Boas-vindas",
        "body": "{{ lead.company }} e {{ workspace.name }}",
        "version": 1,
    }
    assert "Boas-vindas" in await names(ana)


async def test_every_problem_is_told_at_its_field_with_line_and_column(ana: Person) -> None:
    payload = await create_template(
        ana,
        name=" ",
        subject="{{ lead.nome }}",
        body="Oi {{ 7*7 }}\n{{lead.__class__}} {% raw %} {lead.x}\n{{",
    )
    assert payload["template"] is None
    told = [(error["path"], error["message"].partition(":")[0]) for error in payload["errors"]]
    assert told[1:] == [
        (["subject"], "Line 1, column 4"),
        (["body"], "Line 1, column 7"),
        (["body"], "Line 2, column 3"),
        (["body"], "Line 2, column 20"),
        (["body"], "Line 2, column 30"),
        (["body"], "Line 3, column 1"),
    ]
    assert payload["errors"][0]["path"] == ["name"]
    assert {error["code"] for error in payload["errors"]} == {"INVALID"}


async def test_a_body_of_a_megabyte_is_refused(ana: Person) -> None:
    """What is larger than a request may be does not come in at all."""
    assert (
        await ana.refused(CREATE, {"input": {"name": "Big", "body": "x" * 1_000_000}}) == "PAYLOAD_TOO_LARGE"
    )
    (error,) = (await create_template(ana, body="x" * 900_000))["errors"]
    assert (error["code"], error["path"]) == ("INVALID", ["body"])
    assert error["message"] == "Use at most 20,000 characters: this has 900,000."
    (error,) = (await create_template(ana, body="{{lead.name}}" * 1_000))["errors"]
    assert "could grow to 320,000 characters" in error["message"]
    assert (await create_template(ana, body="x" * 20_000))["errors"] == []


async def test_an_update_makes_a_version_and_no_change_none(ana: Person, doors: Doors) -> None:
    made = await template(ana, body="One", subject="S")
    assert (await update_template(ana, id=made["id"], version=1, body="One"))["template"]["version"] == 1
    changed = (await update_template(ana, id=made["id"], version=1, body="Two"))["template"]
    assert (changed["version"], changed["body"], changed["subject"]) == (2, "Two", "S")
    renamed = (await update_template(ana, id=made["id"], version=2, name="New", subject=None))["template"]
    assert (renamed["version"], renamed["body"], renamed["subject"]) == (3, "Two", None)
    assert await versions(doors, ana, made["id"]) == [(1, "One"), (2, "Two"), (3, "Two")]


async def test_who_saw_an_older_version_is_shown_the_newest(ana: Person, doors: Doors) -> None:
    made = await template(ana, body="One")
    await update_template(ana, id=made["id"], version=1, body="Two")
    stale = await update_template(ana, id=made["id"], version=1, body="Three")
    assert codes(stale) == [("CONFLICT", ["version"])]
    assert (stale["template"]["version"], stale["template"]["body"]) == (2, "Two")
    assert await versions(doors, ana, made["id"]) == [(1, "One"), (2, "Two")]


async def test_of_many_who_change_a_version_at_once_one_does(ana: Person, doors: Doors) -> None:
    made = await template(ana, body="One")
    payloads = await asyncio.gather(
        *(update_template(ana, id=made["id"], version=1, body=f"By {n}") for n in range(8))
    )
    assert sorted(codes(payload) for payload in payloads) == [[]] + [[("CONFLICT", ["version"])]] * 7
    assert [number for number, _ in await versions(doors, ana, made["id"])] == [1, 2]


async def test_a_name_is_unique_without_case_and_free_after_a_deletion(ana: Person, eve: Person) -> None:
    made = await template(ana, name="Oferta")
    assert codes(await create_template(ana, name="OFERTA")) == [("CONFLICT", ["name"])]
    other = await template(ana, name="Other")
    taken = await update_template(ana, id=other["id"], version=1, name="oferta")
    assert codes(taken) == [("CONFLICT", ["name"])]
    await template(eve, name="Oferta")
    assert (await delete_template(ana, made["id"]))["deletedIds"] == [made["id"]]
    await template(ana, name="Oferta")


async def test_of_many_who_make_the_same_name_at_once_one_does(ana: Person) -> None:
    payloads = await asyncio.gather(*(create_template(ana, name="Race") for _ in range(8)))
    assert sorted(codes(payload) for payload in payloads) == [[]] + [[("CONFLICT", ["name"])]] * 7
    assert (await names(ana)).count("Race") == 1


async def test_a_deleted_template_is_gone_and_its_versions_stay(ana: Person, doors: Doors) -> None:
    made = await template(ana, body="One")
    await delete_template(ana, made["id"])
    assert made["name"] not in await names(ana)
    assert (await ana.run(ONE, {"id": made["id"]}))["template"] is None
    assert codes(await delete_template(ana, made["id"])) == [("NOT_FOUND", ["id"])]
    assert codes(await update_template(ana, id=made["id"], version=1, body="x")) == [("NOT_FOUND", ["id"])]
    assert await versions(doors, ana, made["id"]) == [(1, "One")]


async def test_a_foreign_template_is_not_found(ana: Person, eve: Person) -> None:
    theirs = (await template(eve, body="Secret"))["id"]
    for id in (theirs, *MALFORMED):
        assert codes(await update_template(ana, id=id, version=1, body="x")) == [("NOT_FOUND", ["id"])]
        assert codes(await delete_template(ana, id)) == [("NOT_FOUND", ["id"])]
        assert (await ana.run(ONE, {"id": id}))["template"] is None
    assert (await eve.run(ONE, {"id": theirs}))["template"]["body"] == "Secret"


async def test_the_limit_of_templates(ana: Person, doors: Doors) -> None:
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(
            text(
                "INSERT INTO template (workspace_id, name) "
                "SELECT :workspace_id, 'n' || n FROM generate_series(4, 1000) AS n"
            ),
            {"workspace_id": ana.workspace_id},
        )
    assert codes(await create_template(ana)) == [("LIMIT_REACHED", [])]


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
async def test_members_write_and_viewers_read(ana: Person, doors: Doors, role: Role) -> None:
    made = await template(ana)
    person = await add_member(doors, ana, role=role)
    assert made["name"] in await names(person)
    payloads = [
        await create_template(person),
        await update_template(person, id=made["id"], version=1, body="Theirs"),
        await delete_template(person, made["id"]),
    ]
    refusals = [codes(payload) for payload in payloads]
    assert refusals == ([[]] * 3 if role is Role.MEMBER else [[("FORBIDDEN", [])]] * 3)


@pytest.mark.parametrize(("locale", "first"), [("pt-BR", "Primeiro contato"), ("en", "First contact")])
async def test_a_workspace_begins_with_three_that_require_nothing(
    ana: Person, locale: str, first: str
) -> None:
    person = await sign_up(ana.http, locale=locale)
    found = (await person.run("{ templates { name subject required variables } }"))["templates"]
    assert len(found) == 3
    assert first in [one["name"] for one in found]
    assert all(one["required"] == [] and one["subject"] and one["variables"] for one in found)
    assert codes(await create_template(person, name=in_graphiql(locale))) == []


def in_graphiql(locale: str) -> str:
    """The name that GraphiQL's tab suggests for a first template."""
    tab = (ROOT / "web/src/graphiql/tabs/sends.ts").read_text()
    suggested = re.search(r"template: \{\s+name: isPortuguese \? '(.+)' : '(.+)'", tab)
    assert suggested
    return suggested[1 if locale.startswith("pt") else 2]
