"""Hostile inputs at accounts (rows 17-19 and 21-25 of the table): tokens, passwords, attempts, links of mails."""

import asyncio
import re
from email.message import EmailMessage

import httpx
import pytest
import websockets
from sqlalchemy import select

from app.accounts.domain.attempt import SIGN_IN as SIGN_IN_LIMITS
from app.accounts.domain.attempt import subject_key
from app.accounts.domain.system_mail import SystemMailKind
from app.accounts.infrastructure.tables import login_attempt
from app.accounts.wiring import create_postman
from app.common.domain import Role
from app.settings import Settings
from tests.api.accounts.test_refresh_session import AGED
from tests.api.accounts.test_resets import NEW, REQUEST, RESET
from tests.api.accounts.visitor import PASSWORD, REFRESH, SIGN_IN, SIGN_UP, VIEWER, execute, registration
from tests.api.hostile.scene import Row, Rows, Scene, codes_of
from tests.factories.accounts import add_member, audited, new_email, sign_in
from tests.factories.sending import parsed
from tests.factories.system_mail import hold, mails_to, reset_token
from tests.fixtures.graphql import open_socket
from tests.fixtures.processes import Api, eventually
from tests.fixtures.smtp import ScriptedSmtp
from tests.fixtures.sockets import closed_with

ROWS = Rows()
ORIGIN, OTHER_NAME = "https://app.example.com", "crm.example.org"
REMOVE = "mutation ($input: MemberInput!) { removeMember(input: $input) { errors { code } } }"
INVITE = "mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { acceptUrl errors { code } } }"
WRONG = "wrong password"
LINK = re.compile(r"https?://[^\s\"'<>]+")


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────────
@ROWS(17, "the token of a removed member")
async def removed_member(scene: Scene) -> None:
    member = await add_member(scene.doors, scene.victim, role=Role.MEMBER)
    async with open_socket(scene.target.api.ws_url, member.token) as socket:
        ending = asyncio.create_task(closed_with(socket))
        removed = await scene.ask(REMOVE, scene.victim.token, input={"userId": str(member.user_id)})
        assert removed == {"errors": []}
        assert await ending == 4403

    async def is_refused() -> bool:
        return (await scene.post(VIEWER, member.token)).status_code == 401

    await eventually(is_refused, what="the refusal")
    async with scene.cheaply("17: a dead token"):
        assert await scene.codes(VIEWER, member.token) == ["UNAUTHENTICATED"]
        with pytest.raises(websockets.ConnectionClosed) as closed:
            async with open_socket(scene.target.api.ws_url, member.token):
                pass
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403


@ROWS(18, "a refresh token that was used before")
async def replayed(scene: Scene) -> None:
    victim = scene.victim
    fresh = (await scene.ask(REFRESH, input={"refreshToken": victim.refresh_token}))["session"]
    await execute(scene.doors, AGED, user_id=victim.user_id)
    for token in (victim.refresh_token, fresh["refreshToken"]):
        assert await scene.codes(REFRESH, input={"refreshToken": token}) == ["UNAUTHENTICATED"]
        by_cookie = await by_the_cookie(scene, token)
        assert (by_cookie.status_code, by_cookie.json()["code"]) == (401, "UNAUTHENTICATED")
    for token in (victim.token, fresh["accessToken"]):
        assert (await scene.post(VIEWER, token)).status_code == 401
    rows = [row for row in await audited(scene.doors, victim.workspace_id) if "replay" in row.action]
    assert len(rows) == 1
    assert victim.refresh_token not in str(rows)


async def by_the_cookie(scene: Scene, token: str) -> httpx.Response:
    headers = {"Origin": scene.target.api.url, "Cookie": f"__Host-sp_rt={token}"}
    return scene.seen(await scene.victim.http.post("/auth/refresh", json={}, headers=headers))


@ROWS(19, "two refreshes at once")
async def refreshed_at_once(scene: Scene) -> None:
    token = scene.victim.refresh_token
    outcomes = await asyncio.gather(*(scene.ask(REFRESH, input={"refreshToken": token}) for _ in range(2)))
    (session,) = [outcome["session"] for outcome in outcomes if outcome["session"]]
    assert [error["code"] for outcome in outcomes for error in outcome["errors"]] == ["CONFLICT"]
    assert (await scene.ask(REFRESH, input={"refreshToken": session["refreshToken"]}))["session"]
    assert (await scene.post(VIEWER, session["accessToken"])).status_code == 200


# ── passwords ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@ROWS(21, "thirty sign-ins in one document")
async def many_in_one(scene: Scene) -> None:
    """Not one of them is tried: an attempt counts before its password is looked at."""
    email = scene.victim.email
    for guesses in (30, 2):
        fields = " ".join(
            f's{n}: signIn(input: {{email: "{email}", password: "{n}"}}) {{ errors {{ code }} }}'
            for n in range(guesses)
        )
        async with scene.cheaply(f"21: {guesses} sign-ins"):
            assert await scene.codes(f"mutation {{ {fields} }}") == ["QUERY_TOO_COMPLEX"]
    assert await attempts(scene, email) == 0
    assert await scene.codes(SIGN_IN, input={"email": email, "password": WRONG}) == ["UNAUTHENTICATED"]
    assert await attempts(scene, email) == 1


async def attempts(scene: Scene, email: str) -> int:
    key = subject_key(SIGN_IN_LIMITS, email)
    async with scene.doors.open_system() as system:
        found = await system.execute(select(login_attempt.c.attempts).where(login_attempt.c.key == key))
        return len(found.scalar() or ())


@ROWS(22, "the sixth wrong password in a minute")
async def sixth_try(scene: Scene) -> None:
    refusals = []
    for email in (scene.victim.email, new_email("nobody")):
        given = {"email": email, "password": WRONG}
        refused = [await scene.post(SIGN_IN, input=given) for _ in range(5)]
        assert [answer.status_code for answer in refused] == [200] * 5
        assert {answer.text for answer in refused} == {refused[0].text}
        sixth = await scene.post(SIGN_IN, input=given)
        assert sixth.status_code == 429
        assert 1 <= int(sixth.headers["Retry-After"]) <= 60
        (error,) = sixth.json()["data"]["signIn"]["errors"]
        assert error.pop("retryAt")
        refusals.append((refused[0].text, error, sorted(sixth.headers)))
    assert refusals[0] == refusals[1]


@ROWS(23, "passwords of 73 bytes, of emoji, of 10 kB, with NUL")
async def odd_passwords(scene: Scene) -> None:
    long = "p" * 72
    for password, others in {
        f"{long}a": (long, f"{long}b", f"{long}ab"),
        "🔑" * 72: ("🔑" * 71, "🔑" * 71 + "🔒"),
        f"{long}{'é' * 900}": (f"{long}{'é' * 899}e",),
        "NUL \0 inside it": ("NUL ", "NUL \0 inside", "NUL  inside it"),
    }.items():
        given = registration(password=password)
        assert await scene.codes(SIGN_UP, input=given) == []
        for other in others:
            tried = {"email": given["email"], "password": other}
            assert await scene.codes(SIGN_IN, input=tried) == ["UNAUTHENTICATED"]
        assert await scene.codes(SIGN_IN, input={"email": given["email"], "password": password}) == []
    for password in ("x" * 10_000, "🔑" * 1_001, "short", ""):
        (error,) = (await scene.ask(SIGN_UP, input=registration(password=password)))["errors"]
        assert (error["code"], error["path"]) == ("INVALID", ["password"]), password[:20]
        refused = await scene.codes(SIGN_IN, input={"email": new_email(), "password": password})
        assert refused == ["UNAUTHENTICATED"], password[:20]


@ROWS(24, "twenty sign-ins at once")
async def twenty_at_once(scene: Scene) -> None:
    """Of people the API does not know, where a password costs what it does in production; and with time enough for
    that on a busy machine.
    """
    patient = {"SALESPAD_OPERATION_TIMEOUT_S": "60", "SALESPAD_POOL_WAIT_S": "30"}
    async with (
        Api.started(SALESPAD_BCRYPT_COST="12", **patient) as api,
        httpx.AsyncClient(base_url=api.url, timeout=60, trust_env=False) as http,
    ):
        given = [{"email": new_email(f"n{n}"), "password": WRONG} for n in range(20)]
        tries = [asyncio.create_task(scene.post(SIGN_IN, http=http, input=one)) for one in given]
        meanwhile = 0
        while (await asyncio.wait(tries, timeout=0.05))[1]:
            answer = await scene.post(VIEWER, scene.victim.token, http=http)
            assert answer.status_code == 200
            meanwhile += not all(task.done() for task in tries)
        answers = await asyncio.gather(*tries)
    statuses = [answer.status_code for answer in answers]
    print(
        f"24: {statuses.count(200)} answered, {statuses.count(429)} told to wait, {meanwhile} others served"
    )
    assert set(statuses) == {200, 429}
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status_code == 429)
    told = {code for answer in answers for code in codes_of(answer.json())}
    assert told == {"UNAUTHENTICATED", "THROTTLED"}
    assert meanwhile >= 3


# ── links of mails ────────────────────────────────────────────────────────────────────────────────────────────────────
@ROWS(25, "a reset's link: twice, another's, too late")
async def reset_links(scene: Scene) -> None:
    victim, eve = scene.victim, scene.eve
    assert (await scene.ask(REQUEST, input={"email": victim.email}))["ok"]
    token = await reset_token(scene.doors, scene.settings, victim.email)
    secret = token.partition(".")[2]
    wrong = [f"{eve.user_id}.{secret}", f"{victim.user_id}.{secret}x", f"{victim.user_id}.", secret, "", "\0"]
    refusals = [await reset(scene, one) for one in wrong]
    assert (await scene.ask(RESET, input={"token": token, "newPassword": NEW}))["ok"]
    refusals.append(await reset(scene, token))
    assert (await scene.ask(REQUEST, input={"email": victim.email}))["ok"]
    late = await reset_token(scene.doors, scene.settings, victim.email)
    over = "UPDATE app_user SET reset_expires_at = now() WHERE id = :id AND reset_hash IS NOT NULL"
    assert (await execute(scene.doors, over, id=victim.user_id)).rowcount == 1
    refusals.append(await reset(scene, late))
    assert set(refusals) == {refusals[0]}
    assert '"INVALID"' in refusals[0]
    assert await scene.codes(SIGN_IN, input={"email": victim.email, "password": NEW}) == []
    assert await sign_in(eve, workspace_id=eve.workspace_id)


async def reset(scene: Scene, token: str) -> str:
    return (await scene.post(RESET, input={"token": token, "newPassword": PASSWORD})).text


@ROWS(25, "a reset asked for under another host's name")
async def other_hosts(scene: Scene) -> None:
    """Where several names are allowed, links lead to the one that is configured."""
    email = scene.victim.email
    hosts = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    async with (
        Api.started(SALESPAD_PUBLIC_URL=ORIGIN, SALESPAD_ALLOWED_HOSTS=OTHER_NAME) as api,
        httpx.AsyncClient(base_url=api.url, timeout=30, trust_env=False) as http,
    ):
        evil = await scene.post(REQUEST, http=http, headers={"Host": "evil.example"}, input={"email": email})
        assert (evil.status_code, evil.json()["code"]) == (400, "BAD_REQUEST")
        assert await mails_to(scene.doors, scene.settings, email) == []
        asked = await scene.post(
            REQUEST, http=http, headers={"Host": OTHER_NAME, **hosts}, input={"email": email}
        )
        assert codes_of(asked.json()) == []
        invited = await scene.post(
            INVITE,
            scene.victim.token,
            http=http,
            headers={"Host": OTHER_NAME, **hosts},
            input={"email": new_email(), "role": "VIEWER"},
        )
    accept_url = invited.json()["data"]["inviteMember"]["acceptUrl"]
    assert accept_url is None or accept_url.startswith(f"{ORIGIN}/")
    for link in await links_of_reset(scene, email):
        assert link.startswith(f"{ORIGIN}/"), "not the configured origin"


async def links_of_reset(scene: Scene, email: str) -> list[str]:
    """In the mail as it leaves."""
    with ScriptedSmtp.started() as server:
        changed = {"system_smtp_url": server.url, "mailbox_smtp_url": None, "public_url": ORIGIN}
        own = Settings.model_validate(scene.settings.model_dump() | changed)
        ((id, mail),) = await mails_to(scene.doors, own, email)
        assert mail.kind is SystemMailKind.PASSWORD_RESET
        claim = await hold(scene.doors, id, by_force=True)
        assert claim is not None
        await create_postman(own).send(scene.doors, own, claim, lambda: False)
        (caught,) = server.mails
    message: EmailMessage = parsed(caught)
    links = [link for part in message.walk() if not part.is_multipart() for link in texts(part)]
    assert len(links) >= 2
    return links


def texts(part: EmailMessage) -> list[str]:
    return LINK.findall(part.get_content())


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_accounts_are_not_impressed(scene: Scene, row: Row) -> None:
    await ROWS.play(row, scene)
