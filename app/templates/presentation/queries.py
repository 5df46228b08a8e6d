"""Queries of templates and snippets, and how a template looks for a lead."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import strawberry

from app.common.domain import Role
from app.common.graphql import NO_ID, Context, Id, Info, parse_id, query, selects
from app.templates.domain.preview import preview
from app.templates.presentation.types import (
    RenderedTemplate,
    Snippet,
    Template,
    TemplatePreview,
    TemplateProblem,
    TemplateSample,
)
from app.templates.wiring import (
    current_version,
    find_samples,
    lead_values,
    list_snippets,
    list_templates,
    rendered,
    rendered_text,
    templates_by_id,
)

OfAccount = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="Sent from this account; null: the first that is connected."),
]


@strawberry.type
class TemplatesQuery:
    @query(requires=Role.VIEWER, description="The workspace's templates, by name.")
    async def templates(self, info: Info) -> list[Template]:
        workspace_id = info.context.signed_in.workspace_id
        async with info.context.doors.open_reads(workspace_id) as reads:
            rows = await list_templates(reads, workspace_id, with_body=selects(info, "body"))
        return [Template.of(row) for row in rows]

    @query(requires=Role.VIEWER, description="A template by its id; null when there is none.")
    async def template(self, info: Info, id: Id) -> Template | None:
        found = (await load_templates(info.context, [parse_id(id) or NO_ID]))[0]
        return found if found and found.deleted_at is None else None

    @query(
        requires=Role.VIEWER,
        description="A template as a lead would get it now; null when there is no such template or live lead.",
    )
    async def render_template(
        self,
        info: Info,
        template_id: Annotated[strawberry.ID, strawberry.argument(description="The template.")],
        lead_id: Annotated[strawberry.ID, strawberry.argument(description="The lead.")],
        account_id: OfAccount = None,
    ) -> RenderedTemplate | None:
        workspace_id = info.context.signed_in.workspace_id
        async with info.context.doors.open_reads(workspace_id) as reads:
            version = await current_version(reads, workspace_id, parse_id(template_id) or NO_ID)
            values = await lead_values(
                reads,
                workspace_id,
                lead_id=parse_id(lead_id) or NO_ID,
                account_id=_account(account_id),
            )
        if version is None or values is None:
            return None
        return RenderedTemplate.of(rendered(version, values))

    @query(
        requires=Role.VIEWER,
        description="A template on the hardest of the newest 5,000 leads: the longest values, the most that are "
        "missing, the most accents; at most one of each. Empty when there is no such template.",
    )
    async def template_samples(
        self,
        info: Info,
        template_id: Annotated[strawberry.ID, strawberry.argument(description="The template.")],
    ) -> list[TemplateSample]:
        workspace_id = info.context.signed_in.workspace_id
        async with info.context.doors.open_reads(workspace_id) as reads:
            version = await current_version(reads, workspace_id, parse_id(template_id) or NO_ID)
            samples = await find_samples(reads, workspace_id, version.variables) if version else []
        leads = await info.context.loader("leads").load_many([sample.lead_id for sample in samples])
        return [
            TemplateSample(
                kind=sample.kind, lead=lead, rendered=RenderedTemplate.of(rendered(version, sample.values))
            )
            for sample, lead in zip(samples, leads, strict=True)
            if lead is not None and version is not None
        ]

    @query(
        requires=Role.VIEWER,
        description="What is wrong with a text as it is being written, or how a lead would get it. Nothing is saved.",
    )
    async def preview_template(
        self,
        info: Info,
        body: Annotated[str, strawberry.argument(description="As in createTemplate.")],
        subject: Annotated[str | None, strawberry.argument(description="As in createTemplate.")] = None,
        lead_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Rendered for this lead; null: for nobody.")
        ] = None,
        account_id: OfAccount = None,
    ) -> TemplatePreview:
        workspace_id, seen = info.context.signed_in.workspace_id, preview(subject, body)
        shown = None
        if seen.texts and lead_id is not None:
            async with info.context.doors.open_reads(workspace_id) as reads:
                values = await lead_values(
                    reads,
                    workspace_id,
                    lead_id=parse_id(lead_id) or NO_ID,
                    account_id=_account(account_id),
                )
            if values is not None:
                text = rendered_text(seen.texts.subject, seen.texts.body, values)
                shown = RenderedTemplate.of(text)
        return TemplatePreview(
            problems=[TemplateProblem.of(problem) for problem in seen.problems],
            variables=list(seen.texts.variables) if seen.texts else [],
            required=list(seen.texts.required) if seen.texts else [],
            rendered=shown,
        )

    @query(requires=Role.VIEWER, description="The workspace's snippets, by shortcut.")
    async def snippets(self, info: Info) -> list[Snippet]:
        workspace_id = info.context.signed_in.workspace_id
        async with info.context.doors.open_reads(workspace_id) as reads:
            return [Snippet.of(row) for row in await list_snippets(reads, workspace_id)]


def _account(id: strawberry.ID | None) -> UUID | None:
    return None if id is None else parse_id(id) or NO_ID


async def load_templates(context: Context, ids: Sequence[UUID]) -> list[Template | None]:
    """In the order of `ids`, deleted ones too; None for unknown ones."""
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        rows = await templates_by_id(reads, workspace_id, ids)
    return [Template.of(rows[str(id)]) if str(id) in rows else None for id in ids]
