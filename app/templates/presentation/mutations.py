"""Mutations of templates and snippets: parse, call, return."""

from uuid import UUID

import strawberry

from app.common.domain import Role
from app.common.graphql import NO_ID, DeletedPayload, Info, given, mutation, parse_id, user_error
from app.templates.domain.errors import SnippetStale, TemplateStale
from app.templates.presentation.queries import load_templates
from app.templates.presentation.types import (
    CreateSnippetInput,
    CreateTemplateInput,
    DeleteSnippetInput,
    DeleteTemplateInput,
    Snippet,
    SnippetPayload,
    TemplatePayload,
    UpdateSnippetInput,
    UpdateTemplateInput,
)
from app.templates.wiring import snippet_by_id, snippet_use_cases, template_use_cases


@strawberry.type
class TemplatesMutation:
    @mutation(
        requires=Role.MEMBER,
        description="Makes a template. Every problem of its texts is an error, with line and column.",
    )
    async def create_template(self, info: Info, input: CreateTemplateInput) -> TemplatePayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            id = await template_use_cases(work, actor).create_template(
                name=input.name, channel=input.channel, subject=input.subject, body=input.body
            )
        return await _template(info, id)

    @mutation(
        requires=Role.MEMBER,
        description="Changes a template, which makes a version; what was launched keeps the one it had.",
    )
    async def update_template(self, info: Info, input: UpdateTemplateInput) -> TemplatePayload:
        actor, id = info.context.signed_in, parse_id(input.id) or NO_ID
        try:
            async with info.context.doors.open_work(actor.workspace_id, actor) as work:
                await template_use_cases(work, actor).update_template(
                    id, given(input, "name", "subject", "body"), version=input.version
                )
        except TemplateStale as stale:
            payload = await _template(info, id)
            payload.errors.append(user_error(stale))
            return payload
        return await _template(info, id)

    @mutation(requires=Role.MEMBER, description="Deletes a template; what was launched with it goes on.")
    async def delete_template(self, info: Info, input: DeleteTemplateInput) -> DeletedPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            id = await template_use_cases(work, actor).delete_template(parse_id(input.id) or NO_ID)
        return DeletedPayload(deleted_ids=[strawberry.ID(str(id))])

    @mutation(requires=Role.MEMBER, description="Makes a snippet.")
    async def create_snippet(self, info: Info, input: CreateSnippetInput) -> SnippetPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = snippet_use_cases(work, actor.workspace_id)
            id = await use_cases.create_snippet(shortcut=input.shortcut, body=input.body)
        return await _snippet(info, id)

    @mutation(requires=Role.MEMBER, description="Changes a snippet.")
    async def update_snippet(self, info: Info, input: UpdateSnippetInput) -> SnippetPayload:
        actor, id = info.context.signed_in, parse_id(input.id) or NO_ID
        try:
            async with info.context.doors.open_work(actor.workspace_id, actor) as work:
                await snippet_use_cases(work, actor.workspace_id).update_snippet(
                    id, given(input, "shortcut", "body"), version=input.version
                )
        except SnippetStale as stale:
            payload = await _snippet(info, id)
            payload.errors.append(user_error(stale))
            return payload
        return await _snippet(info, id)

    @mutation(requires=Role.MEMBER, description="Deletes a snippet.")
    async def delete_snippet(self, info: Info, input: DeleteSnippetInput) -> DeletedPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = snippet_use_cases(work, actor.workspace_id)
            id = await use_cases.delete_snippet(parse_id(input.id) or NO_ID)
        return DeletedPayload(deleted_ids=[strawberry.ID(str(id))])


async def _template(info: Info, id: UUID) -> TemplatePayload:
    """Read after the commit."""
    return TemplatePayload(template=(await load_templates(info.context, [id]))[0])


async def _snippet(info: Info, id: UUID) -> SnippetPayload:
    workspace_id = info.context.signed_in.workspace_id
    async with info.context.doors.open_reads(workspace_id) as reads:
        row = await snippet_by_id(reads, workspace_id, id)
    return SnippetPayload(snippet=Snippet.of(row) if row else None)
