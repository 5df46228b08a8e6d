"""GET /export/leads.csv: what ends a stream in its midst, and how many there are at once."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from sqlalchemy import text

from app.common.domain import Role
from app.common.exporting import AT_ONCE
from app.common.work import Doors
from app.embedded.config import OFF
from app.settings import Settings
from tests.api.leads.test_export_leads import PATH, ask, bearer, check_problem, insert_leads
from tests.factories.accounts import Person, add_member, sign_up
from tests.fixtures.databases import bare_database
from tests.fixtures.processes import Api, eventually
from tests.fixtures.tenants import in_process


async def read_on(person: Person, http: httpx.AsyncClient, meanwhile: Callable[[], Awaitable[None]]) -> int:
    """An export of more than sockets hold, so that the server waits in the middle of it for `meanwhile`."""
    read = 0
    async with http.stream("GET", PATH, headers=bearer(person)) as answer:
        async for chunk in answer.aiter_bytes():
            if not read:
                await meanwhile()
            read += len(chunk)
    return read


async def test_an_export_is_cut_off_when_its_person_is_removed(ana: Person, doors: Doors) -> None:
    await insert_leads(doors, ana, 3_000, width=8_000)
    bruno = await add_member(doors, ana, role=Role.MEMBER)

    async def is_known() -> bool:
        return (await bruno.post("{ viewer { role } }")).json().get("errors") is not None

    async def remove() -> None:
        given = {"id": str(bruno.user_id)}
        await ana.run("mutation ($id: ID!) { removeMember(input: {userId: $id}) { errors { code } } }", given)
        await eventually(is_known, what="the revocation")

    with pytest.raises(httpx.RemoteProtocolError):
        await read_on(bruno, ana.http, remove)


async def test_an_export_is_cut_off_when_the_database_cannot_answer(settings: Settings) -> None:
    """In a database where the lock is in nobody's way."""
    own = await bare_database(settings)
    doors, address = Doors(own), str(own.database_url)
    async with in_process(own) as server:
        ana = await sign_up(server.http)
    async with (
        AsyncExitStack() as closing,
        Api.started(
            SALESPAD_DATABASE_URL=address, SALESPAD_REDIS_URL=OFF, SALESPAD_STATEMENT_TIMEOUT_S="0.5"
        ) as api,
        httpx.AsyncClient(base_url=api.url, timeout=30, trust_env=False) as http,
        AsyncExitStack() as locked,
    ):
        closing.push_async_callback(doors.close)
        await insert_leads(doors, ana, 3_000, width=8_000)

        async def lock() -> None:
            work = await locked.enter_async_context(doors.open_work(ana.workspace_id))
            await work.execute(text("LOCK TABLE lead_tag IN ACCESS EXCLUSIVE MODE"))

        with pytest.raises(httpx.RemoteProtocolError):
            await read_on(ana, http, lock)
        check_problem(await http.get(PATH, headers=bearer(ana)), 503, "UNAVAILABLE")
        await locked.aclose()
        assert "export cut off" in api.log()
        assert (await http.get(f'{PATH}?filter={{"hasPhone":true}}', headers=bearer(ana))).status_code == 200


async def test_beyond_the_most_at_once_it_is_asked_to_wait_and_who_leaves_makes_room(
    ana: Person, doors: Doors
) -> None:
    await insert_leads(doors, ana, 3_000, width=8_000)
    streams = [ana.http.stream("GET", PATH, headers=bearer(ana)) for _ in range(AT_ONCE)]
    assert {(await stream.__aenter__()).status_code for stream in streams} == {200}
    person = f"/export/leads/{ana.user_id}.json"
    for refused in (await ask(ana), await ana.http.get(person, headers=bearer(ana))):
        check_problem(refused, 503, "UNAVAILABLE")
        assert int(refused.headers["retry-after"]) > 0
    for stream in streams:
        await stream.__aexit__(None, None, None)

    async def has_room() -> bool:
        async with ana.http.stream("GET", PATH, headers=bearer(ana)) as answer:
            return answer.status_code == 200

    await eventually(has_room, what="room for another export")
