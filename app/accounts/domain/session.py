"""A session: one family of refresh tokens, each good for one use.

A token is two random parts: the first names its family for as long as that lives, the second changes at each
use. So a token used long ago still tells which family leaked, though only the live one's hash and the one
before are stored.
"""

import hashlib
import ipaddress
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Self
from uuid import UUID

from app.accounts.domain.user import Membership
from app.common.domain import ClientKind

PART_BYTES = 32
PART_LENGTH = 43
MAX_USER_AGENT = 300


@dataclass(frozen=True, slots=True)
class RefreshToken:
    family: str
    turn: str

    @classmethod
    def mint(cls) -> Self:
        return cls(secrets.token_urlsafe(PART_BYTES), secrets.token_urlsafe(PART_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for what cannot be a token: it is answered like an unknown one."""
        family, _, turn = text.partition(".")
        is_whole = len(family) == len(turn) == PART_LENGTH and text.isascii()
        return cls(family, turn) if is_whole else None

    def next(self) -> Self:
        return type(self)(self.family, secrets.token_urlsafe(PART_BYTES))

    @property
    def text(self) -> str:
        return f"{self.family}.{self.turn}"

    @property
    def family_hash(self) -> bytes:
        return hashlib.sha256(self.family.encode()).digest()

    @property
    def token_hash(self) -> bytes:
        return hashlib.sha256(self.text.encode()).digest()


@lru_cache(maxsize=10_000)
def ip_prefix(ip: str) -> str:
    """The /24 or /64 the address is in; empty when there is no address (a local socket)."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    address = getattr(address, "ipv4_mapped", None) or address
    return str(ipaddress.ip_network((int(address), 24 if address.version == 4 else 64), strict=False))


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request came from, as far as a session keeps it."""

    ip: str
    user_agent: str

    @classmethod
    def of(cls, ip: str, user_agent: str) -> Self:
        return cls(ip, user_agent.replace("\x00", "")[:MAX_USER_AGENT])

    @property
    def ip_prefix(self) -> str:
        return ip_prefix(self.ip)


@dataclass(frozen=True, slots=True)
class LiveSession:
    """What access tokens are minted from."""

    id: UUID
    member: Membership
    client: ClientKind
    issued_at: datetime
    """By the database's clock, while the membership was locked: what changed it later says a later time."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session as a refused refresh token finds it."""

    id: UUID
    user_id: UUID
    workspace_id: UUID
    client: ClientKind
    prev_hash: bytes | None
    rotated_at: datetime | None
    user_agent: str
    is_over: bool

    def is_second_tab(self, token: RefreshToken, caller: Caller, now: datetime, grace: timedelta) -> bool:
        """Whether a used token came from two tabs that refreshed at once, not from somebody who copied it."""
        return (
            self.prev_hash == token.token_hash
            and self.rotated_at is not None
            and now - self.rotated_at <= grace
            and self.user_agent == caller.user_agent
        )


@dataclass(frozen=True, slots=True)
class AccessToken:
    text: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class MovedSession:
    """One that goes on under the refresh token it has."""

    live: LiveSession
    access: AccessToken


@dataclass(frozen=True, slots=True)
class OpenedSession(MovedSession):
    """What somebody gets who signed up or in, or refreshed."""

    refresh: RefreshToken
