"""The port `Workspaces` in Core, on a workspace's own door."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, select, update

from app.accounts.domain.quiet_hours import FIELDS
from app.accounts.infrastructure.tables import workspace
from app.common.work import Work

BINDING = frozenset({*FIELDS, "time_zone"})
"""What decides when quiet hours end."""


class WorkspaceRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def save(self, workspace_id: UUID, fields: Mapping[str, object]) -> Sequence[str]:
        here = workspace.c.id == workspace_id
        locked = await self._work.execute(select(workspace).where(here).with_for_update(key_share=True))
        row = locked.mappings().one()
        changes = {field: value for field, value in fields.items() if row[field] != value}
        if changes:
            bumped: dict[str, object] = {"version": workspace.c.version + 1, "updated_at": func.now()}
            if not BINDING.isdisjoint(changes):
                bumped |= {"quiet_changed_at": func.now(), "quiet_look_at": func.now()}
            await self._work.execute(update(workspace).where(here).values(changes | bumped))
        return list(changes)
