"""A workspace whose past a test writes down by hand, and what the dashboard says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.conversations import Opened, inbound, make_lead, open_conversation

DASHBOARD = """query ($from: DateTime!, $to: DateTime!) {
  dashboard(from: $from, to: $to) {
    leads byStage { stage { id name kind position } count } perDay { day leads sent received }
    sent failed unknown replyRate medianFirstResponseSeconds automationRuns automationSkips } }"""
IN_ZONE = """mutation ($input: UpdateWorkspaceInput!) {
  updateWorkspace(input: $input) { workspace { timeZone } errors { code message path } } }"""
DELIVERY = """
INSERT INTO delivery (workspace_id, status, account_id, lead_id, origin_kind, origin_id, conversation_id, settled_at,
    answers_since)
VALUES (:workspace_id, :status, :account_id, :lead_id, 'MESSAGE', uuidv7(), :conversation_id, :at, :answers_since)
"""
HEARD = """
WITH dated AS (
    UPDATE message SET created_at = :at, is_auto_reply = :is_auto_reply
    WHERE workspace_id = :workspace_id AND id = :id
)
UPDATE conversation SET last_inbound_at = CASE WHEN :is_auto_reply THEN last_inbound_at ELSE :at END
WHERE workspace_id = :workspace_id AND id = :conversation_id
"""


def asked(since: datetime, until: datetime) -> Mapping[str, str]:
    return {"from": since.isoformat(), "to": until.isoformat()}


@dataclass(frozen=True)
class Past:
    person: Person
    doors: Doors

    async def dashboard(self, since: datetime, until: datetime) -> dict[str, Any]:
        told: dict[str, Any] = (await self.person.run(DASHBOARD, asked(since, until)))["dashboard"]
        return told

    async def live_in(self, zone: str) -> None:
        answer = (await self.person.run(IN_ZONE, {"input": {"timeZone": zone}}))["updateWorkspace"]
        assert answer["workspace"]["timeZone"] == zone, answer

    async def lead(self, at: datetime) -> UUID:
        """One that was made then."""
        id = await make_lead(self.person)
        await self.sql("UPDATE lead SET created_at = :at WHERE id = :id", at=at, id=id)
        return id

    async def talk(self, **fields: Any) -> Opened:
        """A conversation, with a new lead unless given."""
        return await open_conversation(self.person, self.doors, **fields)

    async def settled(
        self, talk: Opened, at: datetime, status: str = "sent", *, answers_since: datetime | None = None
    ) -> None:
        """A delivery that came to this end then."""
        await self.sql(
            DELIVERY,
            status=status,
            account_id=talk.account_id,
            lead_id=talk.lead_id,
            conversation_id=talk.id,
            at=at,
            answers_since=answers_since,
        )

    async def heard(self, talk: Opened, at: datetime, *, is_auto_reply: bool = False) -> None:
        """A message that came in then, later than all before it."""
        id = await inbound(self.person, self.doors, talk.id)
        await self.sql(HEARD, id=id, conversation_id=talk.id, at=at, is_auto_reply=is_auto_reply)

    async def sql(self, statement: str, **values: object) -> Any:
        async with self.doors.open_work(self.person.workspace_id) as work:
            found = await work.execute(text(statement), {"workspace_id": self.person.workspace_id, **values})
            return found.scalar() if found.returns_rows else None
