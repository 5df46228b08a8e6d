"""Pages of lists by keyset: a cursor is a position in the order, so pages stay right while rows come and go."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Self
from uuid import UUID

from typing_extensions import TypeVar

from app.common.domain import Invalid

PAGE_MAX = 100
CURSOR_VERSION = b"\x01"
Row = TypeVar("Row")
SortKey = TypeVar("SortKey", datetime, int, str, default=datetime)


@dataclass(frozen=True, slots=True)
class Keyset(Generic[SortKey]):
    """A position in a list ordered by (sort key, id). `list_name` keeps one list's cursor out of another: a list with
    several orders has a name for each."""

    at: SortKey
    id: UUID

    def encode(self, list_name: str) -> str:
        at = self.at.isoformat() if isinstance(self.at, datetime) else str(self.at)
        return _cursor(list_name, f"{self.id}|{at}")

    @classmethod
    def decode(
        cls,
        list_name: str,
        cursor: str,
        kind: type[SortKey] = datetime,  # type: ignore[assignment]
    ) -> "Keyset[SortKey]":
        """`kind` is the sort key's. Raises Invalid at `after`."""
        try:
            id, _, at = _position(list_name, cursor).partition("|")
            return Keyset(_SORT_KEYS[kind](at), UUID(id))
        except (ValueError, OverflowError):
            raise Invalid("`after` is not a cursor of this list.", path=("after",)) from None


def _cursor(list_name: str, position: str) -> str:
    raw = CURSOR_VERSION + f"{list_name}|{position}".encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _position(list_name: str, cursor: str) -> str:
    """Raises ValueError."""
    raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    name, _, position = raw.removeprefix(CURSOR_VERSION).decode().partition("|")
    if raw[:1] != CURSOR_VERSION or name != list_name:
        raise ValueError(name)
    return position


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)


def _number(text: str) -> int:
    number = int(text)
    if not -(2**31) <= number < 2**31:
        raise ValueError(text)
    return number


def _text(text: str) -> str:
    if "\x00" in text:
        raise ValueError(text)
    return text


_SORT_KEYS: Mapping[type, Callable[[str], Any]] = {datetime: _moment, int: _number, str: _text}


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Up to `first` rows of a list and whether more follow; made from first + 1 rows."""

    rows: Sequence[Row]
    has_next: bool

    @classmethod
    def of(cls, rows: Sequence[Row], first: int) -> "Page[Row]":
        return cls(rows[:first], len(rows) > first)


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a list that numbers its rows."""

    position: int

    def encode(self, list_name: str) -> str:
        return _cursor(list_name, str(self.position))

    @classmethod
    def decode(cls, list_name: str, cursor: str) -> Self:
        """Raises Invalid at `before`."""
        try:
            position = int(_position(list_name, cursor))
            if not 0 < position < 2**31:
                raise ValueError(position)
            return cls(position)
        except ValueError:
            raise Invalid("`before` is not a cursor of this list.", path=("before",)) from None
