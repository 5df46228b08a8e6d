"""Changing who belongs to a workspace, and as what."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from app.accounts.domain.audit import Author
from app.accounts.domain.events import MemberChanged
from app.accounts.domain.member import MemberNotFound, NotYourWorkspace, Standing, lesser, role_over_members
from app.accounts.domain.ports import AuditLog, Members
from app.common.domain import Actor, Announcer, Forbidden, Role


@dataclass(frozen=True, slots=True)
class MemberUseCases:
    """In a transaction of the workspace's own door."""

    workspace_id: UUID
    actor: Actor
    members: Members
    feed: Announcer
    record: AuditLog

    async def change_member_role(self, user_id: UUID, role: Role) -> None:
        """The same role again: nothing happens. Raises MemberNotFound, Forbidden, LastOwner."""
        standing = await self._standing(user_id)
        if standing.role is role:
            return
        standing.check_change(role)
        await self.members.save_role(self.workspace_id, user_id, role)
        await self._tell(user_id, "role", "member.role_changed", before=standing.role, after={"role": role})

    async def remove_member(self, user_id: UUID) -> None:
        """Oneself too. Raises MemberNotFound, Forbidden, LastOwner."""
        standing = await self._standing(user_id)
        standing.check_removal()
        await self._remove(user_id, standing.role, "member.removed")

    async def leave_workspace(self) -> None:
        """Raises NotYourWorkspace, LastOwner."""
        user_id = self.actor.user_id
        roles = await self.members.lock(self.workspace_id, user_id, user_id)
        if user_id not in roles:
            raise NotYourWorkspace
        own = Standing(acting=roles[user_id], role=roles[user_id], owners=_owners(roles), is_own=True)
        own.check_leaving()
        await self._remove(user_id, own.role, "member.left")

    async def _standing(self, user_id: UUID) -> Standing:
        roles = await self.members.lock(self.workspace_id, self.actor.user_id, user_id)
        if self.actor.user_id not in roles:
            raise Forbidden("You are no member of this workspace any more: ask its owner.")
        if user_id not in roles:
            raise MemberNotFound
        return Standing(
            acting=lesser(role_over_members(self.actor), roles[self.actor.user_id]),
            role=roles[user_id],
            owners=_owners(roles),
            is_own=user_id == self.actor.user_id and not self.actor.is_api_key,
        )

    async def _remove(self, user_id: UUID, role: Role, action: str) -> None:
        await self.members.remove(self.workspace_id, user_id)
        await self._tell(user_id, "removed", action, before=role, after={})

    async def _tell(
        self, user_id: UUID, changed: str, action: str, *, before: Role, after: Mapping[str, object]
    ) -> None:
        was = {"role": before}
        self.feed.announce(MemberChanged(entity_ids=[user_id], changed=[changed], before=was, after=after))
        await self.record(
            self.workspace_id, Author.of(self.actor), action, object_id=user_id, before=was, after=after
        )


def _owners(roles: Mapping[UUID, Role]) -> int:
    return sum(role is Role.OWNER for role in roles.values())
