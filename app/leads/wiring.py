"""The door to leads for other modules."""

from uuid import UUID

from uuid_utils.compat import uuid7

from app.common.work import Work
from app.leads.application.leads import LeadUseCases
from app.leads.application.stages import StageUseCases
from app.leads.infrastructure.bulk import LostTheRace, upsert_leads
from app.leads.infrastructure.reads import (
    LeadConditions,
    count_leads,
    leads_by_id,
    list_leads,
    list_stages,
)
from app.leads.infrastructure.repository import LeadRepository, StageRepository


def lead_use_cases(work: Work, workspace_id: UUID) -> LeadUseCases:
    return LeadUseCases(workspace_id, LeadRepository(work), work, uuid7)


def stage_use_cases(work: Work) -> StageUseCases:
    return StageUseCases(StageRepository(work), uuid7)


__all__ = [
    "LeadConditions",
    "LeadRepository",
    "LostTheRace",
    "count_leads",
    "lead_use_cases",
    "leads_by_id",
    "list_leads",
    "list_stages",
    "stage_use_cases",
    "upsert_leads",
]
