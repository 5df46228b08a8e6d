"""The door to leads for other modules."""

import asyncio
from collections.abc import Callable
from functools import partial
from uuid import UUID

from uuid_utils.compat import uuid7

from app.accounts.domain.audit import Author
from app.accounts.wiring import member_by_id, record_audit
from app.common.domain import Actor, Channel, Direction
from app.common.idempotency import Idempotency
from app.common.leases import Claim
from app.common.work import Doors, Reads, Work
from app.leads.application.board import BoardUseCases
from app.leads.application.bulk_changes import BulkChangeUseCases, RunBulkChange
from app.leads.application.contacts import ContactUseCases, engagement_moved
from app.leads.application.leads import LeadUseCases
from app.leads.application.record import RecordUseCases
from app.leads.application.scoring import ScoreLeads, ScoreRuleUseCases, ScoringUseCases, SweepScores
from app.leads.application.selection import SelectionUseCases
from app.leads.application.stages import BoardLayoutUseCases, StageUseCases
from app.leads.application.suppressions import SuppressionUseCases
from app.leads.application.timeline import TimelineUseCases
from app.leads.domain.bulk_change import DUE
from app.leads.domain.contact import SuppressionReason
from app.leads.domain.lead import Engagement
from app.leads.domain.score_texts import DEFAULT_LOCALE, Counted, Reason, explained
from app.leads.domain.scoring import DEFAULT_RULES, ScoreEventKind
from app.leads.domain.scoring import DUE as SCORE_SWEEP
from app.leads.domain.time_zone import likely_zones, zone_of_phone
from app.leads.infrastructure.board import BoardRepository
from app.leads.infrastructure.board_reads import (
    ColumnPage,
    WantedColumn,
    column_counts,
    column_pages,
    stage_changes_of,
)
from app.leads.infrastructure.bulk import upsert_leads
from app.leads.infrastructure.bulk_changes import (
    BulkChangeLedger,
    BulkChangeRepository,
    bulk_changes_by_id,
    hold_target,
)
from app.leads.infrastructure.by_rule import (
    change_by_rule,
    hold_live_leads,
    note_by_rule,
    write_by_rule,
)
from app.leads.infrastructure.contacts import (
    TOUCHED,
    ContactRepository,
    is_suppressed,
    may_take_back,
    take_back_opt_out,
)
from app.leads.infrastructure.disowning import unassign_leads
from app.leads.infrastructure.erased import erased_among
from app.leads.infrastructure.erasing import (
    LOOKS_FOR_TRACE,
    end_changes,
    erase_leads,
    hold_changes,
    hold_to_erase,
    identities_of,
    is_long_deleted,
    old_deleted_leads,
    whole_person,
)
from app.leads.infrastructure.export_links import ExportLinks
from app.leads.infrastructure.export_reads import export_locale, export_page, role_now
from app.leads.infrastructure.exporting import export_leads, merged_into, person_of
from app.leads.infrastructure.forecasting import forecast_leads
from app.leads.infrastructure.identities import (
    add_identities,
    elect_primaries,
    find_holders,
    reclaim_identities,
    refresh_contacts,
    release_identities,
    remove_identities,
)
from app.leads.infrastructure.list_reads import count_leads, list_leads
from app.leads.infrastructure.matching import LostTheRace, held_among
from app.leads.infrastructure.merging import REASSIGNED as REASSIGNED_WITH_LEADS
from app.leads.infrastructure.merging import HeldLead, hold_leads
from app.leads.infrastructure.merging import follow as follow_conversations
from app.leads.infrastructure.merging import give_back as give_back_leads
from app.leads.infrastructure.merging import reassign as reassign_leads
from app.leads.infrastructure.reads import (
    LeadConditions,
    join_lead,
    lead_fields,
    leads_by_id,
    list_stages,
    read_interaction,
)
from app.leads.infrastructure.record import RecordRepository
from app.leads.infrastructure.repository import LeadRepository
from app.leads.infrastructure.score_tables import score_sweeps
from app.leads.infrastructure.scores import reasons_of
from app.leads.infrastructure.scoring import ScoreRepository, ScoreRuleRepository, list_score_rules
from app.leads.infrastructure.selection import SelectionRepository
from app.leads.infrastructure.stages import StageRepository
from app.leads.infrastructure.stored_filters import conditions_of, leads_after, stored_filter
from app.leads.infrastructure.suppressions import (
    SuppressionRepository,
    list_suppressions,
    suppression_by_id,
)
from app.leads.infrastructure.sweeping import ScoreSweepLedger
from app.leads.infrastructure.tables import WAITING, bulk_changes
from app.leads.infrastructure.timeline import ADDED_SENT, TimelineRepository
from app.leads.infrastructure.undoing import undo_leads
from app.settings import Settings

SLICE_S = 2
"""After this time a bulk change lets those that wait behind it go first."""


def lead_use_cases(work: Work, workspace_id: UUID) -> LeadUseCases:
    return LeadUseCases(workspace_id, LeadRepository(work), work, uuid7)


def record_use_cases(work: Work, actor: Actor) -> RecordUseCases:
    """Changes of one lead, by a member."""
    ws = actor.workspace_id
    return RecordUseCases(ws, actor.user_id, RecordRepository(work), timeline(work, ws), work)


def selection_use_cases(work: Work, actor: Actor) -> SelectionUseCases:
    """What a member does with up to 100 leads."""
    ws = actor.workspace_id
    return SelectionUseCases(ws, actor.user_id, SelectionRepository(work), timeline(work, ws), work)


def stage_use_cases(work: Work) -> StageUseCases:
    return StageUseCases(StageRepository(work), uuid7)


def board_layout_use_cases(work: Work, actor: Actor) -> BoardLayoutUseCases:
    record = partial(record_audit, work)
    return BoardLayoutUseCases(
        actor.workspace_id, Author.of(actor), StageRepository(work), work, record, uuid7
    )


def board_use_cases(work: Work, actor: Actor) -> BoardUseCases:
    record = timeline(work, actor.workspace_id).record
    return BoardUseCases(actor.workspace_id, actor.user_id, BoardRepository(work), record, work, uuid7)


def timeline(work: Work, workspace_id: UUID) -> TimelineUseCases:
    """Entries of a lead's timeline are written in the transaction of what they tell."""
    return TimelineUseCases(workspace_id, TimelineRepository(work), work, uuid7)


def contact_use_cases(work: Work, workspace_id: UUID) -> ContactUseCases:
    return ContactUseCases(workspace_id, ContactRepository(work), work, uuid7)


def suppression_use_cases(work: Work, workspace_id: UUID, author: Author) -> SuppressionUseCases:
    async def audit(action: str, object_id: UUID) -> None:
        await record_audit(work, workspace_id, author, action, object_id=object_id)

    return SuppressionUseCases(workspace_id, SuppressionRepository(work), audit)


def bulk_change_use_cases(work: Work, workspace_id: UUID) -> BulkChangeUseCases:
    return BulkChangeUseCases(
        workspace_id, BulkChangeRepository(work), Idempotency(work, workspace_id), work, uuid7
    )


async def run_bulk_change(
    doors: Doors, settings: Settings, claim: Claim, is_stopping: Callable[[], bool]
) -> bool:
    """Chunk after chunk; True when it has ended, False when its turn is over or it was asked to stop.

    Safe to be killed anywhere and to run twice at once: the claim's token fences every chunk (LostLease).
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + SLICE_S
    while not is_stopping():
        async with doors.open_work(claim.workspace_id) as work:
            ledger = BulkChangeLedger(work, claim, lease_s=settings.bulk_change_lease_s)
            if await RunBulkChange(ledger, work, settings.bulk_change_chunk_leads).run_chunk():
                return True
        if loop.time() > until:
            break
    return False


async def fail_bulk_change(doors: Doors, claim: Claim, error: str) -> None:
    """Ends one that cannot be run; what it has changed stays so. Raises LostLease."""
    async with doors.open_work(claim.workspace_id) as work:
        ended = await BulkChangeLedger(work, claim, lease_s=0).fail(error)
        work.announce(ended.told(claim.id))


def score_rule_use_cases(work: Work, settings: Settings) -> ScoreRuleUseCases:
    return ScoreRuleUseCases(ScoreRuleRepository(work), DEFAULT_RULES if settings.default_score_rules else ())


def scoring_use_cases(work: Work, actor: Actor) -> ScoringUseCases:
    record = partial(record_audit, work)
    return ScoringUseCases(actor.workspace_id, Author.of(actor), ScoreRuleRepository(work), record)


def score_leads(work: Work, workspace_id: UUID) -> ScoreLeads:
    """What happened to leads and messages is reacted to."""
    return ScoreLeads(ScoreRepository(work, workspace_id), work)


async def sweep_scores(
    doors: Doors, settings: Settings, claim: Claim, is_stopping: Callable[[], bool]
) -> bool:
    """Chunk after chunk; True when all leads were gone through, False when its turn is over or it was asked to stop.

    Safe to be killed anywhere and to run twice at once: the claim's token fences every chunk (LostLease).
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + SLICE_S
    while not is_stopping():
        async with doors.open_work(claim.workspace_id) as work:
            ledger = ScoreSweepLedger(work, claim, lease_s=settings.score_sweep_lease_s)
            if await SweepScores(ledger, work, settings.score_sweep_chunk_leads).run_chunk():
                return True
        if loop.time() > until:
            break
    return False


async def postpone_sweep(doors: Doors, claim: Claim, error: str) -> None:
    """One that cannot go on tries again the next night. Raises LostLease."""
    async with doors.open_work(claim.workspace_id) as work:
        await ScoreSweepLedger(work, claim, lease_s=0).end(error)


async def score_reasons(reads: Reads, actor: Actor, lead_id: UUID) -> list[Reason]:
    """Why it has its score, in the viewer's language; nothing for a lead that is deleted or unknown."""
    rows = await reasons_of(reads, actor.workspace_id, lead_id)
    viewer = await member_by_id(reads, actor.workspace_id, actor.user_id)
    counted = [Counted(**{**row, "event": ScoreEventKind(row["event"])}) for row in rows]
    return explained(counted, viewer["locale"] if viewer else DEFAULT_LOCALE)


async def reach_or_create(
    work: Work, workspace_id: UUID, *, email: str, name: str | None
) -> tuple[UUID, bool]:
    """The lead with this (normalised) address, and whether it was made for it; announces lead.created."""
    return await contact_use_cases(work, workspace_id).reach_or_create(email=email, name=name)


async def stay(work: Work, workspace_id: UUID, lead_id: UUID) -> bool:
    """Whether there is such a live lead; if so, it is there until the commit."""
    return await TimelineRepository(work).hold_lead(workspace_id, lead_id)


async def touch(work: Work, workspace_id: UUID, lead_id: UUID, direction: Direction) -> None:
    """A message went to it or came from it now: last touch and engagement. Takes the lead's row lock."""
    await contact_use_cases(work, workspace_id).touch(lead_id, direction)


def announce_touched(work: Work, lead_id: UUID, before: str, after: str) -> None:
    """For a statement of another module that has TOUCHED in it."""
    work.announce(engagement_moved(lead_id, Engagement(before), Engagement(after)))


async def suppress(
    work: Work, workspace_id: UUID, *, value: str, channel: Channel | None, reason: SuppressionReason
) -> bool:
    """Nothing is sent to this address (or "@domain") any more; False: that stood there already for this reason, or
    it is an erased person's. Waits for an erase of it: after the locks of leads, conversations and messages."""
    return await contact_use_cases(work, workspace_id).suppress(value=value, channel=channel, reason=reason)


__all__ = [
    "ADDED_SENT",
    "DUE",
    "LOOKS_FOR_TRACE",
    "REASSIGNED_WITH_LEADS",
    "SCORE_SWEEP",
    "TOUCHED",
    "WAITING",
    "ColumnPage",
    "ExportLinks",
    "HeldLead",
    "LeadConditions",
    "LeadRepository",
    "LostTheRace",
    "WantedColumn",
    "add_identities",
    "announce_touched",
    "board_layout_use_cases",
    "board_use_cases",
    "bulk_change_use_cases",
    "bulk_changes",
    "bulk_changes_by_id",
    "change_by_rule",
    "column_counts",
    "column_pages",
    "conditions_of",
    "contact_use_cases",
    "count_leads",
    "elect_primaries",
    "end_changes",
    "erase_leads",
    "erased_among",
    "export_leads",
    "export_locale",
    "export_page",
    "fail_bulk_change",
    "find_holders",
    "follow_conversations",
    "forecast_leads",
    "give_back_leads",
    "held_among",
    "hold_changes",
    "hold_leads",
    "hold_live_leads",
    "hold_target",
    "hold_to_erase",
    "identities_of",
    "is_long_deleted",
    "is_suppressed",
    "join_lead",
    "lead_fields",
    "lead_use_cases",
    "leads_after",
    "leads_by_id",
    "likely_zones",
    "list_leads",
    "list_score_rules",
    "list_stages",
    "list_suppressions",
    "may_take_back",
    "merged_into",
    "note_by_rule",
    "old_deleted_leads",
    "person_of",
    "postpone_sweep",
    "reach_or_create",
    "read_interaction",
    "reassign_leads",
    "reclaim_identities",
    "record_use_cases",
    "refresh_contacts",
    "release_identities",
    "remove_identities",
    "role_now",
    "run_bulk_change",
    "score_leads",
    "score_reasons",
    "score_rule_use_cases",
    "score_sweeps",
    "scoring_use_cases",
    "selection_use_cases",
    "stage_changes_of",
    "stage_use_cases",
    "stay",
    "stored_filter",
    "suppress",
    "suppression_by_id",
    "suppression_use_cases",
    "sweep_scores",
    "take_back_opt_out",
    "timeline",
    "touch",
    "unassign_leads",
    "undo_leads",
    "upsert_leads",
    "whole_person",
    "write_by_rule",
    "zone_of_phone",
]
