"""Merging leads: what one lead has becomes another's, and goes exactly back (`people` asks for it, and keeps the
journal).

On the way back, what people did meanwhile stands: a field of the kept lead is restored only where it still holds what
the merge put there; an identity that was removed stays removed, and one that was added stays with the kept lead; a tag
that was taken off the kept lead is not on it, but the merged lead gets its own tags as they were; a suppression that
was lifted stays lifted. A version is never given out twice: it goes up on the way back as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy import text

from app.common.database import Statement
from app.common.repointing import Reassignment, Repointed, Touched
from app.common.work import Work
from app.leads.domain.lead import Engagement
from app.leads.infrastructure.identities import elect_primaries, refresh_contacts
from app.leads.infrastructure.merging_statements import (
    AWAY,
    BACK,
    FILL,
    FOLLOW,
    FOLLOW_NUMBERS,
    FOLLOW_SCORES,
    FORGET_ENTRIES,
    GIVE_BACK_IDENTITIES,
    GIVE_BACK_SUPPRESSION,
    GIVE_BACK_TAGS,
    MOVE_IDENTITIES,
    MOVE_SUPPRESSIONS,
    MOVE_TAGS,
    RESTORE_KEPT,
    SAME_SUPPRESSIONS,
    TAGS_OF,
    TAKE_OFF_TAGS,
)
from app.leads.infrastructure.scores import rescore
from app.tags.wiring import hold_tags

HOLD = Statement(
    text(
        """
        SELECT id, name, deleted_at IS NULL AS is_live, merged_into_id FROM lead
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
        ORDER BY id FOR NO KEY UPDATE
        """
    )
)
ENTRIES, STAGE_CHANGES = Repointed("interaction"), Repointed("stage_change")
SCORE_EVENTS = Repointed("score_event")
REASSIGNED = frozenset(
    {"lead_identity", "lead_tag", "interaction", "stage_change", "suppression", "score_event"}
)
"""The tables whose rows follow their lead here."""


@dataclass(frozen=True, slots=True)
class HeldLead:
    """A lead that is locked until the commit."""

    id: UUID
    name: str
    is_live: bool
    merged_into_id: UUID | None


async def hold_leads(work: Work, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, HeldLead]:
    """Those that there are, deleted ones too; locked in the order of their ids."""
    rows = await work.fetch(HOLD, workspace_id=workspace_id, ids=list(ids))
    return {
        row["id"]: HeldLead(row["id"], row["name"], row["is_live"], row["merged_into_id"]) for row in rows
    }


async def reassign(work: Work, merge: Reassignment) -> tuple[list[Touched], list[str]]:
    """All that leads' tables hold of the merged leads becomes the kept one's, which is filled from them; they are
    deleted. What was touched, and which columns of the kept lead were filled."""
    of = _of(merge)
    touched = await _move_tags(work, merge)
    touched += Touched.of("lead_identity", await work.fetch(MOVE_IDENTITIES, **of))
    for rows in (ENTRIES, STAGE_CHANGES, SCORE_EVENTS):
        touched += await rows.move(work, merge)
    touched += Touched.of("suppression", await work.fetch(SAME_SUPPRESSIONS, **of))
    touched += Touched.of("suppression", await work.fetch(MOVE_SUPPRESSIONS, **of))
    kept = Touched.of("lead", await work.fetch(FILL, **of, engagements=[one.value for one in Engagement]))
    away = Touched.of("lead", await work.fetch(AWAY, **of))
    await refresh_contacts(work, merge.workspace_id, [merge.to_id, *merge.from_ids])
    # What a merge puts together is no threshold crossed.
    await rescore(work, merge.workspace_id, [merge.to_id], is_told=False)
    return touched + kept + away, _filled(kept[0])


async def _move_tags(work: Work, merge: Reassignment) -> list[Touched]:
    """The tags are held first: who deletes one waits here, not while it holds it."""
    rows = await work.fetch(TAGS_OF, workspace_id=merge.workspace_id, from_ids=list(merge.from_ids))
    if not rows:
        return []
    await hold_tags(work, merge.workspace_id, [row["tag_id"] for row in rows])
    return Touched.of("lead_tag", await work.fetch(MOVE_TAGS, **_of(merge)))


def _filled(kept: Touched) -> list[str]:
    assert kept.before is not None
    states = orjson.loads(kept.before)
    was, became = states["was"], states["became"]
    return sorted(name for name in was if was[name] != became[name] and name not in ("version", "updated_at"))


async def give_back(work: Work, merge: Reassignment, touched: Sequence[Touched], *, cause: str) -> None:
    """Undoes `reassign`; `cause` is that of the entries it was told by, which go. Follow with `follow`."""
    of = _of(merge)
    await hold_tags(work, merge.workspace_id, _tags_of(touched))
    for one in touched:
        if one.table in GIVE_BACK:
            before = orjson.loads(one.before) if one.before is not None else None
            await work.fetch(_statement(one.table, before), **of, key=one.key, before=one.before)
    for rows in (ENTRIES, STAGE_CHANGES, SCORE_EVENTS):
        await rows.give_back(work, merge, touched)
    await work.fetch(FORGET_ENTRIES, workspace_id=merge.workspace_id, to_id=merge.to_id, cause=cause)
    ids = [merge.to_id, *merge.from_ids]
    await elect_primaries(work, merge.workspace_id, ids)
    await refresh_contacts(work, merge.workspace_id, ids)


def _tags_of(touched: Sequence[Touched]) -> list[UUID]:
    ids = {id for one in touched if one.table == "lead_tag" for id in orjson.loads(one.key)["tag_id"]}
    return [UUID(id) for id in ids]


GIVE_BACK = frozenset({"lead", "lead_identity", "lead_tag", "suppression"})


def _statement(table: str, before: Mapping[str, object] | None) -> Statement:
    if table == "lead":
        return RESTORE_KEPT if before and "was" in before else BACK
    if table == "lead_tag":
        return TAKE_OFF_TAGS if before is None else GIVE_BACK_TAGS
    return GIVE_BACK_IDENTITIES if table == "lead_identity" else GIVE_BACK_SUPPRESSION


async def follow(
    work: Work, merge: Reassignment, conversations: Mapping[UUID, UUID], *, since: datetime
) -> None:
    """What was entered of these conversations since the merge goes with them, each to its lead; so does a number that
    the kept lead was given since, where one of them has it as the other kind."""
    for follow_of in (FOLLOW, FOLLOW_SCORES):
        await work.fetch(
            follow_of,
            workspace_id=merge.workspace_id,
            to_id=merge.to_id,
            conversation_ids=list(conversations),
            lead_ids=list(conversations.values()),
            since=since,
        )
    if await work.fetch(FOLLOW_NUMBERS, **_of(merge), since=since):
        ids = [merge.to_id, *merge.from_ids]
        await elect_primaries(work, merge.workspace_id, ids)
        await refresh_contacts(work, merge.workspace_id, ids)
    await rescore(work, merge.workspace_id, [merge.to_id, *merge.from_ids], is_told=False)


def _of(merge: Reassignment) -> dict[str, object]:
    return {
        "workspace_id": merge.workspace_id,
        "from_ids": list(merge.from_ids),
        "to_id": merge.to_id,
    }
