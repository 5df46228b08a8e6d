"""Mutations of imports."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import cast
from uuid import UUID

import strawberry

from app.common.domain import Role
from app.common.graphql import NO_ID, Info, mutation, parse_id
from app.files.wiring import remove_files
from app.imports.application.starting import FileImportUseCases
from app.imports.domain.imports import ImportRequest, import_request
from app.imports.domain.starting import FileRequest
from app.imports.presentation.queries import load_imports
from app.imports.presentation.starting import ImportIdInput, StartCsvImportInput
from app.imports.presentation.types import ImportLeadsInput, LeadImportPayload
from app.imports.wiring import file_import_use_cases, import_use_cases
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
        return await _payload(info, import_id)

    @mutation(
        requires=Role.MEMBER,
        description="Imports an uploaded file, or counts what would become of it. It answers at once, ANALYZING; watch "
        "`importProgress`. Where it waits in NEEDS_MAPPING, the same again with a mapping goes on.",
    )
    async def start_csv_import(self, info: Info, input: StartCsvImportInput) -> LeadImportPayload:
        actor = info.context.signed_in
        request = _file_request(input)
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = file_import_use_cases(work, actor, info.context.settings)
            import_id = await use_cases.start_csv_import(request, idempotency_key=input.idempotency_key)
        return await _payload(info, import_id)

    @mutation(
        requires=Role.MEMBER,
        description="Stops it for now: once this has answered nothing more of it is written until it is resumed. What "
        "is in stays. After seven days it is CANCELED.",
    )
    async def pause_import(self, info: Info, input: ImportIdInput) -> LeadImportPayload:
        return await _moved(info, input.id, lambda of, key: of.pause_import(key))

    @mutation(requires=Role.MEMBER, description="Goes on with one that is PAUSED, where it stopped.")
    async def resume_import(self, info: Info, input: ImportIdInput) -> LeadImportPayload:
        return await _moved(info, input.id, lambda of, key: of.resume_import(key))

    @mutation(
        requires=Role.MEMBER,
        description="Stops it for good: once this has answered nothing more of it is written. What is in stays, as "
        "`counts` say, and can be undone.",
    )
    async def cancel_import(self, info: Info, input: ImportIdInput) -> LeadImportPayload:
        context = info.context
        actor, key = context.signed_in, parse_id(input.id) or NO_ID
        async with context.doors.open_work(actor.workspace_id, actor) as work:
            file_id = await file_import_use_cases(work, actor, context.settings).cancel_import(key)
        if file_id is not None:
            await remove_files(context.doors, context.settings, actor.workspace_id, [file_id])
        return await _payload(info, key)

    @mutation(
        requires=Role.MEMBER,
        description="Takes an import back, within seven days of its end: leads it made go, fields it changed come "
        "back. What people or automations have touched since is kept, and counted in `keptOnUndo`.",
    )
    async def undo_import(self, info: Info, input: ImportIdInput) -> LeadImportPayload:
        return await _moved(info, input.id, lambda of, key: of.undo_import(key))


async def _moved(
    info: Info, id: str, move: Callable[[FileImportUseCases, UUID], Awaitable[None]]
) -> LeadImportPayload:
    actor, key = info.context.signed_in, parse_id(id) or NO_ID
    async with info.context.doors.open_work(actor.workspace_id, actor) as work:
        await move(file_import_use_cases(work, actor, info.context.settings), key)
    return await _payload(info, key)


async def _payload(info: Info, id: UUID) -> LeadImportPayload:
    """Read after the commit."""
    return LeadImportPayload(lead_import=(await load_imports(info.context, [id]))[0])


def _file_request(input: StartCsvImportInput) -> FileRequest:
    """Raises Invalid."""
    return FileRequest(
        upload_token=input.upload_token,
        mapping=None if input.mapping is None else [(one.column, one.field) for one in input.mapping],
        policy=input.policy,
        owner_id=_owner_id(input.owner_id),
        tag_ids=parse_tag_ids(input.tag_ids),
        basis=input.basis,
        is_dry_run=input.dry_run,
    )


def _owner_id(given: str | None) -> UUID | None:
    return parse_id(given) or NO_ID if given is not None else None


def _request(input: ImportLeadsInput) -> ImportRequest:
    """Raises Invalid."""
    return import_request(
        source=input.platform,
        page_url=input.page_url,
        policy=input.policy,
        owner_id=_owner_id(input.owner_id),
        tag_ids=parse_tag_ids(input.tag_ids),
        basis=input.basis,
        # Mappings under the names of the API, which row errors speak of too.
        rows=cast("Sequence[Mapping[str, object]]", input.leads),
    )
