"""Merging leads: their conversations and deliveries follow them, and go back.

A conversation's row lock comes after its lead's and before its deliveries'. On the way back a conversation takes with
it what came in it since; one that was started since with an address that goes back, goes with the address: what that
person writes next is found by it.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.repointing import Reassignment, Repointed, Touched
from app.common.work import Work

HOLD = Statement(
    text(
        """
        SELECT id, lead_id FROM conversation
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY id FOR NO KEY UPDATE
        """
    )
)
STARTED_SINCE = Statement(
    text(
        """
        UPDATE conversation c SET lead_id = i.lead_id
        FROM lead_identity i
        WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.lead_id = cast(:to_id as uuid)
            AND c.created_at >= cast(:since as timestamptz)
            AND i.workspace_id = c.workspace_id AND i.lead_id = ANY (cast(:from_ids as uuid[]))
            AND i.kind = c.channel AND i.value = c.contact_address
        """
    )
)
FOLLOW = Statement(
    text(
        """
        UPDATE delivery d SET lead_id = c.lead_id
        FROM conversation c
        WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.lead_id = cast(:to_id as uuid)
            AND c.workspace_id = d.workspace_id AND c.id = d.conversation_id
            AND c.lead_id = ANY (cast(:from_ids as uuid[])) AND d.created_at >= cast(:since as timestamptz)
        """
    )
)
CONVERSATIONS = Repointed("conversation")
# Of what was sent to two of the leads by one origin, a row stays where it is: the ledger has one of an origin a lead.
DELIVERIES = Repointed(
    "delivery",
    where="""AND NOT EXISTS (
                SELECT FROM delivery same
                WHERE same.workspace_id = t.workspace_id AND same.origin_kind = t.origin_kind
                    AND same.origin_id = t.origin_id AND same.step = t.step AND same.visit = t.visit
                    AND (same.lead_id = cast(:to_id as uuid) OR (same.lead_id = ANY (cast(:from_ids as uuid[]))
                        AND (same.lead_id, same.id) < (t.lead_id, t.id)))
            )""",
)
REASSIGNED = frozenset({CONVERSATIONS.table, DELIVERIES.table})


async def reassign(work: Work, merge: Reassignment) -> tuple[list[Touched], list[UUID]]:
    """The merged leads' become the kept one's; what was touched, and the conversations that moved."""
    held = await work.fetch(HOLD, workspace_id=merge.workspace_id, lead_ids=list(merge.from_ids))
    touched = await CONVERSATIONS.move(work, merge) + await DELIVERIES.move(work, merge)
    return touched, [row["id"] for row in held]


async def give_back(
    work: Work, merge: Reassignment, touched: Sequence[Touched], *, since: datetime
) -> dict[UUID, UUID]:
    """Undoes `reassign`, once the identities are back; `since` is when the merge was. The conversations that moved,
    each with its lead."""
    of = {
        "workspace_id": merge.workspace_id,
        "to_id": merge.to_id,
        "from_ids": list(merge.from_ids),
    }
    await work.fetch(HOLD, workspace_id=merge.workspace_id, lead_ids=[merge.to_id])
    await CONVERSATIONS.give_back(work, merge, touched)
    await work.fetch(STARTED_SINCE, **of, since=since)
    await DELIVERIES.give_back(work, merge, touched)
    await work.fetch(FOLLOW, **of, since=since)
    moved = await work.fetch(HOLD, workspace_id=merge.workspace_id, lead_ids=list(merge.from_ids))
    return {row["id"]: row["lead_id"] for row in moved}
