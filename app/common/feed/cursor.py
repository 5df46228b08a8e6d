"""A feed cursor: `1.` + 16 hex digits of seq + `.` + the last 8 hex digits of the workspace's id.

As strings they sort as the events do; the workspace's digits (its last: a UUIDv7 begins with the time) make another
workspace's cursor recognisable.
"""

import re
from uuid import UUID

_CURSOR = re.compile(r"1\.([0-9a-f]{16})\.([0-9a-f]{8})", re.ASCII)


class BadCursor(ValueError):
    """Not a cursor, or another workspace's."""


class CursorExpired(Exception):
    """What came after the cursor is no longer kept: fetch again and take the new cursor."""


def encode_cursor(workspace_id: UUID, seq: int) -> str:
    return f"1.{seq:016x}.{workspace_id.hex[-8:]}"


def decode_cursor(workspace_id: UUID, cursor: str) -> int:
    """The seq. Raises BadCursor."""
    match = _CURSOR.fullmatch(cursor)
    if match is None or match[2] != workspace_id.hex[-8:]:
        raise BadCursor(cursor)
    seq = int(match[1], 16)
    if seq >= 2**63:
        raise BadCursor(cursor)
    return seq
