"""The rules' reactions to the feed: a batch of events in a handful of statements, however many leads they are about.

What happens to leads and what is written to them are two consumers, each with its cursor: an import that tells of a
million leads holds up no message's reaction. A rule has one trigger, so each rule's events come from one of them.

The rules are held while it goes on, so that whoever switches one off finds all of its runs. Runs are waited for after
them, leads only by the foreign keys: an order in which nobody waits for this reaction in vain (docs/decisions/0043).
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import text

from app.automations.domain.events import AutomationChanged
from app.automations.domain.facts import MessageFacts
from app.automations.domain.judging import asks_for_text, is_received, is_sent_now
from app.automations.domain.reacting import Case, Docket, Moved, NewRun, Standing, cases_of
from app.automations.domain.rule import EnabledRule, Trigger
from app.automations.domain.run import DUE
from app.automations.infrastructure.canceling import cancel_of_deleted, cancel_stopped, end_answered
from app.automations.infrastructure.facts import facts_of, messages_of
from app.automations.infrastructure.rules import enabled_rules
from app.automations.infrastructure.tables import LIVE
from app.common.database import Statement
from app.common.reactions import Consumer, Occurrence, Together
from app.common.work import Work
from app.conversations.domain.events import MessageCreated, MessageUpdated
from app.leads.domain.events import LeadCreated, LeadDeleted, LeadUpdated

CONSUMERS = ("automations", "automation_messages")
"""Their cursors' names, for good: of leads, and of messages."""
OF_LEADS = (LeadCreated.name, LeadUpdated.name, LeadDeleted.name, AutomationChanged.name)
OF_MESSAGES = (MessageCreated.name, MessageUpdated.name, AutomationChanged.name)
"""What was switched off stops both: neither waits for the other's cursor."""
BATCH = 200
"""Events of one transaction at most, and things that they are about: a chunk of an import stands alone."""
THINGS = 1000
STOPS = frozenset({"enabled", "deleted"})
CANCELED = 1000
"""Runs of what was switched off that one transaction cancels at most."""
ROWS = 10_000
"""Runs that one statement makes at most: two hundred rules and a chunk of an import are twenty of them."""

# Each pair by itself: joined as sets, they may read every run there has been.
STANDINGS = Statement(
    text(
        f"""
        SELECT p.automation_id, p.lead_id, s.is_live, s.has_acted, s.last_hour, s.armed_id, s.armed_in
        FROM unnest(cast(:automation_ids as uuid[]), cast(:lead_ids as uuid[])) AS p(automation_id, lead_id)
        CROSS JOIN LATERAL (
            SELECT bool_or(r.{LIVE}) AS is_live, bool_or(r.started_at IS NOT NULL) AS has_acted,
                count(*) FILTER (WHERE r.created_at > now() - interval '1 hour' AND r.status <> 'SKIPPED') AS last_hour,
                (array_agg(r.id) FILTER (WHERE r.{LIVE} AND r.started_at IS NULL AND v.is_armed))[1] AS armed_id,
                (array_agg(r.conversation_id)
                    FILTER (WHERE r.{LIVE} AND r.started_at IS NULL AND v.is_armed))[1] AS armed_in
            FROM automation_run r CROSS JOIN LATERAL (
                SELECT said.rule ->> 'trigger' = '{Trigger.NO_REPLY.value}' AS is_armed FROM automation_version said
                WHERE said.workspace_id = cast(:workspace_id as uuid) AND said.id = r.version_id
                OFFSET 0
            ) v
            WHERE r.workspace_id = cast(:workspace_id as uuid)
                AND r.automation_id = p.automation_id AND r.lead_id = p.lead_id
        ) s
        WHERE s.is_live IS NOT NULL
        """  # noqa: S608 - words of ours
    )
)
ACTED_IN = Statement(
    text(
        """
        SELECT DISTINCT p.automation_id, p.lead_id, r.conversation_id
        FROM unnest(cast(:automation_ids as uuid[]), cast(:lead_ids as uuid[])) AS p(automation_id, lead_id)
        CROSS JOIN LATERAL (
            SELECT conversation_id, message_id, started_at FROM automation_run
            WHERE workspace_id = cast(:workspace_id as uuid)
                AND automation_id = p.automation_id AND lead_id = p.lead_id
            OFFSET 0
        ) r
        CROSS JOIN LATERAL (
            SELECT conversation_id, position FROM message
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = r.message_id
            OFFSET 0
        ) m
        WHERE r.started_at IS NOT NULL AND NOT EXISTS (
            SELECT FROM message reply
            WHERE reply.workspace_id = cast(:workspace_id as uuid) AND reply.conversation_id = m.conversation_id
                AND reply.position > m.position AND reply.direction = 'INBOUND' AND NOT reply.is_auto_reply
            OFFSET 0
        )
        """
    )
)
THIS_HOUR = Statement(
    text(
        """
        SELECT automation_id, runs FROM automation_hour
        WHERE workspace_id = cast(:workspace_id as uuid) AND hour = date_trunc('hour', now())
            AND automation_id = any(cast(:automation_ids as uuid[]))
        """
    )
)
# Of one event a lead has one run of a rule, however often it is told of.
START = Statement(
    text(
        """
        WITH made AS (
            INSERT INTO automation_run (workspace_id, automation_id, version_id, lead_id, trigger_seq, depth, is_bulk,
                conversation_id, message_id, status, reason, condition, run_at, finished_at)
            SELECT cast(:workspace_id as uuid), n.automation_id, n.version_id, n.lead_id, n.trigger_seq, n.depth,
                n.is_bulk, n.conversation_id, n.message_id,
                CASE WHEN n.reason IS NULL THEN 'WAITING' ELSE 'SKIPPED' END, n.reason, n.condition,
                coalesce(n.run_at, now()), CASE WHEN n.reason IS NOT NULL THEN now() END
            FROM unnest(
                cast(:automation_id as uuid[]), cast(:version_id as uuid[]), cast(:lead_id as uuid[]),
                cast(:trigger_seq as bigint[]), cast(:depth as int[]), cast(:is_bulk as bool[]),
                cast(:conversation_id as uuid[]), cast(:message_id as uuid[]), cast(:reason as text[]),
                cast(:condition as int[]), cast(:run_at as timestamptz[])
            ) AS n(automation_id, version_id, lead_id, trigger_seq, depth, is_bulk, conversation_id, message_id,
                reason, condition, run_at)
            ON CONFLICT (workspace_id, automation_id, lead_id, trigger_seq) DO NOTHING
            RETURNING automation_id, status
        ), started AS (
            SELECT automation_id, count(*) AS runs FROM made WHERE status = 'WAITING' GROUP BY automation_id
        ), counted AS (
            INSERT INTO automation_hour AS h (workspace_id, automation_id, hour, runs)
            SELECT cast(:workspace_id as uuid), automation_id, date_trunc('hour', now()), runs FROM started
            ON CONFLICT (workspace_id, automation_id) DO UPDATE SET hour = excluded.hour,
                runs = excluded.runs + CASE WHEN h.hour = excluded.hour THEN h.runs ELSE 0 END
        )
        SELECT coalesce(sum(runs), 0)::bigint AS runs FROM started
        """
    )
)
# By a newer version it may wait for less than it did.
MOVE = Statement(
    text(
        """
        UPDATE automation_run r SET run_at = m.run_at, version_id = m.version_id, message_id = m.message_id,
            trigger_seq = m.trigger_seq
        FROM unnest(
            cast(:run_id as uuid[]), cast(:version_id as uuid[]), cast(:trigger_seq as bigint[]),
            cast(:message_id as uuid[]), cast(:run_at as timestamptz[])
        ) AS m(id, version_id, trigger_seq, message_id, run_at)
        WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.id = m.id AND r.status = 'WAITING'
            AND r.started_at IS NULL AND (r.run_at < m.run_at OR r.version_id <> m.version_id)
        """
    )
)


def consumers(*, runs_per_hour: int) -> tuple[Consumer, Consumer]:
    """`runs_per_hour` of one rule, past which it is a storm."""
    together = _reaction(runs_per_hour)
    return (
        Consumer(CONSUMERS[0], together=together, names=OF_LEADS, batch=BATCH),
        Consumer(CONSUMERS[1], together=together, names=OF_MESSAGES, batch=BATCH),
    )


def _reaction(runs_per_hour: int) -> Together:

    async def react(work: Work, events: Sequence[Occurrence]) -> int:
        batch = _first_of(events)
        workspace_id = batch[0].workspace_id
        if _is_stop(batch[0]):
            return int(
                await cancel_stopped(work, workspace_id, batch[0].entity_ids, limit=CANCELED) < CANCELED
            )
        rules = await enabled_rules(work, workspace_id, held=True)
        messages = await _messages(work, workspace_id, batch, rules)
        await _end(work, workspace_id, batch, messages)
        if cases := cases_of(rules, batch, messages):
            await _judge(work, workspace_id, cases, runs_per_hour)
        return len(batch)

    return react


def _first_of(events: Sequence[Occurrence]) -> Sequence[Occurrence]:
    """As many as one transaction takes, at least one; where something was switched off, that alone."""
    count = 0
    for at, event in enumerate(events):
        count += len(event.entity_ids)
        if at and (count > THINGS or _is_stop(event)):
            return events[:at]
        if _is_stop(event):
            return events[:1]
    return events


def _is_stop(event: Occurrence) -> bool:
    return event.name == AutomationChanged.name and not STOPS.isdisjoint(event.changed)


async def _messages(
    work: Work, workspace_id: UUID, batch: Sequence[Occurrence], rules: Sequence[EnabledRule]
) -> Mapping[UUID, MessageFacts]:
    """Those that came, for whoever waits for one; those that left, where a rule is about to wait for the answer."""
    triggers = {one.rule.trigger for one in rules}
    ids = [
        event.entity_ids[0]
        for event in batch
        if is_received(event) or (is_sent_now(event) and Trigger.NO_REPLY in triggers)
    ]
    if not ids or not rules:
        return {}
    with_text = any(asks_for_text(one.rule) for one in rules if one.rule.trigger is Trigger.MESSAGE_RECEIVED)
    return await messages_of(work, workspace_id, ids, with_text=with_text)


async def _end(
    work: Work, workspace_id: UUID, batch: Sequence[Occurrence], messages: Mapping[UUID, MessageFacts]
) -> None:
    """What the events put an end to."""
    deleted = [id for event in batch if event.name == LeadDeleted.name for id in event.entity_ids]
    if deleted:
        await cancel_of_deleted(work, workspace_id, deleted)
    if replies := [one for one in messages.values() if one.is_inbound and not one.is_auto_reply]:
        await end_answered(work, workspace_id, {one.conversation_id for one in replies})


async def _judge(work: Work, workspace_id: UUID, cases: Sequence[Case], runs_per_hour: int) -> None:
    pairs = {(case.rule.automation_id, lead_id): case for case in cases for lead_id in case.lead_ids}
    facts = await facts_of(work, workspace_id, list({lead_id for _, lead_id in pairs}))
    docket = Docket(
        standings=await _standings(work, workspace_id, pairs),
        this_hour=await _this_hour(work, workspace_id, {automation_id for automation_id, _ in pairs}),
        runs_per_hour=runs_per_hour,
    )
    for case in cases:
        docket.judge(case, facts)
    live = [
        await _start(work, workspace_id, docket.runs[start : start + ROWS])
        for start in range(0, len(docket.runs), ROWS)
    ]
    if any(live):
        work.wake(DUE, workspace_id)
    if docket.moves:
        await _move(work, workspace_id, list(docket.moves.values()))


async def _standings(
    work: Work, workspace_id: UUID, pairs: Mapping[tuple[UUID, UUID], Case]
) -> dict[tuple[UUID, UUID], Standing]:
    rows = await work.fetch(STANDINGS, workspace_id=workspace_id, **_columns(pairs))
    standings = {
        (row["automation_id"], row["lead_id"]): Standing(
            is_live=row["is_live"],
            has_acted=row["has_acted"],
            last_hour=row["last_hour"],
            armed_id=row["armed_id"],
            armed_in=row["armed_in"],
        )
        for row in rows
    }
    episodes = [
        pair
        for pair, case in pairs.items()
        if case.rule.rule.trigger is Trigger.NO_REPLY and pair in standings and standings[pair].has_acted
    ]
    if episodes:
        for row in await work.fetch(ACTED_IN, workspace_id=workspace_id, **_columns(episodes)):
            standings[row["automation_id"], row["lead_id"]].has_acted_in.add(row["conversation_id"])
    return standings


def _columns(pairs: Iterable[tuple[UUID, UUID]]) -> dict[str, list[UUID]]:
    pairs = list(pairs)
    return {"automation_ids": [one for one, _ in pairs], "lead_ids": [one for _, one in pairs]}


async def _this_hour(work: Work, workspace_id: UUID, automation_ids: Iterable[UUID]) -> dict[UUID, int]:
    rows = await work.fetch(THIS_HOUR, workspace_id=workspace_id, automation_ids=list(automation_ids))
    return {row["automation_id"]: row["runs"] for row in rows}


async def _start(work: Work, workspace_id: UUID, runs: Sequence[NewRun]) -> int:
    """How many of them are live."""
    row = await work.fetch_one(
        START,
        workspace_id=workspace_id,
        automation_id=[one.automation_id for one in runs],
        version_id=[one.version_id for one in runs],
        lead_id=[one.lead_id for one in runs],
        trigger_seq=[one.trigger_seq for one in runs],
        depth=[one.depth for one in runs],
        is_bulk=[one.is_bulk for one in runs],
        conversation_id=[one.conversation_id for one in runs],
        message_id=[one.message_id for one in runs],
        reason=[one.reason for one in runs],
        condition=[one.condition for one in runs],
        run_at=[one.run_at for one in runs],
    )
    assert row is not None
    return int(row["runs"])


async def _move(work: Work, workspace_id: UUID, moves: Sequence[Moved]) -> None:
    await work.fetch(
        MOVE,
        workspace_id=workspace_id,
        run_id=[one.run_id for one in moves],
        version_id=[one.version_id for one in moves],
        trigger_seq=[one.trigger_seq for one in moves],
        message_id=[one.message_id for one in moves],
        run_at=[one.run_at for one in moves],
    )
