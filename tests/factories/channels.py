"""Channel accounts through the API."""

import secrets
from typing import Any

from tests.factories.accounts import Person

ACCOUNT = "id channel name address status statusReason dailyLimit ratePerMinute burst sentToday inboundUrl"
CONNECT = f"""mutation ($input: ConnectEmailInput!) {{
  connectEmail(input: $input) {{ account {{ {ACCOUNT} }} errors {{ code message path }} }} }}"""
UPDATE = f"""mutation ($input: UpdateChannelAccountInput!) {{
  updateChannelAccount(input: $input) {{ account {{ {ACCOUNT} }} errors {{ code message path }} }} }}"""
DISCONNECT = f"""mutation ($input: ChannelAccountIdInput!) {{
  disconnectChannelAccount(input: $input) {{ account {{ {ACCOUNT} }} errors {{ code message path }} }} }}"""
LIST = f"{{ channelAccounts {{ {ACCOUNT} }} }}"


def new_address() -> str:
    return f"vendas.{secrets.token_hex(6)}@example.com"


async def connect(person: Person, **input: Any) -> dict[str, Any]:
    """The payload; a name and an address are made up where none is given."""
    given = {"name": "Vendas", "address": new_address()} | input
    return (await person.run(CONNECT, {"input": given}))["connectEmail"]  # type: ignore[no-any-return]


async def connected(person: Person, **input: Any) -> dict[str, Any]:
    """The account."""
    payload = await connect(person, **input)
    assert payload["errors"] == [], payload
    return payload["account"]  # type: ignore[no-any-return]


async def update(person: Person, **input: Any) -> dict[str, Any]:
    return (await person.run(UPDATE, {"input": input}))["updateChannelAccount"]  # type: ignore[no-any-return]


async def disconnect(person: Person, id: str) -> dict[str, Any]:
    return (await person.run(DISCONNECT, {"input": {"id": id}}))["disconnectChannelAccount"]  # type: ignore[no-any-return]


async def accounts(person: Person) -> list[dict[str, Any]]:
    return (await person.run(LIST))["channelAccounts"]  # type: ignore[no-any-return]


def refusal(payload: dict[str, Any]) -> tuple[str, list[str]]:
    (error,) = payload["errors"]
    assert payload["account"] is None
    return error["code"], error["path"]
