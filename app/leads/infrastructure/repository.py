"""Implements the port `Leads`."""

from collections.abc import Sequence
from uuid import UUID

import orjson
from sqlalchemy import Uuid, bindparam, insert, select, text

from app.accounts.wiring import hold_member, phone_region
from app.common.database import Statement
from app.common.work import Work
from app.leads.domain.errors import OwnerNotFound, StageNotFound, TagsNotFound
from app.leads.domain.identity import IdentityKind
from app.leads.domain.lead import LeadSource, NewLead, rank_of
from app.leads.infrastructure.erased import refuse_erased
from app.leads.infrastructure.identities import add_identities, refuse_taken
from app.leads.infrastructure.tables import lead_tag, stage
from app.tags.wiring import hold_tags

ADD = Statement(
    text(
        """
        WITH created AS (
            INSERT INTO lead
                (workspace_id, id, name, email, phone, company, title, stage_id, rank, owner_id, source, metadata,
                 created_by, basis, time_zone, handles, score)
            VALUES (cast(:workspace_id as uuid), cast(:lead_id as uuid), :name, :email, :phone, :company, :title,
                cast(:stage_id as uuid), :rank, cast(:owner_id as uuid), :source, cast(:metadata as jsonb),
                cast(:created_by as uuid), cast(:basis as text), cast(:time_zone as text), array(
                    SELECT value FROM unnest(cast(:kinds as text[]), cast(:values as text[])) AS i(kind, value)
                    ORDER BY kind, value
                ), first_score(cast(:workspace_id as uuid), :email, :phone, :company, :title, :source))
        )
        INSERT INTO lead_identity (workspace_id, lead_id, kind, value, is_primary)
        SELECT cast(:workspace_id as uuid), cast(:lead_id as uuid), kind, value, true
        FROM unnest(cast(:kinds as text[]), cast(:values as text[])) AS i(kind, value)
        ORDER BY kind, value
        ON CONFLICT DO NOTHING
        RETURNING kind
        """
    )
)
HOLD_STAGE = Statement(
    select(stage.c.id)
    .where(
        stage.c.workspace_id == bindparam("workspace_id"),
        bindparam("stage_id", type_=Uuid).is_(None) | (stage.c.id == bindparam("stage_id", type_=Uuid)),
    )
    .order_by((stage.c.kind == text("'OPEN'")).desc(), stage.c.position, stage.c.id)
    .limit(1)
    .with_for_update(key_share=True, read=True)
)
STAGE_ATTEMPTS = 5


class LeadRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def phone_region(self, workspace_id: UUID) -> str:
        return await phone_region(self._work, workspace_id)

    async def add(
        self,
        workspace_id: UUID,
        lead_id: UUID,
        lead: NewLead,
        *,
        stage_id: UUID | None,
        owner_id: UUID | None,
        tag_ids: Sequence[UUID],
        source: LeadSource,
        created_by: UUID,
    ) -> None:
        stage_id = await self.stage(workspace_id, stage_id)
        await self.check_owner(workspace_id, owner_id)
        await self.check_tags(workspace_id, tag_ids)
        keys = list(lead.identities.values())
        added = await self._work.fetch(
            ADD,
            workspace_id=workspace_id,
            lead_id=lead_id,
            kinds=[one.kind.value for one in keys],
            values=[one.value for one in keys],
            name=lead.name,
            email=lead.value_of(IdentityKind.EMAIL),
            phone=lead.value_of(IdentityKind.PHONE),
            company=lead.company,
            title=lead.title,
            stage_id=stage_id,
            rank=rank_of(lead_id),
            owner_id=owner_id,
            source=source.value,
            metadata=orjson.dumps(lead.metadata).decode(),
            created_by=created_by,
            basis=lead.basis,
            time_zone=lead.time_zone,
        )
        await self._check_identities(workspace_id, lead_id, lead, are_all_added=len(added) == len(keys))
        if tag_ids:
            await self._add_tags(workspace_id, lead_id, tag_ids)

    async def _check_identities(
        self, workspace_id: UUID, lead_id: UUID, lead: NewLead, *, are_all_added: bool
    ) -> None:
        """Raises IdentityTaken, Erased."""
        if not are_all_added:
            await add_identities(self._work, workspace_id, lead_id, lead.identities)
        elif lead.value_of(IdentityKind.PHONE):
            await refuse_taken(self._work, workspace_id, lead_id, lead.identities)  # as a WhatsApp number
        await refuse_erased(self._work, workspace_id, lead.identities)

    async def _add_tags(self, workspace_id: UUID, lead_id: UUID, tag_ids: Sequence[UUID]) -> None:
        rows = [
            {"workspace_id": workspace_id, "lead_id": lead_id, "tag_id": id} for id in dict.fromkeys(tag_ids)
        ]
        await self._work.execute(insert(lead_tag), rows)

    async def stage(self, workspace_id: UUID, stage_id: UUID | None) -> UUID:
        """`stage_id`, or the first open stage for None: held until the commit, and before any lead (a stage's deletion
        takes them in this order). Raises StageNotFound."""
        # The first stage may be deleted while it is waited for: then another one is the first.
        for _ in range(1 if stage_id else STAGE_ATTEMPTS):
            if row := await self._work.fetch_one(HOLD_STAGE, workspace_id=workspace_id, stage_id=stage_id):
                found: UUID = row["id"]
                return found
        raise StageNotFound

    async def check_owner(self, workspace_id: UUID, owner_id: UUID | None) -> None:
        """Raises OwnerNotFound; holds the membership until the commit."""
        if owner_id and not await hold_member(self._work, workspace_id, owner_id):
            raise OwnerNotFound

    async def check_tags(self, workspace_id: UUID, tag_ids: Sequence[UUID], *, path: str = "tagIds") -> None:
        """Raises TagsNotFound at the first that is none of this workspace's; holds them until the commit."""
        if not tag_ids:
            return
        found = await hold_tags(self._work, workspace_id, tag_ids)
        for position, tag_id in enumerate(tag_ids):
            if tag_id not in found:
                raise TagsNotFound(position, path)
