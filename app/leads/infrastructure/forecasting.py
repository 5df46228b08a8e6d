"""What writing staged rows would come to, without writing them: the same statements up to the writing, and the same
texts of what would change (`known_leads.py`)."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work
from app.leads.domain.staged import ImportPolicy, LeadDefaults, StagedLead, WrittenLead
from app.leads.infrastructure.known_leads import WOULD_ADD, WOULD_NOTE, WOULD_TAG, WOULD_UPDATE
from app.leads.infrastructure.matching import Settle, mark_taken, match
from app.leads.infrastructure.staged_tags import stage_tags
from app.leads.infrastructure.staging import finish, make_stage, stage
from app.tags.wiring import plan_tags

TAGS_THERE = Statement(
    text(
        "SELECT id FROM tag WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:tag_ids as uuid[]))"
    )
)


async def forecast_leads(
    work: Work,
    workspace_id: UUID,
    staged: Sequence[StagedLead],
    policy: ImportPolicy,
    defaults: LeadDefaults,
    *,
    settle: Settle,
) -> list[WrittenLead]:
    """The outcomes that `upsert_leads` would come to with the same rows. Writes to temporary tables alone and holds
    nothing; a row that would be CREATED names a lead that is not there."""
    await make_stage(work)
    await stage(work, staged)
    has_known = await match(work, workspace_id, staged, policy, settle)
    await stage_tags(work, workspace_id, staged, plan_tags)
    if has_known:
        await _forecast_known(work, workspace_id, policy, defaults)
    return await finish(work)


async def _forecast_known(
    work: Work, workspace_id: UUID, policy: ImportPolicy, defaults: LeadDefaults
) -> None:
    await mark_taken(work, workspace_id, has_known=True, is_forecast=True)
    there = await work.fetch(TAGS_THERE, workspace_id=workspace_id, tag_ids=list(defaults.tag_ids))
    await work.fetch(WOULD_ADD, workspace_id=workspace_id, policy=policy)
    await work.fetch(WOULD_TAG, workspace_id=workspace_id, tag_ids=[row["id"] for row in there])
    await work.fetch(WOULD_NOTE, workspace_id=workspace_id)
    fill = policy is ImportPolicy.FILL_EMPTY
    await work.fetch(WOULD_UPDATE, workspace_id=workspace_id, fill=fill, owner_id=defaults.owner_id)
