"""Implements the port `Records`: one lead as a member changes it, under its lock."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import orjson
from sqlalchemy import text

from app.accounts.wiring import held_member_name, phone_region
from app.common.database import Statement
from app.common.work import Work
from app.leads.domain.errors import IdentityNotFound, LeadNotFound, OwnerNotFound
from app.leads.domain.identity import Identity, IdentityKind
from app.leads.domain.record import HeldIdentity, HeldLead, LeadChanges
from app.leads.infrastructure.identities import (
    add_identities,
    refresh_contacts,
    remove_identities,
)

HOLD = Statement(
    text(
        """
        SELECT id, version, name, company, title, time_zone, owner_id,
            coalesce(metadata <> cast(:metadata as jsonb), false) AS has_other_metadata
        FROM lead
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:lead_id as uuid) AND deleted_at IS NULL
        FOR NO KEY UPDATE
        """
    )
)
IDENTITIES = Statement(
    text(
        """
        SELECT id, kind, value, is_primary FROM lead_identity
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = cast(:lead_id as uuid) ORDER BY kind, value
        """
    )
)
WHOSE = Statement(
    text(
        """
        SELECT lead_id FROM lead_identity
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND released_at IS NULL
        """
    )
)
SAVE = Statement(
    text(
        """
        UPDATE lead SET name = :name, company = :company, title = :title,
            time_zone = cast(:time_zone as text), owner_id = cast(:owner_id as uuid),
            metadata = coalesce(cast(:metadata as jsonb), metadata), updated_at = now(), version = version + 1
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:lead_id as uuid)
        """
    )
)


class RecordRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def phone_region(self, workspace_id: UUID) -> str:
        return await phone_region(self._work, workspace_id)

    async def owner_name(self, workspace_id: UUID, owner_id: UUID) -> str:
        name = await held_member_name(self._work, workspace_id, owner_id)
        if name is None:
            raise OwnerNotFound
        return name

    async def hold(
        self, workspace_id: UUID, lead_id: UUID, *, path: str, metadata: Mapping[str, object] | None = None
    ) -> HeldLead:
        row = await self._work.fetch_one(
            HOLD, workspace_id=workspace_id, lead_id=lead_id, metadata=_json(metadata)
        )
        if row is None:
            raise LeadNotFound(path)
        identities = await self._work.fetch(IDENTITIES, workspace_id=workspace_id, lead_id=lead_id)
        return HeldLead(
            **row,
            identities=[
                HeldIdentity(one["id"], Identity(IdentityKind(one["kind"]), one["value"]), one["is_primary"])
                for one in identities
            ],
        )

    async def hold_by_identity(self, workspace_id: UUID, identity_id: UUID) -> HeldLead:
        row = await self._work.fetch_one(WHOSE, workspace_id=workspace_id, id=identity_id)
        if row is None:
            raise IdentityNotFound
        try:
            held = await self.hold(workspace_id, row["lead_id"], path="id")
        except LeadNotFound:
            raise IdentityNotFound from None
        if all(one.id != identity_id for one in held.identities):
            raise IdentityNotFound  # gone while this waited
        return held

    async def save(self, workspace_id: UUID, lead: HeldLead, changes: LeadChanges) -> None:
        await self._work.fetch(
            SAVE,
            workspace_id=workspace_id,
            lead_id=lead.id,
            name=changes.texts.get("name", lead.name),
            company=changes.texts.get("company", lead.company),
            title=changes.texts.get("title", lead.title),
            time_zone=changes.texts.get("time_zone", lead.time_zone),
            owner_id=changes.owner.get("ownerId", lead.owner_id),
            metadata=_json(changes.metadata),
        )

    async def exchange(
        self,
        workspace_id: UUID,
        lead_id: UUID,
        *,
        remove: Sequence[UUID],
        add: Mapping[str, Identity],
        primary: bool,
    ) -> None:
        if remove:
            await remove_identities(self._work, workspace_id, lead_id, remove)
        await add_identities(self._work, workspace_id, lead_id, add, primary=primary)
        await refresh_contacts(self._work, workspace_id, [lead_id])


def _json(metadata: Mapping[str, object] | None) -> str | None:
    return None if metadata is None else orjson.dumps(metadata).decode()
