"""The use case of sending domains: load, decide, store, announce."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.accounts.domain.audit import Author
from app.accounts.domain.ports import AuditLog
from app.channels.domain.account import AccountUpdated
from app.channels.domain.sending_domain import SendingDomain, SendingDomainNotFound
from app.common.domain import Announcer


class Limits(Protocol):
    """The port to what domains may send."""

    async def hold(self, workspace_id: UUID, domain: str) -> SendingDomain | None: ...

    async def save(self, workspace_id: UUID, changed: SendingDomain) -> Sequence[UUID]: ...


@dataclass(frozen=True)
class LimitUseCases:
    workspace_id: UUID
    author: Author
    limits: Limits
    feed: Announcer
    record: AuditLog

    async def set_sending_domain_limit(self, domain: str, daily_limit: int | None) -> None:
        """In force with the next message. Raises SendingDomainNotFound."""
        before = await self.limits.hold(self.workspace_id, domain)
        if before is None:
            raise SendingDomainNotFound
        after, is_news = before.limited(daily_limit)
        if not is_news:
            return
        account_ids = await self.limits.save(self.workspace_id, after)
        self.feed.announce(AccountUpdated(entity_ids=account_ids, changed=["domainLimit"]))
        await self.record(
            self.workspace_id,
            self.author,
            "sending_domain.limited",
            before={"dailyLimit": before.daily_limit},
            after={"dailyLimit": after.daily_limit, "accountIds": [str(id) for id in account_ids]},
        )
