"""A person, gone from all modules in one transaction.

Locks are taken in the order of all others (docs/decisions/0026): imports, bulk changes and bulk sends under way, live
runs of automations, the leads, their identities, conversations and deliveries. Whoever was in the middle of something
with the person has committed by then, or finds nobody. Files are let go of in the transaction and removed after it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from app.automations.wiring import hold_runs
from app.common.database import Statement
from app.common.domain import EVENT_IDS_MAX, folded
from app.common.work import Work
from app.conversations.wiring import erase_conversations, hold_conversations
from app.imports.wiring import erase_imports, hold_imports
from app.leads.domain.errors import LeadNotFound
from app.leads.domain.events import LeadDeleted
from app.leads.domain.identity import Identity, IdentityKind, NotAnIdentity, email_identity
from app.leads.wiring import (
    end_changes,
    erase_leads,
    find_holders,
    hold_changes,
    hold_to_erase,
    identities_of,
    is_long_deleted,
    person_of,
    reclaim_identities,
    whole_person,
)
from app.outreach.wiring import end_bulk_sends, hold_bulk_sends
from app.people.application.erasing import check_confirmation
from app.people.domain.erasure import LiveElsewhere

PHONES = (IdentityKind.PHONE, IdentityKind.WHATSAPP)
LAST_DIGITS = 8
"""By which a number is the same, however its country and area are written."""
ATTEMPTS = 5
DROP_MERGES = Statement(
    text(
        """
        DELETE FROM merge WHERE workspace_id = cast(:workspace_id as uuid)
            AND (kept_id = ANY (cast(:lead_ids as uuid[])) OR merged_ids && cast(:lead_ids as uuid[]))
        """
    )
)


class Moved(Exception):
    """Who belongs to the person changed under our hands: again."""


@dataclass(frozen=True, slots=True)
class Held:
    """Locked until the commit."""

    lead_ids: Sequence[UUID]
    names: Sequence[str]
    import_ids: Sequence[UUID]
    """Of the whole workspace, as the changes of many and the bulk sends: those that were under way."""
    change_ids: Sequence[UUID]
    bulk_send_ids: Sequence[UUID]


async def erase_person(
    work: Work, workspace_id: UUID, lead_id: UUID, confirmation: str
) -> tuple[Sequence[UUID], Sequence[UUID]]:
    """The leads that are gone, and the files to remove after the commit. Raises LeadNotFound, Invalid, LiveElsewhere,
    Moved."""
    held = await _hold(work, workspace_id, lead_id, whole_person)
    known_by = await identities_of(work, workspace_id, held.lead_ids)
    emails = [one.value for one in known_by if one.kind is IdentityKind.EMAIL]
    check_confirmation(confirmation, [*held.names, *emails])
    their_own = await _claim(work, workspace_id, held.lead_ids, known_by)
    return held.lead_ids, await _erase(work, workspace_id, held, their_own, is_for_good=True)


async def _claim(
    work: Work,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    known_by: Sequence[Identity],
) -> Sequence[Identity]:
    """Those, and the addresses they wrote from, that no other live lead has; taken from the trash into use until the
    commit: who adds one of them to a lead meanwhile waits, and finds it erased. Raises LiveElsewhere, Moved."""
    taken = await reclaim_identities(work, workspace_id, lead_ids)
    talks = await hold_conversations(work, workspace_id, lead_ids)
    written_from = [found for one in talks if (found := _email(one.contact_address)) is not None]
    everything = list(dict.fromkeys([*known_by, *written_from]))
    holders = {one.identity: one.lead_id for one in await find_holders(work, workspace_id, everything)}
    if any(identity not in holders for _, identity in taken):
        raise Moved
    elsewhere = {identity: id for identity, id in holders.items() if id not in lead_ids}
    for identity in known_by:
        if identity in elsewhere and identity.kind not in PHONES:
            raise LiveElsewhere(elsewhere[identity])
    return [one for one in everything if one not in elsewhere]


async def purge_person(work: Work, workspace_id: UUID, lead_id: UUID, *, ttl_s: float) -> Sequence[UUID]:
    """The files to remove after the commit. As an erase, but whoever it is may come again. Raises Moved."""
    try:
        held = await _hold(work, workspace_id, lead_id, person_of)
    except LeadNotFound:
        return []
    if not await is_long_deleted(work, workspace_id, lead_id, ttl_s=ttl_s):
        return []
    known_by = await identities_of(work, workspace_id, held.lead_ids)
    return await _erase(work, workspace_id, held, known_by, is_for_good=False)


async def _hold(
    work: Work,
    workspace_id: UUID,
    lead_id: UUID,
    leads_of: Callable[[Work, UUID, UUID], Awaitable[Sequence[UUID]]],
) -> Held:
    """Raises LeadNotFound, Moved."""
    import_ids = await hold_imports(work, workspace_id)
    change_ids = await hold_changes(work, workspace_id)
    bulk_send_ids = await hold_bulk_sends(work, workspace_id)
    lead_ids = await leads_of(work, workspace_id, lead_id)
    if not lead_ids:
        raise LeadNotFound("id")
    await hold_runs(work, workspace_id, lead_ids)
    names = await hold_to_erase(work, workspace_id, lead_ids)
    if set(names) != set(lead_ids) or set(await leads_of(work, workspace_id, lead_id)) != set(lead_ids):
        raise Moved
    return Held(lead_ids, list(names.values()), import_ids, change_ids, bulk_send_ids)


async def _erase(
    work: Work,
    workspace_id: UUID,
    held: Held,
    known_by: Sequence[Identity],
    *,
    is_for_good: bool,
) -> Sequence[UUID]:
    lead_ids = held.lead_ids
    values = [one.value for one in known_by if one.kind not in PHONES]
    emails = [one.value for one in known_by if one.kind is IdentityKind.EMAIL] if is_for_good else []
    numbers = [one.value[-LAST_DIGITS:] for one in known_by if one.kind in PHONES]
    files = await erase_conversations(work, workspace_id, lead_ids, emails)
    await erase_imports(
        work,
        workspace_id,
        lead_ids,
        values=values if is_for_good else [],
        numbers=numbers if is_for_good else [],
        names=[folded(name) for name in held.names] if is_for_good else [],
        held_ids=held.import_ids,
    )
    if is_for_good:
        traces = [*held.names, *(one.value for one in known_by)]
        await end_changes(work, workspace_id, held.change_ids, traces)
        await end_bulk_sends(work, workspace_id, held.bulk_send_ids, traces)
    await work.fetch(DROP_MERGES, workspace_id=workspace_id, lead_ids=list(lead_ids))
    await erase_leads(work, workspace_id, lead_ids, known_by if is_for_good else [])
    for start in range(0, len(lead_ids), EVENT_IDS_MAX):
        work.announce(LeadDeleted(entity_ids=lead_ids[start : start + EVENT_IDS_MAX]))
    return files


def _email(address: str) -> Identity | None:
    try:
        return email_identity(address)
    except NotAnIdentity:
        return None
