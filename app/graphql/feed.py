"""The feed subscription: every change of the workspace, in order, each once; entities loaded once per process.

The hub knows no module; here each kind of event gets its entity by that module's reads, and all subscribers of the
process share the load through the event itself.
"""

import functools
from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import Annotated, cast

import strawberry

from app.common.domain import ClientKind, Role
from app.common.feed.channel import FeedEvent, Tap
from app.common.feed.cursor import encode_cursor
from app.common.graphql import Info, enum_type, query, selects, subscription
from app.common.resume import ResumeAfter, events_after, start_after
from app.common.sharing import Scope, SharedItem
from app.conversations.presentation.queries import load_conversations, load_messages
from app.conversations.presentation.types import Conversation, Message
from app.imports.presentation.queries import load_imports
from app.imports.presentation.types import LeadImport
from app.leads.presentation.bulk_changes import BulkChange, load_bulk_changes
from app.leads.presentation.queries import load_leads
from app.leads.presentation.types import Lead
from app.outreach.presentation.queries import load_bulk_sends
from app.outreach.presentation.types import BulkSend

HEARTBEAT_S = 30
HEARTBEAT_EVENTS = 100
MAX_IDS = 100
_NAMES = {"message.created": "MESSAGE_ADDED"}
"""Kinds that clients know by another word."""


class FeedKind(StrEnum):
    LEAD_CREATED = "LEAD_CREATED"
    LEAD_UPDATED = "LEAD_UPDATED"
    LEAD_DELETED = "LEAD_DELETED"
    STAGE_CHANGED = "STAGE_CHANGED"
    TAG_CHANGED = "TAG_CHANGED"
    NOTE_ADDED = "NOTE_ADDED"
    MESSAGE_ADDED = "MESSAGE_ADDED"
    MESSAGE_UPDATED = "MESSAGE_UPDATED"
    CONVERSATION_UPDATED = "CONVERSATION_UPDATED"
    ACCOUNT_UPDATED = "ACCOUNT_UPDATED"
    TEMPLATE_CHANGED = "TEMPLATE_CHANGED"
    IMPORT_PROGRESSED = "IMPORT_PROGRESSED"
    BULK_CHANGE_PROGRESSED = "BULK_CHANGE_PROGRESSED"
    BULK_SEND_PROGRESSED = "BULK_SEND_PROGRESSED"
    AUTOMATION_CHANGED = "AUTOMATION_CHANGED"
    AUTOMATION_TRIGGERED = "AUTOMATION_TRIGGERED"
    MEMBER_CHANGED = "MEMBER_CHANGED"
    HEARTBEAT = "HEARTBEAT"

    @classmethod
    @functools.cache
    def of(cls, event_name: str) -> "FeedKind | None":
        """None for an event of a newer release, which this process passes over."""
        name = _NAMES.get(event_name) or event_name.replace(".", "_").upper()
        return cls(name) if name in cls.__members__ else None


enum_type(
    FeedKind,
    "What a feed item tells.",
    LEAD_CREATED="Leads were made.",
    LEAD_UPDATED="Leads were changed.",
    LEAD_DELETED="Leads were deleted, merged away or erased.",
    STAGE_CHANGED="A stage was made, renamed, moved or deleted.",
    TAG_CHANGED="A tag was made, changed or deleted.",
    NOTE_ADDED="A note was written on a lead.",
    MESSAGE_ADDED="A message was written or came in.",
    MESSAGE_UPDATED="A message's state moved.",
    CONVERSATION_UPDATED="A conversation was made or changed.",
    ACCOUNT_UPDATED="A channel account was connected or changed.",
    TEMPLATE_CHANGED="A template or a snippet was made, changed or deleted: `ids` is its id.",
    IMPORT_PROGRESSED="An import went on or ended.",
    BULK_CHANGE_PROGRESSED="A change to many leads went on or ended.",
    BULK_SEND_PROGRESSED="A bulk send was made, moved, went on or ended.",
    AUTOMATION_CHANGED="An automation was made, changed, switched or deleted: `ids` is its id.",
    AUTOMATION_TRIGGERED="Runs of an automation began: `ids` is the automation.",
    MEMBER_CHANGED="Somebody joined, left, or has another role or name: `ids` is the user.",
    HEARTBEAT="Nothing happened: only the position. Keep its cursor.",
)


TOLD_EXTENSIONS = frozenset(
    {FeedKind.LEAD_CREATED, FeedKind.LEAD_UPDATED, FeedKind.LEAD_DELETED}
    | {FeedKind.STAGE_CHANGED, FeedKind.TAG_CHANGED, FeedKind.IMPORT_PROGRESSED}
)
"""The kinds that an extension's session is told of (words.md, Roles)."""


@strawberry.type(description="One committed change of the workspace.")
class FeedItem:
    cursor: str = strawberry.field(description="The position: resume with it as `after`.")
    kind: FeedKind = strawberry.field(description="What happened.")
    ids: list[strawberry.ID] = strawberry.field(
        description="What it happened to, up to 100; empty when there were more: fetch again."
    )
    lead: Lead | None = strawberry.field(
        description="The lead, when it is one and still there.", default=None
    )
    message: Message | None = strawberry.field(
        description="The message, when the item tells of one.", default=None
    )
    conversation: Conversation | None = strawberry.field(
        description="The conversation, when the item tells of one.", default=None
    )
    lead_import: LeadImport | None = strawberry.field(
        description="The import, when the item tells of one.", default=None
    )
    bulk_change: BulkChange | None = strawberry.field(
        description="The change to many leads, when the item tells of one.", default=None
    )
    bulk_send: BulkSend | None = strawberry.field(
        description="The bulk send, when the item tells of one.", default=None
    )


@strawberry.type
class FeedQuery:
    @query(
        requires=Role.VIEWER,
        extension=True,
        description="The feed's position now, without a snapshot: beside a list, use its own feedCursor.",
    )
    async def feed_cursor(self, info: Info) -> str:
        workspace_id = info.context.signed_in.workspace_id
        head, _ = await info.context.hub.head(workspace_id)
        return encode_cursor(workspace_id, head)


@strawberry.type
class FeedSubscription:
    @subscription(
        requires=Role.VIEWER,
        extension=True,
        description="Every change from `after` on (left out: from now), in order, each once, then live. "
        "An extension is told of leads, tags and imports.",
    )
    async def feed(
        self,
        info: Info,
        after: ResumeAfter = None,
        kinds: Annotated[
            list[FeedKind] | None, strawberry.argument(description="Only these kinds; null: all.")
        ] = None,
    ) -> AsyncGenerator[FeedItem, None]:
        position, wanted = await start_after(info, after), None if kinds is None else frozenset(kinds)
        yield _heartbeat(info, position)

        def wants(event: FeedEvent) -> bool:
            kind = FeedKind.of(event.name)
            return kind is not None and (wanted is None or kind in wanted) and _may_see(info, event, kind)

        tap = Tap(wants, lambda event: _shared(info, event), patience=HEARTBEAT_EVENTS)
        yield cast("FeedItem", tap)
        async for event in events_after(info, position, tap, idle_s=HEARTBEAT_S):
            if event is not None and wants(event):
                tap.passed_over = 0
                yield cast("FeedItem", _shared(info, event))
                continue
            tap.passed_over += event is not None
            if event is None or tap.passed_over >= HEARTBEAT_EVENTS:
                tap.passed_over = 0
                yield _heartbeat(info, tap.seq)


def _may_see(info: Info, event: FeedEvent, kind: FeedKind) -> bool:
    """What somebody has read is told on their own screens only: it changes nobody else's. An extension is told of what
    it may ask for."""
    if info.context.signed_in.client is ClientKind.EXTENSION and kind not in TOLD_EXTENSIONS:
        return False
    return event.changed != ["read"] or event.facts.get("userId") == str(info.context.signed_in.user_id)


def _heartbeat(info: Info, seq: int) -> FeedItem:
    cursor = encode_cursor(info.context.signed_in.workspace_id, seq)
    return FeedItem(cursor=cursor, kind=FeedKind.HEARTBEAT, ids=[])


def _shared(info: Info, event: FeedEvent) -> SharedItem:
    """Made where it is executed: once for all whose frame is the same."""
    return SharedItem(event, lambda scope: _item(info, event, scope))


async def _item(info: Info, event: FeedEvent, scope: Scope) -> FeedItem:
    ids, kind = event.entity_ids, FeedKind.of(event.name)
    assert kind is not None
    item = FeedItem(
        cursor=encode_cursor(info.context.signed_in.workspace_id, event.seq),
        kind=kind,
        ids=[strawberry.ID(str(id)) for id in ids] if len(ids) <= MAX_IDS else [],
    )
    if len(ids) == 1:
        await _add_entity(info, event, item, scope)
    return item


async def _add_entity(info: Info, event: FeedEvent, item: FeedItem, scope: Scope) -> None:
    """What the item is about, where it is one and asked for."""
    ids, context, thing = event.entity_ids, info.context, event.name.partition(".")[0]
    once = context.shares.once
    if thing in ("lead", "note") and selects(info, "lead"):
        item.lead = (await once(event, ("lead", scope), lambda: load_leads(context, ids)))[0]
    elif thing == "import" and selects(info, "leadImport"):
        item.lead_import = (await once(event, ("import", scope), lambda: load_imports(context, ids)))[0]
    elif thing == "bulk_change" and selects(info, "bulkChange"):
        key = ("bulk_change", scope)
        item.bulk_change = (await once(event, key, lambda: load_bulk_changes(context, ids)))[0]
    elif thing == "bulk_send" and selects(info, "bulkSend"):
        key = ("bulk_send", scope)
        item.bulk_send = (await once(event, key, lambda: load_bulk_sends(context, ids)))[0]
    elif thing == "message" and selects(info, "message"):
        item.message = (await once(event, ("message", scope), lambda: load_messages(context, ids)))[0]
    elif thing == "conversation" and selects(info, "conversation"):
        key = ("conversation", scope)
        item.conversation = (await once(event, key, lambda: load_conversations(context, ids)))[0]
