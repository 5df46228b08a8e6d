"""The inbox as a list: its filters, its order, its search; one statement a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    column,
    exists,
    false,
    func,
    literal_column,
    not_,
    select,
    text,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from app.common.database import Statement
from app.common.feed_log import feed_head
from app.common.paging import PAGE_MAX, Keyset, Page
from app.common.work import Reads
from app.conversations.infrastructure.reads import conversation_rows
from app.conversations.infrastructure.search import QUERY
from app.conversations.infrastructure.tables import conversation, conversation_read, message
from app.leads.infrastructure.tables import lead


@dataclass(frozen=True, kw_only=True)
class ConversationConditions:
    """OR inside a list, AND across; None: not filtered by."""

    statuses: Sequence[str] | None = None
    channels: Sequence[str] | None = None
    assignee_ids: Sequence[UUID] | None = None
    lead_ids: Sequence[UUID] | None = None
    is_unassigned: bool | None = None
    is_unread: bool | None = None
    terms: Sequence[str] | None = None
    """The words of a search; none at all (only signs were asked for) match nothing."""

    @property
    def used(self) -> frozenset[str]:
        return frozenset(self.values)

    @property
    def values(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if value is not None}


_READ = func.coalesce(
    select(conversation_read.c.inbound_count_read)
    .where(
        conversation_read.c.workspace_id == conversation.c.workspace_id,
        conversation_read.c.user_id == bindparam("viewer_id", type_=Uuid),
        conversation_read.c.conversation_id == conversation.c.id,
    )
    .scalar_subquery(),
    0,
)
CONDITIONS: dict[str, ColumnElement[bool]] = {
    "statuses": conversation.c.status == any_(bindparam("statuses", type_=ARRAY(Text))),
    "channels": conversation.c.channel == any_(bindparam("channels", type_=ARRAY(Text))),
    "assignee_ids": conversation.c.assignee_id == any_(bindparam("assignee_ids", type_=ARRAY(Uuid))),
    "lead_ids": conversation.c.lead_id == any_(bindparam("lead_ids", type_=ARRAY(Uuid))),
    "is_unassigned": conversation.c.assignee_id.is_(None) == bindparam("is_unassigned"),
    "is_unread": (conversation.c.inbound_count > _READ) == bindparam("is_unread"),
}
SHOW_DORMANT = frozenset({"statuses", "lead_ids", "terms"})
"""Who asks by one of these gets dormant conversations too."""
HITS_MAX = 5_000
"""Messages a search looks up by the index at first. A word that more have stands in so many conversations that walking
them in their order comes to a full page sooner."""
ALL_HITS = 100_000_000
WALK_MAX = 1_000
"""Conversations that are walked. Where they do not fill the page, the word is common among older ones only: then all of
its messages are looked up after all."""


def _asked(hits_max: int) -> CTE:
    """What is searched for, and the conversations the index gives for it; NULL: more messages than `hits_max`."""
    return (
        text(
            f"SELECT query, search_conversations(query, {hits_max}) AS hits FROM (SELECT {QUERY} AS query) AS q"  # noqa: S608
        )
        .columns(column("query", TSQUERY), column("hits", ARRAY(Uuid)))
        .cte("asked")
        .prefix_with("MATERIALIZED")
    )


def _listed(used: frozenset[str], *, has_after: bool) -> Select[Any]:
    """Live leads' conversations in their order. At most one more than the longest page, said as a number: with a
    parameter the planner would prepare for a tenth of the table, and join it whole."""
    is_of_lead = (lead.c.workspace_id == conversation.c.workspace_id) & (lead.c.id == conversation.c.lead_id)
    listed = (
        select(conversation)
        .select_from(conversation.join(lead, is_of_lead))
        .where(
            conversation.c.workspace_id == bindparam("workspace_id"),
            lead.c.deleted_at.is_(None),
            *(CONDITIONS[name] for name in sorted(used - {"terms"})),
        )
        .order_by(conversation.c.activity_at.desc(), conversation.c.id.desc())
        .limit(literal_column(str(PAGE_MAX + 1)))
    )
    if not used & SHOW_DORMANT:
        listed = listed.where(not_(conversation.c.is_dormant))
    if has_after:
        after = tuple_(
            bindparam("after_at", type_=DateTime(timezone=True)), bindparam("after_id", type_=Uuid)
        )
        listed = listed.where(tuple_(conversation.c.activity_at, conversation.c.id) < after)
    return listed


def _found(listed: Select[Any], asked: CTE) -> tuple[FromClause, ColumnElement[bool]]:
    """Those of `listed` that a search finds, and whether the walk ended before the list did. By the hits where the
    index gave all, else by looking into each of the newest in turn: the planner runs one of the two. As a function
    `@@` is no business of the index: what is walked is not looked up."""
    hits = select(func.unnest(asked.c.hits)).scalar_subquery()
    is_common = select(asked.c.hits.is_(None)).scalar_subquery()
    by_hits = listed.where(conversation.c.id.in_(hits))
    newest = listed.where(is_common).limit(literal_column(str(WALK_MAX)))
    walked = newest.subquery("walked")
    matches = exists().where(
        message.c.workspace_id == walked.c.workspace_id,
        message.c.conversation_id == walked.c.id,
        func.ts_match_vq(message.c.lexemes, select(asked.c.query).scalar_subquery()),
    )
    by_walking = (
        select(walked)
        .where(matches)
        .order_by(walked.c.activity_at.desc(), walked.c.id.desc())
        .limit(literal_column(str(PAGE_MAX + 1)))
    )
    count = select(func.count()).select_from(newest.subquery("counted")).scalar_subquery()
    found = union_all(by_hits.subquery().select(), by_walking.subquery().select()).subquery("found")
    return found, count == literal_column(str(WALK_MAX))


@cache
def _list_statement(
    used: frozenset[str],
    has_after: bool,
    with_identities: bool,
    with_attachments: bool,
    hits_max: int = HITS_MAX,
) -> Statement:
    """The page and the feed's position in one snapshot: the head's row is there even when the page is empty."""
    listed = _listed(used, has_after=has_after)
    source: FromClause = listed.subquery("listed")
    is_cut: ColumnElement[bool] = false()
    if "terms" in used:
        source, is_cut = _found(listed, _asked(hits_max))
    page = (
        select(source)
        .order_by(source.c.activity_at.desc(), source.c.id.desc())
        .limit(bindparam("limit", type_=BigInteger))
        .subquery("page")
    )
    rows = (
        conversation_rows(page, with_identities=with_identities, with_attachments=with_attachments)
        .subquery("rows")
        .lateral()
    )
    return Statement(
        select(feed_head.c.seq.label("feed_seq"), is_cut.label("is_cut"), *rows.c)
        .select_from(feed_head)
        .outerjoin(rows, true())
        .where(feed_head.c.workspace_id == bindparam("workspace_id"))
        .order_by(rows.c.activity_at.desc(), rows.c.key.desc())
    )


@dataclass(frozen=True)
class ConversationPage:
    page: Page[asyncpg.Record]
    feed_seq: int
    """The feed's position of the same snapshot."""


async def list_conversations(
    reads: Reads,
    workspace_id: UUID,
    viewer_id: UUID,
    conditions: ConversationConditions,
    *,
    first: int,
    after: Keyset | None,
    with_identities: bool,
    with_attachments: bool,
) -> ConversationPage:
    """Newest activity first. `activity_at` only goes up: between two pages a conversation may move to the front, where
    the feed tells of it, and never back, so none that stays is missed or comes twice."""
    position: dict[str, object] = {"after_at": after.at, "after_id": after.id} if after else {}
    shape = conditions.used, after is not None, with_identities, with_attachments
    values: dict[str, object] = {"workspace_id": workspace_id, "viewer_id": viewer_id, "limit": first + 1}
    values |= conditions.values | position
    rows = await reads.fetch(_list_statement(*shape), **values)
    if rows[0]["is_cut"] and len(rows) <= first:
        rows = await reads.fetch(_list_statement(*shape, hits_max=ALL_HITS), **values)
    return ConversationPage(
        Page.of([row for row in rows if row["id"] is not None], first), rows[0]["feed_seq"]
    )
