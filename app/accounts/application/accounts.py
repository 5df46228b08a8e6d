"""What other modules ask of accounts in their own transaction."""

from dataclasses import dataclass

from app.accounts.domain.ports import AccountStore
from app.accounts.domain.user import Membership, NewAccount
from app.common.domain import Conflict


@dataclass(frozen=True, slots=True)
class AccountUseCases:
    store: AccountStore

    async def create_account(self, account: NewAccount) -> Membership:
        """A person with a workspace of their own. Raises Conflict at `email` when the address has an
        account.
        """
        owner = await self.store.add_account(account)
        if owner is None:
            raise Conflict("This address has an account already: sign in instead.", path=("email",))
        return owner
