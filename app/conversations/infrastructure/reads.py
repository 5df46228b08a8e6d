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
    ColumnElement,
    FromClause,
    Integer,
    Select,
    TableValuedAlias,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    column,
    func,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import array

from app.accounts.infrastructure.tables import app_user
from app.channels.infrastructure.tables import channel_account
from app.common.database import Statement
from app.common.feed_log import feed_head
from app.common.work import Reads
from app.conversations.infrastructure.tables import (
    attachment,
    conversation,
    conversation_read,
    draft,
    message,
)
from app.files.infrastructure.tables import file
from app.leads.infrastructure.tables import lead
from app.leads.wiring import join_lead, lead_fields

assignee, author = app_user.alias("assignee"), app_user.alias("author")
last, account = message.alias("last_message"), channel_account.alias("account")

ACCOUNT_FIELDS = (
    *("channel", "name", "address", "status", "status_reason"),
    *("daily_limit", "rate_per_minute", "burst", "feedback_provider", "inbound_token"),
)
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


def _attachments(of: FromClause) -> ColumnElement[Any]:
    """A message's files as rows of texts."""
    row = array(
        [
            cast(attachment.c.id, Text),
            cast(file.c.id, Text),
            file.c.name,
            file.c.media_type,
            cast(file.c.size, Text),
        ]
    )
    is_file = (file.c.workspace_id == attachment.c.workspace_id) & (file.c.id == attachment.c.file_id)
    found = (
        select(row)
        .select_from(attachment.join(file, is_file))
        .where(attachment.c.workspace_id == of.c.workspace_id, attachment.c.message_id == of.c.id)
        .order_by(attachment.c.position)
        .scalar_subquery()
    )
    return func.array(found)


def message_fields(of: FromClause, prefix: str = "", *, with_attachments: bool) -> list[ColumnElement[Any]]:
    """A message, for a statement that joins `author`; its files only where asked for."""
    return [
        *([_attachments(of).label(f"{prefix}attachments")] if with_attachments else []),
        cast(of.c.id, Text).label(f"{prefix}id"),
        of.c.id.label(f"{prefix}key"),
        of.c.conversation_id.label(f"{prefix}conversation_id"),
        *(of.c[name].label(f"{prefix}{name}") for name in MESSAGE_FIELDS),
        *_user_fields(author, f"{prefix}author_"),
    ]


def conversation_rows(source: FromClause, *, with_identities: bool, with_attachments: bool) -> Select[Any]:
    """Conversations with all that is shown of them; `source` has the columns of `conversation`."""
    c = source.c
    unread = func.greatest(c.inbound_count - func.coalesce(conversation_read.c.inbound_count_read, 0), 0)
    joined = join_lead(source.join(lead, (lead.c.workspace_id == c.workspace_id) & (lead.c.id == c.lead_id)))
    joined = (
        joined.join(account, (account.c.workspace_id == c.workspace_id) & (account.c.id == c.account_id))
        .outerjoin(assignee, assignee.c.id == c.assignee_id)
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
        *(account.c[name].label(f"account_{name}") for name in ACCOUNT_FIELDS),
        cast(account.c.id, Text).label("account_id"),
        *message_fields(last, "message_", with_attachments=with_attachments),
    ).select_from(joined)


# ── by id ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
CONVERSATIONS_BY_ID = Statement(
    conversation_rows(conversation, with_identities=True, with_attachments=True).where(
        conversation.c.workspace_id == bindparam("workspace_id"),
        conversation.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))),
    )
)
MESSAGES_BY_ID = Statement(
    select(*message_fields(message, with_attachments=True))
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
    with_attachments: bool = False


def _wanted_pages() -> TableValuedAlias:
    """What is asked for, as rows."""
    return (
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


@cache
def _messages_statement(with_attachments: bool) -> Statement:
    """Many conversations' pages in one snapshot with the feed's position; one row more than asked tells of older."""
    wanted = _wanted_pages()
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
        select(
            feed_head.c.seq.label("feed_seq"),
            wanted.c.n,
            *message_fields(newest, with_attachments=with_attachments),
        )
        .select_from(
            feed_head.join(wanted, true())
            .outerjoin(newest, true())
            .outerjoin(author, author.c.id == newest.c.author_id)
        )
        .where(feed_head.c.workspace_id == bindparam("workspace_id"))
        .order_by(wanted.c.n, newest.c.position)
    )


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
        _messages_statement(any(one.with_attachments for one in wanted)),
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


# ── presence ──────────────────────────────────────────────────────────────────────────────────────────────────────────
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
