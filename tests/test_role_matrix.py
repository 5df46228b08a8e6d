"""Every root field, asked as every role by every kind of client: who may is not refused; who may not is refused, and
changes nothing. The table is the design's (`test_schema.py`), the fields are the schema's: a new one needs its row.

Mutations that administer a workspace write the audit log when they succeed, and it holds no text and no address.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.common.domain import ClientKind, Role
from app.common.work import Doors
from app.graphql.schema import schema
from app.settings import Settings
from tests.factories.accounts import Person, add_member, new_email, sign_in
from tests.fixtures.graphql import Socket, open_socket, post
from tests.fixtures.probe import Operation, Slot, plan
from tests.fixtures.processes import Worker
from tests.fixtures.tenants import Server, checksums, filled_workspace, in_process, things
from tests.test_schema import EXTENSION_MAY, NO_KEY_MAY, ROLE_TABLE

LEAST = {name: role for role, names in ROLE_TABLE.values() for name in names}
ENDS_THE_CALLER = ("switchWorkspace", "changePassword", "revokeSession", "leaveWorkspace")
"""Tried last, each by somebody who has done everything else."""
ADMINISTERS = {
    name for role, names in ROLE_TABLE.values() if role in (Role.ADMIN, Role.OWNER) for name in names
}
NOT_AUDITED: Mapping[str, str] = {"dryRunAutomation": "it writes nothing at all"}
"""Of those, the mutations that leave no trace in the audit log, and why."""
CREATE_KEY = (
    "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret errors { message } } }"
)
VIEWER = "{ viewer { role } }"
SAMPLE = re.compile(r"probe\d+x")
ADD_SPARE = text(
    "INSERT INTO member (workspace_id, user_id, role) VALUES (:workspace_id, :user_id, 'MEMBER') "
    "ON CONFLICT DO NOTHING"
)
NEW_USER = text(
    "INSERT INTO app_user (name, email, password_hash, locale) VALUES ('Spare', :email, '', 'en') RETURNING id"
)
LEAD_NAME = text("SELECT name FROM lead WHERE id = cast(:id as uuid)")
AUDIT_ROWS = text("SELECT t::text AS row FROM audit_event t WHERE workspace_id = :workspace_id")


def operations() -> list[Operation]:
    """In the plan's order, those last that take the caller's own place away."""
    planned = {one.name: one for one in plan(schema._schema)}
    last = [name for name in ENDS_THE_CALLER if name in planned]
    return [planned[name] for name in planned if name not in last] + [planned[name] for name in last]


@dataclass(frozen=True)
class Asker:
    person: Person
    role: Role
    client: ClientKind

    async def again(self) -> "Asker":
        """With a session of its own."""
        workspace_id = self.person.workspace_id
        return replace(self, person=await sign_in(self.person, workspace_id=workspace_id, client=self.client))

    def may(self, name: str) -> bool:
        """As the table says. Raises KeyError for a field that stands in no row."""
        least = LEAST[name]
        if least is None:
            return True
        if self.client is ClientKind.EXTENSION and name not in EXTENSION_MAY:
            return False
        return self.role.includes(least) and not (self.client is ClientKind.API and name in NO_KEY_MAY)


@dataclass
class Matrix:
    server: Server
    doors: Doors
    owner: Person
    own: Mapping[str, list[str]]
    lead_name: str = ""
    """Of the newest lead."""
    wrong: list[str] = field(default_factory=list)

    async def ask(self, asker: Asker, operation: Operation) -> list[str]:
        """The codes of what it was refused for."""
        if operation.kind == "subscription":
            return await self._subscribe(asker, operation)
        response = await post(
            self.server.http, operation.document, self._variables(operation), asker.person.token
        )
        assert response.status_code == 200, f"{operation.name}: {response.text}"
        return codes_of(response.json())

    async def try_what_is_refused(self, asker: Asker) -> None:
        for operation in operations():
            if not asker.may(operation.name) and "FORBIDDEN" not in await self.ask(asker, operation):
                self.wrong.append(f"{asker.role} may not {operation.name}, and is not refused")

    async def try_what_is_allowed(self, asker: Asker) -> None:
        for operation in operations():
            if not asker.may(operation.name):
                continue
            await self.renew()
            if operation.name in ENDS_THE_CALLER:
                asker = await asker.again()
            # Of what is open to anybody, some is for who has a right password or token.
            refused = {"FORBIDDEN"} if LEAST[operation.name] is None else {"FORBIDDEN", "UNAUTHENTICATED"}
            if refused & set(await self.ask(asker, operation)):
                self.wrong.append(f"{asker.role} may {operation.name}, and is refused")

    async def _subscribe(self, asker: Asker, operation: Operation) -> list[str]:
        """A rule is judged before anything is loaded: a query that is asked afterwards is answered afterwards."""
        async with open_socket(self.server.ws_url, asker.person.token) as socket, asyncio.timeout(20):
            given = {"query": operation.document, "variables": self._variables(operation)}
            await socket.send({"id": "it", "type": "subscribe", "payload": given})
            await socket.send({"id": "then", "type": "subscribe", "payload": {"query": VIEWER}})
            return await _refusal(socket, "it", until="then")

    def _variables(self, operation: Operation) -> dict[str, Any]:
        variables: dict[str, Any] = operation.variables(self._own_id)
        if operation.name in ("connectEmail", "inviteMember"):
            name = "address" if operation.name == "connectEmail" else "email"
            variables["input"][name] = new_email("matrix")
        if operation.name == "deleteStage":  # the newest one, of a kind that there are more of
            variables["input"]["moveLeadsToStageId"] = self.own["stage"][0]
        if operation.name == "setSendingDomainLimit":
            variables["input"] |= {"domain": "example.com", "dailyLimit": 7}  # of the accounts that wrote
        if operation.name == "eraseLead":
            variables["input"]["confirmEmailOrName"] = self.lead_name
        if "role" in variables.get("input", {}):
            variables["input"]["role"] = "VIEWER"  # an admin makes no owners
        return variables

    def _own_id(self, slot: Slot) -> object:
        kind = slot.kind(self.own)
        return self.own[kind][0 if kind == "api_key" else -1]  # the newest keys are the askers' own

    async def renew(self) -> None:
        """What the last operation took away is not asked for again; there is always somebody to remove."""
        async with self.doors.open_system() as system:
            user_id = (await system.execute(NEW_USER, {"email": new_email("spare")})).scalar_one()
            given = {"workspace_id": self.owner.workspace_id, "user_id": user_id}
            await system.execute(ADD_SPARE, given)
        found = await things(self.doors, self.owner.workspace_id)
        self.own = {**found, "member": [str(user_id)]}
        async with self.doors.open_system() as system:
            self.lead_name = (await system.execute(LEAD_NAME, {"id": found["lead"][-1]})).scalar_one()

    async def audit_rows(self) -> list[str]:
        async with self.doors.open_system() as system:
            found = await system.execute(AUDIT_ROWS, {"workspace_id": self.owner.workspace_id})
            return [row.row for row in found]


async def _refusal(socket: Socket, id: str, *, until: str) -> list[str]:
    while True:
        message = await socket.receive()
        if message["id"] == id and message["type"] == "error":
            return [error["extensions"]["code"] for error in message["payload"]]
        if message["id"] == id and message["type"] == "next" and message["payload"].get("errors"):
            return codes_of(message["payload"])
        if message["id"] == until:
            return []


def codes_of(body: Mapping[str, Any]) -> list[str]:
    """At the top level and in the payload."""
    told = list(body.get("errors", ()))
    codes = [error["extensions"]["code"] for error in told]
    for value in (body.get("data") or {}).values():
        if isinstance(value, dict):
            codes += [error["code"] for error in value.get("errors") or ()]
    return codes


async def with_key(owner: Person, role: Role) -> Person:
    made = (await owner.run(CREATE_KEY, {"input": {"name": role, "role": role}}))["createApiKey"]
    assert made["errors"] == []
    return replace(owner, token=made["secret"])


async def askers(doors: Doors, owner: Person, client: ClientKind) -> Sequence[Asker]:
    """One of each role, the least first; API keys (ClientKind.API) are all the owner's."""
    if client is ClientKind.API:
        return [Asker(await with_key(owner, role), role, client) for role in reversed(Role)]
    return [
        Asker(await add_member(doors, owner, role=role, client=client, name=role), role, client)
        for role in reversed(Role)
    ]


CLIENTS = [ClientKind.WEB, ClientKind.EXTENSION, *([ClientKind.API] if "createApiKey" in LEAST else [])]


@pytest.mark.parametrize("client", CLIENTS)
async def test_each_role_may_what_its_row_says_and_no_more(
    client: ClientKind, http: httpx.AsyncClient, settings: Settings, doors: Doors, worker: Worker
) -> None:
    tenant = await filled_workspace(http, doors)
    people = await askers(doors, tenant.owner, client)
    async with in_process(settings) as server:
        matrix = Matrix(server, doors, tenant.owner, await things(doors, tenant.workspace_id))
        before = await checksums(doors, tenant.workspace_id)
        for asker in people:
            await matrix.try_what_is_refused(asker)
        after = await checksums(doors, tenant.workspace_id)
        assert matrix.wrong == []
        changed = {table for table in before if before[table] != after[table]}
        assert changed <= ({"api_key"} if client is ClientKind.API else set()), "refused, and yet changed"
        for asker in people:
            await matrix.try_what_is_allowed(asker)
        assert matrix.wrong == []


async def test_nobody_who_is_not_signed_in_may_anything_but_come_in(
    http: httpx.AsyncClient, doors: Doors, worker: Worker
) -> None:
    tenant = await filled_workspace(http, doors)
    own = await things(doors, tenant.workspace_id)
    before = await checksums(doors, tenant.workspace_id)
    for operation in operations():
        if operation.kind == "subscription" or LEAST[operation.name] is None:
            continue  # a socket is not even opened (`test_websocket.py`)
        variables = operation.variables(lambda slot: own[slot.kind(own)][-1])
        answer = await post(http, operation.document, variables)
        assert codes_of(answer.json()) == ["UNAUTHENTICATED"], operation.name
    assert await checksums(doors, tenant.workspace_id) == before


async def test_what_administers_a_workspace_is_audited_without_texts(
    http: httpx.AsyncClient, settings: Settings, doors: Doors, worker: Worker
) -> None:
    tenant = await filled_workspace(http, doors)
    owner = Asker(tenant.owner, Role.OWNER, ClientKind.WEB)
    async with in_process(settings) as server:
        matrix = Matrix(server, doors, tenant.owner, {})
        for operation in operations():
            if operation.kind != "mutation" or operation.name not in ADMINISTERS - NOT_AUDITED.keys():
                continue
            await matrix.renew()
            before = await matrix.audit_rows()
            assert await matrix.ask(owner, operation) == [], (
                f"{operation.name}: give it what it succeeds with"
            )
            rows = set(await matrix.audit_rows()) - set(before)
            assert len(rows) == 1, f"{operation.name} writes one row into the audit log, not {len(rows)}"
        for row in await matrix.audit_rows():
            assert tenant.marker not in row
            assert "@" not in row
            assert not SAMPLE.search(row), row
