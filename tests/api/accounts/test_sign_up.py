import asyncio
from uuid import UUID

import pytest

from app.common.work import Doors
from app.main import create_app
from app.settings import Settings
from tests.api.accounts.visitor import (
    PASSWORD,
    SIGN_IN,
    SIGN_UP,
    VIEWER,
    Visitor,
    execute,
    ids,
    registration,
    visitor_of,
)
from tests.factories.accounts import audited


async def test_founds_a_workspace_and_opens_a_session_in_it(visitor: Visitor) -> None:
    session = await visitor.sign_up(
        email="Ana.Souza@Example.com".replace("Ana", registration()["email"][4:12])
    )
    viewer = session["viewer"]
    assert viewer["role"] == "OWNER"
    assert viewer["user"]["email"] == viewer["user"]["email"].lower()
    assert viewer["workspace"] | {"id": ""} == {
        "id": "",
        "name": "Acme",
        "locale": "pt-BR",
        "timeZone": "America/Sao_Paulo",
        "phoneRegion": "BR",
    }
    seen = await visitor.ask(VIEWER, session["accessToken"])
    assert seen["workspace"]["id"] == viewer["workspace"]["id"]
    assert seen["memberships"] == [{"workspace": {"id": viewer["workspace"]["id"]}}]


async def test_an_english_workspace(visitor: Visitor) -> None:
    workspace = (await visitor.sign_up(locale="en"))["viewer"]["workspace"]
    assert (workspace["timeZone"], workspace["phoneRegion"]) == ("UTC", "US")


@pytest.mark.parametrize(
    ("locale", "names"),
    [
        ("pt-BR", ["Novo", "Contatado", "Respondeu", "Qualificado", "Proposta", "Ganho", "Perdido"]),
        ("en", ["New", "Contacted", "Replied", "Qualified", "Proposal", "Won", "Lost"]),
    ],
)
async def test_the_workspace_has_its_stages(visitor: Visitor, locale: str, names: list[str]) -> None:
    session = await visitor.sign_up(locale=locale)
    stages = await visitor.ask("{ stages { name kind } }", session["accessToken"])
    assert [stage["name"] for stage in stages] == names
    assert [stage["kind"] for stage in stages] == ["OPEN"] * 5 + ["WON", "LOST"]


async def test_each_bad_field_is_marked(visitor: Visitor) -> None:
    payload = await visitor.ask(
        SIGN_UP, email="nobody", password="short", name=" ", workspaceName="a\x00b", locale="xx"
    )
    assert payload["session"] is None
    assert [error["path"] for error in payload["errors"]] == [
        ["email"], ["password"], ["name"], ["workspaceName"], ["locale"],
    ]  # fmt: skip
    assert {error["code"] for error in payload["errors"]} == {"INVALID"}


async def test_an_address_has_one_account(visitor: Visitor) -> None:
    once = registration()
    await visitor.sign_up(**once)
    payload = await visitor.ask(SIGN_UP, **once | {"email": once["email"].upper()})
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [("CONFLICT", ["email"])]


async def test_two_sign_ups_at_once_make_one_account(visitor: Visitor) -> None:
    once = registration()
    payloads = await asyncio.gather(*(visitor.ask(SIGN_UP, **once) for _ in range(4)))
    assert sorted(len(payload["errors"]) for payload in payloads) == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("password", "other"),
    [("x" * 72 + "a", "x" * 72 + "b"), ("🙂" * 72, "🙂" * 71), ("a\x00bcdefgh", "a\x00bcdefgi")],
    ids=["73 bytes", "72 emoji", "NUL"],
)
async def test_every_byte_of_a_password_counts(visitor: Visitor, password: str, other: str) -> None:
    email = (await visitor.sign_up(password=password))["viewer"]["user"]["email"]
    refused = await visitor.ask(SIGN_IN, email=email, password=other)
    assert [error["code"] for error in refused["errors"]] == ["UNAUTHENTICATED"]
    assert (await visitor.ask(SIGN_IN, email=email, password=password))["session"]


async def test_a_password_of_10_kb_is_refused(visitor: Visitor) -> None:
    payload = await visitor.ask(SIGN_UP, **registration(password="x" * 10_240))
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [("INVALID", ["password"])]
    email = (await visitor.sign_up())["viewer"]["user"]["email"]
    payload = await visitor.ask(SIGN_IN, email=email, password=PASSWORD + "x" * 10_240)
    assert [error["code"] for error in payload["errors"]] == ["UNAUTHENTICATED"]


async def test_an_address_range_founds_so_many_an_hour(settings: Settings) -> None:
    """In an API of its own, which allows two; who runs the machine signs up whom they like."""
    application = create_app(settings.model_copy(update={"sign_ups_per_hour": 2}))
    async with application.router.lifespan_context(application):
        visitor = visitor_of(application, settings)
        async with visitor.client:
            answers = [await visitor.post(SIGN_UP, **registration()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 3500 < int(answers[2].headers["Retry-After"]) <= 3600
    (error,) = answers[2].json()["data"]["signUp"]["errors"]
    assert error["code"] == "THROTTLED"


async def test_who_belongs_nowhere_any_more_founds_anew(visitor: Visitor, doors: Doors) -> None:
    once = registration()
    session = await visitor.sign_up(**once)
    user_id, lost_id = ids(session)["user_id"], ids(session)["workspace_id"]
    await execute(doors, "DELETE FROM member WHERE user_id = :id", id=user_id)

    credentials = {"email": once["email"], "password": once["password"]}
    (told,) = (await visitor.ask(SIGN_IN, **credentials))["errors"]
    assert (told["code"], told["path"]) == ("NOT_FOUND", [])
    assert "signing up" in told["message"]
    wrong = await visitor.ask(SIGN_UP, **once | {"password": "another password"})
    assert [(error["code"], error["path"]) for error in wrong["errors"]] == [("CONFLICT", ["email"])]

    payloads = await asyncio.gather(
        *(visitor.ask(SIGN_UP, **once | {"workspaceName": "Anew", "name": "Eve"}) for _ in range(2))
    )
    (won,) = (payload["session"] for payload in payloads if payload["session"])
    assert [error["code"] for payload in payloads for error in payload["errors"]] == ["CONFLICT"]
    (membership,) = won["viewer"]["memberships"]
    assert (membership["role"], membership["workspace"]["name"]) == ("OWNER", "Anew")
    assert membership["workspace"]["id"] != str(lost_id)
    assert (won["viewer"]["user"]["id"], won["viewer"]["user"]["name"]) == (str(user_id), "Ana")
    assert [stage["name"] for stage in await visitor.ask("{ stages { name } }", won["accessToken"])]
    assert (await visitor.ask(SIGN_IN, **credentials))["session"]
    assert [one.action for one in await audited(doors, UUID(membership["workspace"]["id"]))] == [
        "workspace.created", "session.opened", "session.opened",
    ]  # fmt: skip
