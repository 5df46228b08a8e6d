"""Inviting people, taking it back, and coming in."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.accounts.domain import invitation as rules
from app.accounts.domain.system_mail import SystemMailKind
from app.common.domain import Role
from app.common.work import Doors
from app.settings import Settings
from tests.api.accounts.test_remove_member import REMOVE
from tests.api.accounts.test_switch_workspace import JOIN, SWITCH
from tests.api.accounts.visitor import PASSWORD, Visitor, execute, ids
from tests.factories.accounts import PASSWORD as ANAS_PASSWORD
from tests.factories.accounts import Person, add_member, new_email
from tests.factories.system_mail import mails_to

INVITE = """
mutation ($input: InviteMemberInput!) {
  inviteMember(input: $input) { acceptUrl invitation { id email role expiresAt } errors { code path message } }
}
"""
REVOKE = "mutation ($input: RevokeInvitationInput!) { revokeInvitation(input: $input) { ok errors { code path } } }"
LIST = "{ invitations { id email role } }"
ACCEPT = """
mutation ($input: AcceptInvitationInput!) {
  acceptInvitation(input: $input) {
    session { accessToken refreshToken viewer { role user { id name email locale } workspace { id } } }
    errors { code path message retryAt }
  }
}
"""


async def invite(person: Person, email: str, role: str = "MEMBER") -> dict[str, Any]:
    answer = (await person.run(INVITE, {"input": {"email": email, "role": role}}))["inviteMember"]
    return dict(answer)


async def token_for(person: Person, email: str, role: str = "MEMBER") -> str:
    payload = await invite(person, email, role)
    assert payload["errors"] == []
    return str(payload["acceptUrl"]).partition("#")[2]


def refusals(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


async def audit(doors: Doors, person: Person) -> list[tuple[str, Any]]:
    async with doors.open_system() as system:
        found = await system.execute(
            text(
                "SELECT action, actor_id FROM audit_event WHERE workspace_id = :id AND "
                "(action LIKE 'member.%' OR action LIKE 'invitation.%') ORDER BY id"
            ),
            {"id": person.workspace_id},
        )
        return [(row.action, row.actor_id) for row in found]


async def count(doors: Doors, sql: str, **values: object) -> int:
    async with doors.open_system() as system:
        return int((await system.execute(text(sql), values)).scalar_one())


# ── inviting ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_an_invitation_is_listed_mailed_and_audited(
    ana: Person, eve: Person, doors: Doors, settings: Settings
) -> None:
    email = new_email("bia")
    payload = await invite(ana, f" {email.upper()} ", "ADMIN")
    assert payload["invitation"]["email"] == email
    listed = (await ana.run(LIST))["invitations"]
    assert listed == [{"id": payload["invitation"]["id"], "email": email, "role": "ADMIN"}]
    assert (await eve.run(LIST))["invitations"] == []
    ((_, mail),) = await mails_to(doors, settings, email)
    assert (mail.kind, mail.locale) == (SystemMailKind.INVITATION, "pt-BR")
    assert mail.words["token"] == payload["acceptUrl"].partition("#")[2]
    assert (mail.words["workspace"], mail.words["inviter"]) == ("Ana's workspace", "Ana")
    assert "/invitation#" in payload["acceptUrl"]
    assert await audit(doors, ana) == [("member.invited", ana.user_id)]
    stored = await count(
        doors,
        "SELECT count(*) FROM invitation WHERE position(:t IN token_hash::text) > 0",
        t=mail.words["token"],
    )
    assert stored == 0


async def test_nobody_invites_above_their_own_role(ana: Person, doors: Doors) -> None:
    admin = await add_member(doors, ana, role=Role.ADMIN)
    assert refusals(await invite(admin, new_email(), "OWNER")) == [("FORBIDDEN", ["role"])]
    assert refusals(await invite(admin, new_email(), "ADMIN")) == []
    assert refusals(await invite(ana, new_email(), "OWNER")) == []
    member = await add_member(doors, ana, role=Role.MEMBER)
    assert refusals(await invite(member, new_email(), "VIEWER")) == [("FORBIDDEN", [])]
    assert await member.refused(LIST) == "FORBIDDEN"


async def test_members_and_what_is_no_address_are_refused(ana: Person) -> None:
    assert refusals(await invite(ana, ana.email)) == [("CONFLICT", ["email"])]
    assert refusals(await invite(ana, "no address")) == [("INVALID", ["email"])]
    assert (await ana.run(LIST))["invitations"] == []


async def test_inviting_again_makes_a_fresh_link_and_kills_the_old_one(
    ana: Person, visitor: Visitor, doors: Doors, settings: Settings
) -> None:
    email = new_email()
    old, new = await token_for(ana, email), await token_for(ana, email, "VIEWER")
    assert [one["role"] for one in (await ana.run(LIST))["invitations"]] == ["VIEWER"]
    assert len(await mails_to(doors, settings, email)) == 2
    newcomer = {"name": "Bia", "password": PASSWORD}
    assert refusals(await visitor.ask(ACCEPT, token=old, **newcomer)) == [("INVALID", ["token"])]
    assert (await visitor.ask(ACCEPT, token=new, **newcomer))["session"]["viewer"]["role"] == "VIEWER"


async def test_an_address_is_not_invited_without_end(ana: Person) -> None:
    email = new_email()
    payloads = [await invite(ana, email) for _ in range(6)]
    assert [refusals(one) for one in payloads] == [[]] * 5 + [[("THROTTLED", [])]]


async def test_a_workspace_has_so_many_invitations(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.accounts.application import invitations

    monkeypatch.setattr(invitations, "MAX_LIVE", 2)
    owner = await visitor.sign_up()
    answers = [
        await visitor.ask(INVITE, owner["accessToken"], email=new_email(), role="VIEWER") for _ in range(3)
    ]
    assert [refusals(one) for one in answers] == [[], [], [("LIMIT_REACHED", [])]]
    monkeypatch.setattr(invitations, "MAX_LIVE", 100)
    monkeypatch.setattr(invitations, "MAX_A_DAY", 2)
    refused = await visitor.ask(INVITE, owner["accessToken"], email=new_email(), role="VIEWER")
    assert refusals(refused) == [("LIMIT_REACHED", [])]


async def test_of_many_invitations_at_once_none_passes_the_limit(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.accounts.application import invitations

    monkeypatch.setattr(invitations, "MAX_LIVE", 2)
    owner = await visitor.sign_up()
    answers = await asyncio.gather(
        *(visitor.ask(INVITE, owner["accessToken"], email=new_email(), role="VIEWER") for _ in range(8))
    )
    assert sorted(map(refusals, answers)) == [[]] * 2 + [[("LIMIT_REACHED", [])]] * 6


async def test_what_somebody_left_behind_takes_no_place(
    visitor: Visitor, doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody sees these any more, so nobody could revoke them."""
    from app.accounts.application import invitations

    monkeypatch.setattr(invitations, "MAX_LIVE", 2)
    owner, admin = await visitor.sign_up(), await visitor.sign_up()
    here, admin_id = ids(owner)["workspace_id"], ids(admin)["user_id"]
    await execute(doors, JOIN, workspace_id=here, user_id=admin_id, role=Role.ADMIN)
    in_here = (await visitor.ask(SWITCH, admin["accessToken"], workspaceId=str(here)))["session"]
    for session, expected in ((in_here, []), (in_here, []), (owner, [("LIMIT_REACHED", [])])):
        answer = await visitor.ask(INVITE, session["accessToken"], email=new_email(), role="VIEWER")
        assert refusals(answer) == expected
    assert (await visitor.ask(REMOVE, owner["accessToken"], userId=str(admin_id)))["ok"]
    assert await visitor.ask(LIST, owner["accessToken"]) == []
    answer = await visitor.ask(INVITE, owner["accessToken"], email=new_email(), role="VIEWER")
    assert refusals(answer) == []


async def test_a_revoked_link_is_dead(ana: Person, eve: Person, visitor: Visitor, doors: Doors) -> None:
    payload = await invite(ana, new_email())
    id = payload["invitation"]["id"]
    for stranger_id, person in ((id, eve), (str(uuid4()), ana), ("nonsense", ana)):
        answer = (await person.run(REVOKE, {"input": {"id": stranger_id}}))["revokeInvitation"]
        assert refusals(answer) == [("NOT_FOUND", ["id"])]
    assert (await ana.run(REVOKE, {"input": {"id": id}}))["revokeInvitation"]["ok"]
    answer = await visitor.ask(
        ACCEPT, token=payload["acceptUrl"].partition("#")[2], name="Bia", password=PASSWORD
    )
    assert refusals(answer) == [("INVALID", ["token"])]
    assert [action for action, _ in await audit(doors, ana)] == ["member.invited", "invitation.revoked"]


# ── accepting ─────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_new_address_gets_an_account_and_a_session(
    ana: Person, visitor: Visitor, doors: Doors
) -> None:
    email = new_email()
    token = await token_for(ana, email)
    missing = await visitor.ask(ACCEPT, token=token)
    assert refusals(missing) == [("INVALID", ["name"]), ("INVALID", ["password"])]
    payload = await visitor.ask(ACCEPT, token=token, name=" Bia ", password=PASSWORD)
    viewer = payload["session"]["viewer"]
    assert (viewer["role"], viewer["workspace"]["id"]) == ("MEMBER", str(ana.workspace_id))
    user = viewer["user"]
    assert (user["name"], user["email"], user["locale"]) == ("Bia", email, "pt-BR")
    assert (await ana.run(LIST))["invitations"] == []
    members = (await ana.run("{ members { role user { id } } }"))["members"]
    assert {"role": "MEMBER", "user": {"id": user["id"]}} in members
    actions = [(action, str(actor)) for action, actor in await audit(doors, ana)]
    assert actions[-1] == ("member.joined", user["id"])
    async with doors.open_system() as system:
        found = await system.execute(
            text(
                "SELECT entity_ids, changed, after->>'role' AS role, actor FROM feed_event "
                "WHERE workspace_id = :id AND kind = 'member.changed'"
            ),
            {"id": ana.workspace_id},
        )
        (told,) = found.all()
    assert ([str(id) for id in told.entity_ids], told.changed, told.role) == (
        [user["id"]],
        ["joined"],
        "MEMBER",
    )
    assert str(told.actor) == user["id"]
    again = await visitor.ask(ACCEPT, token=token, name="Bia", password=PASSWORD)
    assert refusals(again) == [("INVALID", ["token"])]


async def test_an_address_with_an_account_gives_its_password(
    ana: Person, eve: Person, visitor: Visitor
) -> None:
    token = await token_for(ana, eve.email)
    assert refusals(await visitor.ask(ACCEPT, token=token, name="Mallory")) == [("INVALID", ["password"])]
    wrong = await visitor.ask(ACCEPT, token=token, name="Mallory", password="not her password")
    assert refusals(wrong) == [("UNAUTHENTICATED", ["password"])]
    payload = await visitor.ask(ACCEPT, token=token, name="Mallory", password=ANAS_PASSWORD)
    assert payload["session"]["viewer"]["user"]["name"] == "Eve"
    assert payload["session"]["viewer"]["workspace"]["id"] == str(ana.workspace_id)


async def test_guessing_a_password_through_an_invitation_is_signing_in(
    ana: Person, eve: Person, visitor: Visitor
) -> None:
    token = await token_for(ana, eve.email)
    for _ in range(5):
        await visitor.ask(ACCEPT, token=token, password="not her password")
    refused = await visitor.ask(ACCEPT, token=token, password=ANAS_PASSWORD)
    assert refusals(refused) == [("THROTTLED", [])]


@pytest.mark.parametrize("has_account", [True, False])
async def test_two_at_once_are_one_member(
    ana: Person, eve: Person, visitor: Visitor, doors: Doors, has_account: bool
) -> None:
    email = eve.email if has_account else new_email()
    token = await token_for(ana, email)
    given = {"token": token, "name": "Bia", "password": ANAS_PASSWORD}
    payloads = await asyncio.gather(*(visitor.ask(ACCEPT, **given) for _ in range(4)))
    assert sum(payload["session"] is not None for payload in payloads) == 1
    refused = [refusals(payload) for payload in payloads if payload["session"] is None]
    assert refused == [[("INVALID", ["token"])]] * 3
    joined = "SELECT count(*) FROM member JOIN app_user ON id = user_id WHERE email = :email AND workspace_id = :id"
    assert await count(doors, joined, email=email, id=ana.workspace_id) == 1


async def test_an_invitation_never_changes_a_member_s_role(
    ana: Person, eve: Person, visitor: Visitor, doors: Doors
) -> None:
    """Somebody came in by another door while the link was on its way."""
    token = await token_for(ana, eve.email, "ADMIN")
    async with doors.open_system() as system:
        await system.execute(
            text("INSERT INTO member (workspace_id, user_id, role) VALUES (:here, :who, 'VIEWER')"),
            {"here": ana.workspace_id, "who": eve.user_id},
        )
    payload = await visitor.ask(ACCEPT, token=token, password=ANAS_PASSWORD)
    assert payload["session"]["viewer"]["role"] == "VIEWER"
    assert [action for action, _ in await audit(doors, ana)] == ["member.invited"]


@pytest.mark.parametrize(
    "over",
    [
        "UPDATE invitation SET expires_at = now() WHERE workspace_id = :here",
        "DELETE FROM member WHERE workspace_id = :here AND user_id = :admin",
        "UPDATE member SET role = 'MEMBER' WHERE workspace_id = :here AND user_id = :admin",
    ],
    ids=["run out", "inviter removed", "inviter demoted"],
)
async def test_what_is_over_looks_like_what_never_was(
    ana: Person, visitor: Visitor, doors: Doors, over: str
) -> None:
    admin = await add_member(doors, ana, role=Role.ADMIN)
    token = await token_for(admin, new_email(), "ADMIN")
    given = {"name": "Bia", "password": PASSWORD}
    unknown = await visitor.ask(ACCEPT, token="x" * 43, **given)
    async with doors.open_system() as system:
        values = {"here": ana.workspace_id, "admin": admin.user_id}
        await system.execute(text(over), {name: values[name] for name in values if f":{name}" in over})
    assert await visitor.ask(ACCEPT, token=token, **given) == unknown
    assert refusals(unknown) == [("INVALID", ["token"])]
    assert (await ana.run(LIST))["invitations"] == []


@pytest.mark.parametrize("token", ["", "\x00", "x" * 100_000, "é", "%s"])
async def test_nonsense_is_no_token(visitor: Visitor, token: str) -> None:
    answer = await visitor.post(ACCEPT, token=token, name="Bia", password=PASSWORD)
    assert answer.status_code < 500
    if "errors" not in answer.json():
        assert refusals(answer.json()["data"]["acceptInvitation"]) == [("INVALID", ["token"])]


async def test_a_cookie_holds_the_refresh_token(ana: Person, visitor: Visitor) -> None:
    token = await token_for(ana, new_email())
    answer = await visitor.post(ACCEPT, token=token, name="Bia", password=PASSWORD, cookie=True)
    assert answer.json()["data"]["acceptInvitation"]["session"]["refreshToken"] is None
    assert "__Host-sp_rt=" in answer.headers["set-cookie"]


def test_the_texts_say_what_to_do() -> None:
    for refusal in (
        rules.too_many_live(),
        rules.too_many_today(),
        rules.is_member_already(),
        rules.link_is_over(),
    ):
        assert ":" in refusal.message
