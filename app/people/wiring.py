"""The door to people: a person over all modules: merged, unmerged, exported, erased, let go of when long deleted."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import IO
from uuid import UUID

from uuid_utils.compat import uuid7

from app.accounts.domain.audit import Author
from app.accounts.wiring import record_audit
from app.automations.wiring import REASSIGNED_WITH_AUTOMATIONS
from app.common import telemetry
from app.common.domain import Actor
from app.common.work import Doors, Unavailable, Work
from app.conversations.wiring import REASSIGNED_WITH_CONVERSATIONS
from app.files.wiring import file_url, remove_files
from app.imports.wiring import REASSIGNED_WITH_IMPORTS
from app.leads.domain.errors import LeadNotFound
from app.leads.wiring import REASSIGNED_WITH_LEADS, old_deleted_leads
from app.people.application.merging import MergingUseCases
from app.people.infrastructure.erasing import ATTEMPTS, Moved, erase_person, purge_person
from app.people.infrastructure.exporting import export_person, stream_person
from app.people.infrastructure.merging import MergeRepository
from app.people.infrastructure.reads import find_duplicates, merge_by_id, merges_into
from app.settings import Settings

BLOCK_BYTES = 64 * 1024
REASSIGNED = (
    REASSIGNED_WITH_LEADS
    | REASSIGNED_WITH_CONVERSATIONS
    | REASSIGNED_WITH_IMPORTS
    | REASSIGNED_WITH_AUTOMATIONS
)
"""The tables whose rows follow a lead into another."""


def merging_use_cases(work: Work, actor: Actor) -> MergingUseCases:
    return MergingUseCases(actor.workspace_id, actor.user_id, MergeRepository(work), work, uuid7)


OF_THIS_LEAD = frozenset({"40P01", "40001", "55P03", "57014"})
"""Somebody is at it, or it is too much for one statement: the database itself answers."""


async def export_into(file: IO[bytes], doors: Doors, settings: Settings, actor: Actor, lead_id: UUID) -> None:
    """Writes all there is about a person, and that somebody asked for it. Raises LeadNotFound."""
    link = partial(file_url, settings, actor.workspace_id)
    async with doors.open_reads(actor.workspace_id, one_snapshot=True) as reads:
        parts = await stream_person(reads, actor.workspace_id, lead_id, link=link)
        if parts is None:
            raise LeadNotFound
        async for block in _blocks(parts):
            await asyncio.to_thread(file.write, block)  # a disk may let wait
    async with doors.open_work(actor.workspace_id, actor) as work:
        await record_audit(work, actor.workspace_id, Author.of(actor), "lead.exported", object_id=lead_id)


async def _blocks(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Fewer and larger."""
    block = bytearray()
    async for part in parts:
        block += part
        if len(block) >= BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)


async def erase_lead(
    doors: Doors, settings: Settings, actor: Actor, lead_id: UUID, confirmation: str
) -> Sequence[UUID]:
    """The leads that are gone with it: all that were merged with it. Raises LeadNotFound, Invalid."""
    for attempt in range(ATTEMPTS):
        try:
            async with doors.open_work(actor.workspace_id, actor) as work:
                erased, files = await erase_person(work, actor.workspace_id, lead_id, confirmation)
                await record_audit(
                    work, actor.workspace_id, Author.of(actor), "lead.erased", object_id=lead_id
                )
            await remove_files(doors, settings, actor.workspace_id, files)
            return erased
        except Moved:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


async def long_deleted_leads(system: Work, settings: Settings, *, limit: int) -> Sequence[tuple[UUID, UUID]]:
    """(workspace, lead) of those that were deleted too long ago to be restored."""
    return await old_deleted_leads(system, ttl_s=settings.deleted_leads_ttl_s, limit=limit)


async def purge_leads(doors: Doors, settings: Settings, found: Sequence[tuple[UUID, UUID]]) -> int:
    """What `long_deleted_leads` found, once its transaction is closed: PostgreSQL ends one that idles for a minute. How
    many are gone; the others' turn comes again.

    One transaction each: killed in between, the next turn goes on. Raises Unavailable.
    """
    gone = 0
    for workspace_id, lead_id in found:
        try:
            async with doors.open_work(workspace_id) as work:
                files = await purge_person(work, workspace_id, lead_id, ttl_s=settings.deleted_leads_ttl_s)
            await remove_files(doors, settings, workspace_id, files)
            gone += 1
        except Exception as error:  # what is the matter with one lead is no other's
            state = getattr(error.__cause__ or error, "sqlstate", None)
            if isinstance(error, Unavailable) and state not in OF_THIS_LEAD:
                raise
            # The error itself may quote the person.
            telemetry.log.error("purge failed", key=str(lead_id), error_type=type(error).__name__, code=state)
    return gone


__all__ = [
    "REASSIGNED",
    "LeadNotFound",
    "erase_lead",
    "export_into",
    "export_person",
    "find_duplicates",
    "long_deleted_leads",
    "merge_by_id",
    "merges_into",
    "merging_use_cases",
    "purge_leads",
]
