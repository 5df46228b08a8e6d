"""The door to people: a person over all modules, exported, erased."""

from functools import partial
from typing import IO
from uuid import UUID

from app.accounts.domain.audit import Author
from app.accounts.wiring import record_audit
from app.common.domain import Actor
from app.common.work import Doors
from app.files.wiring import file_url
from app.leads.domain.errors import LeadNotFound
from app.people.infrastructure.exporting import export_person, stream_person
from app.settings import Settings


async def export_into(file: IO[bytes], doors: Doors, settings: Settings, actor: Actor, lead_id: UUID) -> None:
    """Writes all there is about a person, and that somebody asked for it. Raises LeadNotFound."""
    link = partial(file_url, settings, actor.workspace_id)
    async with doors.open_work(actor.workspace_id, actor) as work:
        parts = await stream_person(work, actor.workspace_id, lead_id, link=link)
        if parts is None:
            raise LeadNotFound
        async for part in parts:
            file.write(part)
        await record_audit(work, actor.workspace_id, Author.of(actor), "lead.exported", object_id=lead_id)


__all__ = ["LeadNotFound", "export_into", "export_person"]
