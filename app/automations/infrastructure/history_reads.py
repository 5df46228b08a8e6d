"""What a dry run reads: the feed, what it is about, and how things stand. Nothing is written, and nothing locked."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import text

from app.automations.domain.errors import DryRunUnderWay
from app.automations.domain.facts import Facts, MessageFacts
from app.automations.domain.judging import added_tags, is_triggered
from app.automations.domain.replay import Moment, PastChange, Silences
from app.automations.domain.rule import Action, ConditionField, Rule, Trigger
from app.automations.infrastructure.facts import facts_of, messages_of
from app.automations.infrastructure.rules import enabled_rules
from app.common.database import Statement
from app.common.reactions import Occurrence
from app.common.work import Reads
from app.conversations.domain.events import MessageCreated, MessageUpdated
from app.conversations.wiring import refused_leads
from app.leads.domain.events import LeadCreated, LeadUpdated
from app.templates.wiring import current_version

WINDOW, PAGE_IDS = 2_000, 10_000
"""Events that are looked through together, and of how many leads or messages they tell at most, but for the last one:
an import's tell of a thousand each, and nobody else is answered meanwhile."""
KINDS: Mapping[Trigger, Sequence[str]] = {
    Trigger.LEAD_CREATED: (LeadCreated.name,),
    Trigger.LEAD_UPDATED: (LeadUpdated.name,),
    Trigger.STAGE_CHANGED: (LeadUpdated.name,),
    Trigger.TAG_ADDED: (LeadUpdated.name,),
    Trigger.MESSAGE_RECEIVED: (MessageCreated.name,),
    Trigger.NO_REPLY: (MessageCreated.name, MessageUpdated.name),
}
OF_MESSAGES = frozenset({MessageCreated.name, MessageUpdated.name})
CHANGED: Mapping[Trigger, Sequence[str]] = {Trigger.STAGE_CHANGED: ("stage",), Trigger.TAG_ADDED: ("tags",)}
"""Which of a kind's events alone may be meant; without a line all."""
TOLD_BY_FEED: Mapping[ConditionField, str] = {
    ConditionField.TAG_ID: "tags",
    ConditionField.OWNER_ID: "owner",
    ConditionField.ENGAGEMENT: "engagement",
}
"""What a condition asks of, by its name in `changed`."""
BEGIN = Statement(
    text(
        """
        SELECT pg_try_advisory_xact_lock(hashtextextended(cast(cast(:workspace_id as uuid) as text), 48)) AS is_alone,
            now() AS now
        """
    )
)
SPAN = Statement(
    text(
        """
        SELECT min(seq) AS first, (SELECT seq FROM feed_head WHERE workspace_id = cast(:workspace_id as uuid)) AS last
        FROM feed_event WHERE workspace_id = cast(:workspace_id as uuid) AND at >= cast(:since as timestamptz)
        """
    )
)
# By bounds of the key: under a LIMIT a planner that takes the workspace for small sorts all of it, for each page.
EVENTS = Statement(
    text(
        """
        SELECT seq, kind, entity_ids, changed, before::text AS before, after::text AS after, depth, at, ids
        FROM (
            SELECT *, sum(cardinality(entity_ids)) OVER (ORDER BY seq) AS ids FROM feed_event
            WHERE workspace_id = cast(:workspace_id as uuid)
                AND seq >= cast(:first as bigint) AND seq < cast(:first as bigint) + cast(:window as bigint)
                AND kind = ANY (cast(:kinds as text[]))
                AND (cast(:changed as text[]) IS NULL OR changed && cast(:changed as text[]))
        ) e
        WHERE ids - cardinality(entity_ids) < cast(:page_ids as bigint)
        ORDER BY seq
        """
    )
)
MOVES = Statement(
    text(
        """
        SELECT lead_id, from_stage_id, left_at, cast(actor_kind = 'AUTOMATION' as int) AS depth FROM stage_change
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:lead_ids as uuid[]))
            AND left_at >= cast(:since as timestamptz)
        """
    )
)


class FeedHistory:
    """Implements the port History, over one snapshot."""

    def __init__(self, reads: Reads, workspace_id: UUID) -> None:
        self._reads, self._workspace_id = reads, workspace_id

    async def moments(self, rule: Rule, *, days: int, limit: int) -> Sequence[Moment]:
        """Raises DryRunUnderWay."""
        begun = await self._reads.fetch_one(BEGIN, workspace_id=self._workspace_id)
        assert begun is not None
        if not begun["is_alone"]:
            raise DryRunUnderWay
        since = begun["now"] - timedelta(days=days)
        if rule.trigger is Trigger.NO_REPLY:
            return await self._silences(rule, since, begun["now"], limit)
        found: list[Moment] = []
        async for page in self._pages(KINDS[rule.trigger], CHANGED.get(rule.trigger), since):
            messages = await self._messages(page)
            for event in page:
                found.extend(_moments_of(rule, event, messages))
            if len(found) > limit:
                return found[: limit + 1]
        return found

    async def changes(
        self, rule: Rule, lead_ids: Sequence[UUID], since: datetime
    ) -> Mapping[UUID, Sequence[PastChange]]:
        asked = {one.field for one in rule.conditions}
        found: dict[UUID, list[PastChange]] = defaultdict(list)
        if told := [name for field, name in TOLD_BY_FEED.items() if field in asked]:
            wanted, owners = frozenset(lead_ids), dict[UUID, UUID | None]()
            async for page in self._pages((LeadUpdated.name,), told, since):
                for event in page:
                    change = _past_change(event)
                    for id in wanted.intersection(event.entity_ids):
                        owner = _past_owner(event, id, owners)
                        found[id].append(replace(change, owner_id=owner) if owner else change)
        if ConditionField.STAGE_ID in asked:
            for row in await self._fetch(MOVES, lead_ids=list(lead_ids), since=since):
                change = PastChange(at=row["left_at"], depth=row["depth"], stage_id=row["from_stage_id"])
                found[row["lead_id"]].append(change)
            for changes in found.values():
                changes.sort(key=lambda change: change.at)
        return found

    async def facts(self, lead_ids: Sequence[UUID]) -> Mapping[UUID, Facts]:
        return await facts_of(self._reads, self._workspace_id, lead_ids)

    async def texts(self, message_ids: Sequence[UUID]) -> Mapping[UUID, str | None]:
        found = await messages_of(self._reads, self._workspace_id, message_ids, with_text=True)
        return {id: message.body for id, message in found.items()}

    async def refusals(self, action: Action, lead_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        assert action.target_id is not None
        assert action.account_id is not None
        version = await current_version(self._reads, self._workspace_id, action.target_id)
        return await refused_leads(
            self._reads,
            self._workspace_id,
            lead_ids,
            account_id=action.account_id,
            required=version.required if version else (),
            has_subject=version is None or bool(version.subject),
        )

    async def rules(self) -> Mapping[UUID, Rule]:
        found = await enabled_rules(self._reads, self._workspace_id)
        return {one.automation_id: one.rule for one in found}

    async def _silences(self, rule: Rule, since: datetime, now: datetime, limit: int) -> Sequence[Moment]:
        silences = Silences(timedelta(seconds=rule.no_reply_after_s or 0))
        async for page in self._pages(KINDS[rule.trigger], None, since):
            messages = await self._messages(page)
            for event in page:
                for message in _of(event, messages):
                    if is_triggered(rule, event, message):
                        silences.sent(message.conversation_id, _moment(event, message))
                    elif event.name == MessageCreated.name and _is_answer(message):
                        silences.answered(message.conversation_id, event.at)
            if len(silences.moments) > limit:
                break
        found = sorted(silences.end(now), key=lambda moment: moment.at)
        return found[: limit + 1]

    async def _messages(self, page: Sequence[Occurrence]) -> Mapping[UUID, MessageFacts]:
        ids = {id for event in page if event.name in OF_MESSAGES for id in event.entity_ids}
        if not ids:
            return {}
        return await messages_of(self._reads, self._workspace_id, list(ids), with_text=False)

    async def _pages(
        self, kinds: Sequence[str], changed: Sequence[str] | None, since: datetime
    ) -> AsyncIterator[list[Occurrence]]:
        (span,) = await self._fetch(SPAN, since=since)
        if span["first"] is None:
            return
        first: int = span["first"]
        while first <= span["last"]:
            rows = await self._fetch(
                EVENTS, first=first, window=WINDOW, page_ids=PAGE_IDS, kinds=list(kinds), changed=changed
            )
            yield [_occurrence(self._workspace_id, row) for row in rows]
            is_cut = bool(rows) and rows[-1]["ids"] >= PAGE_IDS
            first = rows[-1]["seq"] + 1 if is_cut else first + WINDOW

    async def _fetch(self, statement: Statement, **values: Any) -> list[asyncpg.Record]:
        return await self._reads.fetch(statement, workspace_id=self._workspace_id, **values)


def _occurrence(workspace_id: UUID, row: asyncpg.Record) -> Occurrence:
    return Occurrence(
        workspace_id=workspace_id,
        seq=row["seq"],
        name=row["kind"],
        entity_ids=row["entity_ids"],
        changed=row["changed"],
        before=orjson.loads(row["before"]),
        after=orjson.loads(row["after"]),
        depth=row["depth"],
        at=row["at"],
    )


def _of(event: Occurrence, messages: Mapping[UUID, MessageFacts]) -> Iterator[MessageFacts]:
    return (messages[id] for id in event.entity_ids if id in messages)


def _moments_of(rule: Rule, event: Occurrence, messages: Mapping[UUID, MessageFacts]) -> Iterator[Moment]:
    if event.name in OF_MESSAGES:
        for message in _of(event, messages):
            if is_triggered(rule, event, message):
                yield _moment(event, message)
    elif is_triggered(rule, event):
        added = added_tags(event)
        for id in event.entity_ids:
            yield Moment(lead_id=id, at=event.at, depth=event.depth, added_tag_ids=added)


def _moment(event: Occurrence, message: MessageFacts) -> Moment:
    return Moment(
        lead_id=message.lead_id,
        at=event.at,
        depth=event.depth,
        message_id=message.id,
        channel=message.channel,
    )


def _is_answer(message: MessageFacts) -> bool:
    return message.is_inbound and not message.is_auto_reply


def _past_change(event: Occurrence) -> PastChange:
    """What is the same for all its leads: one for all of them."""
    engagement = event.before.get("engagement")
    removed = event.after.get("removeTagIds")
    return PastChange(
        at=event.at,
        depth=event.depth,
        engagement=str(engagement) if engagement else None,
        added_tag_ids=added_tags(event),
        removed_tag_ids=frozenset(UUID(id) for id in removed) if isinstance(removed, list) else frozenset(),
    )


def _past_owner(
    event: Occurrence, lead_id: UUID, owners: dict[UUID, UUID | None]
) -> tuple[UUID | None] | None:
    """`owners`: whose each lead was last. Changes of many leads at once do not say whose they were before."""
    if "owner" not in event.changed:
        return None
    known, before = lead_id in owners, owners.get(lead_id)
    owners[lead_id] = _id(event.after.get("ownerId"))
    if "ownerId" in event.before:
        return (_id(event.before["ownerId"]),)
    return (before,) if known else None


def _id(value: object) -> UUID | None:
    return UUID(str(value)) if value else None
