"""Stages: the columns a lead moves through."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from app.common.domain import Conflict, Invalid, LimitReached, NotFound

MAX_STAGES = 50
MAX_LEADS_MOVED = 5_000
"""By the deletion of a stage, in its one transaction."""


class StageKind(StrEnum):
    OPEN = "OPEN"
    WON = "WON"
    LOST = "LOST"


@dataclass(frozen=True, slots=True)
class Stage:
    id: UUID
    name: str
    kind: StageKind
    position: int


DEFAULT_STAGES = (
    ("Novo", "New", StageKind.OPEN),
    ("Contatado", "Contacted", StageKind.OPEN),
    ("Respondeu", "Replied", StageKind.OPEN),
    ("Qualificado", "Qualified", StageKind.OPEN),
    ("Proposta", "Proposal", StageKind.OPEN),
    ("Ganho", "Won", StageKind.WON),
    ("Perdido", "Lost", StageKind.LOST),
)


def default_stages(ids: list[UUID], locale: str) -> list[Stage]:
    """The seven stages a workspace begins with, named in its locale; `ids` are theirs."""
    portuguese = locale.startswith("pt")
    return [
        Stage(id, pt if portuguese else en, kind, position)
        for position, (id, (pt, en, kind)) in enumerate(zip(ids, DEFAULT_STAGES, strict=True))
    ]


class StageToMoveToNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__(
            "No such stage: pick one of this workspace's stages for the leads.", path=("moveLeadsToStageId",)
        )


class NeighbourNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__(
            "No such stage to put it after: pick one of this workspace's stages.", path=("afterStageId",)
        )


class TooManyStages(LimitReached):
    def __init__(self) -> None:
        super().__init__(f"A workspace has at most {MAX_STAGES} stages: delete one first.")


class LastOfItsKind(Conflict):
    def __init__(self, kind: StageKind) -> None:
        super().__init__(
            f"This is the last {kind} stage, and leads need one: make another {kind} stage, then delete this one.",
            path=("id",),
        )


class TooManyLeadsToMove(LimitReached):
    def __init__(self) -> None:
        super().__init__(
            f"More than {MAX_LEADS_MOVED:,} leads are in this stage: move them to another one first (changeLeads, with "
            "this stage as the filter), then delete it.",
            path=("id",),
        )


def target_of(stages: Sequence[Stage], stage: Stage, into: UUID) -> Stage:
    """Where the leads of a stage go that is to be deleted. Raises Invalid, StageToMoveToNotFound, LastOfItsKind."""
    if into == stage.id:
        raise Invalid("Its leads cannot stay in it: pick another stage.", path=("moveLeadsToStageId",))
    found = next((one for one in stages if one.id == into), None)
    if found is None:
        raise StageToMoveToNotFound
    if sum(one.kind is stage.kind for one in stages) == 1:
        raise LastOfItsKind(stage.kind)
    return found


def placed_after(order: Sequence[UUID], id: UUID, after: UUID | None) -> list[UUID]:
    """The order with `id` after another stage, None: first. Raises Invalid, NeighbourNotFound."""
    if after == id:
        raise Invalid("A stage cannot come after itself.", path=("afterStageId",))
    rest = [one for one in order if one != id]
    if after is not None and after not in rest:
        raise NeighbourNotFound
    at = 0 if after is None else rest.index(after) + 1
    return [*rest[:at], id, *rest[at:]]
