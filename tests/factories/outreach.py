"""Bulk sends of a crowd, moved and worked on in the test's own process: no worker's turn comes in between."""

import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.common.domain import Actor, ClientKind, Role
from app.common.leases import Claim
from app.common.work import Doors
from app.outreach.domain.bulk_send import Draft
from app.outreach.wiring import bulk_send_use_cases, bulk_sends, run_bulk_send
from app.settings import Settings
from tests.factories.audiences import Crowd

USER = (
    "INSERT INTO app_user (email, name, password_hash, locale) VALUES (:email, 'Ana', '', 'en') RETURNING id"
)
STATE = """
    SELECT state, pause_reason, send_batch_id, expanded_at, finished_at, filter::text AS filter, told::text AS told,
        exclusions::text AS exclusions, status, attempt
    FROM bulk_send WHERE workspace_id = :workspace_id AND id = :id
"""
TURN = "UPDATE bulk_send SET run_at = now() WHERE workspace_id = :workspace_id AND status = 'queued' RETURNING id"
# The oldest ones that wait.
SETTLE = """
    UPDATE delivery SET status = :status, has_bounced = :has_bounced, has_complained = :has_complained
    WHERE id IN (
        SELECT id FROM delivery WHERE workspace_id = :workspace_id AND status = 'queued' ORDER BY id LIMIT :count
    )
"""


@dataclass
class Outreach:
    crowd: Crowd
    doors: Doors
    settings: Settings
    actor: Actor

    @classmethod
    async def begun(cls, doors: Doors, settings: Settings) -> "Outreach":
        crowd = await Crowd.gathered(doors)
        async with doors.open_system() as system:
            row = await system.execute(text(USER), {"email": f"{secrets.token_hex(6)}@ours.example"})
            user_id: UUID = row.scalar_one()
        actor = Actor(crowd.workspace_id, user_id, Role.MEMBER, ClientKind.WEB, user_id, 0.0)
        return cls(crowd, doors, settings, actor)

    async def drafted(self, body: str = "Hello", **fields: Any) -> UUID:
        version_id = await self.crowd.template(body)
        template_id = await self.crowd.sql(
            "SELECT template_id FROM template_version WHERE id = :id", id=version_id
        )
        draft = Draft(
            **{
                "name": "October",
                "template_id": template_id,
                "account_id": self.crowd.account_id,
                "filter": {},
                **fields,
            }
        )
        async with self.doors.open_work(self.crowd.workspace_id, self.actor) as work:
            return await bulk_send_use_cases(work, self.actor).create_bulk_send(
                draft, idempotency_key=secrets.token_hex(8)
            )

    async def moved(self, how: str, id: UUID) -> None:
        async with self.doors.open_work(self.crowd.workspace_id, self.actor) as work:
            await getattr(bulk_send_use_cases(work, self.actor), f"{how}_bulk_send")(id)

    async def launched(self, body: str = "Hello", **fields: Any) -> UUID:
        id = await self.drafted(body, **fields)
        await self.moved("launch", id)
        return id

    async def claimed(self, *, lease_s: float = 60) -> Claim:
        """The one that is due, or will be."""
        id = await self.crowd.sql(TURN)
        async with self.doors.open_system() as system:
            (claim,) = await bulk_sends.claim(system, lease_s=lease_s, key=id)
        return claim

    async def turn(self, claim: Claim | None = None) -> None:
        """What its worker does until it lets go of it."""
        claim = claim or await self.claimed()
        while not await run_bulk_send(self.doors, self.settings, claim, lambda: False):
            pass  # its slice was over: the worker would come back to it

    async def state(self, id: UUID) -> asyncpg.Record:
        async with self.doors.open_work(self.crowd.workspace_id) as work:
            found = await work.execute(text(STATE), {"workspace_id": self.crowd.workspace_id, "id": id})
            return found.one()  # type: ignore[return-value]

    async def settle(
        self, status: str, count: int, *, has_bounced: bool = False, has_complained: bool = False
    ) -> None:
        """As if so many had been handed over, with this end."""
        await self.crowd.sql(
            SETTLE, status=status, count=count, has_bounced=has_bounced, has_complained=has_complained
        )

    async def told(self, id: UUID) -> list[str]:
        """The states that the feed was told of it, in order."""
        async with self.doors.open_work(self.crowd.workspace_id) as work:
            found = await work.execute(
                text(
                    "SELECT after ->> 'status' FROM feed_event WHERE workspace_id = :workspace_id"
                    " AND kind = 'bulk_send.progressed' AND entity_ids = ARRAY[cast(:id as uuid)] ORDER BY seq"
                ),
                {"workspace_id": self.crowd.workspace_id, "id": id},
            )
            return [row[0] for row in found]
