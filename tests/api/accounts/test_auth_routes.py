"""The refresh cookie and the two routes that read it."""

import asyncio
import json

import httpx
import pytest
from starlette.types import ASGIApp, Message

from app.accounts.presentation.http import allowed_origins
from app.settings import Settings
from tests.api.accounts.visitor import PASSWORD, SIGN_IN, VIEWER, Visitor

COOKIE = "__Host-sp_rt"


def set_cookie(response: httpx.Response) -> str:
    (header,) = response.headers.get_list("set-cookie")
    return str(header)


async def test_sign_in_puts_the_refresh_token_into_the_cookie_alone(visitor: Visitor) -> None:
    email = (await visitor.sign_up())["viewer"]["user"]["email"]
    response = await visitor.post(SIGN_IN, email=email, password=PASSWORD, cookie=True)
    assert response.json()["data"]["signIn"]["session"]["refreshToken"] is None
    name_and_value, *flags = set_cookie(response).split("; ")
    assert name_and_value.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= set(flags)
    assert not any(flag.lower().startswith("domain") for flag in flags)


async def test_without_asking_there_is_no_cookie(visitor: Visitor) -> None:
    await visitor.sign_up()
    assert not visitor.client.cookies


async def test_refresh_and_sign_out_by_cookie(visitor: Visitor) -> None:
    await visitor.sign_up(cookie=True)
    first = visitor.client.cookies[COOKIE]
    refreshed = await visitor.auth("refresh")
    assert refreshed.status_code == 200
    assert visitor.client.cookies[COOKIE] != first
    token = refreshed.json()["accessToken"]
    assert refreshed.headers["cache-control"] == "no-store"
    assert await visitor.ask(VIEWER, token)
    assert (await visitor.auth("sign-out")).json() == {"ok": True}
    assert COOKIE not in visitor.client.cookies
    assert (await visitor.post(VIEWER, token)).status_code == 401


async def test_a_second_tab_is_told_to_read_the_new_cookie(visitor: Visitor) -> None:
    await visitor.sign_up(cookie=True)
    first = visitor.client.cookies[COOKIE]
    await visitor.auth("refresh")
    second = visitor.client.cookies[COOKIE]
    visitor.client.cookies.clear()
    answer = await visitor.auth("refresh", Cookie=f"{COOKIE}={first}")
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    assert "set-cookie" not in answer.headers
    assert (await visitor.auth("refresh", Cookie=f"{COOKIE}={second}")).status_code == 200


async def test_no_or_a_bad_cookie_is_401_and_cleared(visitor: Visitor) -> None:
    for headers in ({}, {"Cookie": f"{COOKIE}=nonsense"}):
        answer = await visitor.auth("refresh", **headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json() | {"detail": ""} == {
            "type": "about:blank",
            "title": "Unauthorized",
            "status": 401,
            "detail": "",
            "code": "UNAUTHENTICATED",
        }
        assert "Max-Age=0" in set_cookie(answer)


@pytest.mark.parametrize("path", ["refresh", "sign-out"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": ""}, 415),
    ],
)
async def test_other_sites_are_refused_and_set_nothing(
    visitor: Visitor, path: str, headers: dict[str, str], status: int
) -> None:
    await visitor.sign_up(cookie=True)
    answer = await visitor.auth(path, **headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in answer.headers
    assert (await visitor.auth("refresh")).status_code == 200


async def test_graphql_reads_no_cookie(visitor: Visitor) -> None:
    await visitor.sign_up(cookie=True)
    answer = (await visitor.post(VIEWER)).json()
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAUTHENTICATED"]


async def test_a_websocket_can_set_no_cookie(visitor: Visitor, app: ASGIApp) -> None:
    session = await visitor.sign_up()
    subscribe = {"query": SIGN_IN, "variables": {"input": {"email": "x", "password": "x", "cookie": True}}}
    sent: asyncio.Queue[Message] = asyncio.Queue()
    received: asyncio.Queue[Message] = asyncio.Queue()
    scope = {
        "type": "websocket",
        "scheme": "wss",
        "path": "/graphql",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("10.0.0.1", 1),
        "subprotocols": ["graphql-transport-ws"],
    }
    socket = asyncio.create_task(app(scope, received.get, sent.put))
    await received.put({"type": "websocket.connect"})
    for message in (
        {"type": "connection_init", "payload": {"authorization": f"Bearer {session['accessToken']}"}},
        {"type": "subscribe", "id": "1", "payload": subscribe},
    ):
        await received.put({"type": "websocket.receive", "text": json.dumps(message)})
    answers = []
    while not answers or answers[-1]["type"] not in ("next", "error"):
        event = await asyncio.wait_for(sent.get(), 5)
        if event["type"] == "websocket.send":
            answers.append(json.loads(event.get("text") or event["bytes"]))
    await received.put({"type": "websocket.disconnect", "code": 1000})
    await socket
    (error,) = answers[-1]["payload"]["data"]["signIn"]["errors"]
    assert (error["code"], error["path"]) == ("INVALID", ["cookie"])


def test_an_extension_s_origin_is_none_of_the_app_s_pages() -> None:
    settings = Settings(
        public_url="https://app.example.com/",
        allowed_origins=("https://www.example.com", "chrome-extension://abc"),
    )
    assert allowed_origins(settings) == {"https://app.example.com", "https://www.example.com"}
    assert {"http://127.0.0.1:8000", "http://localhost:8000"} == allowed_origins(Settings())
