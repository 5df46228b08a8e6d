"""A new password by mail: the answer is the same for everybody, the link is good once."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from app.accounts.domain.system_mail import NO_WORKSPACE, SystemMailKind
from app.common.work import Doors
from app.settings import Settings
from tests.api.accounts.visitor import PASSWORD, SIGN_IN, VIEWER, Visitor
from tests.factories.accounts import new_email
from tests.factories.system_mail import mails_to, reset_token

REQUEST = """
mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { ok errors { code path } } }
"""
RESET = "mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { ok errors { code path message } } }"
NEW = "an entirely other password"


def refusals(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


async def a_person(visitor: Visitor) -> tuple[str, dict[str, Any]]:
    session = await visitor.sign_up()
    return session["viewer"]["user"]["email"], session


async def asked(visitor: Visitor, doors: Doors, settings: Settings, email: str) -> str:
    assert (await visitor.ask(REQUEST, email=email))["ok"]
    return await reset_token(doors, settings, email)


async def test_who_has_an_account_cannot_be_told(
    visitor: Visitor, stranger: Visitor, doors: Doors, settings: Settings
) -> None:
    known, _ = await a_person(visitor)
    unknown = new_email()
    answers, rows = [], []
    for email in (known, unknown):
        answer = await stranger.post(REQUEST, email=f" {email.upper()} ")
        answers.append((answer.status_code, answer.json()))
        ((id, mail),) = await mails_to(doors, settings, email)
        assert (mail.kind, mail.to, mail.words) == (SystemMailKind.PASSWORD_RESET, email, {})
        async with doors.open_system() as system:
            found = await system.execute(
                text("SELECT workspace_id, kind FROM system_mail WHERE id = :id"), {"id": id}
            )
            rows.append(tuple(found.one()))
    assert answers[0] == answers[1] == (200, {"data": {"requestPasswordReset": {"ok": True, "errors": []}}})
    assert rows[0] == rows[1] == (NO_WORKSPACE, "PASSWORD_RESET")


async def test_what_is_no_address_is_refused(visitor: Visitor) -> None:
    for email in ("", "no address", "a\x00@example.com", "x" * 300):
        assert refusals(await visitor.ask(REQUEST, email=email)) == [("INVALID", ["email"])]


async def test_a_mailbox_is_not_filled(visitor: Visitor, stranger: Visitor) -> None:
    for email in ((await a_person(visitor))[0], new_email()):
        codes = [refusals(await stranger.ask(REQUEST, email=email)) for _ in range(3)]
        assert codes == [[], [], [("THROTTLED", [])]]


async def test_a_reset_ends_every_session_warns_and_is_audited(
    visitor: Visitor, stranger: Visitor, doors: Doors, settings: Settings
) -> None:
    email, session = await a_person(visitor)
    for _ in range(5):
        await stranger.ask(SIGN_IN, email=email, password="wrong password")
    token = await asked(visitor, doors, settings, email)
    assert (await stranger.ask(RESET, token=token, newPassword=NEW))["ok"]
    answer = await visitor.post(VIEWER, session["accessToken"])
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert refusals(await visitor.ask(SIGN_IN, email=email, password=PASSWORD)) == [("UNAUTHENTICATED", [])]
    assert (await stranger.ask(SIGN_IN, email=email, password=NEW))["session"], (
        "and is not kept out by old attempts"
    )
    kinds = [mail.kind for _, mail in await mails_to(doors, settings, email)]
    assert SystemMailKind.PASSWORD_CHANGED in kinds
    async with doors.open_system() as system:
        found = await system.execute(
            text(
                "SELECT action, object_id FROM audit_event WHERE workspace_id = :id AND action = 'password.reset'"
            ),
            {"id": session["viewer"]["workspace"]["id"]},
        )
        assert [str(row.object_id) for row in found] == [session["viewer"]["user"]["id"]]


async def test_a_link_is_good_once_also_for_two_at_once(
    visitor: Visitor, doors: Doors, settings: Settings
) -> None:
    email, _ = await a_person(visitor)
    token = await asked(visitor, doors, settings, email)
    payloads = await asyncio.gather(
        *(visitor.ask(RESET, token=token, newPassword=f"{NEW} {n}") for n in range(4))
    )
    assert sum(payload["ok"] for payload in payloads) == 1
    assert [refusals(one) for one in payloads if not one["ok"]] == [[("INVALID", ["token"])]] * 3
    right = [n for n, payload in enumerate(payloads) if payload["ok"]]
    assert (await visitor.ask(SIGN_IN, email=email, password=f"{NEW} {right[0]}"))["session"]


async def test_a_bad_password_does_not_use_the_link_up(
    visitor: Visitor, doors: Doors, settings: Settings
) -> None:
    email, _ = await a_person(visitor)
    token = await asked(visitor, doors, settings, email)
    assert refusals(await visitor.ask(RESET, token=token, newPassword="short")) == [
        ("INVALID", ["newPassword"])
    ]
    assert (await visitor.ask(RESET, token=token, newPassword=NEW))["ok"]


async def test_only_the_newest_link_of_its_own_person_and_hour_is_good(
    visitor: Visitor, doors: Doors, settings: Settings
) -> None:
    email, session = await a_person(visitor)
    other, theirs = await a_person(visitor)
    old = await asked(visitor, doors, settings, email)
    token = await asked(visitor, doors, settings, email)
    swapped = f"{theirs['viewer']['user']['id']}.{token.partition('.')[2]}"
    answers = [
        await visitor.ask(RESET, token=bad, newPassword=NEW)
        for bad in (old, swapped, "", "\x00", f"{session['viewer']['user']['id']}.{'x' * 43}", "x" * 9999)
    ]
    assert all(answer == answers[0] for answer in answers)
    assert refusals(answers[0]) == [("INVALID", ["token"])]
    async with doors.open_system() as system:
        await system.execute(
            text("UPDATE app_user SET reset_expires_at = now() WHERE email = :email"), {"email": email}
        )
    assert await visitor.ask(RESET, token=token, newPassword=NEW) == answers[0]
    assert (await visitor.ask(SIGN_IN, email=other, password=PASSWORD))["session"]


@pytest.mark.parametrize("kind", ["first", "same", "other browser", "other network"])
async def test_a_sign_in_from_a_place_that_is_new_is_told(
    visitor: Visitor, stranger: Visitor, doors: Doors, settings: Settings, kind: str
) -> None:
    email, _ = await a_person(visitor)
    if kind == "first":
        async with doors.open_system() as system:
            await system.execute(
                text("DELETE FROM session USING app_user u WHERE user_id = u.id AND email = :email"),
                {"email": email},
            )
    if kind == "other browser":
        visitor.client.headers["User-Agent"] = "another/1.0"
    somebody = stranger if kind == "other network" else visitor
    for _ in range(2):
        assert (await somebody.ask(SIGN_IN, email=email, password=PASSWORD))["session"]
    mails = [mail for _, mail in await mails_to(doors, settings, email)]
    assert [mail.kind for mail in mails] == [SystemMailKind.NEW_SIGN_IN] * kind.startswith("other")
    if kind == "other browser":
        assert mails[0].words["user_agent"] == "another/1.0"
        assert mails[0].words["ip_prefix"].endswith("/24")


async def test_a_wrong_password_from_a_new_place_is_not_told(
    visitor: Visitor, stranger: Visitor, doors: Doors, settings: Settings
) -> None:
    email, _ = await a_person(visitor)
    await stranger.ask(SIGN_IN, email=email, password="wrong password")
    assert await mails_to(doors, settings, email) == []
