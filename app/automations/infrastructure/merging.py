"""Merging leads: their runs follow them, and go back.

A person has one live run of a rule: of two the kept lead's goes on, and the other is canceled, LEAD_MERGED; so is one
whose event the other has met already. On the way back it goes on where it stood.

While it goes on no rule reacts in the workspace, so that nobody takes up what is looked at. A run's row lock comes
before its lead's: `hold_runs` waits for whoever acts. What is in a worker's hands stays there: it asks whose the run is
once it has the row.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from app.automations.domain.run import RunReason, RunStatus
from app.automations.infrastructure.reacting import CONSUMERS
from app.automations.infrastructure.tables import LIVE, WAITING
from app.common.database import Statement
from app.common.reaction_log import hold_cursor
from app.common.repointing import Reassignment, Touched
from app.common.work import Work

TABLE = "automation_run"
REASSIGNED = frozenset({TABLE})
MERGED = f"status = '{RunStatus.CANCELED.value}' AND reason = '{RunReason.LEAD_MERGED.value}'"
CANCELED = f"""status = '{RunStatus.CANCELED.value}', reason = '{RunReason.LEAD_MERGED.value}', finished_at = now(),
                token = NULL, lease_until = NULL"""
HOLD = Statement(
    text(
        f"""
        SELECT id FROM automation_run
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:lead_ids as uuid[])) AND {LIVE}
        ORDER BY id FOR NO KEY UPDATE
        """  # noqa: S608 - words of ours
    )
)
# Whose place is before: the kept lead's, then those of the merged ones in their order.
END = Statement(
    text(
        f"""
        WITH merged AS (
            SELECT f.lead_id, f.place FROM unnest(cast(:from_ids as uuid[])) WITH ORDINALITY AS f(lead_id, place)
        ), ended AS (
            UPDATE automation_run t SET {CANCELED}
            FROM merged m
            WHERE t.workspace_id = cast(:workspace_id as uuid) AND t.lead_id = m.lead_id AND t.{LIVE}
                AND EXISTS (
                    SELECT FROM automation_run same LEFT JOIN merged b ON b.lead_id = same.lead_id
                    WHERE same.workspace_id = cast(:workspace_id as uuid) AND same.automation_id = t.automation_id
                        AND (same.lead_id = cast(:to_id as uuid) OR b.place < m.place)
                        AND (same.{LIVE} OR same.trigger_seq = t.trigger_seq)
                )
            RETURNING t.id
        )
        SELECT cast(jsonb_build_object('id', jsonb_agg(id)) as text) AS key, '{{"lead_id": null}}' AS before
        FROM ended HAVING count(*) > 0
        """  # noqa: S608 - words of ours
    )
)
# Of one event a lead has one run of a rule: the second stays where it is.
MOVE = Statement(
    text(
        """
        WITH moved AS (
            UPDATE automation_run t SET lead_id = cast(:to_id as uuid)
            WHERE t.workspace_id = cast(:workspace_id as uuid) AND t.lead_id = ANY (cast(:from_ids as uuid[]))
                AND NOT EXISTS (
                    SELECT FROM automation_run same
                    WHERE same.workspace_id = t.workspace_id AND same.automation_id = t.automation_id
                        AND same.trigger_seq = t.trigger_seq
                        AND (same.lead_id = cast(:to_id as uuid) OR (same.lead_id = ANY (cast(:from_ids as uuid[]))
                            AND array_position(cast(:from_ids as uuid[]), same.lead_id)
                                < array_position(cast(:from_ids as uuid[]), t.lead_id)))
                )
            RETURNING old.lead_id AS lead_id, t.id
        )
        SELECT cast(jsonb_build_object('id', jsonb_agg(id)) as text) AS key,
            cast(jsonb_build_object('lead_id', lead_id) as text) AS before
        FROM moved GROUP BY lead_id ORDER BY lead_id
        """
    )
)
GIVE_BACK = Statement(
    text(
        """
        UPDATE automation_run t SET lead_id = cast(cast(:before as jsonb) ->> 'lead_id' as uuid)
        FROM jsonb_array_elements_text(cast(:key as jsonb) -> 'id') AS k(id)
        WHERE t.workspace_id = cast(:workspace_id as uuid) AND t.id = cast(k.id as uuid)
            AND t.lead_id = cast(:to_id as uuid) AND cast(:before as jsonb) ->> 'lead_id' IS NOT NULL
        """
    )
)
GO_ON = Statement(
    text(
        f"""
        UPDATE automation_run t SET status = '{WAITING}', reason = NULL, finished_at = NULL, attempt = 0
        FROM jsonb_array_elements_text(cast(:key as jsonb) -> 'id') AS k(id)
        WHERE t.workspace_id = cast(:workspace_id as uuid) AND t.id = cast(k.id as uuid)
            AND t.lead_id = ANY (cast(:from_ids as uuid[])) AND t.{MERGED}
            AND cast(:before as jsonb) ->> 'lead_id' IS NULL
            AND NOT EXISTS (
                SELECT FROM automation_run same
                WHERE same.workspace_id = t.workspace_id AND same.automation_id = t.automation_id
                    AND same.lead_id = t.lead_id AND same.{LIVE}
            )
        """  # noqa: S608 - words of ours
    )
)
ABOUT = """c.workspace_id = t.workspace_id AND c.id = t.conversation_id
            AND t.workspace_id = cast(:workspace_id as uuid) AND t.lead_id = cast(:to_id as uuid)
            AND c.lead_id = ANY (cast(:from_ids as uuid[])) AND t.created_at >= cast(:since as timestamptz)"""
FOLLOW = Statement(
    text(
        f"""
        UPDATE automation_run t SET lead_id = c.lead_id
        FROM conversation c
        WHERE {ABOUT}
            AND NOT EXISTS (
                SELECT FROM automation_run same
                WHERE same.workspace_id = t.workspace_id AND same.automation_id = t.automation_id
                    AND same.lead_id = c.lead_id
                    AND (same.trigger_seq = t.trigger_seq OR same.{LIVE} AND t.{LIVE})
            )
        """  # noqa: S608 - words of ours
    )
)
END_LEFT = Statement(
    text(
        f"""
        UPDATE automation_run t SET {CANCELED}
        FROM conversation c
        WHERE {ABOUT} AND t.{LIVE}
        """  # noqa: S608 - words of ours
    )
)


async def hold_runs(work: Work, workspace_id: UUID, lead_ids: Sequence[UUID]) -> None:
    """The live ones, until the commit; before their leads. Whoever reacts, or acts for one of them, has committed by
    then, and no other is made meanwhile."""
    for name in CONSUMERS:
        await hold_cursor(work, workspace_id, name)
    await work.fetch(HOLD, workspace_id=workspace_id, lead_ids=list(lead_ids))


async def reassign(work: Work, merge: Reassignment) -> list[Touched]:
    """The merged leads' become the kept one's. What was canceled is journaled without a lead, what moved with its."""
    of = {"workspace_id": merge.workspace_id, "from_ids": list(merge.from_ids), "to_id": merge.to_id}
    ended = Touched.of(TABLE, await work.fetch(END, **of))
    return ended + Touched.of(TABLE, await work.fetch(MOVE, **of))


async def give_back(work: Work, merge: Reassignment, touched: Sequence[Touched], *, since: datetime) -> None:
    """Undoes `reassign`, once the conversations are back; `since` is when the merge was. What a conversation started
    since goes with it; where that lead's own run of the rule goes on, it is canceled."""
    mine = [one for one in touched if one.table == TABLE]
    of = {"workspace_id": merge.workspace_id, "from_ids": list(merge.from_ids), "to_id": merge.to_id}
    for statement in (GIVE_BACK, GO_ON):
        for one in mine:
            await work.fetch(statement, **of, key=one.key, before=one.before)
    for statement in (FOLLOW, END_LEFT):
        await work.fetch(statement, **of, since=since)
