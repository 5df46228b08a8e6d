"""The workspace itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from app.accounts.domain.audit import Author
from app.accounts.domain.ports import AuditLog, Workspaces
from app.accounts.domain.user import cleaned
from app.accounts.domain.workspace import WORKSPACE
from app.common.domain import Actor


@dataclass(frozen=True, slots=True)
class WorkspaceUseCases:
    """In a transaction of the workspace's own door."""

    workspace_id: UUID
    actor: Actor
    workspaces: Workspaces
    record: AuditLog

    async def update_workspace(self, changes: Mapping[str, str | None]) -> None:
        """`changes` holds what was given: `name`, `locale`, `time_zone`, `phone_region`. Raises Refusals."""
        changed = await self.workspaces.save(self.workspace_id, cleaned(changes, WORKSPACE))
        if changed:
            await self.record(
                self.workspace_id,
                Author.of(self.actor),
                "workspace.updated",
                object_id=self.workspace_id,
                after={"changed": changed},
            )
