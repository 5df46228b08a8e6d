"""F18: a socket lives as long as its token and its session."""

import asyncio
import time

import httpx
import jwt
import pytest
import websockets

from tests.factories.accounts import Person, sign_in, sign_up
from tests.fixtures.feed import FEED, create_tags
from tests.fixtures.graphql import Socket, open_socket
from tests.fixtures.processes import Api

SIGN_OUT = "mutation ($token: String!) { signOut(input: {refreshToken: $token}) { ok } }"


async def closed(socket: Socket) -> tuple[int, float]:
    """The code it is closed with, and when."""
    async with asyncio.timeout(20):
        try:
            async for _ in socket.subscribe(FEED):
                pass
        except websockets.ConnectionClosed as ended:
            return (ended.rcvd.code if ended.rcvd else 0), time.time()
    raise AssertionError("the subscription completed")


async def test_it_is_closed_when_the_token_expires(ana: Person) -> None:
    async with Api.started(SALESPAD_ACCESS_TOKEN_TTL_S="2") as api:
        async with httpx.AsyncClient(base_url=api.url, trust_env=False) as http:
            person = await sign_up(http)
        expires_at = jwt.decode(person.token, options={"verify_signature": False})["exp"]
        async with open_socket(api.ws_url, person.token) as socket:
            code, at = await closed(socket)
        assert code == 4403
        assert 0 <= at - expires_at < 10
        with pytest.raises(websockets.ConnectionClosed) as refused:
            async with open_socket(api.ws_url, person.token):
                pass
        assert refused.value.rcvd is not None
        assert refused.value.rcvd.code == 4403


async def test_it_is_closed_soon_after_sign_out(ana: Person, api_server: Api) -> None:
    """Here and at another process; the same person's other session lives on."""
    other_session = await sign_in(ana, workspace_id=ana.workspace_id)
    async with (
        Api.started() as other,
        open_socket(api_server.ws_url, ana.token) as here,
        open_socket(other.ws_url, ana.token) as there,
        open_socket(api_server.ws_url, other_session.token) as unharmed,
    ):
        ends = [asyncio.create_task(closed(socket)) for socket in (here, there)]
        left = unharmed.subscribe(FEED)
        await anext(left)
        signed_out = time.time()
        assert (await ana.run(SIGN_OUT, {"token": ana.refresh_token}))["signOut"]["ok"]
        codes = await asyncio.gather(*ends)
        (tag,) = await create_tags(other_session, ["after"])
        assert (await anext(left))["data"]["feed"]["ids"] == [tag]
    assert [code for code, _ in codes] == [4403, 4403]
    assert all(at - signed_out < 10 for _, at in codes)


@pytest.mark.parametrize("token", [None, "", "nonsense", "a.b.c"])
async def test_no_token_or_a_bad_one_is_4403(api_server: Api, token: str | None) -> None:
    with pytest.raises(websockets.ConnectionClosed) as refused:
        async with open_socket(api_server.ws_url, token):
            pass
    assert refused.value.rcvd is not None
    assert refused.value.rcvd.code == 4403
