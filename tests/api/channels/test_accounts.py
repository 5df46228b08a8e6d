"""connectEmail, updateChannelAccount, disconnectChannelAccount and the list, with the local mailbox."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.channels.wiring import ChannelAccountStatus, Side, report_account
from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.channels import (
    accounts,
    connect,
    connected,
    disconnect,
    new_address,
    refusal,
    update,
)

NO_SUCH = ("nonsense", "01890000-0000-7000-8000-000000000000")


async def feed_of(doors: Doors, person: Person) -> list[tuple[list[str], dict[str, Any]]]:
    async with doors.open_system() as system:
        rows = await system.execute(
            text(
                "SELECT changed, after::text AS after FROM feed_event "
                "WHERE workspace_id = :id AND kind = 'account.updated' ORDER BY seq"
            ),
            {"id": person.workspace_id},
        )
        return [(row.changed, row.after) for row in rows]


async def test_an_address_of_the_local_mailbox_is_connected(ana: Person) -> None:
    address = new_address()
    account = await connected(ana, name="  Vendas ", address=f" {address.upper()} ")
    assert (account["name"], account["address"]) == ("Vendas", address)
    assert (account["channel"], account["status"], account["dailyLimit"]) == ("EMAIL", "CONNECTED", None)
    assert "/webhooks/email/" in account["inboundUrl"]
    assert await accounts(ana) == [account]


async def test_only_admins_see_where_mail_is_posted(ana: Person, doors: Doors) -> None:
    account = await connected(ana)
    for role, may in ((Role.VIEWER, False), (Role.MEMBER, False), (Role.ADMIN, True)):
        member = await add_member(doors, ana, role=role)
        (seen,) = await accounts(member)
        assert seen["inboundUrl"] == (account["inboundUrl"] if may else None)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
async def test_only_admins_change_accounts(ana: Person, doors: Doors, role: Role) -> None:
    account = await connected(ana)
    member = await add_member(doors, ana, role=role)
    assert refusal(await connect(member)) == ("FORBIDDEN", [])
    assert refusal(await update(member, id=account["id"], name="Mine")) == ("FORBIDDEN", [])
    assert refusal(await disconnect(member, account["id"])) == ("FORBIDDEN", [])
    assert await accounts(ana) == [account]


@pytest.mark.parametrize(
    ("input", "path"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "n" * 201}, ["name"]),
        ({"name": "a\x00b"}, ["name"]),
        ({"name": "Ana\r\nBcc: eve@example.com"}, ["name"]),
        ({"address": "nobody"}, ["address"]),
        ({"address": "a@b.example.com, c@d.example.com"}, ["address"]),
        ({"address": f"{'a' * 65}@example.com"}, ["address"]),
        ({"smtpUrl": ""}, ["smtpUrl"]),
        ({"smtpUrl": "imaps://u:p@mail.example.com"}, ["smtpUrl"]),
        ({"imapUrl": "smtps://u:p@mail.example.com"}, ["imapUrl"]),
        ({"imapUrl": "imaps://mail.example.com"}, ["imapUrl"]),
    ],
)
async def test_bad_input_is_refused_at_its_field(ana: Person, input: dict[str, str], path: list[str]) -> None:
    assert refusal(await connect(ana, **input)) == ("INVALID", path)
    assert await accounts(ana) == []


async def test_every_bad_field_is_named(ana: Person) -> None:
    payload = await connect(ana, name="", address="x", smtpUrl="y", imapUrl="z")
    assert [error["path"] for error in payload["errors"]] == [["name"], ["address"], ["smtpUrl"], ["imapUrl"]]


async def test_an_address_is_connected_once(ana: Person) -> None:
    address = new_address()
    payloads = await asyncio.gather(*(connect(ana, address=address) for _ in range(6)))
    assert sum(payload["account"] is not None for payload in payloads) == 1
    refusals = [refusal(payload) for payload in payloads if payload["account"] is None]
    assert refusals == [("CONFLICT", ["address"])] * 5
    assert len(await accounts(ana)) == 1


async def test_a_local_address_of_others_is_taken_and_whose_it_is_not_said(ana: Person, eve: Person) -> None:
    theirs = await connected(eve)
    payload = await connect(ana, address=theirs["address"])
    assert refusal(payload) == ("CONFLICT", ["address"])
    assert "Eve" not in payload["errors"][0]["message"]
    await disconnect(eve, theirs["id"])
    assert (await connect(ana, address=theirs["address"]))["errors"] == []
    assert refusal(await connect(eve, address=theirs["address"])) == ("CONFLICT", ["address"])


async def test_an_update_keeps_what_is_left_out_and_clears_what_is_null(ana: Person, doors: Doors) -> None:
    account = await connected(ana)
    changed = (await update(ana, id=account["id"], dailyLimit=40))["account"]
    assert changed == account | {"dailyLimit": 40}
    changed = (await update(ana, id=account["id"], name="Sales"))["account"]
    assert changed == account | {"dailyLimit": 40, "name": "Sales"}
    changed = (await update(ana, id=account["id"], dailyLimit=None))["account"]
    assert changed == account | {"name": "Sales"}
    await update(ana, id=account["id"], name="Sales")
    assert [changed for changed, _ in await feed_of(doors, ana)] == [
        ["connected", "status"],
        ["dailyLimit"],
        ["name"],
        ["dailyLimit"],
    ]


@pytest.mark.parametrize(
    ("input", "path"),
    [({"name": None}, ["name"]), ({"dailyLimit": 0}, ["dailyLimit"]), ({"smtpUrl": "x"}, ["smtpUrl"])],
)
async def test_a_bad_update_changes_nothing(ana: Person, input: dict[str, Any], path: list[str]) -> None:
    account = await connected(ana)
    assert refusal(await update(ana, id=account["id"], **input)) == ("INVALID", path)
    assert await accounts(ana) == [account]


async def test_a_foreign_account_is_not_found(ana: Person, eve: Person) -> None:
    theirs = await connected(eve)
    for id in (theirs["id"], *NO_SUCH):
        assert refusal(await update(ana, id=id, name="Mine")) == ("NOT_FOUND", ["id"])
        assert refusal(await disconnect(ana, id)) == ("NOT_FOUND", ["id"])
    assert await accounts(eve) == [theirs]
    assert await accounts(ana) == []


async def test_a_disconnected_address_comes_back_as_the_same_account(ana: Person, doors: Doors) -> None:
    account = await connected(ana)
    gone = (await disconnect(ana, account["id"]))["account"]
    assert gone == account | {"status": "DISCONNECTED"}
    assert (await disconnect(ana, account["id"]))["account"] == gone
    assert refusal(await update(ana, id=account["id"], name="Sales")) == ("CONFLICT", ["id"])
    assert await connected(ana, name="Sales", address=account["address"]) == account | {"name": "Sales"}
    assert [changed for changed, _ in await feed_of(doors, ana)] == [
        ["connected", "status"],
        ["disconnected", "status"],
        ["connected", "status"],
    ]


async def report(
    doors: Doors, person: Person, id: str, status: ChannelAccountStatus, reason: str | None, side: Side
) -> None:
    async with doors.open_work(person.workspace_id) as work:
        await report_account(work, person.workspace_id, UUID(id), status, reason, side=side)


async def test_what_is_reported_of_an_account_is_told_once(ana: Person, doors: Doors) -> None:
    id = (await connected(ana))["id"]
    for _ in range(2):
        await report(doors, ana, id, ChannelAccountStatus.NEEDS_REAUTH, "Login refused.", Side.SENDING)
    (seen,) = await accounts(ana)
    assert (seen["status"], seen["statusReason"]) == ("NEEDS_REAUTH", "Sending: Login refused.")
    for side, status in ((Side.READING, "NEEDS_REAUTH"), (Side.SENDING, "CONNECTED")):
        await report(doors, ana, id, ChannelAccountStatus.CONNECTED, None, side)
        assert (await accounts(ana))[0]["status"] == status
    assert [changed for changed, _ in await feed_of(doors, ana)] == [
        ["connected", "status"],
        ["status"],
        ["status"],
    ]
    assert "Login" not in str(await feed_of(doors, ana))


@pytest.mark.parametrize("status", ["DEGRADED", "NEEDS_REAUTH"])
async def test_a_refused_login_of_sending_outlasts_what_reading_reports(
    ana: Person, doors: Doors, status: str
) -> None:
    """By its reason nothing is sent: a mailbox that is away for a while gives nobody a new login."""
    id = (await connected(ana))["id"]
    await report(doors, ana, id, ChannelAccountStatus.NEEDS_REAUTH, "Login refused.", Side.SENDING)
    await report(doors, ana, id, ChannelAccountStatus(status), "Away.", Side.READING)
    await report(doors, ana, id, ChannelAccountStatus.CONNECTED, None, Side.READING)
    (seen,) = await accounts(ana)
    assert (seen["status"], seen["statusReason"]) == ("NEEDS_REAUTH", "Sending: Login refused.")


@pytest.mark.parametrize("status", ["DEGRADED", "NEEDS_REAUTH"])
async def test_what_reading_reported_gives_way_to_a_refused_login_of_sending(
    ana: Person, doors: Doors, status: str
) -> None:
    id = (await connected(ana))["id"]
    await report(doors, ana, id, ChannelAccountStatus(status), "Away.", Side.READING)
    await report(doors, ana, id, ChannelAccountStatus.CONNECTED, None, Side.SENDING)
    assert (await accounts(ana))[0]["statusReason"] == "Reading: Away."
    await report(doors, ana, id, ChannelAccountStatus.NEEDS_REAUTH, "Login refused.", Side.SENDING)
    assert (await accounts(ana))[0]["statusReason"] == "Sending: Login refused."
    await report(doors, ana, id, ChannelAccountStatus.CONNECTED, None, Side.SENDING)
    assert (await accounts(ana))[0]["status"] == "CONNECTED", "and reading says so again where it still fails"


async def test_nothing_that_is_reported_wakes_a_disconnected_account(ana: Person, doors: Doors) -> None:
    id = (await connected(ana))["id"]
    await disconnect(ana, id)
    for status in (ChannelAccountStatus.CONNECTED, ChannelAccountStatus.NEEDS_REAUTH):
        await report(doors, ana, id, status, None, Side.SENDING)
    assert (await accounts(ana))[0]["status"] == "DISCONNECTED"
