"""The door to templates for other modules."""

from collections.abc import Sequence
from uuid import UUID

from uuid_utils.compat import uuid7

from app.common.domain import Actor, Channel
from app.common.work import Work
from app.templates.application.templates import SnippetUseCases, TemplateUseCases
from app.templates.domain.editing import Template
from app.templates.domain.starters import starters
from app.templates.domain.template import RenderedText, TemplateVersion, rendered, rendered_text
from app.templates.domain.variables import VARIABLES
from app.templates.infrastructure.reads import list_snippets, list_templates, snippet_by_id, templates_by_id
from app.templates.infrastructure.repository import SnippetRepository, TemplateRepository
from app.templates.infrastructure.samples import find_samples
from app.templates.infrastructure.values import MISSING, VALUE_COLUMNS, VALUE_JOINS, lead_values, values_of
from app.templates.infrastructure.versions import current_version, version_by_id


def template_use_cases(work: Work, actor: Actor) -> TemplateUseCases:
    return TemplateUseCases(actor.workspace_id, actor.user_id, TemplateRepository(work), work, uuid7)


async def add_starter_templates(work: Work, workspace_id: UUID, locale: str, user_id: UUID) -> None:
    """The three that a new workspace begins with. Whoever could be told of them does not know it yet."""
    given = [(one.name, None, one.subject, one.body) for one in starters(locale)]
    await add_templates(work, workspace_id, user_id, given)


async def add_templates(
    work: Work, workspace_id: UUID, user_id: UUID, given: Sequence[tuple[str, Channel | None, str, str]]
) -> None:
    """Each with name, channel, subject and body; announces nothing. Raises TemplateNameTaken."""
    repository = TemplateRepository(work)
    for name, channel, subject, body in given:
        template, _ = Template.create(uuid7(), name=name, channel=channel, subject=subject, body=body)
        await repository.add(workspace_id, template, user_id=user_id)


def snippet_use_cases(work: Work, workspace_id: UUID) -> SnippetUseCases:
    return SnippetUseCases(workspace_id, SnippetRepository(work), work, uuid7)


__all__ = [
    "MISSING",
    "VALUE_COLUMNS",
    "VALUE_JOINS",
    "VARIABLES",
    "RenderedText",
    "TemplateVersion",
    "add_starter_templates",
    "add_templates",
    "current_version",
    "find_samples",
    "lead_values",
    "list_snippets",
    "list_templates",
    "rendered",
    "rendered_text",
    "snippet_by_id",
    "snippet_use_cases",
    "template_use_cases",
    "templates_by_id",
    "values_of",
    "version_by_id",
]
