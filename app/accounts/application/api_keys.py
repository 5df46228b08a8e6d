"""Making and revoking a workspace's API keys."""

from dataclasses import dataclass
from uuid import UUID

from app.accounts.domain.api_key import MAX_KEYS, ApiKeyNotFound, ApiKeySecret, TooManyApiKeys, check_role
from app.accounts.domain.audit import Author
from app.accounts.domain.member import lesser
from app.accounts.domain.ports import ApiKeys, AuditLog
from app.common.domain import Actor, Role, clean_text


@dataclass(frozen=True, slots=True)
class ApiKeyUseCases:
    """In a transaction of the workspace's own door."""

    workspace_id: UUID
    actor: Actor
    keys: ApiKeys
    record: AuditLog

    async def create_api_key(self, name: str, role: Role) -> tuple[UUID, ApiKeySecret]:
        """The secret is told here and never again. Raises Invalid, Forbidden, TooManyApiKeys."""
        name = clean_text(name, "name")
        own, live = await self.keys.lock(self.workspace_id, self.actor.user_id)
        check_role(role, own=lesser(self.actor.role, own) if own else None)
        if live >= MAX_KEYS:
            raise TooManyApiKeys
        secret = ApiKeySecret.mint()
        key_id = await self.keys.add(self.workspace_id, self.actor.user_id, name, role, secret)
        await self._record("api_key.created", key_id, after={"role": role})
        return key_id, secret

    async def revoke_api_key(self, key_id: UUID) -> None:
        """Raises ApiKeyNotFound."""
        if not await self.keys.revoke(self.workspace_id, key_id):
            raise ApiKeyNotFound
        await self._record("api_key.revoked", key_id, after={})

    async def _record(self, action: str, key_id: UUID, *, after: dict[str, object]) -> None:
        author = Author.of(self.actor)
        await self.record(self.workspace_id, author, action, object_id=key_id, after=after)
