"""Implements the port `Tags`."""

from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from app.common.work import Work
from app.tags.domain import MAX_TAGS, Tag, TagNameTaken, TagNotFound, TooManyTags
from app.tags.infrastructure.tables import tag as table


class TagRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def add(self, workspace_id: UUID, tag: Tag) -> None:
        # Counted before, not under a lock: of several at once a few may pass. It bounds a list, it guards nothing.
        counted = select(func.count()).select_from(table).where(table.c.workspace_id == workspace_id)
        if (await self._work.execute(counted)).scalar_one() >= MAX_TAGS:
            raise TooManyTags
        added = await self._work.execute(
            insert(table)
            .values(
                workspace_id=workspace_id, id=tag.id, name=tag.name, name_key=tag.name_key, color=tag.color
            )
            .on_conflict_do_nothing()
        )
        if added.rowcount != 1:
            raise TagNameTaken

    async def get(self, workspace_id: UUID, id: UUID) -> Tag:
        row = (
            await self._work.execute(
                select(table.c.id, table.c.name, table.c.color)
                .where(table.c.workspace_id == workspace_id, table.c.id == id)
                .with_for_update()
            )
        ).one_or_none()
        if row is None:
            raise TagNotFound
        return Tag(row.id, row.name, row.color)

    async def save(self, workspace_id: UUID, tag: Tag) -> None:
        try:
            saved = await self._work.execute(
                update(table)
                .where(table.c.workspace_id == workspace_id, table.c.id == tag.id)
                .values(
                    name=tag.name,
                    name_key=tag.name_key,
                    color=tag.color,
                    updated_at=func.now(),
                    version=table.c.version + 1,
                )
            )
        except IntegrityError:
            raise TagNameTaken from None
        if saved.rowcount != 1:
            raise TagNotFound

    async def remove(self, workspace_id: UUID, id: UUID) -> None:
        await self._work.execute(delete(table).where(table.c.workspace_id == workspace_id, table.c.id == id))
