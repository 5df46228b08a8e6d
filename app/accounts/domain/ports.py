"""What the use cases of accounts need from outside."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from app.accounts.domain.api_key import ApiKeySecret
from app.accounts.domain.attempt import Limits
from app.accounts.domain.audit import Author
from app.accounts.domain.session import AccessToken, Caller, LiveSession, RefreshToken, StoredSession
from app.accounts.domain.system_mail import SystemMail
from app.accounts.domain.user import Addressee, Credentials, Membership, NewAccount
from app.accounts.domain.workspace import NewWorkspace
from app.common.domain import ClientKind, Event, Role


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

    async def hold_credentials(self, known: Credentials) -> bool:
        """Whether this is their password still; if so, it is until the commit."""

    async def stranger(self, user_id: UUID, caller: Caller, *, since: datetime) -> Addressee | None:
        """Whom to warn: somebody who has had sessions, but since then none from this device and network."""

    async def queue_mail(self, workspace_id: UUID, mail: SystemMail) -> None: ...

    async def hold_membership(self, user_id: UUID, workspace_id: UUID | None) -> Membership | None:
        """In that workspace, else in the one used or joined last. It and its role stay as they are until the
        commit.
        """

    async def add_session(
        self, member: Membership, client: ClientKind, token: RefreshToken, caller: Caller, *, now: datetime
    ) -> LiveSession:
        """`member` is held or was made in this transaction."""

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

    async def find_own_session(self, user_id: UUID, session_id: UUID) -> UUID | None:
        """The workspace of a live session of theirs."""

    async def move_session(
        self,
        session_id: UUID,
        from_workspace_id: UUID,
        member: Membership,
        *,
        now: datetime,
    ) -> LiveSession | None:
        """Into the member's workspace. None when it is not live where it was any more."""

    async def lock_owner(self, user_id: UUID) -> tuple[str, int]:
        """The person's locale, and how many workspaces they own: nobody else makes one for them until the commit."""

    async def add_workspace(self, user_id: UUID, new: NewWorkspace) -> Membership:
        """With this owner, and its feed."""

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
    def issue(self, session: LiveSession, *, until: datetime | None = None) -> AccessToken:
        """Good for its usual life, but not beyond `until`."""


class Members(Protocol):
    async def lock(self, workspace_id: UUID, acting_id: UUID, user_id: UUID) -> Mapping[UUID, Role]:
        """The roles of these two, as far as they are members, and of every owner; they stay until the commit. Nothing
        when `acting_id` is no member.
        """

    async def save_role(self, workspace_id: UUID, user_id: UUID, role: Role) -> None:
        """Their tokens with the old one are void."""

    async def remove(self, workspace_id: UUID, user_id: UUID) -> None:
        """With their sessions, tokens and API keys there."""


class Workspaces(Protocol):
    async def save(self, workspace_id: UUID, fields: Mapping[str, object]) -> Sequence[str]:
        """Which of them it changed."""


class Profiles(Protocol):
    """A person over all their workspaces, in one transaction."""

    @property
    def record(self) -> AuditLog: ...

    async def save(self, user_id: UUID, fields: Mapping[str, str]) -> bool:
        """Whether anything differed."""

    async def list_workspaces(self, user_id: UUID) -> Sequence[UUID]:
        """Those they belong to."""

    async def find_password_hash(self, user_id: UUID) -> str | None: ...

    async def replace_password(self, user_id: UUID, verified: str | None, fresh: str) -> Addressee | None:
        """A reset under way is void with it. None when `verified` is the hash no more."""

    async def end_other_sessions(self, user_id: UUID, kept_session_id: UUID) -> None: ...

    def announce_in(self, workspace_id: UUID, event: Event) -> None: ...

    @property
    def queue_mail(self) -> Callable[[UUID, SystemMail], Awaitable[None]]: ...


class ApiKeys(Protocol):
    async def lock(self, workspace_id: UUID, user_id: UUID) -> tuple[Role | None, int]:
        """The person's role, None for no member, and how many keys live; both stay until the commit."""

    async def add(
        self, workspace_id: UUID, user_id: UUID, name: str, role: Role, secret: ApiKeySecret
    ) -> UUID: ...

    async def revoke(self, workspace_id: UUID, key_id: UUID) -> bool:
        """With what processes keep of it. False: there is no such live one."""
