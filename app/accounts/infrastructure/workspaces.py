"""The port `Workspaces` in Core, on a workspace's own door."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, select, update

from app.accounts.infrastructure.tables import workspace
from app.common.work import Work


class WorkspaceRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def save(self, workspace_id: UUID, fields: Mapping[str, str]) -> Sequence[str]:
        here = workspace.c.id == workspace_id
        locked = await self._work.execute(select(workspace).where(here).with_for_update(key_share=True))
        row = locked.mappings().one()
        changes = {field: text for field, text in fields.items() if row[field] != text}
        if changes:
            bumped = {"version": workspace.c.version + 1, "updated_at": func.now()}
            await self._work.execute(update(workspace).where(here).values(changes | bumped))
        return list(changes)
