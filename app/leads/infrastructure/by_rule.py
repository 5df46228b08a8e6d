"""What rules do to leads, to many at once: what a change names is held first, then the leads, by their ids (decision
0026). Nobody acts but the rule, so nobody is named."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, text

from app.common.database import Statement
from app.common.domain import EVENT_IDS_MAX, ActorKind
from app.common.work import Work
from app.leads.domain.bulk_change import ChangeKind, LeadChange
from app.leads.domain.timeline import InteractionType, notes_added
from app.leads.infrastructure.bulk_changes import hold_target
from app.leads.infrastructure.changing import CHANGES

HOLD_LIVE = Statement(
    text(
        """
        SELECT id FROM lead
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (:ids) AND deleted_at IS NULL
        ORDER BY id FOR NO KEY UPDATE
        """
    ).bindparams(bindparam("ids", type_=ARRAY(Uuid)))
)
WRITE = Statement(
    text(
        """
        INSERT INTO interaction (workspace_id, lead_id, type, content, actor_kind, cause)
        SELECT cast(:workspace_id as uuid), id, cast(:type as text), cast(:content as text), cast(:actor_kind as text),
            cast(:cause as text)
        FROM unnest(:ids) AS id
        """
    ).bindparams(bindparam("ids", type_=ARRAY(Uuid)))
)


async def hold_live_leads(work: Work, workspace_id: UUID, lead_ids: Sequence[UUID]) -> set[UUID]:
    """Those that are live; nobody changes, merges, deletes or erases them until the commit."""
    rows = await work.fetch(HOLD_LIVE, workspace_id=workspace_id, ids=list(lead_ids))
    return {row["id"] for row in rows}


async def change_by_rule(
    work: Work, workspace_id: UUID, kind: ChangeKind, target_id: UUID, lead_ids: Sequence[UUID], *, cause: str
) -> set[UUID]:
    """Those that were different before; deleted ones are left alone. Announced, and on their timelines with `cause`.

    The caller has said `by_automation`, and given what is announced its cause. Raises TargetGone.
    """
    change = LeadChange(kind, target_id)
    name = await hold_target(work, workspace_id, change)
    live = await hold_live_leads(work, workspace_id, lead_ids)
    rows = await work.fetch(
        CHANGES[kind],
        workspace_id=workspace_id,
        ids=sorted(live),
        target_id=target_id,
        name=name,
        actor_id=None,
        actor_kind=ActorKind.AUTOMATION.value,
        cause=cause,
    )
    changed = sorted(row["id"] for row in rows)
    for start in range(0, len(changed), EVENT_IDS_MAX):
        work.announce(change.told(changed[start : start + EVENT_IDS_MAX]))
    return set(changed)


async def write_by_rule(
    work: Work,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    type: InteractionType,
    content: str,
    *,
    cause: str,
) -> None:
    """The same entry on the timeline of each; the leads are held. Announces nothing."""
    await work.fetch(
        WRITE,
        workspace_id=workspace_id,
        ids=list(lead_ids),
        type=type.value,
        content=content,
        actor_kind=ActorKind.AUTOMATION.value,
        cause=cause,
    )


async def note_by_rule(
    work: Work, workspace_id: UUID, lead_ids: Sequence[UUID], body: str, *, cause: str
) -> None:
    """A note on each of these leads, which are held; announced."""
    await write_by_rule(work, workspace_id, lead_ids, InteractionType.NOTE, body, cause=cause)
    for start in range(0, len(lead_ids), EVENT_IDS_MAX):
        work.announce(notes_added(lead_ids[start : start + EVENT_IDS_MAX]))
