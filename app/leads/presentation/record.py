"""Mutations of one lead's record: its fields and its identities."""

import strawberry

from app.common.domain import Role
from app.common.graphql import NO_ID, Context, Info, given, mutation, parse_id, user_error
from app.common.scalars import JSON
from app.leads.domain.errors import IdentityTaken, LeadStale
from app.leads.domain.identity import IdentityKind
from app.leads.presentation.queries import load_leads
from app.leads.presentation.types import LeadPayload
from app.leads.wiring import record_use_cases

FIELDS = (
    "name",
    "email",
    "phone",
    "company",
    "title",
    "linkedin",
    "instagram",
    "facebook",
    "time_zone",
    "metadata",
)
PRIMARY = (
    "it takes the place of the primary one, which goes; one that the lead has already becomes primary and the former "
    "stays; null removes the primary one, and the oldest other of its kind takes its place."
)


@strawberry.input(description="What to change of a lead: what is left out stays, null clears.")
class UpdateLeadInput:
    id: strawberry.ID = strawberry.field(description="The lead.")
    version: int = strawberry.field(
        description="As last read: where somebody changed the lead since, it is CONFLICT, with the lead as it is."
    )
    name: str | None = strawberry.field(
        description="1 to 200 characters; never cleared.", default=strawberry.UNSET
    )
    email: str | None = strawberry.field(
        description=f"An e-mail address: {PRIMARY}", default=strawberry.UNSET
    )
    phone: str | None = strawberry.field(
        description=f"A phone number, read as in createLead: {PRIMARY}", default=strawberry.UNSET
    )
    company: str | None = strawberry.field(description="The company.", default=strawberry.UNSET)
    title: str | None = strawberry.field(description="The job title.", default=strawberry.UNSET)
    linkedin: str | None = strawberry.field(
        description=f"A LinkedIn profile: {PRIMARY}", default=strawberry.UNSET
    )
    instagram: str | None = strawberry.field(
        description=f"An Instagram profile: {PRIMARY}", default=strawberry.UNSET
    )
    facebook: str | None = strawberry.field(
        description=f"A Facebook profile: {PRIMARY}", default=strawberry.UNSET
    )
    time_zone: str | None = strawberry.field(
        description="IANA name; null: as its phone number tells.", default=strawberry.UNSET
    )
    owner_id: strawberry.ID | None = strawberry.field(
        description="The member who looks after it; null: nobody.", default=strawberry.UNSET
    )
    metadata: JSON | None = strawberry.field(
        description="Takes the place of all that stood there.", default=strawberry.UNSET
    )


@strawberry.input(description="One more address, number or profile of a lead.")
class AddIdentityInput:
    lead_id: strawberry.ID = strawberry.field(description="The lead; it may have 20 in all.")
    kind: IdentityKind = strawberry.field(description="What it is.")
    value: str = strawberry.field(
        description="An e-mail address, a phone number (without a country code read in the workspace's region), or a "
        "profile's address or handle."
    )
    is_primary: bool = strawberry.field(
        description="True: it is the one that is used from now on. The first of its kind always is.",
        default=False,
    )


@strawberry.input(description="Which identity.")
class IdentityIdInput:
    id: strawberry.ID = strawberry.field(description="The identity.")


@strawberry.type
class RecordMutation:
    @mutation(
        requires=Role.MEMBER, description="Changes a lead; where nothing is different, nothing happens."
    )
    async def update_lead(self, info: Info, input: UpdateLeadInput) -> LeadPayload:
        actor, lead_id = info.context.signed_in, parse_id(input.id) or NO_ID
        changes = given(input, *FIELDS)
        if input.owner_id is not strawberry.UNSET:
            changes["owner_id"] = None if input.owner_id is None else parse_id(input.owner_id) or NO_ID
        try:
            async with info.context.doors.open_work(actor.workspace_id, actor) as work:
                await record_use_cases(work, actor).update_lead(lead_id, changes, version=input.version)
        except (IdentityTaken, LeadStale) as refusal:
            return await refused_with(info.context, refusal)
        return LeadPayload(lead=(await load_leads(info.context, [lead_id]))[0])

    @mutation(
        requires=Role.MEMBER,
        description="Gives a lead one more address, number or profile; one it has already is no error.",
    )
    async def add_identity(self, info: Info, input: AddIdentityInput) -> LeadPayload:
        actor, lead_id = info.context.signed_in, parse_id(input.lead_id) or NO_ID
        try:
            async with info.context.doors.open_work(actor.workspace_id, actor) as work:
                await record_use_cases(work, actor).add_identity(
                    lead_id, input.kind, input.value, is_primary=input.is_primary
                )
        except IdentityTaken as taken:
            return await refused_with(info.context, taken)
        return LeadPayload(lead=(await load_leads(info.context, [lead_id]))[0])

    @mutation(
        requires=Role.MEMBER,
        description="Takes an address, number or profile from its lead; of a primary one's kind the oldest other "
        "becomes primary.",
    )
    async def remove_identity(self, info: Info, input: IdentityIdInput) -> LeadPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            lead_id = await record_use_cases(work, actor).remove_identity(parse_id(input.id) or NO_ID)
        return LeadPayload(lead=(await load_leads(info.context, [lead_id]))[0])


async def refused_with(context: Context, refusal: IdentityTaken | LeadStale) -> LeadPayload:
    """With the lead that the refusal is about."""
    return LeadPayload(lead=(await load_leads(context, [refusal.lead_id]))[0], errors=[user_error(refusal)])
