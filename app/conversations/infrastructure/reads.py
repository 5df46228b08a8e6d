"""What screens read of the inbox: one statement a root field, rows out.

A conversation's row brings all that a list shows of it: its lead, the last message, and what is the viewer's own
(unread, draft).
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    func,
    select,
)

from app.accounts.infrastructure.tables import app_user
from app.common.database import Statement
from app.common.work import Reads
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
