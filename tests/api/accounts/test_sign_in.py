import asyncio
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any
from uuid import uuid4

import bcrypt
import jwt
import pytest
from sqlalchemy import text

from app.accounts.application import sessions
from app.accounts.domain.attempt import SIGN_IN as SIGN_IN_LIMITS
from app.accounts.domain.attempt import Window
from app.accounts.infrastructure.passwords import PasswordService
from app.accounts.wiring import account_store
from app.common.domain import Throttled
from app.common.work import Doors
from app.settings import Settings
from tests.api.accounts.visitor import PASSWORD, REFRESH, SIGN_IN, VIEWER, Visitor, execute, ids, registration
from tests.fixtures.processes import eventually


async def test_opens_a_session_however_the_address_is_typed(visitor: Visitor) -> None:
    signed_up = await visitor.sign_up()
    email = signed_up["viewer"]["user"]["email"]
    payload = await visitor.ask(SIGN_IN, email=f" {email.upper()} ", password=PASSWORD)
    assert payload["errors"] == []
    assert payload["session"]["viewer"] == signed_up["viewer"]
    assert payload["session"]["refreshToken"] != signed_up["refreshToken"]


async def test_a_wrong_password_and_an_unknown_address_are_refused_alike(visitor: Visitor) -> None:
    email = (await visitor.sign_up())["viewer"]["user"]["email"]
    refusals = [
        (await visitor.ask(SIGN_IN, email=address, password="wrong password"))["errors"]
        for address in (email, registration()["email"], "no address", "a\x00@example.com", "x" * 300)
    ]
    assert all(refusal == refusals[0] for refusal in refusals)
    assert [error["code"] for error in refusals[0]] == ["UNAUTHENTICATED"]


async def test_an_unknown_address_costs_as_much_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is one bcrypt at the cost its hash names: counted, since a clock tells of the machine as well."""
    passwords = PasswordService(Settings(bcrypt_cost=5))
    stored = await passwords.hash(PASSWORD)
    checked: list[bytes] = []
    really = bcrypt.checkpw

    def counted(digest: bytes, password_hash: bytes) -> bool:
        checked.append(password_hash[: len(b"$2b$05$")])
        return really(digest, password_hash)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    for password_hash in (stored, None):
        assert not await passwords.verify("wrong password", password_hash)
    passwords.stop()
    assert checked == [b"$2b$05$"] * 2


async def test_the_sixth_try_in_a_minute_is_throttled_right_or_wrong(
    visitor: Visitor, stranger: Visitor
) -> None:
    email = (await visitor.sign_up())["viewer"]["user"]["email"]
    for password in ["wrong password"] * 5:
        payload = await visitor.ask(SIGN_IN, email=email, password=password)
        assert [error["code"] for error in payload["errors"]] == ["UNAUTHENTICATED"]
    for somebody in (visitor, stranger):
        (error,) = (await somebody.ask(SIGN_IN, email=email, password=PASSWORD))["errors"]
        assert error["code"] == "THROTTLED"
        assert error["retryAt"]


async def test_who_is_throttled_is_told_when_to_come_back(visitor: Visitor) -> None:
    email = registration()["email"]
    for _ in range(5):
        answer = await visitor.post(SIGN_IN, email=email, password="wrong password")
        assert (answer.status_code, answer.headers.get("Retry-After")) == (200, None)
    answer = await visitor.post(SIGN_IN, email=email, password="wrong password")
    assert answer.status_code == 429
    (wait_s,) = answer.headers.get_list("Retry-After")
    assert 1 <= int(wait_s) <= 60
    assert answer.headers["RateLimit"] == f'"attempts";r=0;t={wait_s}'
    (error,) = answer.json()["data"]["signIn"]["errors"]
    assert error["code"] == "THROTTLED"
    assert error["retryAt"]


async def test_strangers_who_try_an_address_do_not_keep_its_owner_out(
    visitor: Visitor, stranger: Visitor
) -> None:
    email = (await visitor.sign_up())["viewer"]["user"]["email"]
    for _ in range(6):
        refused = await stranger.ask(SIGN_IN, email=email, password="wrong password")
    assert [error["code"] for error in refused["errors"]] == ["THROTTLED"]
    assert (await visitor.ask(SIGN_IN, email=email, password=PASSWORD))["session"]


async def test_while_everybody_tries_too_much_strangers_are_slowed(
    visitor: Visitor, stranger: Visitor, doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = (await visitor.sign_up())["viewer"]["user"]["email"]
    own = replace(SIGN_IN_LIMITS, name=secrets.token_hex(4), overall=(Window(1, timedelta(minutes=1)),))
    monkeypatch.setattr(sessions, "SIGN_IN", own)  # a count of this test's own
    unknown = registration()["email"]
    for code in ("UNAUTHENTICATED", "THROTTLED"):
        refused = await stranger.ask(SIGN_IN, email=unknown, password="wrong password")
        assert [error["code"] for error in refused["errors"]] == [code]
    for _ in range(3):
        assert (await visitor.ask(SIGN_IN, email=email, password=PASSWORD))["session"]


async def test_twenty_tries_at_once_are_five(visitor: Visitor) -> None:
    email = (await visitor.sign_up())["viewer"]["user"]["email"]
    payloads = await asyncio.gather(
        *(visitor.ask(SIGN_IN, email=email, password="wrong password") for _ in range(20))
    )
    codes = [payload["errors"][0]["code"] for payload in payloads]
    assert (codes.count("UNAUTHENTICATED"), codes.count("THROTTLED")) == (5, 15)


async def test_an_address_range_has_thirty_a_minute_successes_included(visitor: Visitor) -> None:
    email = (await visitor.sign_up())["viewer"]["user"]["email"]
    assert (await visitor.ask(SIGN_IN, email=email, password=PASSWORD))["session"]
    for _ in range(29):
        await visitor.ask(SIGN_IN, email=registration()["email"], password=PASSWORD)
    payload = await visitor.ask(SIGN_IN, email=email, password=PASSWORD)
    assert [error["code"] for error in payload["errors"]] == ["THROTTLED"]


async def test_signing_in_forgets_the_wrong_tries(visitor: Visitor) -> None:
    email = (await visitor.sign_up())["viewer"]["user"]["email"]
    for password in [*["wrong password"] * 4, PASSWORD, *["wrong password"] * 4]:
        await visitor.ask(SIGN_IN, email=email, password=password)
    assert (await visitor.ask(SIGN_IN, email=email, password=PASSWORD))["session"]


async def test_a_full_queue_of_passwords_is_throttled_and_the_loop_stays_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passwords, check, loop_turned = PasswordService(Settings(bcrypt_cost=4)), bcrypt.checkpw, Event()

    def check_meanwhile(password: bytes, hashed: bytes) -> bool:
        assert loop_turned.wait(5), "the loop waits for the password"
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", check_meanwhile)
    tries = [asyncio.create_task(passwords.verify("x", None)) for _ in range(20)]
    asyncio.get_running_loop().call_soon(loop_turned.set)  # after each has begun
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert outcomes.count(False) == 10
    assert sum(isinstance(outcome, Throttled) for outcome in outcomes) == 10
    assert not await passwords.verify("x", None)  # the places are free again
    passwords.stop()


async def test_an_extension_s_session_says_so(visitor: Visitor) -> None:
    email = (await visitor.sign_up())["viewer"]["user"]["email"]
    session = (await visitor.ask(SIGN_IN, email=email, password=PASSWORD, client="EXTENSION"))["session"]
    refreshed = (await visitor.ask(REFRESH, refreshToken=session["refreshToken"]))["session"]
    for token in (session["accessToken"], refreshed["accessToken"]):
        assert jwt.decode(token, options={"verify_signature": False})["client"] == "EXTENSION"
        assert (await visitor.ask(VIEWER, token))["user"]["email"] == email


async def test_the_workspace_used_last_or_the_one_asked_for(visitor: Visitor, doors: Doors) -> None:
    mine, theirs = await visitor.sign_up(), await visitor.sign_up(workspaceName="Other")
    user, here, there = mine["viewer"]["user"], mine["viewer"]["workspace"], theirs["viewer"]["workspace"]
    await execute(
        doors,
        "INSERT INTO member (workspace_id, user_id, role, joined_at) "
        "VALUES (:workspace_id, :user_id, 'VIEWER', now() - interval '1 day')",
        workspace_id=ids(theirs)["workspace_id"],
        user_id=ids(mine)["user_id"],
    )

    async def sign_in(**input: Any) -> Any:
        payload = await visitor.ask(SIGN_IN, email=user["email"], password=PASSWORD, **input)
        return payload["session"]["viewer"] if payload["session"] else payload["errors"][0]

    assert (await sign_in())["workspace"]["id"] == here["id"]
    asked = await sign_in(workspaceId=there["id"])
    assert (asked["workspace"]["id"], asked["role"]) == (there["id"], "VIEWER")
    assert {one["workspace"]["name"] for one in asked["memberships"]} == {"Acme", "Other"}
    assert (await sign_in())["workspace"]["id"] == there["id"]
    for foreign in (str(uuid4()), "not-an-id"):
        refused = await sign_in(workspaceId=foreign)
        assert (refused["code"], refused["path"]) == ("NOT_FOUND", ["workspaceId"])


async def test_forgetting_attempts_waits_in_the_order_of_counting(doors: Doors, settings: Settings) -> None:
    """However the table is read: otherwise two sign-ins of one person could each wait for the other."""
    low, high = sorted(secrets.token_bytes(32) for _ in range(2))
    now = datetime.now(UTC)
    async with doors.open_system() as work:
        await account_store(work, settings).lock_attempts([high], now=now)
        await account_store(work, settings).lock_attempts([low], now=now)  # stands behind the other

    async def forget() -> None:
        async with doors.open_system() as work:
            await work.execute(text("SET LOCAL enable_indexscan = off"))
            await work.execute(text("SET LOCAL enable_bitmapscan = off"))
            await work.execute(text("SET LOCAL enable_indexonlyscan = off"))
            await account_store(work, settings).forget_attempts([high, low])

    async def is_waiting() -> bool:
        async with doors.open_system() as work:
            found = await work.execute(
                text(
                    "SELECT count(*) FROM pg_locks w WHERE NOT granted AND :pid = ANY (pg_blocking_pids(pid))"
                ),
                {"pid": pid},
            )
            return bool(found.scalar_one())

    async with doors.open_system() as counting:
        store = account_store(counting, settings)
        await store.lock_attempts([low], now=now)
        pid = (await counting.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        forgetting = asyncio.create_task(forget())
        await eventually(is_waiting, what="who forgets waits")
        await store.lock_attempts([high], now=now)
    await forgetting
