"""Stages: the columns a lead moves through."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


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
