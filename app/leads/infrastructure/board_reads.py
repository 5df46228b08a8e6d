"""What the board reads: all columns' pages by one statement, their counts by another, and leads' ways over it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    not_,
    select,
    text,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.sql.selectable import LateralFromClause, TableValuedAlias

from app.common.database import Statement
from app.common.feed_log import feed_head
from app.common.paging import Page
from app.common.work import Reads
from app.leads.infrastructure.list_reads import COUNT_MAX
from app.leads.infrastructure.reads import (
    LEAD_QUERY,
    LeadConditions,
    join_lead,
    lead_fields,
    matches,
    state,
    where,
)
from app.leads.infrastructure.tables import lead, searched_lead

HITS_MAX = 1_000
"""Leads that a search looks up by its index; what more have is common enough to be walked for."""


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


def _searched(first_of: Callable[..., Select[Any]], used: frozenset[str]) -> LateralFromClause:
    """Of a rare word the index knows all leads, and walking each column would find hardly one; a common word's leads
    are walked past anyway. The planner runs one of the two."""
    some = _found(used, searched_lead.c.id).limit(literal_column(str(HITS_MAX + 1))).subquery("some")
    hits = (
        select(func.array_agg(some.c.id).label("ids"), func.count().label("count"))
        .select_from(some)
        .cte("hits")
        .prefix_with("MATERIALIZED")
    )
    is_rare = hits.c.count <= literal_column(str(HITS_MAX))
    ids = select(hits.c.ids).where(is_rare).scalar_subquery()
    by_hits = first_of(lead.c.id == any_(cast(ids, ARRAY(Uuid))))
    by_walking = first_of(select(not_(is_rare)).scalar_subquery(), *where(used))
    return union_all(by_hits.lateral().select(), by_walking.lateral().select()).lateral("page")


def _found(used: frozenset[str], *columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).where(
        searched_lead.c.workspace_id == bindparam("workspace_id"),
        state(used, searched_lead),
        searched_lead.c.lexemes.bool_op("@@")(LEAD_QUERY),
        *matches(used - {"terms"}, searched_lead),
    )


def _wanted() -> TableValuedAlias:
    """The pages asked for, as rows."""
    return (
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


@cache
def _pages_statement(used: frozenset[str], with_identities: bool) -> Statement:
    """Each page is a walk of its own along `ix_lead_board`; one row more than asked tells of a next page."""
    wanted = _wanted()
    column_of = (
        lead.c.workspace_id == bindparam("workspace_id"),
        lead.c.stage_id == wanted.c.stage_id,
        tuple_(lead.c.rank, lead.c.id) > tuple_(wanted.c.after_rank, wanted.c.after_id),
    )

    def first_of(*conditions: ColumnElement[bool]) -> Select[Any]:
        return (
            select(*lead_fields(with_identities=with_identities))
            .select_from(join_lead(lead))
            .where(*column_of, *conditions)
            .order_by(lead.c.rank, lead.c.id)
            .limit(wanted.c.size)
            .correlate(wanted)
        )

    is_search = "terms" in used
    rows = _searched(first_of, used) if is_search else first_of(*where(used)).lateral("page")
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
    one: ColumnElement[int] = literal_column("1").label("one")
    if "terms" in used:
        every = _found(used, searched_lead.c.stage_id).cte("every").prefix_with("MATERIALIZED")
        found = select(one).select_from(every).where(every.c.stage_id == wanted.c.stage_id)
    else:
        of_stage = lead.c.stage_id == wanted.c.stage_id
        found = select(one).where(lead.c.workspace_id == bindparam("workspace_id"), of_stage, *where(used))
    matching = found.limit(literal_column(str(COUNT_MAX + 1))).subquery("matching").lateral()
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
