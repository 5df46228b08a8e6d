"""A new password by mail: what its link may do, and what that needs."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from app.accounts.domain.ports import AccountStore, AuditLog
from app.accounts.domain.secret_link import ResetToken
from app.accounts.domain.user import Addressee
from app.common.domain import Invalid


def reset_is_over() -> Invalid:
    """One text for every cause."""
    return Invalid("This link is no longer good: ask for a new password again.", path=("token",))


class Resets(Protocol):
    """A person over all their workspaces, in one transaction."""

    @property
    def accounts(self) -> AccountStore: ...

    @property
    def record(self) -> AuditLog: ...

    async def is_good(self, token: ResetToken) -> bool: ...

    async def use(self, token: ResetToken, password_hash: str) -> Addressee | None:
        """The password is changed and the token used up, or None."""

    async def end_all_sessions(self, user_id: UUID) -> None: ...

    async def list_workspaces(self, user_id: UUID) -> Sequence[UUID]: ...


OpenResets = Callable[[], AbstractAsyncContextManager[Resets]]
