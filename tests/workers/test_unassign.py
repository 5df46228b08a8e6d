"""What a removed member looked after is nobody's soon afterwards: each told once, and nobody who is gone keeps any."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app.accounts.domain.events import MemberChanged
from app.common.domain import Role
from app.common.reactions import Reactor
from app.common.work import Doors
from app.conversations.wiring import unassign_conversations
from app.settings import Settings
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import make_lead, open_account, open_conversation
from tests.factories.imports import finished, import_leads, profile
from tests.fixtures.processes import Api, Worker, eventually
from tests.fixtures.reactions import events, remove_member
from workers.reactions import consumers

ASSIGN = """mutation ($id: ID!, $userId: ID) { assignConversation(input: {id: $id, userId: $userId}) {
  conversation { id assignee { id } } errors { code } } }"""
CREATE = """mutation ($owner: ID!) { createLead(input: {name: "Bia", ownerId: $owner}) {
  lead { id } errors { code } } }"""
REMOVE = "mutation ($of: MemberInput!) { removeMember(input: $of) { ok errors { code } } }"
LEAVE = "mutation ($of: SwitchWorkspaceInput!) { leaveWorkspace(input: $of) { ok errors { code } } }"
LEADS = "{ leads(first: 100) { edges { node { id owner { id } } } } }"
CONVERSATIONS = "{ conversations { edges { node { id assignee { id } } } } }"
HELD = {
    "lead": "SELECT id FROM lead WHERE workspace_id = :id AND owner_id = :user_id",
    "conversation": "SELECT id FROM conversation WHERE workspace_id = :id AND assignee_id = :user_id",
    "import": "SELECT id FROM import_job WHERE workspace_id = :id AND owner_id = :user_id AND finished_at IS NULL",
}


@pytest.fixture
async def bruno(ana: Person, doors: Doors) -> Person:
    return await add_member(doors, ana, role=Role.MEMBER)


async def held_by(doors: Doors, person: Person) -> dict[str, set[UUID]]:
    """What is this member's."""
    async with doors.open_system() as system:
        of = {"id": person.workspace_id, "user_id": person.user_id}
        return {what: set((await system.execute(text(query), of)).scalars()) for what, query in HELD.items()}


async def told(doors: Doors, person: Person, kind: str, field: str) -> Counter[UUID]:
    """How often the feed told of each that it is nobody's now."""
    query = """SELECT unnest(entity_ids) FROM feed_event WHERE workspace_id = :id AND kind = :kind
        AND actor_kind = 'SYSTEM' AND before ->> :field = :user_id AND after = jsonb_build_object(:field, null)"""
    of = {"id": person.workspace_id, "kind": kind, "field": field, "user_id": str(person.user_id)}
    async with doors.open_system() as system:
        return Counter((await system.execute(text(query), of)).scalars())


async def react(doors: Doors, person: Person) -> None:
    """Until nothing is left to react to, beside whatever worker this run has."""
    reactor = Reactor(doors, consumers(Settings()), poll_s=0.2)
    query = """SELECT h.seq = c.seq FROM feed_head h JOIN feed_consumer c USING (workspace_id)
        WHERE workspace_id = :id AND consumer = 'unassign'"""

    async def is_done() -> object:
        await reactor.react([person.workspace_id])
        async with doors.open_system() as system:
            return (await system.execute(text(query), {"id": person.workspace_id})).scalar()

    await eventually(is_done, what="the reaction")


async def give_leads(doors: Doors, person: Person, count: int) -> set[UUID]:
    """Leads of this member, written behind the API."""
    query = """INSERT INTO lead (workspace_id, name, stage_id, rank, owner_id, source)
        SELECT :id, 'Bia', (SELECT id FROM stage WHERE workspace_id = :id ORDER BY position LIMIT 1), 'i', :user_id,
            'MANUAL' FROM generate_series(1, :count) RETURNING id"""
    async with doors.open_work(person.workspace_id) as work:
        of = {"id": person.workspace_id, "user_id": person.user_id, "count": count}
        return set((await work.execute(text(query), of)).scalars())


async def assign(by: Person, conversation_id: UUID, to: Person) -> Sequence[str]:
    given = {"id": str(conversation_id), "userId": str(to.user_id)}
    return [error["code"] for error in (await by.run(ASSIGN, given))["assignConversation"]["errors"]]


async def test_all_they_had_is_nobodys_and_told_once(ana: Person, bruno: Person, doors: Doors) -> None:
    leads = await give_leads(doors, bruno, 2500)
    kept = await make_lead(ana, ownerId=str(ana.user_id))
    opened = [await open_conversation(ana, doors, lead_id=kept) for _ in range(3)]
    for one in opened[:2]:
        assert await assign(ana, one.id, bruno) == []
    assert await assign(ana, opened[2].id, ana) == []
    await remove_member(doors, ana.workspace_id, bruno.user_id)
    await react(doors, bruno)

    assert await held_by(doors, bruno) == {"lead": set(), "conversation": set(), "import": set()}
    assert await told(doors, bruno, "lead.updated", "ownerId") == dict.fromkeys(leads, 1)
    conversations = {one.id for one in opened[:2]}
    assert await told(doors, bruno, "conversation.updated", "assigneeId") == dict.fromkeys(conversations, 1)
    (removed,) = await events(doors, ana.workspace_id, MemberChanged.name)
    updated = await events(doors, ana.workspace_id, "lead.updated")
    assert [len(row.entity_ids) for row in updated] == [1000, 1000, 500]
    assert {(row.cause_seq, row.depth, row.changed[0]) for row in updated} == {(removed.seq, 1, "owner")}
    mine = await held_by(doors, ana)
    assert (mine["lead"], mine["conversation"]) == ({kept}, {opened[2].id})
    entries = "SELECT content, actor_kind, conversation_id FROM interaction WHERE actor_id IS NULL"
    async with doors.open_work(ana.workspace_id) as work:
        found = Counter(tuple(row) for row in (await work.execute(text(entries))).all())
    expected = Counter({("", "SYSTEM", id): 1 for id in conversations}) + Counter(
        {("", "SYSTEM", None): 2500}
    )
    assert found == expected, "on the leads' timelines"


@pytest.mark.parametrize("way", [REMOVE, LEAVE])
async def test_however_they_go_a_worker_sees_to_it(
    ana: Person, bruno: Person, doors: Doors, worker: Worker, api_server: Api, way: str
) -> None:
    opened = await open_conversation(ana, doors, lead_id=await make_lead(ana, ownerId=str(bruno.user_id)))
    assert await assign(ana, opened.id, bruno) == []
    if way == REMOVE:
        await ana.run(REMOVE, {"of": {"userId": str(bruno.user_id)}})
    else:
        await bruno.run(LEAVE, {"of": {"workspaceId": str(bruno.workspace_id)}})

    async def is_nobodys() -> bool:
        return await held_by(doors, bruno) == {"lead": set(), "conversation": set(), "import": set()}

    await eventually(is_nobodys)
    assert await told(doors, bruno, "lead.updated", "ownerId") == {opened.lead_id: 1}
    assert await told(doors, bruno, "conversation.updated", "assigneeId") == {opened.id: 1}
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        exported = (await http.get(f"{api_server.url}/metrics")).text
    for name in ("reactions_behind", "reactions_behind_seconds", "reactions_set_aside"):
        assert f'salespad_{name}{{consumer="unassign"}}' in exported


async def test_screens_show_nobody_until_then(ana: Person, bruno: Person, doors: Doors) -> None:
    """Somebody who is gone stands in a row for a moment: no name comes of it, and no error."""
    opened = await open_conversation(ana, doors, lead_id=await make_lead(ana, ownerId=str(bruno.user_id)))
    assert await assign(ana, opened.id, bruno) == []
    gone = text("DELETE FROM member WHERE workspace_id = :id AND user_id = :user_id")
    async with doors.open_work(ana.workspace_id) as work:  # told nobody: it stays like this
        await work.execute(gone, {"id": ana.workspace_id, "user_id": bruno.user_id})
    (lead,) = (await ana.run(LEADS))["leads"]["edges"]
    (conversation,) = (await ana.run(CONVERSATIONS))["conversations"]["edges"]
    assert (lead["node"]["owner"], conversation["node"]["assignee"]) == (None, None)
    mine = "query ($ids: [ID!]) { conversations(filter: {assigneeIds: $ids}) { edges { node { assignee { id } } } } }"
    filtered = (await ana.run(mine, {"ids": [str(bruno.user_id)]}))["conversations"]["edges"]
    assert all(edge["node"]["assignee"] is None for edge in filtered)
    assert await assign(ana, opened.id, bruno) == ["NOT_FOUND"]


async def test_what_somebody_holds_is_nobodys_later(ana: Person, bruno: Person, doors: Doors) -> None:
    """Who holds a conversation may go on to another: they would wait for each other."""
    opened = sorted([(await open_conversation(ana, doors)).id for _ in range(3)])
    for id in opened:
        assert await assign(ana, id, bruno) == []
    of = {"id": ana.workspace_id, "user_id": bruno.user_id}
    async with doors.open_work(ana.workspace_id) as work:  # told nobody: no worker reacts
        await work.execute(text("DELETE FROM member WHERE workspace_id = :id AND user_id = :user_id"), of)

    async def unassign() -> bool:
        async with asyncio.timeout(30), doors.open_work(ana.workspace_id) as work:
            return await unassign_conversations(work, ana.workspace_id, bruno.user_id, limit=10)

    async with doors.open_work(ana.workspace_id) as sending:
        await sending.execute(
            text("SELECT FROM conversation WHERE id = :id FOR NO KEY UPDATE"), {"id": opened[1]}
        )
        assert await unassign(), "comes again"
        assert (await held_by(doors, bruno))["conversation"] == {opened[1]}
    assert [await unassign(), await unassign()] == [True, False]
    assert (await held_by(doors, bruno))["conversation"] == set()


async def test_who_was_only_given_another_role_keeps_all(ana: Person, bruno: Person, doors: Doors) -> None:
    leads = await give_leads(doors, bruno, 3)
    async with doors.open_work(ana.workspace_id) as work:
        work.announce(MemberChanged(entity_ids=[bruno.user_id], changed=["role"], after={"role": "ADMIN"}))
    await react(doors, bruno)
    assert (await held_by(doors, bruno))["lead"] == leads


async def test_who_is_back_by_then_keeps_all(ana: Person, bruno: Person, doors: Doors) -> None:
    leads = await give_leads(doors, bruno, 3)
    back = text("INSERT INTO member (workspace_id, user_id, role) VALUES (:id, :user_id, 'MEMBER')")
    gone = text("DELETE FROM member WHERE workspace_id = :id AND user_id = :user_id")
    of = {"id": ana.workspace_id, "user_id": bruno.user_id}
    async with doors.open_work(ana.workspace_id) as work:  # in one: no worker comes in between
        await work.execute(gone, of)
        work.announce(MemberChanged(entity_ids=[bruno.user_id], changed=["removed"]))
        await work.execute(back, of)
        work.announce(MemberChanged(entity_ids=[bruno.user_id], changed=["joined"]))
    since = await give_leads(doors, bruno, 2)
    await react(doors, bruno)
    assert (await held_by(doors, bruno))["lead"] == leads | since


async def test_nobody_is_given_anything_while_they_go(ana: Person, doors: Doors) -> None:
    """Assigning and making leads until it is refused, and removing meanwhile: at the end who is gone has nothing."""
    account_id = await open_account(ana, doors)
    opened = [await open_conversation(ana, doors, account_id=account_id) for _ in range(4)]
    outcomes: Counter[str] = Counter()

    async def give(conversation_id: UUID, to: Person) -> None:
        while not await assign(ana, conversation_id, to):
            outcomes["assigned"] += 1
            assert await assign(ana, conversation_id, ana) == []
        outcomes["refused"] += 1

    async def make(to: Person) -> None:
        while not (await ana.run(CREATE, {"owner": str(to.user_id)}))["createLead"]["errors"]:
            outcomes["made"] += 1
        outcomes["refused"] += 1

    for turn in range(1, 6):
        member = await add_member(doors, ana, role=Role.MEMBER)
        giving = asyncio.gather(*(give(one.id, member) for one in opened), make(member), make(member))
        await eventually(lambda turn=turn: min(outcomes["assigned"], outcomes["made"]) >= 3 * turn)  # type: ignore[misc]
        removed = await ana.run(REMOVE, {"of": {"userId": str(member.user_id)}})
        assert removed["removeMember"] == {"ok": True, "errors": []}
        reacting = asyncio.create_task(react(doors, member))
        await giving
        await reacting
        assert await held_by(doors, member) == {"lead": set(), "conversation": set(), "import": set()}
    print(f"given and made while somebody goes: {dict(outcomes)}")


async def test_an_import_under_way_gives_them_no_more(
    ana: Person, bruno: Person, doors: Doors, worker: Worker
) -> None:
    """Removed between two chunks: what it gave before is nobody's, and what comes later is from the start."""
    ids = [
        await import_leads(ana, [profile(f"h{n}.{m}") for m in range(500)], ownerId=str(bruno.user_id))
        for n in range(4)
    ]
    await remove_member(doors, ana.workspace_id, bruno.user_id)
    await react(doors, bruno)
    for id in ids:
        assert (await finished(ana, id))["counts"] == {"CREATED": 500}
    assert await held_by(doors, bruno) == {"lead": set(), "conversation": set(), "import": set()}
