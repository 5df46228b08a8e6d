"""Mutations of leads."""

from collections.abc import Mapping
from typing import cast

import strawberry

from app.common.domain import Role
from app.common.graphql import NO_ID, Info, mutation, parse_id, user_error
from app.leads.domain.errors import IdentityTaken
from app.leads.presentation.queries import load_leads
from app.leads.presentation.types import CreateLeadInput, LeadPayload, parse_tag_ids
from app.leads.wiring import lead_use_cases

TEXTS = ("name", "email", "phone", "company", "title", "linkedin", "instagram", "facebook")


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
                    owner_id=parse_id(input.owner_id) or NO_ID if input.owner_id is not None else None,
                    tag_ids=parse_tag_ids(input.tag_ids),
                    created_by=actor.user_id,
                )
        except IdentityTaken as taken:
            existing = await load_leads(info.context, [taken.lead_id])
            return LeadPayload(lead=existing[0], errors=[user_error(taken)])
        return LeadPayload(lead=(await load_leads(info.context, [lead_id]))[0])
