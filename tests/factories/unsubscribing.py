"""Links below mails, and what is done with them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from sqlalchemy import text

from app.common.domain import Channel
from app.common.work import Doors
from app.conversations.wiring import unsubscribe_url
from app.leads.wiring import is_suppressed
from app.settings import Settings
from tests.factories.accounts import Person
from tests.factories.conversations import Opened
from tests.factories.sending import Outlet, accepted

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
DELIVERY_OF = text("SELECT id FROM delivery WHERE workspace_id = :workspace_id AND message_id = :message_id")
OPT_OUTS = text(
    "SELECT id, value, channel, reason, created_by, created_at FROM suppression WHERE workspace_id = :workspace_id "
    "ORDER BY created_at, id"
)
TIMELINE = """query ($id: ID!) { lead(id: $id) { timeline(first: 50) { edges { node {
  type channel direction content actorKind } } } } }"""


async def delivery_of(doors: Doors, person: Person, message_id: str) -> UUID:
    async with doors.open_work(person.workspace_id) as work:
        found = await work.execute(
            DELIVERY_OF, {"workspace_id": person.workspace_id, "message_id": UUID(message_id)}
        )
        id: UUID = found.scalar_one()
    return id


def path_of(settings: Settings, workspace_id: UUID, delivery_id: UUID) -> str:
    return urlsplit(unsubscribe_url(settings, workspace_id, delivery_id)).path


def tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()


async def link_to(outlet: Outlet, opened: Opened, **fields: Any) -> str:
    """The path of the link below a mail to them; it waits for a day, unless told otherwise."""
    given = {"notBefore": tomorrow(), **fields}
    message = await accepted(outlet.person, opened.id, **given)
    delivery_id = await delivery_of(outlet.doors, outlet.person, message["id"])
    return path_of(outlet.settings, outlet.person.workspace_id, delivery_id)


async def one_click(http: httpx.AsyncClient, path: str, **options: Any) -> httpx.Response:
    return await http.post(path, **{"data": ONE_CLICK, **options})


async def opt_outs(doors: Doors, person: Person) -> list[Any]:
    async with doors.open_work(person.workspace_id) as work:
        return list(await work.execute(OPT_OUTS, {"workspace_id": person.workspace_id}))


async def is_out(outlet: Outlet, opened: Opened) -> bool:
    async with outlet.doors.open_reads(outlet.person.workspace_id) as reads:
        return await is_suppressed(reads, outlet.person.workspace_id, opened.address, Channel.EMAIL)


async def told_on_timeline(person: Person, lead_id: UUID) -> list[dict[str, Any]]:
    """Entries that the person's own clicks made, the oldest first."""
    answer = await person.run(TIMELINE, {"id": str(lead_id)})
    nodes = [edge["node"] for edge in answer["lead"]["timeline"]["edges"]]
    return [node for node in reversed(nodes) if node["content"] in ("unsubscribed", "subscribed")]
