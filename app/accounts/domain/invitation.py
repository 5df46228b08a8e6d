"""An invitation: an address, a role, a workspace, and a link that is good for one use."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from app.accounts.domain.member import role_over_members
from app.accounts.domain.ports import AccountStore, AuditLog
from app.accounts.domain.system_mail import SystemMail
from app.accounts.domain.user import Membership, clean_password
from app.common.domain import (
    Actor,
    Conflict,
    Event,
    Forbidden,
    Invalid,
    LimitReached,
    NotFound,
    Refusals,
    Role,
    SalesPadError,
    clean_text,
)

MAX_LIVE = 100
MAX_A_DAY = 200
"""Mails; each renewal is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    id: UUID
    email: str
    role: Role
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """`secret` is what the link carries: told once, to who invited, and in the mail."""

    invitation: Invitation
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An invitation as its link finds it."""

    workspace_id: UUID
    id: UUID
    email: str
    role: Role
    locale: str
    """The workspace's."""
    has_account: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """Who has no account yet, every field cleaned."""

    name: str
    password: str

    @classmethod
    def checked(cls, *, name: str | None, password: str | None) -> "Newcomer":
        """Raises Refusals, one for each field that cannot be taken."""
        refusals: list[SalesPadError] = []
        cleaned: dict[str, str] = {}
        for field, value, rule in (("name", name, clean_text), ("password", password, clean_password)):
            try:
                cleaned[field] = rule(value or "", field)
            except SalesPadError as refusal:
                refusals.append(refusal)
        if refusals:
            raise Refusals(refusals)
        return cls(**cleaned)


def check_role(actor: Actor, role: Role) -> None:
    own = role_over_members(actor)
    if not own.includes(role):
        raise Forbidden(f"You are {own}: invite people to that role or a lesser one.", path=("role",))


def no_member_any_more() -> Forbidden:
    return Forbidden("You are no member of this workspace any more: sign in again.")


def too_many_live() -> LimitReached:
    return LimitReached(f"A workspace has at most {MAX_LIVE} open invitations: revoke some first.")


def too_many_today() -> LimitReached:
    return LimitReached(f"A workspace sends at most {MAX_A_DAY} invitations a day: go on tomorrow.")


def is_member_already() -> Conflict:
    return Conflict("This person is a member already: change their role instead.", path=("email",))


def no_such_invitation() -> NotFound:
    return NotFound("There is no such invitation: it was accepted, revoked or has run out.", path=("id",))


def link_is_over() -> Invalid:
    """One text for every cause: nobody learns which links there were."""
    return Invalid("This link is no longer good: ask for a new invitation.", path=("token",))


class Invitations(Protocol):
    """Of one workspace, in its own door."""

    @property
    def record(self) -> AuditLog: ...

    async def hold(self, workspace_id: UUID) -> None:
        """Nobody else invites or changes who belongs here until the commit: counted is counted."""

    async def count_others(self, workspace_id: UUID, email: str) -> int:
        """Those to other addresses that may still be accepted."""

    async def count_sent_today(self, workspace_id: UUID) -> int: ...

    async def renew(
        self, workspace_id: UUID, *, email: str, role: Role, token_hash: bytes, invited_by: UUID
    ) -> Invitation:
        """Made, or the one to this address made good again under another token; its row is locked."""

    async def is_member(self, workspace_id: UUID, email: str) -> bool: ...

    async def words(self, workspace_id: UUID, user_id: UUID) -> tuple[str, str, str] | None:
        """The workspace's name, the member's, and the workspace's locale; None for who is no member any more."""

    async def queue_mail(self, workspace_id: UUID, mail: SystemMail) -> None: ...

    async def remove(self, workspace_id: UUID, id: UUID) -> Role | None:
        """The role it was to. None: there is none."""


class Acceptances(Protocol):
    """Over all workspaces: who follows a link belongs to none yet."""

    @property
    def accounts(self) -> AccountStore: ...

    @property
    def record(self) -> AuditLog: ...

    def announce_in(self, workspace_id: UUID, event: Event) -> None: ...

    async def find(self, token_hash: bytes) -> Pending | None:
        """As long as it is good."""

    async def take(self, token_hash: bytes) -> Pending | None:
        """As `find`, and used up: a second one finds nothing."""

    async def add_user(self, id: UUID, *, email: str, name: str, password_hash: str, locale: str) -> bool:
        """False: the address has an account by now."""

    async def join(self, pending: Pending, user_id: UUID) -> tuple[Membership, bool]:
        """As what, and whether they were no member before. Who was one keeps their role."""


OpenInvitations = Callable[[Actor], AbstractAsyncContextManager[Invitations]]
OpenAcceptances = Callable[[UUID | None], AbstractAsyncContextManager[Acceptances]]
"""By whom."""
