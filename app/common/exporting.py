"""What modules give of a person: sections of a JSON document, each the rows of one statement, read as they are written.

Every list has a natural order and every object sorted keys, so that the same rows always make the same bytes.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, TypeAlias
from uuid import UUID

import orjson

OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z
AT_ONCE = 4
"""Exports a process writes at once: each holds a connection of the pool now and then, and a core while it formats."""
Section: TypeAlias = AsyncIterator[Mapping[str, object]]


class Crowded(Exception):
    """Several exports are being written."""


class Turns:
    """Of one process, for all that it exports."""

    def __init__(self) -> None:
        self._taken = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Raises Crowded."""
        if self._taken >= AT_ONCE:
            raise Crowded
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


class LinksFiles(Protocol):
    def __call__(self, file_id: UUID) -> str:
        """Where its bytes may be fetched for a while."""


async def document(head: Mapping[str, object], sections: Mapping[str, Section]) -> AsyncIterator[bytes]:
    """One JSON object: what stands alone, and the sections after it as lists; by their names."""
    first = True
    for name in sorted([*head, *sections]):
        yield (b"{\n  " if first else b",\n  ") + orjson.dumps(name) + b": "
        first = False
        if name in head:
            yield _indented(orjson.dumps(head[name], default=_plain, option=OPTIONS), 2)
        else:
            async for part in _list(sections[name]):
                yield part
    yield b"\n}\n"


async def _list(rows: Section) -> AsyncIterator[bytes]:
    is_empty = True
    async for row in rows:
        yield b"[\n    " if is_empty else b",\n    "
        yield _indented(orjson.dumps(row, default=_plain, option=OPTIONS), 4)
        is_empty = False
    yield b"[]" if is_empty else b"\n  ]"


def _indented(text: bytes, by: int) -> bytes:
    """A line break inside a JSON text is always written \\n: those that are there are the indentation's."""
    return text.replace(b"\n", b"\n" + b" " * by)


def _plain(value: object) -> str:
    """The driver's UUID is one of its own."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(type(value).__name__)
