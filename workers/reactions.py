"""What reacts to what: the system's wiring, event by event. `app/common/reactions.py` says how it runs.

A new consumer is a reaction and a line in `consumers`. It begins with what the feed still has (35 days). Its name is
its cursor's for good: whoever takes a consumer out deletes its rows of `feed_consumer` in a migration.
"""

from app.accounts.domain.events import MemberChanged
from app.automations.wiring import rule_consumers
from app.common.domain import EVENT_IDS_MAX
from app.common.reactions import Consumer, Occurrence
from app.common.work import Work
from app.conversations.wiring import unassign_conversations
from app.imports.wiring import unassign_imports
from app.leads.wiring import unassign_leads
from app.settings import Settings
from workers.scoring import SCORED, SCORED_TOGETHER, score


async def unassign(work: Work, event: Occurrence) -> bool:
    """What a removed member looked after is nobody's, a chunk at a time; imports first, so that none gives them more.

    Who is a member again by then keeps all they had: nobody can tell it from what they were given since.
    """
    if "removed" not in event.changed:
        return True
    (user_id,) = event.entity_ids
    for unassign_some in (unassign_imports, unassign_leads, unassign_conversations):
        if await unassign_some(work, event.workspace_id, user_id, limit=EVENT_IDS_MAX):
            return False
    return True


def consumers(settings: Settings) -> tuple[Consumer, ...]:
    """In the order of their turns."""
    return (
        Consumer("unassign", {MemberChanged.name: unassign}),
        # Before the rules: what they ask of a score has in it what set them off.
        Consumer("scoring", together=score, names=SCORED, batch=SCORED_TOGETHER),
        *rule_consumers(runs_per_hour=settings.automation_runs_per_hour),
    )
