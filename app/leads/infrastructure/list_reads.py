"""Leads as a list: its orders, its search, how many there are (docs/decisions/0019).

A page is looked for in three ways, and the cheapest that can end does. First a stretch of the order's own index is
walked with filter and search looking into each lead: most pages are full before it ends. Where it is not, the page is
read once more, planned for the very values of its filter; a search then takes the leads of a small stage, tag or owner,
or else those that the search's index gives, or, where those are too many, walks on.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    false,
    func,
    literal_column,
    not_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.types import TypeEngine

from app.common.database import Statement
from app.common.feed_log import feed_head
from app.common.paging import PAGE_MAX, Keyset, Page
from app.common.work import Reads
from app.leads.domain.search import LeadSort
from app.leads.infrastructure.reads import (
    LEAD_QUERY,
    LeadConditions,
    join_lead,
    last_touch,
    lead_fields,
    matches,
    state,
)
from app.leads.infrastructure.tables import lead

IsCut: TypeAlias = Callable[[CTE], ColumnElement[bool]]
AnyKeyset: TypeAlias = Keyset[datetime] | Keyset[int] | Keyset[str]
WALK_MAX, LONG_WALK_MAX = 1_000, 6_000
"""Leads that a page looks at in their order before anything dearer is done; the more where the first of them filled a
fifth of the page."""
FEW_MAX = 1_000
"""Leads of a tag, stage or owner that a search looks into one by one."""
HITS_MAX = 12_000
"""Leads that a search takes from its index: what more have is met soon enough by walking."""
COUNT_MAX = 10_000
OWN_INDEX = frozenset({"tag_ids", "stage_ids", "owner_ids"})
"""Conditions with an index that finds their leads."""
PLACE: ColumnElement[Any] = literal_column("lead.ctid")
"""Where a lead's row lies: good within one statement, and cheaper to follow than its id."""


@dataclass(frozen=True)
class Order:
    """One way of listing: by a key of each lead, then by id."""

    name: str
    kind: type
    sql_type: TypeEngine[Any]
    is_descending: bool = True

    @property
    def list_name(self) -> str:
        """Of the cursors: another order's are refused."""
        return f"leads:{self.name}"

    def key(self, leads: FromClause) -> ColumnElement[Any]:
        return last_touch(leads) if self.name == LeadSort.LAST_TOUCH else leads.c[COLUMNS[self.name]]

    def by(self, key: ColumnElement[Any], id: ColumnElement[Any]) -> tuple[ColumnElement[Any], ...]:
        return (key.desc(), id.desc()) if self.is_descending else (key, id)

    def is_after(self, leads: FromClause) -> ColumnElement[bool]:
        place = tuple_(self.key(leads), leads.c.id)
        after = tuple_(bindparam("after_at", type_=self.sql_type), bindparam("after_id", type_=Uuid))
        return place < after if self.is_descending else place > after


DELETED = "DELETED"
COLUMNS = {"NEWEST": "created_at", "NAME": "name_key", "SCORE": "score", DELETED: "deleted_at"}
_MOMENT = DateTime(timezone=True)
ORDERS = {
    LeadSort.NEWEST: Order(LeadSort.NEWEST, datetime, _MOMENT),
    LeadSort.NAME: Order(LeadSort.NAME, str, Text(), is_descending=False),
    LeadSort.SCORE: Order(LeadSort.SCORE, int, Integer()),
    LeadSort.LAST_TOUCH: Order(LeadSort.LAST_TOUCH, datetime, _MOMENT),
}
LAST_DELETED = Order(DELETED, datetime, _MOMENT)


def order_of(sort: LeadSort, conditions: LeadConditions) -> Order:
    """The newest of deleted leads are those deleted last."""
    return LAST_DELETED if conditions.deleted and sort is LeadSort.NEWEST else ORDERS[sort]


@dataclass(frozen=True)
class Shape:
    """What makes one statement differ from another."""

    used: frozenset[str]
    order: Order
    has_after: bool
    with_identities: bool

    def listed(self, *columns: ColumnElement[Any] | FromClause) -> Select[Any]:
        """All there are in this order from here on. Longer than any page by one, said as a number: with a parameter
        the planner would prepare for a tenth of the table."""
        found = (
            select(*columns)
            .select_from(lead)
            .where(lead.c.workspace_id == bindparam("workspace_id"), state(self.used))
            .order_by(*self.order.by(self.order.key(lead), lead.c.id))
            .limit(literal_column(str(PAGE_MAX + 1)))
        )
        return found.where(self.order.is_after(lead)) if self.has_after else found

    def matching(self, used: frozenset[str] | None = None) -> Select[Any]:
        columns = lead.c.id, self.order.key(lead).label("sort_key")
        return self.listed(*columns).where(*matches(self.used if used is None else used))


def _statement(shape: Shape, found: Select[Any], is_cut: IsCut | None = None) -> Statement:
    """The page and the feed's position in one snapshot: the head's row is there even when the page is empty."""
    source = found.subquery("found")
    page = (
        select(source)
        .order_by(*shape.order.by(source.c.sort_key, source.c.id))
        .limit(bindparam("limit", type_=BigInteger))
        .cte("page")
        .prefix_with("MATERIALIZED")
    )
    on_page = (lead.c.workspace_id == bindparam("workspace_id")) & (lead.c.id == page.c.id)
    rows = (
        select(*lead_fields(with_identities=shape.with_identities), page.c.sort_key)
        .select_from(join_lead(page.join(lead, on_page)))
        .subquery("rows")
        .lateral()
    )
    cut = is_cut(page) if is_cut else false()
    return Statement(
        select(feed_head.c.seq.label("feed_seq"), cut.label("is_cut"), *rows.c)
        .select_from(feed_head)
        .outerjoin(rows, true())
        .where(feed_head.c.workspace_id == bindparam("workspace_id"))
        .order_by(*shape.order.by(rows.c.sort_key, rows.c.key))
    )


@cache
def _walk(shape: Shape, walk_max: int) -> Statement:
    """A page of the first `walk_max` leads of the order, and whether more could be on it: whatever the values, one plan
    is the best."""
    if not shape.used - {"deleted"}:
        return _statement(shape, shape.matching())
    stretch = shape.listed(lead, shape.order.key(lead).label("sort_key")).limit(literal_column(str(walk_max)))
    near = stretch.subquery("near")
    found = (
        select(near.c.id, near.c.sort_key)
        .where(*matches(shape.used, near))
        .order_by(*shape.order.by(near.c.sort_key, near.c.id))
        .limit(literal_column(str(PAGE_MAX + 1)))
    )
    counted = shape.listed(lead.c.id).limit(literal_column(str(walk_max))).subquery("counted")
    walked = select(func.count()).select_from(counted).scalar_subquery()

    def is_cut(page: CTE) -> ColumnElement[bool]:
        on_page = select(func.count()).select_from(page).scalar_subquery()
        is_full = on_page == bindparam("limit", type_=BigInteger)
        return case((is_full, false()), else_=walked == literal_column(str(walk_max)))

    return _statement(shape, found, is_cut)


@cache
def _whole(shape: Shape) -> Statement:
    """A page of all there are."""
    return _statement(shape, _searched(shape) if "terms" in shape.used else shape.matching())


def _asked(used: frozenset[str], hits_max: int, is_needed: ColumnElement[bool]) -> CTE:
    """The leads the search's index gives; NULL: more than `hits_max`."""
    is_deleted: ColumnElement[bool] = literal_column(str("deleted" in used))
    hits = func.search_leads(LEAD_QUERY, is_deleted, literal_column(str(hits_max)))
    return select(hits.label("hits")).where(is_needed).cte("asked").prefix_with("MATERIALIZED")


IS_HIT: ColumnElement[bool] = any_(literal_column("cast((SELECT hits FROM asked) as tid[])")) == PLACE
"""The rows themselves are fetched: with a function in it, even coalesce(), this would filter a walk."""


def _searched(shape: Shape) -> Select[Any]:
    """Of three ways one is gone; what the others would ask for is not even looked up."""
    own = shape.used & OWN_INDEX
    few = (
        select(PLACE.label("place"))
        .select_from(lead)
        .where(lead.c.workspace_id == bindparam("workspace_id"), state(shape.used), *matches(own))
        .limit(literal_column(str(FEW_MAX + 1)))
        .cte("few")
        .prefix_with("MATERIALIZED")
    )
    is_few = select(func.count() <= literal_column(str(FEW_MAX))).select_from(few).scalar_subquery()
    places = func.array(select(few.c.place).scalar_subquery())
    asked = _asked(shape.used, HITS_MAX, not_(is_few) if own else true())
    is_common = select(asked.c.hits.is_(None)).scalar_subquery()
    by_few = shape.matching().where(is_few, any_(places) == PLACE)
    by_hits = shape.matching(shape.used - {"terms"}).where(IS_HIT)
    by_walk = shape.matching().where(is_common)
    return _together(by_few, by_hits, by_walk) if own else _together(by_hits, by_walk)


def _together(*ways: Select[Any]) -> Select[Any]:
    return select(union_all(*(way.subquery().select() for way in ways)).subquery("ways"))


@cache
def _count_statement(used: frozenset[str]) -> Statement:
    leads: Select[Any] = (
        select(literal_column("1").label("one"))
        .select_from(lead)
        .where(lead.c.workspace_id == bindparam("workspace_id"), state(used))
        .limit(literal_column(str(COUNT_MAX + 1)))
    )
    found = leads.where(*matches(used))
    if "terms" in used:
        asked = _asked(used, COUNT_MAX, true())
        if used <= {"terms", "deleted"}:
            hits = func.coalesce(func.cardinality(asked.c.hits), COUNT_MAX + 1)
            return Statement(select(hits.label("count")).select_from(asked))
        is_common = select(asked.c.hits.is_(None)).scalar_subquery()
        by_hits = leads.where(IS_HIT, *matches(used - {"terms"}))
        found = _together(by_hits, found.where(is_common))
    return Statement(select(func.count().label("count")).select_from(found.subquery("counted")))


@dataclass(frozen=True)
class LeadPage:
    page: Page[asyncpg.Record]
    feed_seq: int
    """The feed's position of the same snapshot."""
    order: Order

    @property
    def cursors(self) -> list[str]:
        name = self.order.list_name
        return [Keyset(row["sort_key"], row["key"]).encode(name) for row in self.page.rows]


async def list_leads(
    reads: Reads,
    workspace_id: UUID,
    conditions: LeadConditions,
    *,
    sort: LeadSort = LeadSort.NEWEST,
    first: int,
    after: str | None,
    with_identities: bool,
) -> LeadPage:
    """Raises Invalid for a cursor of another list or order. A lead that moves within the order between two pages may
    come twice or not at all; all that stay come once."""
    order = order_of(sort, conditions)
    position = Keyset.decode(order.list_name, after, order.kind) if after is not None else None
    shape = Shape(conditions.used, order, position is not None, with_identities)
    values: dict[str, object] = {"workspace_id": workspace_id, "limit": first + 1, **conditions.values}
    if position:
        values |= {"after_at": position.at, "after_id": position.id}
    rows = await reads.fetch(_walk(shape, WALK_MAX), **values)
    if rows[0]["is_cut"] and rows[0]["id"] and len(rows) * 5 > first:
        rows = await reads.fetch(_walk(shape, LONG_WALK_MAX), **values)
    if rows[0]["is_cut"]:
        rows = await _fetch(reads, conditions)(_whole(shape), **values)
    page = Page.of([row for row in rows if row["id"] is not None], first)
    return LeadPage(page, rows[0]["feed_seq"], order)


async def count_leads(reads: Reads, workspace_id: UUID, conditions: LeadConditions) -> int | None:
    """None beyond `COUNT_MAX`."""
    statement = _count_statement(conditions.used)
    rows = await _fetch(reads, conditions)(statement, workspace_id=workspace_id, **conditions.values)
    return int(rows[0]["count"]) if rows[0]["count"] <= COUNT_MAX else None


def _fetch(reads: Reads, conditions: LeadConditions) -> Callable[..., Awaitable[list[asyncpg.Record]]]:
    """Planning takes a millisecond or two: only where the values may change the plan."""
    return reads.fetch_planned if conditions.used - {"terms", "deleted"} else reads.fetch
