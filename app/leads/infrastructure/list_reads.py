"""Leads as a list: its orders, its search, how many there are (docs/decisions/0019).

A page is looked for in a stretch of the order's own index, with filter and search looking into each lead: most pages
are full before it ends. Where one is not, it is read once more, planned for the very values of filter and search.
"""

from collections.abc import Callable
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
    bindparam,
    case,
    false,
    func,
    literal_column,
    select,
    true,
    tuple_,
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
    where,
)
from app.leads.infrastructure.tables import lead, searched_lead

IsCut: TypeAlias = Callable[[CTE], ColumnElement[bool]]
AnyKeyset: TypeAlias = Keyset[datetime] | Keyset[int] | Keyset[str]
WALK_MAX, LONG_WALK_MAX = 1_000, 6_000
"""Leads that a page looks at in their order before anything dearer is done; the more where the first of them filled a
fifth of the page."""
COUNT_MAX = 10_000


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

    def is_after(self, key: ColumnElement[Any], id: ColumnElement[Any]) -> ColumnElement[bool]:
        place = tuple_(key, id)
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
        return found.where(self.order.is_after(self.order.key(lead), lead.c.id)) if self.has_after else found

    def matching(self) -> Select[Any]:
        columns = lead.c.id, self.order.key(lead).label("sort_key")
        return self.listed(*columns).where(*matches(self.used))

    def searched(self) -> Select[Any]:
        """The first of all that match. OFFSET keeps the order's index out: it was walked already, and in vain."""
        key = self.order.key(searched_lead).label("sort_key")
        every = _searched(self.used, searched_lead.c.id, key).offset(literal_column("0")).subquery("every")
        found = (
            select(every)
            .order_by(*self.order.by(every.c.sort_key, every.c.id))
            .limit(literal_column(str(PAGE_MAX + 1)))
        )
        return found.where(self.order.is_after(every.c.sort_key, every.c.id)) if self.has_after else found


def _searched(used: frozenset[str], *columns: ColumnElement[Any]) -> Select[Any]:
    """The search as an operator, which its index knows, and as a value, of which the planner knows how common it is."""
    return (
        select(*columns)
        .select_from(searched_lead)
        .where(searched_lead.c.workspace_id == bindparam("workspace_id"), state(used, searched_lead))
        .where(searched_lead.c.lexemes.bool_op("@@")(LEAD_QUERY), *matches(used - {"terms"}, searched_lead))
    )


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
    return _statement(shape, shape.searched() if "terms" in shape.used else shape.matching())


@cache
def _count_statement(used: frozenset[str]) -> Statement:
    one: ColumnElement[int] = literal_column("1").label("one")
    plain = (
        select(one).select_from(lead).where(lead.c.workspace_id == bindparam("workspace_id"), *where(used))
    )
    found = _searched(used, one) if "terms" in used else plain
    found = found.limit(literal_column(str(COUNT_MAX + 1)))
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
    has_index = order is LAST_DELETED or not conditions.deleted
    rows = await reads.fetch(_walk(shape, WALK_MAX), **values) if has_index else []
    if rows and rows[0]["is_cut"] and rows[0]["id"] and len(rows) * 5 > first:
        rows = await reads.fetch(_walk(shape, LONG_WALK_MAX), **values)
    if not rows or rows[0]["is_cut"]:
        rows = await reads.fetch_planned(_whole(shape), **values)
    page = Page.of([row for row in rows if row["id"] is not None], first)
    return LeadPage(page, rows[0]["feed_seq"], order)


async def count_leads(reads: Reads, workspace_id: UUID, conditions: LeadConditions) -> int | None:
    """None beyond `COUNT_MAX`."""
    statement, is_plain = _count_statement(conditions.used), conditions.used <= {"deleted"}
    fetch = reads.fetch if is_plain else reads.fetch_planned  # planning takes a millisecond or two
    rows = await fetch(statement, workspace_id=workspace_id, **conditions.values)
    return int(rows[0]["count"]) if rows[0]["count"] <= COUNT_MAX else None
