"""Pages of lists by keyset: a cursor is a position in the order, so pages stay right while rows come and go."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Self, TypeVar
from uuid import UUID

from app.common.domain import Invalid

PAGE_MAX = 100
CURSOR_VERSION = b"\x01"
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Keyset:
    """A position in a list ordered by (moment, id). `list_name` keeps one list's cursor out of another."""

    at: datetime
    id: UUID

    def encode(self, list_name: str) -> str:
        raw = f"{list_name}|{self.at.isoformat()}|{self.id}".encode()
        return base64.urlsafe_b64encode(CURSOR_VERSION + raw).rstrip(b"=").decode()

    @classmethod
    def decode(cls, list_name: str, cursor: str) -> Self:
        """Raises Invalid at `after`."""
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            name, at, id = raw.removeprefix(CURSOR_VERSION).decode().split("|")
            if raw[:1] != CURSOR_VERSION or name != list_name:
                raise ValueError(name)
            moment = datetime.fromisoformat(at)
            if moment.tzinfo is None:
                raise ValueError(at)
            return cls(moment.astimezone(UTC), UUID(id))
        except (ValueError, OverflowError, binascii.Error):
            raise Invalid("`after` is not a cursor of this list.", path=("after",)) from None


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
        raw = f"{list_name}|{self.position}".encode()
        return base64.urlsafe_b64encode(CURSOR_VERSION + raw).rstrip(b"=").decode()

    @classmethod
    def decode(cls, list_name: str, cursor: str) -> Self:
        """Raises Invalid at `before`."""
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            name, _, position = raw.removeprefix(CURSOR_VERSION).decode().rpartition("|")
            if raw[:1] != CURSOR_VERSION or name != list_name or not 0 < int(position) < 2**31:
                raise ValueError(name)
            return cls(int(position))
        except (ValueError, binascii.Error):
            raise Invalid("`before` is not a cursor of this list.", path=("before",)) from None
