"""Implements the ports Templates and Snippets."""

from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from app.common.database import Statement
from app.common.domain import Channel
from app.common.work import Work
from app.templates.domain.editing import Snippet, Template
from app.templates.domain.errors import (
    MAX_SNIPPETS,
    MAX_TEMPLATES,
    ShortcutTaken,
    SnippetNotFound,
    TemplateNameTaken,
    TemplateNotFound,
    TooManySnippets,
    TooManyTemplates,
)
from app.templates.domain.texts import Texts
from app.templates.infrastructure.tables import snippet as snippet_table
from app.templates.infrastructure.tables import template as table
from app.templates.infrastructure.tables import template_version

HOLD = Statement(
    text(
        """
        SELECT t.name, t.channel, t.version, v.subject, v.body, v.variables, v.required
        FROM template t
            JOIN template_version v ON (v.workspace_id, v.template_id, v.number) = (t.workspace_id, t.id, t.version)
        WHERE t.workspace_id = cast(:workspace_id as uuid) AND t.id = cast(:id as uuid) AND t.deleted_at IS NULL
        FOR UPDATE OF t
        """
    )
)


class TemplateRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def add(self, workspace_id: UUID, template: Template, *, user_id: UUID | None) -> None:
        # Counted before, not under a lock: of several at once a few may pass. It bounds a list, it guards nothing.
        counted = (
            select(func.count())
            .select_from(table)
            .where(table.c.workspace_id == workspace_id, table.c.deleted_at.is_(None))
        )
        if (await self._work.execute(counted)).scalar_one() >= MAX_TEMPLATES:
            raise TooManyTemplates
        added = await self._work.execute(
            insert(table)
            .values(workspace_id=workspace_id, id=template.id, name=template.name, channel=template.channel)
            .on_conflict_do_nothing()
        )
        if added.rowcount != 1:
            raise TemplateNameTaken
        await self._add_version(workspace_id, template, user_id)

    async def _add_version(self, workspace_id: UUID, template: Template, user_id: UUID | None) -> None:
        texts = template.texts
        await self._work.execute(
            insert(template_version).values(
                workspace_id=workspace_id,
                template_id=template.id,
                number=template.version,
                subject=texts.subject,
                body=texts.body,
                variables=list(texts.variables),
                required=list(texts.required),
                created_by=user_id,
            )
        )

    async def get(self, workspace_id: UUID, id: UUID) -> Template:
        row = await self._work.fetch_one(HOLD, workspace_id=workspace_id, id=id)
        # Twice: the statement that waited for another's change sees that one's template, and no version of its own.
        row = row or await self._work.fetch_one(HOLD, workspace_id=workspace_id, id=id)
        if row is None:
            raise TemplateNotFound
        texts = Texts(row["subject"], row["body"], tuple(row["variables"]), tuple(row["required"]))
        channel = Channel(row["channel"]) if row["channel"] else None
        return Template(id, row["name"], channel, row["version"], texts)

    async def save(self, workspace_id: UUID, template: Template, *, user_id: UUID | None) -> None:
        changes = {"name": template.name, "version": template.version, "updated_at": func.now()}
        try:
            saved = await self._work.execute(
                update(table)
                .where(table.c.workspace_id == workspace_id, table.c.id == template.id)
                .values(changes)
            )
        except IntegrityError:
            raise TemplateNameTaken from None
        assert saved.rowcount == 1, "it is locked, so it is there"
        await self._add_version(workspace_id, template, user_id)

    async def remove(self, workspace_id: UUID, id: UUID) -> None:
        await self._work.execute(
            update(table)
            .where(table.c.workspace_id == workspace_id, table.c.id == id)
            .values(deleted_at=func.now(), updated_at=func.now())
        )


class SnippetRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def add(self, workspace_id: UUID, snippet: Snippet) -> None:
        counted = (
            select(func.count())
            .select_from(snippet_table)
            .where(snippet_table.c.workspace_id == workspace_id)
        )
        if (await self._work.execute(counted)).scalar_one() >= MAX_SNIPPETS:
            raise TooManySnippets
        added = await self._work.execute(
            insert(snippet_table)
            .values(workspace_id=workspace_id, id=snippet.id, shortcut=snippet.shortcut, body=snippet.body)
            .on_conflict_do_nothing()
        )
        if added.rowcount != 1:
            raise ShortcutTaken

    async def get(self, workspace_id: UUID, id: UUID) -> Snippet:
        c = snippet_table.c
        row = (
            await self._work.execute(
                select(c.id, c.shortcut, c.body, c.version)
                .where(c.workspace_id == workspace_id, c.id == id)
                .with_for_update()
            )
        ).one_or_none()
        if row is None:
            raise SnippetNotFound
        return Snippet(row.id, row.shortcut, row.body, row.version)

    async def save(self, workspace_id: UUID, snippet: Snippet) -> None:
        c = snippet_table.c
        try:
            saved = await self._work.execute(
                update(snippet_table)
                .where(c.workspace_id == workspace_id, c.id == snippet.id)
                .values(
                    shortcut=snippet.shortcut,
                    body=snippet.body,
                    version=snippet.version,
                    updated_at=func.now(),
                )
            )
        except IntegrityError:
            raise ShortcutTaken from None
        assert saved.rowcount == 1, "it is locked, so it is there"

    async def remove(self, workspace_id: UUID, id: UUID) -> None:
        c = snippet_table.c
        await self._work.execute(snippet_table.delete().where(c.workspace_id == workspace_id, c.id == id))
