"""The workspace itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from app.accounts.domain.audit import Author
from app.accounts.domain.ports import AuditLog, Workspaces
from app.accounts.domain.quiet_hours import FIELDS
from app.accounts.domain.workspace import GivenHours, workspace_changes
from app.common.domain import Actor


@dataclass(frozen=True, slots=True)
class WorkspaceUseCases:
    """In a transaction of the workspace's own door."""

    workspace_id: UUID
    actor: Actor
    workspaces: Workspaces
    record: AuditLog

    async def update_workspace(
        self, texts: Mapping[str, str | None], hours: Mapping[str, GivenHours | None]
    ) -> None:
        """`texts` holds what was given of `name`, `locale`, `time_zone`, `phone_region`, and `hours` likewise
        `quietHours`. Raises Refusals."""
        saved = await self.workspaces.save(self.workspace_id, workspace_changes(texts, hours))
        if saved:
            changed = [field for field in saved if field not in FIELDS]
            if len(changed) < len(saved):
                changed.append("quiet_hours")
            await self.record(
                self.workspace_id,
                Author.of(self.actor),
                "workspace.updated",
                object_id=self.workspace_id,
                after={"changed": changed},
            )
