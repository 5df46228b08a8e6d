"""Mutations of people: parse, call, return."""

import strawberry

from app.common.domain import Role
from app.common.graphql import NO_ID, Info, mutation, parse_id
from app.leads.presentation.types import LeadsPayload
from app.people.presentation.queries import load_merge
from app.people.presentation.types import MergeLeadsInput, MergePayload, UnmergeLeadsInput
from app.people.wiring import merging_use_cases


@strawberry.type
class PeopleMutation:
    @mutation(
        requires=Role.MEMBER,
        description="Makes several leads one: conversations, notes, tags, identities and imports become the kept "
        "lead's, which is filled from the others where it has nothing; these are deleted. `unmergeLeads` undoes it.",
    )
    async def merge_leads(self, info: Info, input: MergeLeadsInput) -> MergePayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            merge_id = await merging_use_cases(work, actor).merge_leads(
                keep_id=parse_id(input.keep_id) or NO_ID,
                merge_ids=[parse_id(id) or NO_ID for id in input.merge_ids],
            )
        return MergePayload(merge=await load_merge(info.context, merge_id))

    @mutation(
        requires=Role.MEMBER,
        description="Undoes a merge: each lead has again what it had. What people changed since stays: new entries and "
        "identities with the kept lead, new messages with their conversation. Several merges are undone newest first.",
    )
    async def unmerge_leads(self, info: Info, input: UnmergeLeadsInput) -> LeadsPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            ids = await merging_use_cases(work, actor).unmerge_leads(parse_id(input.merge_id) or NO_ID)
        loader = info.context.loader("leads")
        return LeadsPayload(leads=[lead for lead in await loader.load_many(ids) if lead is not None])
