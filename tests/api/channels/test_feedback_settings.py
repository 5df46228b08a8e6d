"""Who tells of an account's bounces, and what that is verified by: set, refused, shown to admins alone."""

from typing import Any

import pytest

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.channels import connected, disconnect, new_address
from tests.factories.feedback import SendGrid

TOPIC = "arn:aws:sns:sa-east-1:123456789012:salespad-feedback"
FIELDS = "account { id feedbackProvider feedbackUrl inboundUrl } errors { code message path }"
CONNECT = f"mutation ($input: ConnectEmailInput!) {{ connectEmail(input: $input) {{ {FIELDS} }} }}"
UPDATE = (
    f"mutation ($input: UpdateChannelAccountInput!) {{ updateChannelAccount(input: $input) {{ {FIELDS} }} }}"
)
LIST = "{ channelAccounts { id feedbackProvider feedbackUrl } }"


async def connect(person: Person, **fields: Any) -> dict[str, Any]:
    given = {"name": "Vendas", "address": new_address(), **fields}
    return (await person.run(CONNECT, {"input": given}))["connectEmail"]  # type: ignore[no-any-return]


async def update(person: Person, **fields: Any) -> dict[str, Any]:
    return (await person.run(UPDATE, {"input": fields}))["updateChannelAccount"]  # type: ignore[no-any-return]


def told(payload: dict[str, Any]) -> dict[str, Any]:
    assert payload["errors"] == [], payload
    return payload["account"]  # type: ignore[no-any-return]


async def test_connected_with_a_topic(ana: Person) -> None:
    account = told(await connect(ana, feedbackProvider="SES", feedbackKey=f" {TOPIC}\n"))
    assert account["feedbackProvider"] == "SES"
    token = account["inboundUrl"].rpartition("/")[2]
    assert account["feedbackUrl"].endswith(f"/webhooks/ses/{token}")


async def test_sendgrids_key_comes_after_its_address(ana: Person) -> None:
    account = await connected(ana)
    first = told(await update(ana, id=account["id"], feedbackProvider="SENDGRID"))
    token = first["feedbackUrl"].rpartition("/")[2]
    sendgrid = SendGrid()
    assert (await sendgrid.post(ana.http, token, [])).status_code == 401
    pem = f"-----BEGIN PUBLIC KEY-----\n{sendgrid.key[:64]}\n{sendgrid.key[64:]}\n-----END PUBLIC KEY-----\n"
    told(await update(ana, id=account["id"], feedbackProvider="SENDGRID", feedbackKey=pem))
    assert (await sendgrid.post(ana.http, token, [])).status_code == 200
    ended = told(await update(ana, id=account["id"], feedbackProvider=None))
    assert (ended["feedbackProvider"], ended["feedbackUrl"]) == (None, None)
    assert (await sendgrid.post(ana.http, token, [])).status_code == 404


BAD = [
    ({"feedbackProvider": "SES"}, "feedbackKey"),
    ({"feedbackProvider": "SES", "feedbackKey": "arn:aws:sqs:sa-east-1:123456789012:x"}, "feedbackKey"),
    ({"feedbackProvider": "SES", "feedbackKey": f"{TOPIC}.fifo"}, "feedbackKey"),
    ({"feedbackProvider": "SES", "feedbackKey": SendGrid().key}, "feedbackKey"),
    ({"feedbackProvider": "SENDGRID", "feedbackKey": TOPIC}, "feedbackKey"),
    ({"feedbackProvider": "SENDGRID", "feedbackKey": ""}, "feedbackKey"),
    ({"feedbackProvider": "SENDGRID", "feedbackKey": SendGrid().key[:-8] + "AAAAAA=="}, "feedbackKey"),
    ({"feedbackKey": TOPIC}, "feedbackProvider"),
]


@pytest.mark.parametrize(("fields", "path"), BAD, ids=range(len(BAD)))
async def test_what_will_not_do_is_refused_at_its_field(
    ana: Person, fields: dict[str, str], path: str
) -> None:
    account = await connected(ana)
    for payload in (await connect(ana, **fields), await update(ana, id=account["id"], **fields)):
        (error,) = payload["errors"]
        assert (error["code"], error["path"]) == ("INVALID", [path])


async def test_only_admins_see_the_address(ana: Person, doors: Doors) -> None:
    account = told(await connect(ana, feedbackProvider="SES", feedbackKey=TOPIC))
    member = await add_member(doors, ana, role=Role.MEMBER)
    (seen,) = (await member.run(LIST))["channelAccounts"]
    assert seen == {"id": account["id"], "feedbackProvider": "SES", "feedbackUrl": None}


async def test_back_to_life_it_is_heard_as_before(ana: Person) -> None:
    address = new_address()
    account = told(await connect(ana, address=address, feedbackProvider="SES", feedbackKey=TOPIC))
    await disconnect(ana, account["id"])
    again = told(await connect(ana, address=address))
    assert (again["id"], again["feedbackProvider"]) == (account["id"], "SES")
