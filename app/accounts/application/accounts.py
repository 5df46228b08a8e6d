"""What a module above asks of accounts inside a transaction of its own."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.accounts.application.sessions import SessionUseCases
from app.accounts.domain.audit import Author
from app.accounts.domain.ports import AccountStore
from app.accounts.domain.session import Caller, OpenedSession
from app.accounts.domain.user import Credentials, Membership, NewAccount
from app.accounts.domain.workspace import MAX_OWNED, NewWorkspace, TooManyWorkspaces
from app.common.domain import Actor, ClientKind, Conflict


@dataclass(frozen=True, slots=True)
class AccountUseCases:
    store: AccountStore
    sessions: SessionUseCases

    async def create_account(self, account: NewAccount, caller: Caller) -> Membership:
        """A person with a workspace of their own. Raises Conflict at `email` when the address is taken."""
        owner = await self.store.add_account(account)
        if owner is None:
            raise Conflict("This address has an account already: sign in instead.", path=("email",))
        author, id = Author.calling(caller, user_id=owner.user_id), owner.workspace_id
        await self.store.record(id, author, "workspace.created", object_id=id)
        return owner

    async def found_again(self, known: Credentials, new: NewWorkspace, caller: Caller) -> Membership | None:
        """A workspace for somebody who has an account and belongs to none any more. None: they do, or their password
        was changed since it was checked.
        """
        await self.store.lock_owner(known.user_id)
        is_known = await self.store.hold_credentials(known)
        if not is_known or await self.store.hold_membership(known.user_id, None):
            return None
        owner = await self.store.add_workspace(known.user_id, new)
        author, id = Author.calling(caller, user_id=owner.user_id), owner.workspace_id
        await self.store.record(id, author, "workspace.created", object_id=id)
        return owner

    async def create_workspace(
        self, actor: Actor, fields: Mapping[str, str]
    ) -> tuple[Membership, NewWorkspace]:
        """`fields` are cleaned: `name`, and `locale` (else the person's) and `time_zone` (else the locale's). Raises
        TooManyWorkspaces.
        """
        locale, owned = await self.store.lock_owner(actor.user_id)
        if owned >= MAX_OWNED:
            raise TooManyWorkspaces
        new = NewWorkspace.of(**{"locale": locale, **fields})
        owner = await self.store.add_workspace(actor.user_id, new)
        id = owner.workspace_id
        await self.store.record(id, Author.of(actor), "workspace.created", object_id=id)
        return owner, new

    async def open_session(self, member: Membership, client: ClientKind, caller: Caller) -> OpenedSession:
        return await self.sessions.open_session(self.store, member, client, caller)
