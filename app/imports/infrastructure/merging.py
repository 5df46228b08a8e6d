"""Merging leads: the rows that made or changed them follow them, and go back."""

from collections.abc import Sequence

from app.common.repointing import Reassignment, Repointed, Touched
from app.common.work import Work

ROWS = Repointed("import_row", (("import_id", "uuid"), ("row", "integer")))
REASSIGNED = frozenset({ROWS.table})


async def reassign(work: Work, merge: Reassignment) -> list[Touched]:
    """The merged leads' become the kept one's."""
    return await ROWS.move(work, merge)


async def give_back(work: Work, merge: Reassignment, touched: Sequence[Touched]) -> None:
    """Undoes `reassign`."""
    await ROWS.give_back(work, merge, touched)
