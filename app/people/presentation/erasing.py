"""eraseLead: its input, and the mutation."""

import strawberry

from app.common.domain import Role
from app.common.graphql import NO_ID, DeletedPayload, Info, mutation, parse_id
from app.people.wiring import erase_lead


@strawberry.input(description="Whom to erase, and the word for it.")
class EraseLeadInput:
    id: strawberry.ID = strawberry.field(description="The lead; deleted ones too.")
    confirm_email_or_name: str = strawberry.field(
        description="Its name, or one of its e-mail addresses, written out: there is no way back."
    )


@strawberry.type
class ErasingMutation:
    @mutation(
        requires=Role.ADMIN,
        description="Deletes all there is about a person: the leads merged with it, and copies of it among the "
        "deleted ones. There is no way back, and no import and no mail makes them a lead again.",
    )
    async def erase_lead(self, info: Info, input: EraseLeadInput) -> DeletedPayload:
        actor, id = info.context.signed_in, parse_id(input.id) or NO_ID
        erased = await erase_lead(
            info.context.doors, info.context.settings, actor, id, input.confirm_email_or_name
        )
        return DeletedPayload(deleted_ids=[strawberry.ID(str(one)) for one in erased])
