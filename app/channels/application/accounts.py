"""The use cases of channel accounts: load, decide, store, announce. Servers have been tried before (`trying.py`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from app.accounts.domain.audit import Author
from app.accounts.domain.ports import AuditLog
from app.channels.domain.account import (
    AccountUpdated,
    ChannelAccount,
    ChannelAccountStatus,
    MailboxStart,
    NewEmailAccount,
    updated,
)
from app.channels.domain.inbound import IMAP
from app.common.domain import Announcer, Waker
from app.common.mail_servers import MailServer


class Accounts(Protocol):
    """The port to the stored accounts and their sealed credentials."""

    async def connect(self, workspace_id: UUID, new: NewEmailAccount, token: str) -> UUID: ...

    async def get(self, workspace_id: UUID, id: UUID) -> ChannelAccount: ...

    async def save(self, workspace_id: UUID, account: ChannelAccount) -> None: ...

    async def store_smtp(self, workspace_id: UUID, id: UUID, server: MailServer | None) -> None: ...

    async def store_imap(
        self, workspace_id: UUID, id: UUID, server: MailServer, start: MailboxStart
    ) -> None: ...

    async def drop_imap(self, workspace_id: UUID, id: UUID) -> None: ...

    async def wipe(self, workspace_id: UUID, id: UUID) -> None: ...

    async def look_again(self, workspace_id: UUID) -> None: ...


class Feed(Announcer, Waker, Protocol):
    pass


@dataclass(frozen=True)
class AccountUseCases:
    workspace_id: UUID
    author: Author
    accounts: Accounts
    feed: Feed
    record: AuditLog
    new_token: Callable[[], str]

    async def connect_email(self, new: NewEmailAccount) -> UUID:
        """Raises AddressConnected, LocalAddressTaken, TooManyAccounts."""
        id = await self.accounts.connect(self.workspace_id, new, self.new_token())
        if new.imap is not None and new.start is not None:
            await self._read(id, new.imap, new.start)
        connected = updated(id, ["connected", "status"], None, ChannelAccountStatus.CONNECTED)
        await self._tell(id, "channel_account.connected", connected)
        await self.accounts.look_again(self.workspace_id)
        return id

    async def update_channel_account(
        self, id: UUID, changes: Mapping[str, Any], start: MailboxStart | None
    ) -> UUID:
        """`changes` as in `ChannelAccount.update`; `start` belongs to a new `imap`.

        Raises AccountNotFound, AccountDisconnected, LocalAddressTaken.
        """
        account, changed = (await self.accounts.get(self.workspace_id, id)).update(changes)
        if changed is None:
            return id
        await self.accounts.save(self.workspace_id, account)
        if "smtp" in changes:
            await self.accounts.store_smtp(self.workspace_id, id, changes["smtp"])
        if "imap" in changes:
            if changes["imap"] is None or start is None:
                await self.accounts.drop_imap(self.workspace_id, id)
            else:
                await self._read(id, changes["imap"], start)
        await self._tell(id, "channel_account.updated", changed)
        await self.accounts.look_again(self.workspace_id)
        return id

    async def disconnect_channel_account(self, id: UUID) -> UUID:
        """Its credentials are gone; its conversations stay. Raises AccountNotFound."""
        account, changed = (await self.accounts.get(self.workspace_id, id)).disconnect()
        if changed is not None:
            await self.accounts.save(self.workspace_id, account)
            await self.accounts.wipe(self.workspace_id, id)
            await self._tell(id, "channel_account.disconnected", changed)
        return id

    async def _tell(self, id: UUID, action: str, event: AccountUpdated) -> None:
        self.feed.announce(event)
        after = {"changed": list(event.changed), **event.after}
        await self.record(
            self.workspace_id, self.author, action, object_id=id, before=event.before, after=after
        )

    async def _read(self, id: UUID, server: MailServer, start: MailboxStart) -> None:
        await self.accounts.store_imap(self.workspace_id, id, server, start)
        self.feed.wake(IMAP, id)
