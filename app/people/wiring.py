"""The door to people: a person over all modules: merged, unmerged, exported, erased."""

from functools import partial
from typing import IO
from uuid import UUID

from uuid_utils.compat import uuid7

from app.accounts.domain.audit import Author
from app.accounts.wiring import record_audit
from app.common.domain import Actor
from app.common.work import Doors, Work
from app.conversations.wiring import REASSIGNED_WITH_CONVERSATIONS
from app.files.wiring import file_url
from app.imports.wiring import REASSIGNED_WITH_IMPORTS
from app.leads.domain.errors import LeadNotFound
from app.leads.wiring import REASSIGNED_WITH_LEADS
from app.people.application.merging import MergingUseCases
from app.people.infrastructure.exporting import export_person, stream_person
from app.people.infrastructure.merging import MergeRepository
from app.people.infrastructure.reads import find_duplicates, merge_by_id, merges_into
from app.settings import Settings

REASSIGNED = REASSIGNED_WITH_LEADS | REASSIGNED_WITH_CONVERSATIONS | REASSIGNED_WITH_IMPORTS
"""The tables whose rows follow a lead into another."""


def merging_use_cases(work: Work, actor: Actor) -> MergingUseCases:
    return MergingUseCases(actor.workspace_id, actor.user_id, MergeRepository(work), work, uuid7)


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


__all__ = [
    "REASSIGNED",
    "LeadNotFound",
    "export_into",
    "export_person",
    "find_duplicates",
    "merge_by_id",
    "merges_into",
    "merging_use_cases",
]
