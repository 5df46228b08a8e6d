"""What the use cases of accounts need from outside."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from app.accounts.domain.attempt import Limits
from app.accounts.domain.audit import Author
from app.accounts.domain.session import AccessToken, Caller, LiveSession, RefreshToken, StoredSession
from app.accounts.domain.user import Credentials, Membership, NewAccount
from app.common.domain import ClientKind


class AuditLog(Protocol):
    async def __call__(
        self,
        workspace_id: UUID,
        author: Author,
        action: str,
        *,
        object_id: UUID | None = None,
        before: Mapping[str, object] = ...,
        after: Mapping[str, object] = ...,
    ) -> None:
        """In the transaction of what it tells of (`infrastructure/audit.py`)."""


class AccountStore(Protocol):
    """People, workspaces and sessions, in one transaction over all workspaces."""

    async def add_account(self, account: NewAccount) -> Membership | None:
        """User, workspace, its owner and its feed. None when the address is taken."""

    async def find_credentials(self, email: str) -> Credentials | None: ...

    async def find_membership(self, user_id: UUID, workspace_id: UUID | None) -> Membership | None:
        """In that workspace, else in the one used or joined last."""

    async def add_session(
        self, member: Membership, client: ClientKind, token: RefreshToken, caller: Caller, *, now: datetime
    ) -> LiveSession: ...

    async def rotate(
        self, used: RefreshToken, fresh: RefreshToken, caller: Caller, *, now: datetime
    ) -> LiveSession | None:
        """Swaps the live token for the fresh one. None when `used` is not live or its owner is no member any
        more.
        """

    async def find_session(self, token: RefreshToken, *, now: datetime) -> StoredSession | None:
        """The session of the token's family, whichever of its tokens it is."""

    async def end_session(self, user_id: UUID, session_id: UUID) -> bool:
        """With its access tokens. False when there is none to end."""

    async def lock_attempts(self, keys: Iterable[bytes], *, now: datetime) -> dict[bytes, Sequence[datetime]]:
        """The attempts under these keys; nobody else reads them until this transaction ends."""

    async def save_attempts(self, attempts: Mapping[bytes, Sequence[datetime]]) -> None: ...

    async def forget_attempts(self, keys: Iterable[bytes]) -> None: ...

    async def is_at_home(self, email: str, ip_prefix: str) -> bool:
        """Whether somebody with this address has had a session there."""

    @property
    def record(self) -> AuditLog: ...


OpenStore = Callable[[], AbstractAsyncContextManager[AccountStore]]


class AttemptCounter(Protocol):
    async def count(self, limits: Limits, caller: Caller, *, subject: str = "") -> None:
        """One more attempt, committed before it goes on. `subject` is what is tried: an e-mail address as it was typed,
        or an id. Raises Throttled.
        """


class PasswordHasher(Protocol):
    async def hash(self, password: str) -> str:
        """Raises Throttled when too many wait."""

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """As much work for None (nobody has that address) as for a hash. Raises Throttled when too many
        wait.
        """


class TokenIssuer(Protocol):
    def issue(self, session: LiveSession) -> AccessToken: ...
