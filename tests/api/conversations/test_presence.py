"""presence and setTyping: who is where, over processes, with Redis and without."""

import asyncio
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from app.common.domain import ClientKind, Role
from app.common.work import Doors
from app.settings import Settings
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import make_lead, open_conversation
from tests.fixtures.graphql import GraphQLRefused, open_socket
from tests.fixtures.presence import PRESENCE, Watcher, Where
from tests.fixtures.processes import Api, eventually

SET_TYPING = """
mutation ($id: ID!) { setTyping(input: {conversationId: $id}) { ok errors { code path } } }
"""


@pytest.fixture
async def bruno(ana: Person, doors: Doors) -> Person:
    return await add_member(doors, ana, role=Role.VIEWER, name="Bruno")


async def test_who_is_there_comes_first_then_who_comes_and_goes(
    ana: Person, bruno: Person, api_server: Api
) -> None:
    async with Watcher.open(api_server, ana) as anas:
        await anas.until(lambda: anas.users() == {str(ana.user_id)})
        async with Watcher.open(api_server, bruno) as brunos:
            await brunos.until(lambda: brunos.users() == {str(ana.user_id), str(bruno.user_id)})
            await anas.until(lambda: anas.users() == {str(ana.user_id), str(bruno.user_id)})
        await anas.until(lambda: anas.users() == {str(ana.user_id)})
    assert [(told["user"]["name"], told["online"]) for told in anas.told][-1] == ("Bruno", False)


async def test_a_place_shows_those_who_are_at_it(
    ana: Person, bruno: Person, doors: Doors, api_server: Api
) -> None:
    chat = await open_conversation(ana, doors)
    lead = str(await make_lead(ana))
    async with (
        Watcher.open(api_server, ana) as everywhere,
        Watcher.open(api_server, bruno, conversation=str(chat.id)) as at_chat,
        Watcher.open(api_server, bruno, lead=lead) as at_lead,
    ):
        bruno_id, ana_id = str(bruno.user_id), str(ana.user_id)
        await everywhere.until(
            lambda: (
                everywhere.here
                == {
                    (ana_id, None, None): False,
                    (bruno_id, str(chat.id), None): False,
                    (bruno_id, None, lead): False,
                }
            )
        )
        await at_chat.until(lambda: at_chat.here == {(bruno_id, str(chat.id), None): False})
        await at_lead.until(lambda: at_lead.here == {(bruno_id, None, lead): False})


async def test_typing_is_shown_and_ends(ana: Person, bruno: Person, doors: Doors, api_server: Api) -> None:
    chat = str((await open_conversation(ana, doors)).id)
    where: Where = (str(bruno.user_id), chat, None)
    async with (
        Watcher.open(api_server, ana, conversation=chat) as anas,
        Watcher.open(api_server, bruno, conversation=chat),
    ):
        await anas.until(lambda: anas.here.get(where) is False)
        for _ in range(5):
            assert (await bruno.run(SET_TYPING, {"id": chat}))["setTyping"] == {"ok": True, "errors": []}
        await anas.until(lambda: anas.here.get(where) is True)
        await anas.until(lambda: anas.here.get(where) is False)
        found = [told["typing"] for told in anas.told if told["user"]["id"] == str(bruno.user_id)]
        assert found == [False, True, False], "five calls, one change; and he has not left yet"


async def test_two_tabs_are_one_presence(ana: Person, bruno: Person, api_server: Api) -> None:
    async with Watcher.open(api_server, ana) as anas:
        async with Watcher.open(api_server, bruno) as first:
            await first.until(lambda: len(first.users()) == 2)
            async with Watcher.open(api_server, bruno) as second:
                await second.until(lambda: len(second.users()) == 2)
            await anas.until(lambda: len(anas.users()) == 2)
        await anas.until(lambda: len(anas.users()) == 1)
    assert [told["online"] for told in anas.told if told["user"]["name"] == "Bruno"] == [True, False]


async def test_nobody_sees_another_workspaces_people(
    ana: Person, eve: Person, bruno: Person, api_server: Api
) -> None:
    async with Watcher.open(api_server, eve) as eves, Watcher.open(api_server, ana) as anas:
        async with Watcher.open(api_server, bruno):
            await anas.until(lambda: len(anas.users()) == 2)
        await anas.until(lambda: len(anas.users()) == 1)
    assert {told["user"]["id"] for told in eves.told} <= {str(eve.user_id)}


async def test_what_is_not_there_is_not_found(
    ana: Person, eve: Person, doors: Doors, api_server: Api
) -> None:
    hers, her_lead = str((await open_conversation(eve, doors)).id), str(await make_lead(eve))
    for variables in (
        {"conversation": hers},
        {"lead": her_lead},
        {"conversation": "nonsense"},
        {"lead": ""},
        {"conversation": str(uuid4())},
    ):
        assert await refusal(api_server, ana, **variables) == "NOT_FOUND"
    for id in (hers, "nonsense", str(uuid4())):
        answer = (await ana.run(SET_TYPING, {"id": id}))["setTyping"]
        assert answer == {"ok": False, "errors": [{"code": "NOT_FOUND", "path": ["conversationId"]}]}


async def test_an_extension_may_not(ana: Person, doors: Doors, api_server: Api) -> None:
    extension = await add_member(doors, ana, role=Role.OWNER, client=ClientKind.EXTENSION)
    assert await refusal(api_server, extension) == "FORBIDDEN"


async def refusal(api: Api, person: Person, **variables: str) -> str:
    async with asyncio.timeout(20), open_socket(api.ws_url, person.token) as socket:
        try:
            async for payload in socket.subscribe(PRESENCE, variables):
                return str(payload["errors"][0]["extensions"]["code"])
        except GraphQLRefused as refused:
            return refused.code
    raise AssertionError("it was not refused")


# ── processes ─────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_two_processes_show_each_others_and_a_killed_ones_end(
    ana: Person, bruno: Person, doors: Doors, settings: Settings
) -> None:
    if settings.redis_is_off:
        pytest.skip("no Redis on this machine")
    chat = str((await open_conversation(ana, doors)).id)
    both = {str(ana.user_id), str(bruno.user_id)}
    async with (
        Api.started(SALESPAD_PRESENCE_TTL_S="2") as here,
        Api.started(SALESPAD_PRESENCE_TTL_S="2") as there,
        Watcher.open(here, ana) as anas,
    ):
        async with Watcher.open(there, bruno) as brunos:
            await brunos.until(lambda: brunos.users() == both)
            await anas.until(lambda: anas.users() == both)
        await anas.until(lambda: anas.users() == {str(ana.user_id)})
        async with Watcher.open(there, bruno, conversation=chat):
            where: Where = (str(bruno.user_id), chat, None)
            await anas.until(lambda: where in anas.here)
            await there.kill()
            await anas.until(lambda: where not in anas.here)
    redis = Redis.from_url(settings.redis_url)  # type: ignore[arg-type]

    async def is_empty() -> bool:
        return not await redis.zcard(f"ws:{ana.workspace_id}:presence")

    await eventually(is_empty, what="an end of what was said to Redis")
    await redis.aclose()


async def test_without_redis_a_process_shows_its_own(ana: Person, bruno: Person, doors: Doors) -> None:
    chat = str((await open_conversation(ana, doors)).id)
    async with (
        Api.started(SALESPAD_REDIS_URL="off") as api,
        Watcher.open(api, ana, conversation=chat) as anas,
    ):
        async with Watcher.open(api, bruno, conversation=chat):
            await anas.until(lambda: len(anas.users()) == 2)
        await anas.until(lambda: len(anas.users()) == 1)
