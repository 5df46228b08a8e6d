"""What screens read of the inbox: one statement a root field, rows out.

A conversation's row brings all that a list shows of it: its lead, the last message, and what is the viewer's own
(unread, draft).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ARRAY,
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
    cast,
    column,
    exists,
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

from app.accounts.infrastructure.tables import app_user
from app.common.database import Statement
from app.common.feed_log import feed_head
from app.common.paging import PAGE_MAX, Keyset, Page
from app.common.work import Reads
from app.conversations.infrastructure.search import QUERY
from app.conversations.infrastructure.tables import conversation, conversation_read, draft, message
from app.leads.infrastructure.tables import lead
from app.leads.wiring import join_lead, lead_fields

assignee, author = app_user.alias("assignee"), app_user.alias("author")
last = message.alias("last_message")

USER_FIELDS = ("name", "email", "locale")
MESSAGE_FIELDS = (
    *("position", "direction", "author_kind", "subject", "body", "quoted_text", "html_body"),
    *("status", "error", "not_before", "created_at", "sent_at"),
)


def _user_fields(of: FromClause, prefix: str) -> list[ColumnElement[Any]]:
    return [
        cast(of.c.id, Text).label(f"{prefix}id"),
        *(of.c[name].label(f"{prefix}{name}") for name in USER_FIELDS),
    ]


def message_fields(of: FromClause, prefix: str = "") -> list[ColumnElement[Any]]:
    """A message, for a statement that joins `author`."""
    return [
        cast(of.c.id, Text).label(f"{prefix}id"),
        of.c.id.label(f"{prefix}key"),
        of.c.conversation_id.label(f"{prefix}conversation_id"),
        *(of.c[name].label(f"{prefix}{name}") for name in MESSAGE_FIELDS),
        *_user_fields(author, f"{prefix}author_"),
    ]


def _conversations(source: FromClause, *, with_identities: bool) -> Select[Any]:
    """Conversations with all that is shown of them; `source` has the columns of `conversation`."""
    c = source.c
    unread = func.greatest(c.inbound_count - func.coalesce(conversation_read.c.inbound_count_read, 0), 0)
    joined = join_lead(source.join(lead, (lead.c.workspace_id == c.workspace_id) & (lead.c.id == c.lead_id)))
    joined = (
        joined.outerjoin(assignee, assignee.c.id == c.assignee_id)
        .outerjoin(last, (last.c.workspace_id == c.workspace_id) & (last.c.id == c.last_message_id))
        .outerjoin(author, author.c.id == last.c.author_id)
    )
    for own in (conversation_read, draft):
        joined = joined.outerjoin(
            own,
            (own.c.workspace_id == c.workspace_id)
            & (own.c.user_id == bindparam("viewer_id", type_=Uuid))
            & (own.c.conversation_id == c.id),
        )
    return select(
        cast(c.id, Text).label("id"),
        c.id.label("key"),
        *(c[name] for name in ("channel", "status", "snoozed_until", "activity_at", "last_message_at")),
        unread.label("unread_count"),
        draft.c.body.label("draft"),
        *_user_fields(assignee, "assignee_"),
        *lead_fields("lead_", with_identities=with_identities),
        *message_fields(last, "message_"),
    ).select_from(joined)


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
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
"""Messages a search looks up by the index. A word that more have stands in so many conversations that walking them in
their order comes to a full page sooner."""

asked = (
    text(
        f"SELECT query, search_conversations(query, {HITS_MAX}) AS hits FROM (SELECT {QUERY} AS query) AS q"  # noqa: S608
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


def _found(listed: Select[Any]) -> FromClause:
    """Those of `listed` that a search finds: by the hits where the index gave all, else by looking into each in turn.
    The planner runs one of the two. As a function `@@` is no business of the index: what is walked is not looked up."""
    hits = select(func.unnest(asked.c.hits)).scalar_subquery()
    by_hits = listed.where(conversation.c.id.in_(hits))
    matches = exists().where(
        message.c.workspace_id == conversation.c.workspace_id,
        message.c.conversation_id == conversation.c.id,
        func.ts_match_vq(message.c.lexemes, select(asked.c.query).scalar_subquery()),
    )
    by_walking = listed.where(select(asked.c.hits.is_(None)).scalar_subquery(), matches)
    return union_all(by_hits.subquery().select(), by_walking.subquery().select()).subquery("found")


@cache
def _list_statement(used: frozenset[str], has_after: bool, with_identities: bool) -> Statement:
    """The page and the feed's position in one snapshot: the head's row is there even when the page is empty."""
    listed = _listed(used, has_after=has_after)
    source = _found(listed) if "terms" in used else listed.subquery("listed")
    page = (
        select(source)
        .order_by(source.c.activity_at.desc(), source.c.id.desc())
        .limit(bindparam("limit", type_=BigInteger))
        .subquery("page")
    )
    rows = _conversations(page, with_identities=with_identities).subquery("rows").lateral()
    return Statement(
        select(feed_head.c.seq.label("feed_seq"), *rows.c)
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
) -> ConversationPage:
    """Newest activity first. `activity_at` only goes up: between two pages a conversation may move to the front, where
    the feed tells of it, and never back, so none that stays is missed or comes twice."""
    position = {"after_at": after.at, "after_id": after.id} if after else {}
    rows = await reads.fetch(
        _list_statement(conditions.used, after is not None, with_identities),
        workspace_id=workspace_id,
        viewer_id=viewer_id,
        limit=first + 1,
        **conditions.values,
        **position,
    )
    assert rows, "the workspace has no feed head"
    return ConversationPage(
        Page.of([row for row in rows if row["id"] is not None], first), rows[0]["feed_seq"]
    )


# ── by id ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
CONVERSATIONS_BY_ID = Statement(
    _conversations(conversation, with_identities=True).where(
        conversation.c.workspace_id == bindparam("workspace_id"),
        conversation.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))),
    )
)
MESSAGES_BY_ID = Statement(
    select(*message_fields(message))
    .select_from(message.outerjoin(author, author.c.id == message.c.author_id))
    .where(
        message.c.workspace_id == bindparam("workspace_id"),
        message.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))),
    )
)


async def conversations_by_id(
    reads: Reads, workspace_id: UUID, viewer_id: UUID, ids: Sequence[UUID]
) -> dict[UUID, asyncpg.Record]:
    """Those of deleted leads too: whoever shows them decides."""
    rows = await reads.fetch(
        CONVERSATIONS_BY_ID, workspace_id=workspace_id, viewer_id=viewer_id, ids=list(ids)
    )
    return {row["key"]: row for row in rows}


async def messages_by_id(reads: Reads, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    rows = await reads.fetch(MESSAGES_BY_ID, workspace_id=workspace_id, ids=list(ids))
    return {row["key"]: row for row in rows}


# ── messages of conversations ─────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Wanted:
    """The newest `last` messages of a conversation, before a position if given."""

    conversation_id: UUID
    last: int
    before: int | None


def _messages_statement() -> Statement:
    """Many conversations' pages in one snapshot with the feed's position; one row more than asked tells of older."""
    wanted = (
        func.unnest(
            bindparam("conversation_ids", type_=ARRAY(Uuid)),
            bindparam("befores", type_=ARRAY(Integer)),
            bindparam("sizes", type_=ARRAY(Integer)),
        )
        .table_valued(
            column("conversation_id", Uuid),
            column("before", Integer),
            column("size", Integer),
            with_ordinality="n",
            name="wanted",
        )
        .render_derived()
    )
    newest = (
        select(message)
        .where(
            message.c.workspace_id == bindparam("workspace_id"),
            message.c.conversation_id == wanted.c.conversation_id,
            message.c.position < wanted.c.before,
        )
        .order_by(message.c.position.desc())
        .limit(wanted.c.size)
        .subquery("newest")
        .lateral()
    )
    return Statement(
        select(feed_head.c.seq.label("feed_seq"), wanted.c.n, *message_fields(newest))
        .select_from(
            feed_head.join(wanted, true())
            .outerjoin(newest, true())
            .outerjoin(author, author.c.id == newest.c.author_id)
        )
        .where(feed_head.c.workspace_id == bindparam("workspace_id"))
        .order_by(wanted.c.n, newest.c.position)
    )


MESSAGES_OF = _messages_statement()
MAX_POSITION = 2**31 - 1


@dataclass(frozen=True)
class MessagePage:
    rows: Sequence[asyncpg.Record]
    """Oldest first."""
    has_older: bool
    feed_seq: int


async def messages_of(reads: Reads, workspace_id: UUID, wanted: Sequence[Wanted]) -> list[MessagePage]:
    """In the order of what is wanted; all of one snapshot."""
    rows = await reads.fetch(
        MESSAGES_OF,
        workspace_id=workspace_id,
        conversation_ids=[one.conversation_id for one in wanted],
        befores=[one.before or MAX_POSITION for one in wanted],
        sizes=[one.last + 1 for one in wanted],
    )
    by_number: dict[int, list[asyncpg.Record]] = {}
    for row in rows:
        by_number.setdefault(row["n"], []).append(row)
    pages = []
    for number, one in enumerate(wanted, 1):
        found = [row for row in by_number[number] if row["id"] is not None]
        has_older = len(found) > one.last
        pages.append(MessagePage(found[1:] if has_older else found, has_older, rows[0]["feed_seq"]))
    return pages


# ── presence ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def _is_there(of: FromClause, id: str) -> ColumnElement[bool]:
    found = of.c.workspace_id == bindparam("workspace_id"), of.c.id == bindparam(id, type_=Uuid)
    here = select(of.c.id).where(*found)
    return (here.where(of.c.deleted_at.is_(None)) if "deleted_at" in of.c else here).exists()


PLACES = Statement(
    select(
        _is_there(conversation, "conversation_id").label("conversation"),
        _is_there(lead, "lead_id").label("lead"),
    )
)


async def are_there(
    reads: Reads, workspace_id: UUID, *, conversation_id: UUID | None, lead_id: UUID | None
) -> tuple[bool, bool]:
    """Whether the workspace has this conversation, and this lead (deleted ones are not there)."""
    row = await reads.fetch_one(
        PLACES, workspace_id=workspace_id, conversation_id=conversation_id, lead_id=lead_id
    )
    assert row is not None
    return row["conversation"], row["lead"]
