"""suppress, liftSuppression and suppressions, through HTTP; what they mean to messages and to imports."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member, audited
from tests.factories.conversations import make_lead
from tests.factories.imports import imported, profile
from tests.factories.sending import Outlet, accepted, codes, messages, send, until_status
from tests.fixtures.processes import Worker

FIELDS = "id value channel reason createdAt lead { id name }"
SUPPRESS = f"""mutation ($input: SuppressInput!) {{
  suppress(input: $input) {{ suppression {{ {FIELDS} }} errors {{ code message path }} }} }}"""
LIFT = """mutation ($input: SuppressionIdInput!) {
  liftSuppression(input: $input) { deletedIds errors { code message path } } }"""
LIST = f"""query ($first: Int! = 20, $after: String) {{ suppressions(first: $first, after: $after) {{
  edges {{ cursor node {{ {FIELDS} }} }} pageInfo {{ hasNextPage endCursor }} }} }}"""


async def suppress(person: Person, **input: Any) -> dict[str, Any]:
    return (await person.run(SUPPRESS, {"input": input}))["suppress"]  # type: ignore[no-any-return]


async def suppressed(person: Person, **input: Any) -> dict[str, Any]:
    answer = await suppress(person, **input)
    assert answer["errors"] == [], answer
    return answer["suppression"]  # type: ignore[no-any-return]


async def lift(person: Person, id: str) -> dict[str, Any]:
    return (await person.run(LIFT, {"input": {"id": id}}))["liftSuppression"]  # type: ignore[no-any-return]


async def listed(person: Person, **page: Any) -> list[dict[str, Any]]:
    return [edge["node"] for edge in (await person.run(LIST, page))["suppressions"]["edges"]]


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (" Bia@Example.COM ", "bia@example.com"),
        ("@Example.COM", "@example.com"),
        ("(11) 98765-4321", "+5511987654321"),
        ("+1 202 555 0143", "+12025550143"),
    ],
)
async def test_a_value_is_kept_normalised(ana: Person, given: str, value: str) -> None:
    made = await suppressed(ana, value=given, channel="EMAIL", reason=" asked on the phone ")
    assert (made["value"], made["channel"], made["reason"], made["lead"]) == (
        value, "EMAIL", "asked on the phone", None
    )  # fmt: skip
    assert await listed(ana) == [made]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({}, ["value"]),
        ({"value": "  "}, ["value"]),
        ({"value": "bia"}, ["value"]),
        ({"value": "@"}, ["value"]),
        ({"value": "@com"}, ["value"]),
        ({"value": "@a@b.com"}, ["value"]),
        ({"value": "123"}, ["value"]),
        ({"value": "a" * 400 + "@example.com"}, ["value"]),
        ({"value": "bia@example.com", "reason": "x" * 201}, ["reason"]),
        ({"value": "bia@example.com", "leadId": "0190a0a0-0000-7000-8000-000000000000"}, ["leadId"]),
    ],
)
async def test_what_is_nobody_is_refused_at_its_field(
    ana: Person, given: dict[str, Any], path: list[str]
) -> None:
    assert codes(await suppress(ana, **given)) == [("INVALID", path)]
    assert await listed(ana) == []


async def test_a_lead_is_suppressed_with_all_their_addresses(ana: Person, eve: Person) -> None:
    lead_id = await make_lead(ana, name="Bia", email=None)
    made = await suppressed(ana, leadId=str(lead_id))
    assert (made["value"], made["reason"], made["channel"]) == ("Bia", "MANUAL", None)
    assert made["lead"] == {"id": str(lead_id), "name": "Bia"}
    for unknown in (str(await make_lead(eve)), "nobody"):
        assert codes(await suppress(ana, leadId=unknown)) == [("NOT_FOUND", ["leadId"])]


async def test_again_and_at_once_it_is_one(ana: Person) -> None:
    made = await asyncio.gather(*(suppressed(ana, value="bia@example.com", reason=str(n)) for n in range(8)))
    assert len({one["id"] for one in made}) == 1
    on_one = await suppressed(ana, value="bia@example.com", channel="EMAIL")
    assert {one["id"] for one in await listed(ana)} == {made[0]["id"], on_one["id"]}


async def test_the_newest_come_first_page_by_page(ana: Person) -> None:
    made = [(await suppressed(ana, value=f"bia{n}@example.com"))["id"] for n in range(5)]
    seen, after = [], None
    for _ in range(3):
        page = (await ana.run(LIST, {"first": 2, "after": after}))["suppressions"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
    assert seen == made[::-1]
    assert not page["pageInfo"]["hasNextPage"]
    assert await ana.refused(LIST, {"after": "nonsense"}) == "BAD_USER_INPUT"


async def test_an_administrator_lifts_and_the_audit_log_tells(ana: Person, eve: Person, doors: Doors) -> None:
    made = await suppressed(ana, value="bia@example.com")
    member = await add_member(doors, ana, role=Role.MEMBER)
    assert codes(await lift(member, made["id"])) == [("FORBIDDEN", [])]
    assert codes(await lift(eve, made["id"])) == [("NOT_FOUND", ["id"])]
    assert (await lift(ana, made["id"]))["deletedIds"] == [made["id"]]
    assert codes(await lift(ana, made["id"])) == [("NOT_FOUND", ["id"])]
    (row,) = [one for one in await audited(doors, ana.workspace_id) if one.action == "suppression.lifted"]
    assert (str(row.object_id), row.before, row.after) == (made["id"], {}, {})


async def test_no_message_is_accepted_for_who_is_suppressed(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    for given in (
        {"value": opened.address},
        {"value": "@" + opened.address.partition("@")[2], "channel": "EMAIL"},
        {"leadId": str(opened.lead_id)},
    ):
        made = await suppressed(outlet.person, **given)
        assert codes(await send(outlet.person, opened.id)) == [("CONFLICT", ["conversationId"])]
        await lift(outlet.person, made["id"])
    message = await accepted(outlet.person, opened.id)
    assert (await until_status(outlet.person, message, "SENT"))["error"] is None


async def test_what_waits_to_be_sent_is_stopped_and_says_why(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    message = await accepted(outlet.person, opened.id, notBefore=await _in_an_hour(outlet))
    assert message["status"] == "SCHEDULED"
    await suppressed(outlet.person, leadId=str(opened.lead_id))
    await outlet.sql("UPDATE delivery SET run_at = now() WHERE workspace_id = :workspace_id")
    shown = await until_status(outlet.person, message, "CANCELED", "SENT", "FAILED")
    assert (shown["status"], shown["error"]) == ("CANCELED", "SUPPRESSED")
    assert outlet.arrived(opened) == []
    assert len(await messages(outlet.person, opened.id)) == 1


async def _in_an_hour(outlet: Outlet) -> str:
    at = await outlet.sql("SELECT now() + interval '1 hour' FROM workspace WHERE id = :workspace_id")
    return str(at.isoformat())


async def test_an_import_leaves_out_who_is_suppressed_on_all_channels(ana: Person, worker: Worker) -> None:
    known = await make_lead(ana, name="Known", email="known@a.example", instagram="known.one")
    await suppressed(ana, value="bia@b.example")
    await suppressed(ana, value="@c.example")
    await suppressed(ana, leadId=str(known))
    await suppressed(ana, value="on.one@d.example", channel="EMAIL")
    rows = [
        profile("bia", email="BIA@b.example"),
        profile("caio", email="caio@c.example"),
        profile("known.one", name="Renamed"),
        profile("dora", email="on.one@d.example"),
        profile("elis", email="elis@sub.c.example"),
    ]
    state = await imported(ana, rows)
    assert state["counts"] == {"SUPPRESSED": 3, "CREATED": 2}
    assert [(one["row"], one["code"]) for one in state["rowErrors"]] == [(n, "SUPPRESSED") for n in (1, 2, 3)]
    assert state["status"] == "COMPLETED"
    lead = (await ana.run("query ($id: ID!) { lead(id: $id) { name version } }", {"id": str(known)}))["lead"]
    assert lead == {"name": "Known", "version": 1}


async def test_what_was_sent_of_a_suppressed_row_is_kept_nowhere(
    ana: Person, worker: Worker, doors: Doors
) -> None:
    await suppressed(ana, value="bia@b.example")
    await imported(ana, [profile("bia", email="bia@b.example")])
    async with doors.open_work(ana.workspace_id) as work:
        rows = await work.execute(
            text("SELECT payload, lead_id FROM import_row WHERE workspace_id = :id"), {"id": ana.workspace_id}
        )
        assert [tuple(row) for row in rows] == [(None, None)]
