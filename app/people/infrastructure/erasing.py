"""A person, gone from all modules in one transaction.

Locks: conversations and deliveries (as who sends and receives), then leads. Whoever was in the middle of something with
the person has committed by then, or finds nobody. Files are let go of in the transaction and removed after it.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.domain import EVENT_IDS_MAX, folded
from app.common.work import Work
from app.conversations.wiring import erase_conversations, hold_conversations
from app.imports.wiring import erase_imports
from app.leads.domain.errors import LeadNotFound
from app.leads.domain.events import LeadDeleted
from app.leads.domain.identity import Identity, IdentityKind, NotAnIdentity, email_identity
from app.leads.wiring import erase_leads, hold_to_erase, identities_of, is_long_deleted, person_of
from app.people.application.erasing import check_confirmation

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


async def erase_person(
    work: Work, workspace_id: UUID, lead_id: UUID, confirmation: str
) -> tuple[Sequence[UUID], Sequence[UUID]]:
    """The leads that are gone, and the files to remove after the commit. Raises LeadNotFound, Invalid, Moved."""
    lead_ids, names, addresses = await _hold(work, workspace_id, lead_id)
    known_by = await identities_of(work, workspace_id, lead_ids)
    emails = [one.value for one in known_by if one.kind is IdentityKind.EMAIL]
    check_confirmation(confirmation, [*names, *emails])
    written_from = [one for address in addresses if (one := _email(address)) is not None]
    everything = list(dict.fromkeys([*known_by, *written_from]))
    return lead_ids, await _erase(work, workspace_id, lead_ids, everything, names, is_for_good=True)


async def purge_person(work: Work, workspace_id: UUID, lead_id: UUID, *, ttl_s: float) -> Sequence[UUID]:
    """The files to remove after the commit. As an erase, but whoever it is may come again. Raises Moved."""
    try:
        lead_ids, names, _ = await _hold(work, workspace_id, lead_id)
    except LeadNotFound:
        return []
    if not await is_long_deleted(work, workspace_id, lead_id, ttl_s=ttl_s):
        return []
    known_by = await identities_of(work, workspace_id, lead_ids)
    return await _erase(work, workspace_id, lead_ids, known_by, names, is_for_good=False)


async def _hold(work: Work, workspace_id: UUID, lead_id: UUID) -> tuple[Sequence[UUID], list[str], list[str]]:
    """Leads, their names, and the addresses they wrote from. Raises LeadNotFound, Moved."""
    lead_ids = await person_of(work, workspace_id, lead_id)
    if not lead_ids:
        raise LeadNotFound("id")
    await hold_conversations(work, workspace_id, lead_ids)
    names = await hold_to_erase(work, workspace_id, lead_ids)
    if set(names) != set(lead_ids) or set(await person_of(work, workspace_id, lead_id)) != set(lead_ids):
        raise Moved
    held = await hold_conversations(work, workspace_id, lead_ids)
    return lead_ids, list(names.values()), [one.contact_address for one in held]


async def _erase(
    work: Work,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    known_by: Sequence[Identity],
    names: Sequence[str],
    *,
    is_for_good: bool,
) -> Sequence[UUID]:
    phones = (IdentityKind.PHONE, IdentityKind.WHATSAPP)
    values = [one.value for one in known_by if one.kind not in phones]
    emails = [one.value for one in known_by if one.kind is IdentityKind.EMAIL] if is_for_good else []
    numbers = [one.value[-LAST_DIGITS:] for one in known_by if one.kind in phones]
    files = await erase_conversations(work, workspace_id, lead_ids, emails)
    await erase_imports(
        work,
        workspace_id,
        lead_ids,
        values=values if is_for_good else [],
        numbers=numbers if is_for_good else [],
        names=[folded(name) for name in names] if is_for_good else [],
    )
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
