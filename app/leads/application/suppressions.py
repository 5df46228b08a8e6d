"""The use cases of suppressions: set by a member, lifted by an administrator, seen by everybody who sends."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.common.domain import Channel
from app.leads.domain.errors import LeadNotFound
from app.leads.domain.suppression import Erased, NewSuppression, SuppressionNotFound, new_suppression


class Suppressions(Protocol):
    """Writes that any number may ask for at once."""

    async def phone_region(self, workspace_id: UUID) -> str: ...

    async def hold_lead(self, workspace_id: UUID, lead_id: UUID) -> bool:
        """Whether there is such a live lead; if so, it stays until the commit."""

    async def is_erased(self, workspace_id: UUID, new: NewSuppression) -> bool:
        """Whether its value is somebody's who was erased; if not, nobody of it is erased before the commit."""

    async def add(self, workspace_id: UUID, new: NewSuppression, *, created_by: UUID) -> UUID:
        """The id; one that is there already stays, and is a member's from then on."""

    async def remove(self, workspace_id: UUID, id: UUID) -> bool: ...


@dataclass(frozen=True)
class SuppressionUseCases:
    workspace_id: UUID
    suppressions: Suppressions
    audit: Callable[[str, UUID], Awaitable[None]]

    async def suppress(
        self,
        *,
        value: str | None,
        lead_id: UUID | None,
        channel: Channel | None,
        reason: str | None,
        created_by: UUID,
    ) -> UUID:
        """Nothing is sent there from now on. Raises Invalid, LeadNotFound, Erased."""
        region = await self.suppressions.phone_region(self.workspace_id)
        new = new_suppression(value=value, lead_id=lead_id, channel=channel, reason=reason, region=region)
        if lead_id is not None and not await self.suppressions.hold_lead(self.workspace_id, lead_id):
            raise LeadNotFound
        if await self.suppressions.is_erased(self.workspace_id, new):
            raise Erased("value")
        return await self.suppressions.add(self.workspace_id, new, created_by=created_by)

    async def lift_suppression(self, id: UUID) -> None:
        """Raises SuppressionNotFound."""
        if not await self.suppressions.remove(self.workspace_id, id):
            raise SuppressionNotFound
        await self.audit("suppression.lifted", id)
