"""The use cases of stages."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from app.accounts.domain.audit import Author
from app.accounts.domain.ports import AuditLog
from app.common.domain import Announcer, clean_text
from app.leads.domain.board import all_moved
from app.leads.domain.errors import StageNotFound
from app.leads.domain.events import StageChanged
from app.leads.domain.lead import rank_of
from app.leads.domain.ports import Stages
from app.leads.domain.stage import (
    DEFAULT_STAGES,
    MAX_LEADS_MOVED,
    MAX_STAGES,
    Stage,
    StageKind,
    TooManyLeadsToMove,
    TooManyStages,
    default_stages,
    placed_after,
    target_of,
)


@dataclass(frozen=True)
class StageUseCases:
    stages: Stages
    new_id: Callable[[], UUID]

    async def create_default_stages(self, workspace_id: UUID, locale: str) -> None:
        """The seven stages of a new workspace, in its locale."""
        await self.stages.add_all(
            workspace_id, default_stages([self.new_id() for _ in DEFAULT_STAGES], locale)
        )


@dataclass(frozen=True)
class BoardLayoutUseCases:
    """Each holds all stages of the workspace: one after another, whoever asks at once."""

    workspace_id: UUID
    author: Author
    stages: Stages
    feed: Announcer
    record: AuditLog
    new_id: Callable[[], UUID]

    async def create_stage(self, name: str, kind: StageKind, *, after: UUID | None, is_last: bool) -> UUID:
        """After another stage (None: first), or as the last one. Raises Invalid, NeighbourNotFound, TooManyStages."""
        name, id = clean_text(name, "name"), self.new_id()
        order = [one.id for one in await self.stages.hold_all(self.workspace_id)]
        if len(order) >= MAX_STAGES:
            raise TooManyStages
        order = [*order, id] if is_last else placed_after(order, id, after)
        await self.stages.add_all(self.workspace_id, [Stage(id, name, kind, order.index(id))])
        await self.stages.place(self.workspace_id, order)
        await self._tell(id, "created", after={"kind": kind, "position": order.index(id)})
        return id

    async def update_stage(self, id: UUID, name: str | None) -> UUID:
        """None: it keeps its name. Raises Invalid, StageNotFound."""
        name = clean_text(name, "name") if name is not None else None
        _, stage = await self._find(id)
        changes = name is not None and name != stage.name
        if name is not None and changes:
            await self.stages.rename(self.workspace_id, id, name)
        await self._tell(id, "name", verb="updated", is_told=changes)
        return id

    async def move_stage(self, id: UUID, after: UUID | None) -> UUID:
        """Raises Invalid, StageNotFound, NeighbourNotFound."""
        stages, stage = await self._find(id)
        order = [one.id for one in stages]
        wanted = placed_after(order, id, after)
        if wanted != order:
            await self.stages.place(self.workspace_id, wanted)
        await self._tell(
            id,
            "position",
            verb="moved",
            is_told=wanted != order,
            before={"position": stage.position},
            after={"position": wanted.index(id)},
        )
        return id

    async def delete_stage(self, id: UUID, into_id: UUID) -> UUID:
        """Its leads go to the end of another stage. Raises Invalid, StageNotFound, StageToMoveToNotFound,
        LastOfItsKind, TooManyLeadsToMove."""
        stages, stage = await self._find(id)
        into = target_of(stages, stage, into_id)
        if not await self.stages.hold_leads(self.workspace_id, id, at_most=MAX_LEADS_MOVED):
            raise TooManyLeadsToMove
        lead_ids = await self.stages.empty(
            self.workspace_id,
            stage,
            into,
            fresh_rank=rank_of(self.new_id()),
            actor_id=self.author.user_id,
        )
        await self.stages.remove(self.workspace_id, id)
        await self.stages.place(self.workspace_id, [one.id for one in stages if one.id != id])
        for event in all_moved(lead_ids, "stage", before=id, after=into.id):
            self.feed.announce(event)
        await self._tell(id, "deleted", after={"movedTo": str(into.id), "leads": len(lead_ids)})
        return id

    async def _find(self, id: UUID) -> tuple[list[Stage], Stage]:
        """All of them, held, and the one that is meant. Raises StageNotFound."""
        stages = await self.stages.hold_all(self.workspace_id)
        for stage in stages:
            if stage.id == id:
                return stages, stage
        raise StageNotFound("id")

    async def _tell(
        self,
        id: UUID,
        changed: str,
        *,
        verb: str | None = None,
        is_told: bool = True,
        before: dict[str, object] | None = None,
        after: dict[str, object] | None = None,
    ) -> None:
        before, after = before or {}, after or {}
        if is_told:
            self.feed.announce(StageChanged(entity_ids=[id], changed=[changed], before=before, after=after))
        action = f"stage.{verb or changed}"
        await self.record(self.workspace_id, self.author, action, object_id=id, before=before, after=after)
