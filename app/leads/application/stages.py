"""The use cases of stages."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from app.leads.domain.ports import Stages
from app.leads.domain.stage import DEFAULT_STAGES, default_stages


@dataclass(frozen=True)
class StageUseCases:
    stages: Stages
    new_id: Callable[[], UUID]

    async def create_default_stages(self, workspace_id: UUID, locale: str) -> None:
        """The seven stages of a new workspace, in its locale."""
        await self.stages.add_all(
            workspace_id, default_stages([self.new_id() for _ in DEFAULT_STAGES], locale)
        )
