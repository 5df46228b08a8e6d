"""The tags that staged rows name: found or made for those that are to be written."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.domain import folded
from app.common.work import Work
from app.leads.domain.staged import StagedLead
from app.tags.wiring import NamedTags

TO_WRITE = Statement(text("SELECT n FROM pg_temp.stage_lead WHERE outcome IS NULL"))
LEAVE_OUT = Statement(
    text("UPDATE pg_temp.stage_lead SET tags_left_out = true WHERE n = ANY (cast(:ns as int[]))")
)


async def stage_tags(
    work: Work,
    workspace_id: UUID,
    staged: Sequence[StagedLead],
    find: Callable[[Work, UUID, Iterable[str]], Awaitable[NamedTags]],
) -> Sequence[UUID]:
    """Before any lead is held (docs/decisions/0026). The tags that were made. A row whose tag has no room lands
    without it."""
    if not any(row.tags for row in staged):
        return ()
    to_write = {row["n"] for row in await work.fetch(TO_WRITE)}
    keys = {
        row.n: dict.fromkeys(folded(name) for name in row.tags)
        for row in staged
        if row.tags and row.n in to_write
    }
    named = await find(work, workspace_id, (name for row in staged if row.n in keys for name in row.tags))
    await work.copy(
        "stage_tag",
        ("n", "tag_id"),
        [(n, named.by_key[key]) for n, wanted in keys.items() for key in wanted if key in named.by_key],
    )
    if left_out := [n for n, wanted in keys.items() if not named.by_key.keys() >= wanted.keys()]:
        await work.fetch(LEAVE_OUT, ns=left_out)
    return named.made
