"""What scores are made of happened: the feed's events, put together with the messages that the inbox has of them."""

from collections.abc import Sequence
from functools import partial

from app.common.domain import Direction
from app.common.feed_log import Cause
from app.common.reactions import Occurrence
from app.common.work import Work
from app.conversations.domain.events import MessageCreated, MessageUpdated, has_left
from app.conversations.wiring import exchanged_messages
from app.leads.domain.events import LeadCreated, LeadUpdated
from app.leads.domain.scoring import may_score
from app.leads.wiring import score_leads
from app.tags.domain import TagChanged

SCORED = (LeadCreated.name, LeadUpdated.name, MessageCreated.name, MessageUpdated.name, TagChanged.name)
SCORED_TOGETHER = 20
"""Events; each may be about a thousand leads."""


async def score(work: Work, events: Sequence[Occurrence]) -> None:
    """Leads whose score may be another are looked at together, and told together as coming of the newest event."""
    use_cases = score_leads(work, events[0].workspace_id)
    messages = [id for event in events if _is_exchanged(event) for id in event.entity_ids]
    touched = {
        id
        for event in events
        if event.name == LeadUpdated.name and may_score(event.changed)
        for id in event.entity_ids
    }
    fresh = {id for event in events if event.name == LeadCreated.name for id in event.entity_ids}
    tags = [
        id
        for event in events
        if event.name == TagChanged.name and "deleted" in event.changed
        for id in event.entity_ids
    ]
    if not (messages or touched or fresh or tags):
        return
    work.cause = Cause(events[-1].seq, max(event.depth for event in events))
    look = partial(exchanged_messages, work, events[0].workspace_id, messages)
    await use_cases.score(touched=touched, fresh=fresh, look=look)
    if tags:
        await use_cases.scores.score_anew(tags)


def _is_exchanged(event: Occurrence) -> bool:
    """Whether its message may count from now on."""
    if event.name == MessageCreated.name:
        return event.after.get("direction") == Direction.INBOUND
    return event.name == MessageUpdated.name and has_left(event.before, event.after)
