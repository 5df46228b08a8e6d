"""Mutations of leads."""

from collections.abc import Mapping
from typing import cast
from uuid import UUID

import strawberry

from app.common.domain import Role
from app.common.graphql import NO_ID, Info, mutation, parse_id
from app.leads.domain.errors import IdentityTaken
from app.leads.presentation.queries import load_leads
from app.leads.presentation.record import refused_with
from app.leads.presentation.types import CreateLeadInput, LeadPayload, parse_tag_ids
from app.leads.wiring import lead_use_cases

TEXTS = (
    "name",
    "email",
    "phone",
    "company",
    "title",
    "linkedin",
    "instagram",
    "facebook",
    "basis",
    "time_zone",
)


@strawberry.type
class LeadsMutation:
    @mutation(requires=Role.MEMBER, description="Makes a lead by hand.")
    async def create_lead(self, info: Info, input: CreateLeadInput) -> LeadPayload:
        actor = info.context.signed_in
        try:
            async with info.context.doors.open_work(actor.workspace_id, actor) as work:
                lead_id = await lead_use_cases(work, actor.workspace_id).create_lead(
                    {name: getattr(input, name) for name in TEXTS},
                    metadata=cast("Mapping[str, object]", input.metadata or {}),
                    stage_id=parse_id(input.stage_id) or NO_ID if input.stage_id is not None else None,
                    owner_id=_owner_id(input, actor.user_id),
                    tag_ids=parse_tag_ids(input.tag_ids),
                    created_by=actor.user_id,
                )
        except IdentityTaken as taken:
            return await refused_with(info.context, taken)
        return LeadPayload(lead=(await load_leads(info.context, [lead_id]))[0])


def _owner_id(input: CreateLeadInput, creator_id: UUID) -> UUID | None:
    if input.owner_id is strawberry.UNSET:
        return creator_id
    return None if input.owner_id is None else parse_id(input.owner_id) or NO_ID
