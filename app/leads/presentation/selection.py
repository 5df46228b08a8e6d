"""Mutations of up to 100 leads, picked by their ids."""

from collections.abc import Sequence
from uuid import UUID

import strawberry

from app.common.domain import Role
from app.common.graphql import NO_ID, Context, DeletedPayload, Info, mutation, parse_id, user_error
from app.leads.domain.errors import NotRestored
from app.leads.presentation.queries import load_leads
from app.leads.presentation.types import LeadsPayload
from app.leads.wiring import selection_use_cases


@strawberry.input(description="Which leads.")
class LeadIdsInput:
    ids: list[strawberry.ID] = strawberry.field(description="At most 100.")


@strawberry.input(description="Which tags to put on which leads, and to take off.")
class TagLeadsInput:
    lead_ids: list[strawberry.ID] = strawberry.field(description="At most 100.")
    add_tag_ids: list[strawberry.ID] | None = strawberry.field(
        description="To put on, at most 100.", default=None
    )
    remove_tag_ids: list[strawberry.ID] | None = strawberry.field(
        description="To take off, at most 100; none of those to put on.", default=None
    )


@strawberry.type
class SelectionMutation:
    @mutation(
        requires=Role.MEMBER,
        description="Deletes leads, all or none: they leave every list, and their addresses are free at once. "
        "`restoreLeads` brings them back for 30 days. Those deleted already are no error.",
    )
    async def delete_leads(self, info: Info, input: LeadIdsInput) -> DeletedPayload:
        actor, ids = info.context.signed_in, _ids(input.ids)
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            await selection_use_cases(work, actor).delete_leads(ids)
        return DeletedPayload(deleted_ids=[strawberry.ID(str(id)) for id in dict.fromkeys(ids)])

    @mutation(
        requires=Role.MEMBER,
        description="Brings deleted leads back, all or none. Where others have an address of theirs by now it is "
        "CONFLICT, and `leads` are those others.",
    )
    async def restore_leads(self, info: Info, input: LeadIdsInput) -> LeadsPayload:
        actor, ids = info.context.signed_in, _ids(input.ids)
        try:
            async with info.context.doors.open_work(actor.workspace_id, actor) as work:
                await selection_use_cases(work, actor).restore_leads(ids)
        except NotRestored as refusal:
            payload = await _payload(info.context, refusal.lead_ids)
            payload.errors = [user_error(one) for one in refusal.refusals]
            return payload
        return await _payload(info.context, ids)

    @mutation(requires=Role.MEMBER, description="Puts tags on leads and takes tags off, all or nothing.")
    async def tag_leads(self, info: Info, input: TagLeadsInput) -> LeadsPayload:
        actor, ids = info.context.signed_in, _ids(input.lead_ids)
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            await selection_use_cases(work, actor).tag_leads(
                ids, add=_ids(input.add_tag_ids or ()), remove=_ids(input.remove_tag_ids or ())
            )
        return await _payload(info.context, ids)


def _ids(ids: Sequence[str]) -> list[UUID]:
    """A malformed one becomes an id that nothing has."""
    return [parse_id(id) or NO_ID for id in ids]


async def _payload(context: Context, ids: Sequence[UUID]) -> LeadsPayload:
    """Each once, in the order given."""
    return LeadsPayload(leads=[lead for lead in await load_leads(context, list(dict.fromkeys(ids))) if lead])
