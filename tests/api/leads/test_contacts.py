"""What messages ask of leads, through the door that other modules use."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text

from app.common.domain import Channel, Direction
from app.common.work import Doors
from app.leads.domain.contact import SuppressionReason
from app.leads.wiring import is_suppressed, reach_or_create, suppress, touch
from tests.factories.accounts import Person
from tests.fixtures.feed import feed_cursor, seq_of

LEAD = (
    "query ($id: ID!) { lead(id: $id) { name email source engagement version stage { name } "
    "identities { kind value isPrimary } } }"
)
CREATE = 'mutation ($email: String) { createLead(input: {name: "Bia", email: $email}) { lead { id } } }'


async def reach(doors: Doors, person: Person, email: str, name: str | None = None) -> tuple[UUID, bool]:
    async with doors.open_work(person.workspace_id) as work:
        return await reach_or_create(work, person.workspace_id, email=email, name=name)


async def touched(doors: Doors, person: Person, lead_id: UUID, direction: Direction) -> str:
    async with doors.open_work(person.workspace_id) as work:
        await touch(work, person.workspace_id, lead_id, direction)
    return str((await person.run(LEAD, {"id": str(lead_id)}))["lead"]["engagement"])


async def events(doors: Doors, person: Person, kind: str) -> list[dict[str, object]]:
    async with doors.open_system() as system:
        rows = await system.execute(
            text(
                "SELECT entity_ids, changed, before::text, after::text FROM feed_event "
                "WHERE workspace_id = :workspace_id AND kind = :kind ORDER BY seq"
            ),
            {"workspace_id": person.workspace_id, "kind": kind},
        )
        return [dict(row._mapping) for row in rows]


async def test_an_address_nobody_has_becomes_a_lead(ana: Person, doors: Doors) -> None:
    lead_id, is_new = await reach(doors, ana, "bia@example.com", "Bia Souza")
    assert is_new
    lead = (await ana.run(LEAD, {"id": str(lead_id)}))["lead"]
    assert lead == {
        "name": "Bia Souza",
        "email": "bia@example.com",
        "source": "EMAIL",
        "engagement": "NEW",
        "version": 1,
        "stage": {"name": "Novo"},
        "identities": [{"kind": "EMAIL", "value": "bia@example.com", "isPrimary": True}],
    }
    (event,) = await events(doors, ana, "lead.created")
    assert (event["entity_ids"], event["after"]) == ([lead_id], '{"source": "EMAIL"}')


async def test_a_known_address_is_its_lead(ana: Person, eve: Person, doors: Doors) -> None:
    made = (await ana.run(CREATE, {"email": "bia@example.com"}))["createLead"]["lead"]["id"]
    before = await feed_cursor(ana)
    assert await reach(doors, ana, "bia@example.com", "Somebody Else") == (UUID(made), False)
    assert (await ana.run(LEAD, {"id": made}))["lead"]["name"] == "Bia"
    assert await feed_cursor(ana) == before, "nothing happened"
    other, is_new = await reach(doors, eve, "bia@example.com")
    assert is_new, "another workspace's lead is not hers"
    assert str(other) != made


async def test_fifty_at_once_make_one_lead(ana: Person, doors: Doors) -> None:
    answers = await asyncio.gather(*(reach(doors, ana, "bia@example.com", f"Bia {n}") for n in range(50)))
    assert len({lead_id for lead_id, _ in answers}) == 1
    assert sum(is_new for _, is_new in answers) == 1
    assert len(await events(doors, ana, "lead.created")) == 1
    assert (await ana.run("{ leads { totalCount } }"))["leads"]["totalCount"] == 1


async def test_messages_move_the_engagement_and_say_so_once(ana: Person, doors: Doors) -> None:
    lead_id, _ = await reach(doors, ana, "bia@example.com")
    steps = [
        (Direction.OUTBOUND, "CONTACTED"),
        (Direction.OUTBOUND, "CONTACTED"),
        (Direction.INBOUND, "REPLIED"),
        (Direction.OUTBOUND, "REPLIED"),
        (Direction.INBOUND, "ENGAGED"),
        (Direction.INBOUND, "ENGAGED"),
    ]
    for direction, expected in steps:
        assert await touched(doors, ana, lead_id, direction) == expected
    told = await events(doors, ana, "lead.updated")
    assert [event["after"] for event in told] == [
        f'{{"engagement": "{moved}"}}' for moved in ("CONTACTED", "REPLIED", "ENGAGED")
    ]
    assert all(event["changed"] == ["engagement"] for event in told)
    lead = (await ana.run(LEAD, {"id": str(lead_id)}))["lead"]
    assert lead["version"] == 1, "somebody who edits it meanwhile meets no conflict"


async def test_two_replies_at_once_are_two(ana: Person, doors: Doors) -> None:
    lead_id, _ = await reach(doors, ana, "bia@example.com")
    await asyncio.gather(*(touched(doors, ana, lead_id, Direction.INBOUND) for _ in range(2)))
    assert await touched(doors, ana, lead_id, Direction.OUTBOUND) == "ENGAGED"


async def test_a_touch_of_another_workspaces_lead_changes_nothing(
    ana: Person, eve: Person, doors: Doors
) -> None:
    lead_id, _ = await reach(doors, ana, "bia@example.com")
    before = seq_of(await feed_cursor(eve))
    async with doors.open_work(eve.workspace_id) as work:
        await touch(work, eve.workspace_id, lead_id, Direction.INBOUND)
    assert (await ana.run(LEAD, {"id": str(lead_id)}))["lead"]["engagement"] == "NEW"
    assert seq_of(await feed_cursor(eve)) == before


@pytest.mark.parametrize(
    ("value", "channel", "is_meant"),
    [
        ("bia@example.com", Channel.EMAIL, True),
        ("Bia@Example.com", None, True),
        ("@example.com", Channel.EMAIL, True),
        ("@ample.com", Channel.EMAIL, False),
        ("bea@example.com", None, False),
    ],
)
async def test_suppression(
    ana: Person, eve: Person, doors: Doors, value: str, channel: Channel | None, is_meant: bool
) -> None:
    async def suppress_once() -> bool:
        async with doors.open_work(ana.workspace_id) as work:
            return await suppress(
                work, ana.workspace_id, value=value, channel=channel, reason=SuppressionReason.HARD_BOUNCE
            )

    assert sorted(await asyncio.gather(*(suppress_once() for _ in range(10)))) == [False] * 9 + [True]
    async with doors.open_reads(ana.workspace_id) as reads:
        assert (await is_suppressed(reads, ana.workspace_id, "bia@example.com", Channel.EMAIL)) is is_meant
    async with doors.open_reads(eve.workspace_id) as reads:
        assert not await is_suppressed(reads, eve.workspace_id, "bia@example.com", Channel.EMAIL)
