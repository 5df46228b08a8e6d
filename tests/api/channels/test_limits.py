"""What accounts and sending domains may send: rates, bursts, limits a day, and what was sent today."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from app.conversations.infrastructure.pacing import spend
from tests.factories.accounts import Person, add_member
from tests.factories.channels import accounts, connect, connected, disconnect, new_address, refusal, update

SET = """mutation ($input: SetSendingDomainLimitInput!) { setSendingDomainLimit(input: $input) {
  sendingDomain { domain dailyLimit sentToday } errors { code message path } } }"""
DOMAINS = "{ sendingDomains { domain dailyLimit sentToday } }"
AUDIT = (
    "SELECT before::text, after::text FROM audit_event "
    "WHERE workspace_id = :id AND action = 'sending_domain.limited'"
)
PACES = "SELECT count(*) FROM send_pace WHERE workspace_id = :id AND kind = 'BATCH' AND look_at <= now()"
WAITING_BATCH = """
INSERT INTO send_pace (workspace_id, kind, key, look_at)
VALUES (:id, 'BATCH', :key, now() + interval '5 hours'), (:id, 'BATCH', :ended, NULL)
"""


async def limited(person: Person, **input: Any) -> dict[str, Any]:
    return (await person.run(SET, {"input": input}))["setSendingDomainLimit"]  # type: ignore[no-any-return]


async def domains(person: Person) -> list[tuple[str, int | None, int]]:
    found = (await person.run(DOMAINS))["sendingDomains"]
    return [(one["domain"], one["dailyLimit"], one["sentToday"]) for one in found]


async def sql(doors: Doors, person: Person, statement: str, **values: object) -> Any:
    async with doors.open_system() as system:
        found = await system.execute(text(statement), {"id": person.workspace_id, **values})
        return found.all() if found.returns_rows else None


async def say(doors: Doors, person: Person, account: dict[str, Any]) -> None:
    """As if a message of a person had just been handed over."""
    async with doors.open_work(UUID(str(person.workspace_id))) as work:
        assert await spend(work, UUID(str(person.workspace_id)), UUID(account["id"])) is None


async def test_an_account_is_connected_with_a_rate_and_changes_it(ana: Person) -> None:
    account = await connected(ana, ratePerMinute=600, burst=20)
    assert (account["ratePerMinute"], account["burst"], account["sentToday"]) == (600, 20, 0)
    changed = (await update(ana, id=account["id"], ratePerMinute=60, burst=None))["account"]
    assert (changed["ratePerMinute"], changed["burst"]) == (60, None)
    assert (await update(ana, id=account["id"], name="Other"))["account"]["ratePerMinute"] == 60
    assert (await update(ana, id=account["id"], ratePerMinute=None))["account"]["ratePerMinute"] is None


async def test_back_to_life_it_keeps_its_rate(ana: Person) -> None:
    address = new_address()
    account = await connected(ana, address=address, ratePerMinute=600, burst=20)
    await disconnect(ana, account["id"])
    again = await connected(ana, address=address, ratePerMinute=300)
    assert (again["id"], again["ratePerMinute"], again["burst"]) == (account["id"], 300, 20)


@pytest.mark.parametrize(
    ("input", "path"),
    [
        ({"ratePerMinute": 0}, ["ratePerMinute"]),
        ({"ratePerMinute": -5}, ["ratePerMinute"]),
        ({"ratePerMinute": 60_001}, ["ratePerMinute"]),
        ({"burst": 0}, ["burst"]),
        ({"burst": 10_001}, ["burst"]),
    ],
    ids=["no rate", "a rate below", "a rate above", "no burst", "a burst above"],
)
async def test_rates_out_of_bounds_are_refused_at_their_field(
    ana: Person, input: dict[str, int], path: list[str]
) -> None:
    assert refusal(await connect(ana, **input)) == ("INVALID", path)
    account = await connected(ana)
    assert refusal(await update(ana, id=account["id"], **input)) == ("INVALID", path)


async def test_subdomains_are_one_domain_and_their_messages_add_up(ana: Person, doors: Doors) -> None:
    one = await connected(ana, address=new_address())
    other = await connected(ana, address=new_address().replace("@", "@mail."))
    await connected(ana, address=new_address().replace("example.com", "example.com.br"))
    for account in (one, one, other):
        await say(doors, ana, account)
    assert await domains(ana) == [("example.com", None, 3), ("example.com.br", None, 0)]
    assert {row["id"]: row["sentToday"] for row in await accounts(ana)}.items() >= {
        (one["id"], 2),
        (other["id"], 1),
    }


async def test_a_domains_limit_is_set_once_and_told_once(ana: Person, doors: Doors) -> None:
    account = await connected(ana)
    for _ in range(2):
        payload = await limited(ana, domain=" Mail.Example.COM", dailyLimit=500)
        assert payload == {
            "sendingDomain": {"domain": "example.com", "dailyLimit": 500, "sentToday": 0},
            "errors": [],
        }
    ((before, after),) = await sql(doors, ana, AUDIT)
    assert json.loads(before) == {"dailyLimit": None}
    assert json.loads(after) == {"dailyLimit": 500, "accountIds": [account["id"]]}
    payload = await limited(ana, domain="example.com")
    assert payload["sendingDomain"]["dailyLimit"] is None


async def test_of_many_at_once_each_change_has_one_row(ana: Person, doors: Doors) -> None:
    await connected(ana)
    payloads = await asyncio.gather(*(limited(ana, domain="example.com", dailyLimit=7) for _ in range(8)))
    assert all(payload["errors"] == [] for payload in payloads)
    assert len(await sql(doors, ana, AUDIT)) == 1


@pytest.mark.parametrize(
    ("input", "code", "path"),
    [
        ({"domain": "ana@example.com", "dailyLimit": 5}, "INVALID", ["domain"]),
        ({"domain": "", "dailyLimit": 5}, "INVALID", ["domain"]),
        ({"domain": "example.com", "dailyLimit": 0}, "INVALID", ["dailyLimit"]),
        ({"domain": "elsewhere.example.net", "dailyLimit": 5}, "NOT_FOUND", ["domain"]),
    ],
    ids=["an address", "nothing", "nothing a day", "nobody's"],
)
async def test_a_limit_that_cannot_be_is_refused(
    ana: Person, doors: Doors, input: dict[str, Any], code: str, path: list[str]
) -> None:
    await connected(ana)
    payload = await limited(ana, **input)
    assert payload["sendingDomain"] is None
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [(code, path)]
    assert await domains(ana) == [("example.com", None, 0)]
    assert await sql(doors, ana, AUDIT) == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
async def test_only_admins_limit_a_domain(ana: Person, doors: Doors, role: Role) -> None:
    await connected(ana)
    member = await add_member(doors, ana, role=role)
    (error,) = (await limited(member, domain="example.com", dailyLimit=5))["errors"]
    assert error["code"] == "FORBIDDEN"
    assert await domains(member) == [("example.com", None, 0)]


async def test_another_workspaces_domain_is_its_own(ana: Person, eve: Person) -> None:
    await connected(ana)
    await connected(eve)
    await limited(ana, domain="example.com", dailyLimit=5)
    assert await domains(eve) == [("example.com", None, 0)]


@pytest.mark.parametrize("by", ["account", "domain"])
async def test_another_limit_is_looked_at_at_once(ana: Person, doors: Doors, by: str) -> None:
    account = await connected(ana)
    key, ended = (str(UUID(int=n)) for n in (1, 2))
    await sql(doors, ana, WAITING_BATCH, key=key, ended=ended)
    if by == "account":
        await update(ana, id=account["id"], dailyLimit=5)
    else:
        await limited(ana, domain="example.com", dailyLimit=5)
    assert (await sql(doors, ana, PACES))[0][0] == 1, "and what has ended stays so"
    await sql(doors, ana, "DELETE FROM send_pace WHERE workspace_id = :id AND kind = 'BATCH'")
