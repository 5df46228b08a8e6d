"""The pure words that domains and use cases share: who acts, what happened, how a refusal looks.

All that `domain` and `application` folders may import from `common`, with `mail_servers.py`. No I/O, no framework.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Protocol
from uuid import UUID

MAX_NAME = 200


class Role(StrEnum):
    """A member's role in a workspace; each may do what the next one may (words.md, Roles)."""

    OWNER = "OWNER"
    ADMIN = "ADMIN"
    MEMBER = "MEMBER"
    VIEWER = "VIEWER"

    def includes(self, other: "Role") -> bool:
        order = list(Role)
        return order.index(self) <= order.index(other)


class ClientKind(StrEnum):
    """What a session was opened from; an EXTENSION session may do little (words.md, Roles)."""

    WEB = "WEB"
    EXTENSION = "EXTENSION"
    API = "API"


class ActorKind(StrEnum):
    """Who is behind a change: the field `actor_kind` of a feed event."""

    CONTACT = "CONTACT"
    HUMAN = "HUMAN"
    AUTOMATION = "AUTOMATION"
    AI = "AI"
    SYSTEM = "SYSTEM"


class Channel(StrEnum):
    """A way to reach a person."""

    EMAIL = "EMAIL"


class Direction(StrEnum):
    INBOUND = "INBOUND"
    OUTBOUND = "OUTBOUND"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, in which workspace, and what they may do; made from an access token, never from input."""

    workspace_id: UUID
    user_id: UUID
    role: Role
    client: ClientKind
    session_id: UUID
    expires_at: float
    """Seconds since the epoch: the access token's `exp`."""
    issued_at: float = 0.0
    """Seconds since the epoch, by the database's clock: what was revoked after it is revoked for this token."""
    is_api_key: bool = False
    """No person's session: `session_id` is the key's id, `user_id` who made it."""
    ip_prefix: str = ""
    """Where the request came from, as far as it is kept."""

    @property
    def scope(self) -> tuple[UUID, Role]:
        """All that a workspace-wide answer may depend on."""
        return self.workspace_id, self.role


class ErrorCode(StrEnum):
    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    CONFLICT = "CONFLICT"
    LIMIT_REACHED = "LIMIT_REACHED"
    THROTTLED = "THROTTLED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    UNAVAILABLE = "UNAVAILABLE"


class SalesPadError(Exception):
    """A refusal a user may meet. Raised where the rule lives; becomes one `UserError` at the edge.

    `message` says what to do next; `path` points into the mutation's input.
    """

    code: ClassVar[ErrorCode] = ErrorCode.INVALID

    def __init__(self, message: str, *, path: Sequence[str] = (), retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = tuple(path)
        self.retry_at = retry_at


class Invalid(SalesPadError):
    code = ErrorCode.INVALID


class NotFound(SalesPadError):
    code = ErrorCode.NOT_FOUND


class Forbidden(SalesPadError):
    code = ErrorCode.FORBIDDEN


class Conflict(SalesPadError):
    code = ErrorCode.CONFLICT


class LimitReached(SalesPadError):
    code = ErrorCode.LIMIT_REACHED


class Throttled(SalesPadError):
    code = ErrorCode.THROTTLED


class Unauthenticated(SalesPadError):
    code = ErrorCode.UNAUTHENTICATED


class Refusals(SalesPadError):
    """Several refusals at once, so a form can mark each of its fields."""

    def __init__(self, refusals: Sequence[SalesPadError]) -> None:
        super().__init__(refusals[0].message, path=refusals[0].path)
        self.refusals = tuple(refusals)


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact for the workspace's feed. `before` and `after` hold ids, enum values and numbers only: never the value of
    an identifier nor a text a person wrote (words.md, The feed)."""

    name: ClassVar[str]
    entity_ids: Sequence[UUID]
    changed: Sequence[str] = ()
    before: Mapping[str, object] = field(default_factory=dict)
    after: Mapping[str, object] = field(default_factory=dict)


EVENT_IDS_MAX = 1000
"""Ids one feed event may carry; what knows more writes more events."""


class Announcer(Protocol):
    """The feed as a use case sees it: `Work` in `common/work.py` implements it."""

    def announce(self, event: Event) -> None: ...


class Waker(Protocol):
    """Doorbells as a use case sees them: rung after the commit, lost without harm."""

    def wake(self, kind: str, key: UUID) -> None: ...


class Once(Protocol):
    """Idempotency as a use case sees it (`common/idempotency.py`)."""

    async def seen(self, key: str, request: object) -> UUID | None:
        """The entity an earlier call with this key made, or None. Raises Conflict when that call's input differed."""

    async def remember(self, key: str, entity_id: UUID) -> None: ...


class TextProblem(StrEnum):
    NUL = "NUL"
    SURROGATE = "SURROGATE"
    TOO_LONG = "TOO_LONG"
    EMPTY = "EMPTY"


TEXT_MESSAGES = {
    TextProblem.NUL: "Remove the NUL character.",
    TextProblem.SURROGATE: "Remove the broken character (half of an emoji, a lone surrogate).",
    TextProblem.EMPTY: "Write something here.",
}


_SURROGATE = re.compile("[\ud800-\udfff]")


def text_problem(text: str, *, max_length: int, required: bool = True) -> TextProblem | None:
    """Why a text cannot be stored, or None. Lengths are in characters, of the trimmed text."""
    if "\x00" in text:
        return TextProblem.NUL
    if _SURROGATE.search(text):
        return TextProblem.SURROGATE
    trimmed = text.strip()
    if len(trimmed) > max_length:
        return TextProblem.TOO_LONG
    if required and not trimmed:
        return TextProblem.EMPTY
    return None


def text_message(problem: TextProblem, max_length: int) -> str:
    return TEXT_MESSAGES.get(problem) or f"Use at most {max_length:,} characters."


MAX_STACKED = 30
_LONG_RUN = re.compile(f"[\u0300-\U0010ffff]{{{MAX_STACKED + 1},}}")


def stream_safe(text: str) -> str:
    """Without what goes beyond 30 marks on one letter (Unicode's "stream-safe" form, UAX 15).

    Normalising sorts the marks of a letter in the square of their number: 100,000 of them would take 15 s.
    """
    return _LONG_RUN.sub(_unstacked, text)


def _unstacked(run: re.Match[str]) -> str:
    kept: list[str] = []
    stacked = 0
    for character in run[0]:
        stacked = stacked + 1 if unicodedata.combining(character) else 0
        if stacked <= MAX_STACKED:
            kept.append(character)
    return "".join(kept)


def composed(text: str) -> str:
    """In Unicode's composed form (NFC), in time proportional to its length."""
    return unicodedata.normalize("NFC", stream_safe(text))


def normalized(text: str) -> str:
    """A text as it is stored: trimmed and composed."""
    return composed(text.strip())


def clean_text(text: str, *path: str, max_length: int = MAX_NAME, required: bool = True) -> str:
    """Raises Invalid at `path` for a text that cannot be stored; returns it normalised."""
    if problem := text_problem(text, max_length=max_length, required=required):
        raise Invalid(text_message(problem, max_length), path=path)
    return normalized(text)


def clean_optional(text: str | None, *path: str, max_length: int = MAX_NAME) -> str | None:
    """As `clean_text`; an empty text is None."""
    return (
        (clean_text(text, *path, max_length=max_length, required=False) or None) if text is not None else None
    )


def folded(text: str) -> str:
    """A text without case and accents: what two names are compared by ("Ação" = "acao")."""
    decomposed = unicodedata.normalize("NFKD", stream_safe(text.strip()).casefold())
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if not unicodedata.combining(c)))
