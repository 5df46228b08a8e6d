"""Boards that clients keep by the feed alone, while all of them move leads at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.board import BOARD, lead_in, move, stage_ids
from tests.fixtures.feed import feed_cursor
from tests.fixtures.graphql import open_socket
from tests.fixtures.processes import Api, eventually

CLIENTS = 8
LEADS = 60
FEED = (
    "subscription ($after: String) { feed(after: $after) { cursor kind ids lead { id rank stage { id } } } }"
)
NO_ROOM = text(
    """
    UPDATE lead SET rank = repeat('a', 47) || lpad(n::text, 2, '1') || 'i'
    FROM (SELECT id AS lead_id, row_number() OVER (ORDER BY id) + 10 AS n FROM lead
        WHERE workspace_id = :workspace_id) AS numbered
    WHERE workspace_id = :workspace_id AND id = lead_id
    """
)
SPREADS = text(
    "SELECT count(*) FROM feed_event WHERE workspace_id = :workspace_id AND kind = 'lead.updated' "
    "AND cardinality(entity_ids) > 1"
)


@dataclass
class Client:
    """Its board is what it has seen: the first page of each column, then the feed."""

    person: Person
    cards: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Stage and rank, by lead."""
    cursor: str = ""

    @property
    def columns(self) -> dict[str, list[str]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for id, (stage_id, rank) in self.cards.items():
            found.setdefault(stage_id, []).append((rank, id))
        return {stage_id: [id for _, id in sorted(cards)] for stage_id, cards in found.items()}

    async def load(self) -> None:
        columns = (await self.person.run(BOARD))["board"]
        self.cards = {
            edge["node"]["id"]: (column["stage"]["id"], edge["node"]["rank"])
            for column in columns
            for edge in column["leads"]["edges"]
        }
        (self.cursor,) = {column["leads"]["feedCursor"] for column in columns}

    async def follow(self, ws_url: str) -> None:
        async with open_socket(ws_url, self.person.token) as socket:
            async for payload in socket.subscribe(FEED, {"after": self.cursor}):
                item = payload["data"]["feed"]
                leads = [item["lead"]] if item["lead"] else await self._read(item["ids"])
                for lead in leads:
                    self.cards[lead["id"]] = (lead["stage"]["id"], lead["rank"])
                self.cursor = item["cursor"]

    async def _read(self, ids: list[str]) -> list[dict[str, Any]]:
        found = []
        for start in range(0, len(ids), 10):
            aliases = " ".join(
                f'l{n}: lead(id: "{id}") {{ id rank stage {{ id }} }}'
                for n, id in enumerate(ids[start : start + 10])
            )
            found += list((await self.person.run(f"{{ {aliases} }}")).values())
        return found


@asynccontextmanager
async def following(client: Client, ws_url: str) -> AsyncIterator[Client]:
    await client.load()
    task = asyncio.create_task(client.follow(ws_url))
    try:
        yield client
        assert not task.done(), "it lost its socket"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def play(client: Client, random: Random, moves: int, stages: list[str], anchor: str) -> None:
    """Moves as people see the board; every third after one and the same card, wherever it is by then."""
    for _ in range(moves):
        id = random.choice(list(client.cards))
        stage_id = random.choice(stages)
        after = random.choice([None, *client.columns.get(stage_id, [])])
        if random.random() < 0.4:
            stage_id, after = client.cards[anchor][0], anchor
        if id not in (after, anchor):
            codes = {error["code"] for error in (await move(client.person, id, stage_id, after))["errors"]}
            assert codes <= {"CONFLICT"}


@pytest.mark.parametrize("moves", [300, pytest.param(1000, marks=pytest.mark.full)])
async def test_every_board_kept_by_the_feed_alone_is_the_board(
    moves: int, ana: Person, doors: Doors, api_server: Api
) -> None:
    stages = (await stage_ids(ana))[:4]
    leads = [await lead_in(ana, stages[n % 4]) for n in range(LEADS)]
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(NO_ROOM, {"workspace_id": ana.workspace_id})
    others = [await add_member(doors, ana, role=Role.MEMBER) for _ in range(CLIENTS - 1)]
    clients = [Client(person) for person in (ana, *others)]
    async with AsyncExitStack() as stack:
        for client in clients:
            await stack.enter_async_context(following(client, api_server.ws_url))
        plays = [
            play(client, Random(n), moves // CLIENTS, stages, leads[0]) for n, client in enumerate(clients)
        ]
        await asyncio.gather(*plays)
        last = await feed_cursor(ana)
        await eventually(lambda: all(client.cursor >= last for client in clients), timeout_s=60)
        fresh = Client(ana)
        await fresh.load()
        for client in clients:
            assert client.columns == fresh.columns
            assert client.cards == fresh.cards
    ranks = list(fresh.cards.values())
    assert len(set(ranks)) == len(ranks) == LEADS, "each has a place of its own"
    async with doors.open_work(ana.workspace_id) as work:
        spreads = (await work.execute(SPREADS, {"workspace_id": ana.workspace_id})).scalar_one()
    assert spreads >= 2, "ranks were spread anew meanwhile"
