"""Sends by rules: asked of the one policy, rendered, and written with their place in the ledger, in one transaction.

The conversation stays as it is; one that begins so is dormant until the lead answers. The lead is held by the caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import text
from uuid_utils.compat import uuid7

from app.common.database import Statement
from app.common.domain import ActorKind, Channel, Direction
from app.common.work import Reads, Work
from app.conversations.domain.by_rule import (
    AUTOMATION,
    Accepted,
    NotNow,
    NotSent,
    RuleRefusal,
    stands_in_the_way,
)
from app.conversations.domain.conversation import given_to, started
from app.conversations.domain.delivery import DUE
from app.conversations.domain.events import MessageCreated
from app.conversations.domain.message import MAX_BODY, MessageStatus, excerpt
from app.conversations.domain.search import search_text
from app.conversations.domain.sending import reply_subject
from app.conversations.infrastructure.audience import ADDRESS
from app.conversations.infrastructure.policy import REFUSAL
from app.conversations.infrastructure.search import LEXEMES
from app.conversations.infrastructure.standings import standings_of
from app.leads.domain.timeline import Entry, InteractionType
from app.leads.wiring import timeline
from app.templates.wiring import (
    VALUE_COLUMNS,
    VALUE_JOINS,
    RenderedText,
    current_version,
    rendered,
    values_of,
)

TO_LEAD = Statement(
    text(
        f"""
        SELECT l.id, l.name AS lead_name, l.time_zone, l.phone, a.id AS account_id, a.channel, {ADDRESS} AS address,
            c.subject, c.message_count, c.last_inbound_at, {REFUSAL.format(c_address=ADDRESS)} AS refusal,
            w.quiet_weekdays IS NOT NULL AS has_quiet_hours, now() AS leaves_at, {VALUE_COLUMNS}
        FROM lead l
            JOIN channel_account a ON a.workspace_id = l.workspace_id AND a.id = cast(:account_id as uuid)
            JOIN workspace w ON w.id = l.workspace_id
            LEFT JOIN conversation c
                ON (c.workspace_id, c.account_id, c.contact_address) = (l.workspace_id, a.id, {ADDRESS})
            {VALUE_JOINS}
        WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = cast(:lead_id as uuid)
        """  # noqa: S608 - constants of ours
    )
)
ADD = Statement(
    text(
        """
        WITH place AS (
            INSERT INTO conversation AS c (workspace_id, id, lead_id, account_id, channel, contact_address, status,
                is_dormant, subject, message_count, last_message_id, last_message_at, last_outbound_at)
            VALUES (cast(:workspace_id as uuid), cast(:conversation_id as uuid), cast(:lead_id as uuid),
                cast(:account_id as uuid), cast(:channel as text), cast(:address as text), 'CLOSED', true,
                cast(:subject as text), 1, cast(:message_id as uuid), now(), now())
            ON CONFLICT (workspace_id, account_id, contact_address) DO UPDATE SET lead_id = excluded.lead_id,
                message_count = c.message_count + 1, last_message_id = excluded.last_message_id,
                last_message_at = now(), last_outbound_at = now(), subject = coalesce(excluded.subject, c.subject),
                updated_at = now()
            RETURNING c.workspace_id, c.id, c.account_id, c.lead_id, c.message_count AS position, c.inbound_count,
                old.id IS NULL AS is_new, coalesce(old.lead_id <> new.lead_id, false) AS is_repointed
        ), said AS (
            INSERT INTO message (workspace_id, id, conversation_id, position, account_id, direction, author_kind,
                subject, body, status, inbound_count, lexemes)
            SELECT workspace_id, cast(:message_id as uuid), id, position, account_id, 'OUTBOUND', 'AUTOMATION',
                cast(:subject as text), cast(:body as text), 'QUEUED', inbound_count, {lexemes}
            FROM place
        ), due AS (
            INSERT INTO delivery (workspace_id, status, run_at, account_id, lead_id, origin_kind, origin_id, step,
                visit, conversation_id, position, message_id, time_zone, stops_on_reply)
            SELECT workspace_id, 'queued', now(), account_id, lead_id, cast(:origin_kind as text),
                cast(:origin_id as uuid), cast(:step as int), 0, id, position, cast(:message_id as uuid),
                cast(:time_zone as text), cast(:stops_on_reply as bool)
            FROM place
        )
        SELECT id, position, is_new, is_repointed FROM place
        """.replace("{lexemes}", LEXEMES)
    )
)


async def send_by_rule(
    work: Work,
    workspace_id: UUID,
    *,
    lead_id: UUID,
    account_id: UUID,
    template_id: UUID,
    run_id: UUID,
    step: int,
    stops_on_reply: bool,
    cause: str,
) -> Accepted | NotNow | NotSent:
    """One message of one run's action. The lead is held; `cause` is said on its timeline. The caller has said
    `by_automation`, and given what is announced its cause."""
    row = await work.fetch_one(TO_LEAD, workspace_id=workspace_id, lead_id=lead_id, account_id=account_id)
    if row is None:
        return NotSent(RuleRefusal.ACCOUNT_GONE)
    if row["address"] is None:
        return NotSent(RuleRefusal.NO_ADDRESS)
    standing = (await standings_of(work, workspace_id, [row]))[lead_id]
    written = await _rendered(work, workspace_id, row, template_id)
    refusal = stands_in_the_way(standing)
    if isinstance(refusal, NotSent):
        return refusal
    if isinstance(written, RuleRefusal):
        return NotSent(written)
    if refusal is not None:
        return refusal
    said = _Said(
        message_id=uuid7(),
        subject=written.subject or (reply_subject(row["subject"]) if row["message_count"] else None),
        body=written.body.replace("\x00", "")[:MAX_BODY],
        time_zone=standing.time_zone,
        cause=cause,
    )
    origin = {"origin_kind": AUTOMATION, "origin_id": run_id, "step": step, "stops_on_reply": stops_on_reply}
    return await _add(work, workspace_id, row, said, origin)


async def _rendered(
    reads: Reads, workspace_id: UUID, row: asyncpg.Record, template_id: UUID
) -> RenderedText | RuleRefusal:
    version = await current_version(reads, workspace_id, template_id)
    if version is None or version.channel not in (None, Channel(row["channel"])):
        return RuleRefusal.TEMPLATE_GONE
    text = rendered(version, values_of(row))
    if text.missing:
        return RuleRefusal.VALUE_MISSING
    is_first_mail = row["channel"] == Channel.EMAIL and not row["message_count"]
    return RuleRefusal.NO_SUBJECT if is_first_mail and not text.subject else text


@dataclass(frozen=True, slots=True)
class _Said:
    message_id: UUID
    subject: str | None
    body: str
    time_zone: str | None
    cause: str


async def _add(
    work: Work, workspace_id: UUID, row: asyncpg.Record, said: _Said, origin: Mapping[str, object]
) -> Accepted:
    place = await work.fetch_one(
        ADD,
        workspace_id=workspace_id,
        conversation_id=uuid7(),
        message_id=said.message_id,
        lead_id=row["id"],
        account_id=row["account_id"],
        channel=row["channel"],
        address=row["address"],
        subject=said.subject,
        body=said.body,
        search_text=search_text(
            body=said.body,
            subject=said.subject,
            contact_name=row["lead_name"],
            contact_address=row["address"],
        ),
        time_zone=said.time_zone,
        **origin,
    )
    assert place is not None
    await timeline(work, workspace_id).record([_entry(row, said, place["id"])])
    _announce(work, row, place, said.message_id)
    return Accepted(said.message_id, place["id"])


def _entry(row: asyncpg.Record, said: _Said, conversation_id: UUID) -> Entry:
    return Entry(
        lead_id=row["id"],
        type=InteractionType.MESSAGE,
        actor_kind=ActorKind.AUTOMATION,
        channel=Channel(row["channel"]),
        direction=Direction.OUTBOUND,
        content=excerpt(said.body, said.subject),
        cause=said.cause,
        conversation_id=conversation_id,
        message_id=said.message_id,
    )


def _announce(work: Work, row: asyncpg.Record, place: asyncpg.Record, message_id: UUID) -> None:
    lead_id: UUID = row["id"]
    if place["is_new"]:
        work.announce(started(place["id"], lead_id=lead_id))
    elif place["is_repointed"]:
        work.announce(given_to(place["id"], lead_id=lead_id))
    work.announce(
        MessageCreated(
            entity_ids=[message_id],
            after={
                "direction": Direction.OUTBOUND,
                "conversationId": str(place["id"]),
                "leadId": str(lead_id),
                "position": place["position"],
                "authorKind": ActorKind.AUTOMATION,
                "status": MessageStatus.QUEUED,
            },
        )
    )
    work.wake(DUE, row["account_id"])
