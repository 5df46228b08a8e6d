"""Mutations of imports."""

from collections.abc import Mapping, Sequence
from typing import cast

import strawberry

from app.common.domain import Role
from app.common.graphql import NO_ID, Info, mutation, parse_id
from app.imports.domain.imports import ImportRequest, import_request
from app.imports.presentation.queries import load_imports
from app.imports.presentation.types import ImportLeadsInput, LeadImportPayload
from app.imports.wiring import import_use_cases
from app.leads.presentation.types import parse_tag_ids


@strawberry.type
class ImportsMutation:
    @mutation(
        requires=Role.MEMBER,
        extension=True,
        description="Takes in a batch of people read from a page. It answers at once, QUEUED; watch `importProgress`.",
    )
    async def import_leads(self, info: Info, input: ImportLeadsInput) -> LeadImportPayload:
        actor = info.context.signed_in
        request = _request(input)
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            import_id = await import_use_cases(work, actor.workspace_id).import_leads(
                request, idempotency_key=input.idempotency_key, created_by=actor.user_id
            )
        return LeadImportPayload(lead_import=(await load_imports(info.context, [import_id]))[0])


def _request(input: ImportLeadsInput) -> ImportRequest:
    """Raises Invalid."""
    return import_request(
        source=input.platform,
        page_url=input.page_url,
        policy=input.policy,
        owner_id=parse_id(input.owner_id) or NO_ID if input.owner_id is not None else None,
        tag_ids=parse_tag_ids(input.tag_ids),
        basis=input.basis,
        # Mappings under the names of the API, which row errors speak of too.
        rows=cast("Sequence[Mapping[str, object]]", input.leads),
    )
