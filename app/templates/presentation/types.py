"""GraphQL types and inputs of templates and snippets."""

from datetime import datetime

import asyncpg
import strawberry

from app.common.domain import Channel
from app.common.graphql import Payload, enum_type
from app.leads.presentation.types import Lead
from app.templates.domain.language import TemplateProblem as Problem
from app.templates.domain.samples import SampleKind
from app.templates.wiring import RenderedText

LANGUAGE = (
    'Variables stand in it as {{ lead.first_name | fallback: "there" }}; one without a fallback is required. Filters: '
    "fallback, upcase, downcase, capitalize."
)

enum_type(
    SampleKind,
    "What makes a lead a hard case for a template.",
    LONGEST="It has the longest values.",
    MISSING="It lacks the most values.",
    ACCENTS="It has the most letters beyond ASCII.",
)


@strawberry.type(
    description="A message with variables. Every change makes a version, and a version never changes."
)
class Template:
    id: strawberry.ID = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="Unique in the workspace, without regard to case.")
    channel: Channel | None = strawberry.field(description="What it is for; null: every channel.")
    subject: str | None = strawberry.field(description="The subject, where it has one.")
    body: str = strawberry.field(description=f"The text. {LANGUAGE}")
    variables: list[str] = strawberry.field(
        description="The variables of subject and body, in the order in which they first stand there."
    )
    required: list[str] = strawberry.field(
        description="Those that stand somewhere without a fallback: who lacks one is not sent to."
    )
    version: int = strawberry.field(description="The newest version's number: give it back with an update.")
    updated_at: datetime = strawberry.field(description="When it was changed last.")
    deleted_at: datetime | None = strawberry.field(
        description="When it was deleted: bulk sends that were launched with it still show it."
    )

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Template":
        return cls(
            id=row["id"],
            name=row["name"],
            channel=Channel(row["channel"]) if row["channel"] else None,
            subject=row["subject"],
            body=row["body"],
            variables=row["variables"],
            required=row["required"],
            version=row["version"],
            updated_at=row["updated_at"],
            deleted_at=row["deleted_at"],
        )


@strawberry.type(description="A template as one lead would get it.")
class RenderedTemplate:
    subject: str | None = strawberry.field(description="One line of at most 200 characters.")
    body: str = strawberry.field(description="The text; a missing variable stands in it as it is written.")
    missing: list[str] = strawberry.field(
        description="The required variables that the lead has no value for; it is sent only when there are none."
    )

    @classmethod
    def of(cls, text: RenderedText) -> "RenderedTemplate":
        return cls(subject=text.subject, body=text.body, missing=list(text.missing))


@strawberry.type(description="A hard case for a template, rendered.")
class TemplateSample:
    kind: SampleKind = strawberry.field(description="Why this lead.")
    lead: Lead = strawberry.field(description="The lead.")
    rendered: RenderedTemplate = strawberry.field(description="What it would get.")


@strawberry.type(description="What cannot be read of a template, and where.")
class TemplateProblem:
    field: str = strawberry.field(description="subject or body.")
    line: int = strawberry.field(description="From 1.")
    column: int = strawberry.field(description="From 1, in characters (code points).")
    message: str = strawberry.field(description="What to do, for a person.")

    @classmethod
    def of(cls, problem: Problem) -> "TemplateProblem":
        return cls(field=problem.field, line=problem.line, column=problem.column, message=problem.text)


@strawberry.type(description="A text that is not saved yet: what is wrong with it, or how it would look.")
class TemplatePreview:
    problems: list[TemplateProblem] = strawberry.field(
        description="What would be refused, at most 20 of each field; empty: it can be saved."
    )
    variables: list[str] = strawberry.field(description="As in Template; empty where there are problems.")
    required: list[str] = strawberry.field(description="As in Template; empty where there are problems.")
    rendered: RenderedTemplate | None = strawberry.field(
        description="As the lead would get it; null where there are problems, or no lead."
    )


@strawberry.type(description="A text that is put into the composer by its shortcut.")
class Snippet:
    id: strawberry.ID = strawberry.field(description="Its id.")
    shortcut: str = strawberry.field(description="Unique in the workspace; in small letters.")
    body: str = strawberry.field(
        description="The text. It may have variables as a template has: previewTemplate puts a lead's values in."
    )
    version: int = strawberry.field(description="Give it back with an update.")
    updated_at: datetime = strawberry.field(description="When it was changed last.")

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Snippet":
        return cls(
            id=row["id"],
            shortcut=row["shortcut"],
            body=row["body"],
            version=row["version"],
            updated_at=row["updated_at"],
        )


@strawberry.input(description="A new template.")
class CreateTemplateInput:
    name: str = strawberry.field(description="1 to 100 characters, unique without regard to case.")
    channel: Channel | None = strawberry.field(
        description="What it is for; null: every channel.", default=None
    )
    subject: str | None = strawberry.field(
        description="One line, at most 500 characters as it is written; rendered it is cut at 200.",
        default=None,
    )
    body: str = strawberry.field(
        description=f"1 to 20,000 characters, counting 320 for each variable. {LANGUAGE}"
    )


@strawberry.input(description="What to change of a template: what is left out stays.")
class UpdateTemplateInput:
    id: strawberry.ID = strawberry.field(description="The template.")
    version: int = strawberry.field(
        description="As last read: where somebody changed it since, it is CONFLICT, with the template as it is."
    )
    name: str | None = strawberry.field(
        description="1 to 100 characters; never cleared.", default=strawberry.UNSET
    )
    subject: str | None = strawberry.field(
        description="As in createTemplate; null clears it.", default=strawberry.UNSET
    )
    body: str | None = strawberry.field(
        description="As in createTemplate; never cleared.", default=strawberry.UNSET
    )


@strawberry.input(description="The template to delete.")
class DeleteTemplateInput:
    id: strawberry.ID = strawberry.field(description="The template.")


@strawberry.type(description="The template as it is now.")
class TemplatePayload(Payload):
    template: Template | None = strawberry.field(
        description="Null when it was refused, but for a CONFLICT of versions.", default=None
    )


@strawberry.input(description="A new snippet.")
class CreateSnippetInput:
    shortcut: str = strawberry.field(description="1 to 30 letters, digits, - or _; a leading / is left out.")
    body: str = strawberry.field(description="1 to 20,000 characters, read as a template's.")


@strawberry.input(description="What to change of a snippet: what is left out stays.")
class UpdateSnippetInput:
    id: strawberry.ID = strawberry.field(description="The snippet.")
    version: int = strawberry.field(
        description="As last read: where somebody changed it since, it is CONFLICT, with the snippet as it is."
    )
    shortcut: str | None = strawberry.field(
        description="As in createSnippet; never cleared.", default=strawberry.UNSET
    )
    body: str | None = strawberry.field(
        description="As in createSnippet; never cleared.", default=strawberry.UNSET
    )


@strawberry.input(description="The snippet to delete.")
class DeleteSnippetInput:
    id: strawberry.ID = strawberry.field(description="The snippet.")


@strawberry.type(description="The snippet as it is now.")
class SnippetPayload(Payload):
    snippet: Snippet | None = strawberry.field(
        description="Null when it was refused, but for a CONFLICT of versions.", default=None
    )
