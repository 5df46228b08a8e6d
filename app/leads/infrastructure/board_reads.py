"""What the board reads: all columns' pages by one statement, their counts by another, and leads' ways over it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Text,
    Uuid,
    bindparam,
    column,
    func,
    literal_column,
    select,
    text,
    true,
    tuple_,
)

from app.common.database import Statement
from app.common.feed_log import feed_head
from app.common.paging import Page
from app.common.work import Reads
from app.leads.infrastructure.list_reads import COUNT_MAX
from app.leads.infrastructure.reads import LeadConditions, join_lead, lead_fields, where
from app.leads.infrastructure.tables import lead


@dataclass(frozen=True, slots=True)
class WantedColumn:
    """A page of a stage's leads, after a place in it."""

    stage_id: UUID
    first: int
    after_rank: str
    after_id: UUID
    with_identities: bool = False


@dataclass(frozen=True)
class ColumnPage:
    page: Page[asyncpg.Record]
    feed_seq: int
    """The feed's position of the same snapshot."""


@cache
def _pages_statement(used: frozenset[str], with_identities: bool) -> Statement:
    """Each page is a walk of its own along `ix_lead_board`; one row more than asked tells of a next page."""
    wanted = (
        func.unnest(
            bindparam("column_ids", type_=ARRAY(Uuid)),
            bindparam("after_ranks", type_=ARRAY(Text)),
            bindparam("after_ids", type_=ARRAY(Uuid)),
            bindparam("sizes", type_=ARRAY(BigInteger)),
        )
        .table_valued(
            column("stage_id", Uuid),
            column("after_rank", Text),
            column("after_id", Uuid),
            column("size", BigInteger),
            with_ordinality="n",
            name="wanted",
        )
        .render_derived()
    )
    rows = (
        select(*lead_fields(with_identities=with_identities))
        .select_from(join_lead(lead))
        .where(
            lead.c.workspace_id == bindparam("workspace_id"),
            lead.c.stage_id == wanted.c.stage_id,
            tuple_(lead.c.rank, lead.c.id) > tuple_(wanted.c.after_rank, wanted.c.after_id),
            *where(used),
        )
        .order_by(lead.c.rank, lead.c.id)
        .limit(wanted.c.size)
        .subquery("page")
        .lateral()
    )
    return Statement(
        select(feed_head.c.seq.label("feed_seq"), wanted.c.n, *rows.c)
        .select_from(feed_head.join(wanted, true()).outerjoin(rows, true()))
        .where(feed_head.c.workspace_id == bindparam("workspace_id"))
        .order_by(wanted.c.n, rows.c.rank, rows.c.key)
    )


@cache
def _counts_statement(used: frozenset[str]) -> Statement:
    wanted = (
        func.unnest(bindparam("column_ids", type_=ARRAY(Uuid)))
        .table_valued(column("stage_id", Uuid), with_ordinality="n", name="wanted")
        .render_derived()
    )
    matching = (
        select(literal_column("1").label("one"))
        .select_from(lead)
        .where(
            lead.c.workspace_id == bindparam("workspace_id"),
            lead.c.stage_id == wanted.c.stage_id,
            *where(used),
        )
        .limit(literal_column(str(COUNT_MAX + 1)))
        .subquery("matching")
        .lateral()
    )
    return Statement(
        select(wanted.c.n, func.count(matching.c.one).label("count"))
        .select_from(wanted.outerjoin(matching, true()))
        .group_by(wanted.c.n)
    )


async def column_pages(
    reads: Reads, workspace_id: UUID, conditions: LeadConditions, wanted: Sequence[WantedColumn]
) -> list[ColumnPage]:
    """In the order of what is wanted; all of one snapshot."""
    rows = await reads.fetch(
        _pages_statement(conditions.used, any(one.with_identities for one in wanted)),
        workspace_id=workspace_id,
        column_ids=[one.stage_id for one in wanted],
        after_ranks=[one.after_rank for one in wanted],
        after_ids=[one.after_id for one in wanted],
        sizes=[one.first + 1 for one in wanted],
        **conditions.values,
    )
    found: list[list[asyncpg.Record]] = [[] for _ in wanted]
    for row in rows:
        if row["id"] is not None:
            found[row["n"] - 1].append(row)
    return [
        ColumnPage(Page.of(page, one.first), rows[0]["feed_seq"])
        for one, page in zip(wanted, found, strict=True)
    ]


async def column_counts(
    reads: Reads, workspace_id: UUID, conditions: LeadConditions, stage_ids: Sequence[UUID]
) -> list[int | None]:
    """In the order of the stages; None beyond `COUNT_MAX`."""
    rows = await reads.fetch(
        _counts_statement(conditions.used),
        workspace_id=workspace_id,
        column_ids=list(stage_ids),
        **conditions.values,
    )
    counts = {row["n"]: int(row["count"]) for row in rows}
    return [counts[n] if counts[n] <= COUNT_MAX else None for n in range(1, len(stage_ids) + 1)]


CHANGES = Statement(
    text(
        """
        SELECT wanted.n, c.id::text, c.from_stage_id::text, c.from_name, c.to_stage_id::text, c.to_name, c.entered_at,
            c.left_at, c.actor_kind, c.cause, c.lost_reason, u.id::text AS actor_id, u.name AS actor_name,
            u.email AS actor_email, u.locale AS actor_locale
        FROM unnest(cast(:lead_ids as uuid[]), cast(:sizes as bigint[])) WITH ORDINALITY AS wanted(lead_id, size, n)
        CROSS JOIN LATERAL (
            SELECT * FROM stage_change s
            WHERE s.workspace_id = cast(:workspace_id as uuid) AND s.lead_id = wanted.lead_id
            ORDER BY s.left_at DESC, s.id DESC LIMIT wanted.size
        ) c
        LEFT JOIN app_user u ON u.id = c.actor_id
        ORDER BY wanted.n, c.left_at DESC, c.id DESC
        """
    )
)


async def stage_changes_of(
    reads: Reads, workspace_id: UUID, wanted: Sequence[tuple[UUID, int]]
) -> list[list[asyncpg.Record]]:
    """Of leads, up to so many each, newest first; in the order of what is wanted."""
    found: list[list[asyncpg.Record]] = [[] for _ in wanted]
    for row in await reads.fetch(
        CHANGES,
        workspace_id=workspace_id,
        lead_ids=[lead_id for lead_id, _ in wanted],
        sizes=[size for _, size in wanted],
    ):
        found[row["n"] - 1].append(row)
    return found
