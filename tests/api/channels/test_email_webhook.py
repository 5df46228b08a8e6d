"""POST /webhooks/email/{token}: what is answered 200 is stored, once, whatever it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.applications import Starlette

from app.channels.presentation.webhooks import webhook_routes
from app.common.work import Doors, Unavailable
from app.settings import Settings
from tests.factories.accounts import Person
from tests.factories.mail import add_mailbox, new_mail, stored_mails
from tests.fixtures.processes import Api, eventually


async def post(http: httpx.AsyncClient, token: str, body: Any, **headers: str) -> httpx.Response:
    content_type = {"Content-Type": headers.pop("content_type", "message/rfc822")}
    return await http.post(f"/webhooks/email/{token}", content=body, headers=content_type | headers)


async def test_a_mail_is_stored_as_it_came(ana: Person, doors: Doors) -> None:
    account, raw = await add_mailbox(doors, ana), new_mail()
    answer = await post(ana.http, account.token, raw)
    assert (answer.status_code, answer.json()) == (200, {"status": "accepted"})
    (row,) = await stored_mails(doors, ana.workspace_id)
    assert (row.provider, row.account_id, row.raw) == ("email", account.id, raw)
    assert row.external_id.startswith("sha256:")


async def test_the_same_mail_fifty_times_at_once_is_one(ana: Person, doors: Doors) -> None:
    account, raw = await add_mailbox(doors, ana), new_mail()
    answers = await asyncio.gather(*(post(ana.http, account.token, raw) for _ in range(50)))
    assert [answer.status_code for answer in answers] == [200] * 50
    assert len(await stored_mails(doors, ana.workspace_id)) == 1
    await post(ana.http, account.token, new_mail())
    assert len(await stored_mails(doors, ana.workspace_id)) == 2


@pytest.mark.parametrize(
    "body",
    [b"\x00", b"\xff\xfe\x00garbage" * 50, b"no header at all", b"From: \xc3\x28\r\n\r\n", b"\r\n", b"{}"],
)
@pytest.mark.parametrize("content_type", ["message/rfc822", "application/json", "multipart/form-data", ""])
async def test_no_content_is_an_error_of_ours(
    ana: Person, doors: Doors, body: bytes, content_type: str
) -> None:
    account = await add_mailbox(doors, ana)
    answer = await post(ana.http, account.token, body, content_type=content_type)
    assert answer.status_code == 200, answer.text
    assert [row.raw for row in await stored_mails(doors, ana.workspace_id)] == [body]


async def test_nothing_is_no_mail(ana: Person, doors: Doors) -> None:
    account = await add_mailbox(doors, ana)
    answer = await post(ana.http, account.token, b"")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert await stored_mails(doors, ana.workspace_id) == []


@pytest.mark.parametrize("token", ["nobody", "a%00b", "%F0%9F%93%AC", "a" * 3000, "..%2F..", "'--", "%FF"])
async def test_unknown_tokens_are_all_alike(ana: Person, doors: Doors, token: str) -> None:
    gone = await add_mailbox(doors, ana, status="DISCONNECTED")
    answer, known = await post(ana.http, token, new_mail()), await post(ana.http, gone.token, new_mail())
    assert answer.status_code == known.status_code == 404
    if "%2F" not in token:  # a path of other parts, which no route has
        assert answer.json() == known.json()
    assert await stored_mails(doors, ana.workspace_id) == []


async def test_a_token_reaches_its_own_workspace(ana: Person, eve: Person, doors: Doors) -> None:
    hers, raw = await add_mailbox(doors, eve), new_mail()
    await add_mailbox(doors, ana)
    await post(ana.http, hers.token, raw)
    assert [row.account_id for row in await stored_mails(doors, eve.workspace_id)] == [hers.id]
    assert await stored_mails(doors, ana.workspace_id) == []


@asynccontextmanager
async def in_process(settings: Settings, doors: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=webhook_routes(settings, doors)))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


@pytest.mark.parametrize("is_told", [True, False], ids=["content-length", "chunked"])
async def test_a_mail_over_the_limit(ana: Person, doors: Doors, settings: Settings, is_told: bool) -> None:
    account = await add_mailbox(doors, ana)

    async def chunks(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 100

    small = settings.model_copy(update={"inbound_mail_max_bytes": 1000})
    async with in_process(small, doors) as http:
        for _ in range(10):  # what one took of the room is given back
            answer = await post(http, account.token, b"x" * 1001 if is_told else chunks(11))
            assert answer.status_code == 413
        assert (await post(http, account.token, b"x" * 1000 if is_told else chunks(10))).status_code == 200
    assert [len(row.raw) for row in await stored_mails(doors, ana.workspace_id)] == [1000]


class Away:
    """Doors to a database that is away from some moment on."""

    def __init__(self, doors: Doors, *, can_look_up: bool) -> None:
        self._doors, self._can_look_up = doors, can_look_up

    @asynccontextmanager
    async def open_system(self) -> AsyncIterator[Any]:
        if not self._can_look_up:
            raise Unavailable("The database cannot answer right now.")
        async with self._doors.open_system() as system:
            yield system

    @asynccontextmanager
    async def open_work(self, workspace_id: object) -> AsyncIterator[Any]:
        raise Unavailable("The database cannot answer right now.")
        yield


@pytest.mark.parametrize("can_look_up", [True, False])
async def test_while_the_database_is_away_the_sender_keeps_the_mail(
    ana: Person, doors: Doors, settings: Settings, can_look_up: bool
) -> None:
    account = await add_mailbox(doors, ana)
    async with in_process(settings, Away(doors, can_look_up=can_look_up)) as http:
        answer = await post(http, account.token, new_mail())
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0


async def test_more_than_there_is_room_for_is_asked_to_come_again(
    ana: Person, doors: Doors, settings: Settings
) -> None:
    account = await add_mailbox(doors, ana)
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 900
        await go_on.wait()

    small = settings.model_copy(update={"inbound_mail_max_bytes": 1000})
    async with in_process(small, doors) as http:
        waiting = [asyncio.create_task(post(http, account.token, slow())) for _ in range(5)]
        done, _ = await asyncio.wait(waiting, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result().status_code for task in done] == [503]
        go_on.set()
        answers = await asyncio.gather(*waiting)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 503]


async def test_no_token_gets_into_the_log(ana: Person, doors: Doors) -> None:
    account, unknown = await add_mailbox(doors, ana), f"unknown{uuid4().hex}"
    async with (
        Api.started(SALESPAD_LOG_LEVEL="debug") as api,
        httpx.AsyncClient(base_url=api.url, timeout=30, trust_env=False) as http,
    ):
        await post(http, account.token, new_mail())
        await post(http, unknown, new_mail())
        for path in (f"/webhooks/email/{account.token}/", f"/webhooks/{account.token}/x"):
            await http.post(path, content=b"x")
        await http.get(f"/webhooks/email/{account.token}")
        await eventually(lambda: api.log().count("/webhooks/email/{token}") >= 3, what="their log lines")
        log = api.log()
    assert log.count("/webhooks/email/{token}") == 3, log
    assert account.token not in log
    assert unknown not in log
