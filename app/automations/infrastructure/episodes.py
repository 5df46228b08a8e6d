"""NO_REPLY, once the time has come: whether nobody has answered, and the conditions hold, under the locks of the run.

An episode is what stands in a conversation since the lead wrote last. The reaction arms a run, moves and ends it; it
may be behind, so what it says is asked again of the messages themselves.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from app.automations.domain.facts import MessageFacts
from app.automations.domain.judging import AWAITS_REPLY, asks_for_text, failed_condition
from app.automations.domain.rule import Rule
from app.automations.domain.run import RunReason
from app.automations.infrastructure.facts import facts_of, messages_of
from app.common.database import Statement
from app.common.work import Work
from app.conversations.domain.message import LEFT

HOLD = Statement(
    text(
        """
        SELECT id FROM conversation
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = any(cast(:ids as uuid[]))
        ORDER BY id FOR NO KEY UPDATE
        """
    )
)
# By the time in the database, as runs are claimed.
SENT_SINCE = Statement(
    text(
        """
        SELECT m.id, max(sent.sent_at) + cast(:after_s as float) * interval '1 second' AS until
        FROM message m
        JOIN message sent ON sent.workspace_id = cast(:workspace_id as uuid)
            AND sent.conversation_id = m.conversation_id AND sent.position > m.position
            AND sent.direction = 'OUTBOUND' AND sent.status = any(cast(:sent as text[]))
            AND sent.author_kind = any(cast(:authors as text[]))
        WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = any(cast(:ids as uuid[]))
        GROUP BY m.id
        HAVING max(sent.sent_at) + cast(:after_s as float) * interval '1 second' > now()
        """
    )
)


@dataclass(frozen=True, slots=True)
class Armed:
    """A run that waited for an answer."""

    run_id: UUID
    lead_id: UUID
    conversation_id: UUID
    message_id: UUID


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a run does not begin: it is SKIPPED for a reason, or waits on, `until` then."""

    reason: RunReason | None = None
    condition: int | None = None
    until: datetime | None = None


async def hold_conversations(work: Work, workspace_id: UUID, runs: Collection[Armed]) -> None:
    """Until the commit: whoever answers now answers what the runs do. After the locks of runs and leads."""
    await work.fetch(HOLD, workspace_id=workspace_id, ids=list({one.conversation_id for one in runs}))


async def answered_since(work: Work, workspace_id: UUID, runs: Collection[Armed]) -> set[UUID]:
    """Of runs of NO_REPLY that have begun, those whose silence has ended. Their conversations are held."""
    messages = await messages_of(work, workspace_id, [one.message_id for one in runs], with_text=False)
    return {one.run_id for one in runs if _unanswered(one, messages) is None}


async def unfit_to_begin(
    work: Work, workspace_id: UUID, rule: Rule, runs: Collection[Armed]
) -> dict[UUID, Unfit]:
    """Of runs of NO_REPLY whose time has come, those that do not begin, by their ids. Their conversations are held."""
    message_ids = [one.message_id for one in runs]
    messages = await messages_of(work, workspace_id, message_ids, with_text=asks_for_text(rule))
    later = await _sent_since(work, workspace_id, rule, message_ids)
    facts = await facts_of(work, workspace_id, [one.lead_id for one in runs])
    unfit: dict[UUID, Unfit] = {}
    for one in runs:
        message = _unanswered(one, messages)
        if message is None:
            unfit[one.run_id] = Unfit(RunReason.EPISODE_ENDED)
        elif one.message_id in later:
            unfit[one.run_id] = Unfit(until=later[one.message_id])
        elif (known := facts.get(one.lead_id)) is not None:
            known = replace(known, channel=message.channel, message_body=message.body)
            if (failed := failed_condition(rule, known)) is not None:
                unfit[one.run_id] = Unfit(RunReason.CONDITION, failed.index)
    return unfit


def _unanswered(run: Armed, messages: Mapping[UUID, MessageFacts]) -> MessageFacts | None:
    """What armed it; None: somebody answered, or the conversation is another person's now, or nobody's."""
    message = messages.get(run.message_id)
    if message is None or message.is_answered or message.lead_id != run.lead_id:
        return None
    return message


async def _sent_since(
    work: Work, workspace_id: UUID, rule: Rule, message_ids: Collection[UUID]
) -> dict[UUID, datetime]:
    """Messages after which another left, and when that one's time will have come."""
    rows = await work.fetch(
        SENT_SINCE,
        workspace_id=workspace_id,
        ids=list(message_ids),
        after_s=rule.no_reply_after_s,
        sent=sorted(LEFT),
        authors=sorted(AWAITS_REPLY),
    )
    return {row["id"]: row["until"] for row in rows}
