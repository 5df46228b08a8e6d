"""Signing keys change while API processes run: each verifies by the key a token names, whatever their order."""

import secrets

import httpx
import jwt
from websockets import ConnectionClosed

from app.accounts.infrastructure.tokens import key_id
from tests.factories.accounts import Person, sign_up
from tests.fixtures.graphql import open_socket
from tests.fixtures.processes import Api

OLD, NEW = secrets.token_urlsafe(48), secrets.token_urlsafe(48)
TAGS = {"query": "{ tags { id } }"}


def api(current: str, *previous: str) -> "Api":
    return Api(
        environment={"SALESPAD_JWT_SECRET": current, "SALESPAD_PREVIOUS_JWT_SECRETS": ",".join(previous)}
    )


async def signed_up_at(one: Api) -> Person:
    async with httpx.AsyncClient(base_url=one.url, trust_env=False) as http:
        return await sign_up(http)


async def answer_of(one: Api, token: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=one.url, trust_env=False) as http:
        return await http.post("/graphql", json=TAGS, headers={"Authorization": f"Bearer {token}"})


async def socket_opens(one: Api, token: str) -> bool:
    try:
        async with open_socket(one.ws_url, token):
            return True
    except ConnectionClosed as refused:
        return not (refused.rcvd and refused.rcvd.code == 4403)


async def test_a_key_comes_in_and_goes_out_without_anybody_signing_in_again(servers: None) -> None:
    """The steps of docs/operations.md: the new one verifies everywhere, then signs, then the old one is dropped."""
    before, after, dropped = api(OLD, NEW), api(NEW, OLD), api(NEW)
    try:
        for one in (before, after, dropped):
            await one.start()
        old, new = (await signed_up_at(before)).token, (await signed_up_at(after)).token
        assert [jwt.get_unverified_header(token)["kid"] for token in (old, new)] == [key_id(OLD), key_id(NEW)]
        for one in (before, after):
            for token in (old, new):
                assert (await answer_of(one, token)).status_code == 200
                assert await socket_opens(one, token)
        assert (await answer_of(dropped, new)).status_code == 200
        assert await socket_opens(dropped, new)
        refused, nonsense = await answer_of(dropped, old), await answer_of(dropped, "a.b.c")
        assert refused.status_code == nonsense.status_code == 401
        assert refused.text == nonsense.text
        assert not await socket_opens(dropped, old)
    finally:
        for one in (before, after, dropped):
            if one.process is not None:
                await one.stop()
