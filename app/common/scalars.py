"""The two scalars beside GraphQL's own: DateTime and JSON."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NewType

import orjson
import strawberry

from app.common.graphql import bad_user_input

MAX_JSON_BYTES = 16 * 1024
MAX_JSON_DEPTH = 100
"""orjson writes 254 levels, those of what a value is later stored within included."""


def _serialize_datetime(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _parse_datetime(value: object) -> datetime:
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise bad_user_input("A DateTime is RFC 3339 with an offset, such as 2026-01-31T12:00:00Z.")
    return parsed.astimezone(UTC)


_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The escape itself, not a backslash someone wrote before `u0000`."""


def _parse_json(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise bad_user_input("JSON is an object.")
    try:
        encoded = orjson.dumps(value)
    except (TypeError, ValueError):
        raise bad_user_input("JSON may not hold broken characters or numbers beyond 64 bits.") from None
    if len(encoded) > MAX_JSON_BYTES:
        raise bad_user_input(f"JSON may take {MAX_JSON_BYTES:,} bytes at most.")
    if encoded.count(b"{") + encoded.count(b"[") > MAX_JSON_DEPTH and _depth(value) > MAX_JSON_DEPTH:
        raise bad_user_input(f"JSON may be nested {MAX_JSON_DEPTH} levels deep at most.")
    if _ESCAPED_NUL.search(encoded):
        raise bad_user_input("JSON may not hold NUL characters.")
    return value


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while containers := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [inner for one in containers for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


JSON = NewType("JSON", object)
SCALARS: dict[object, Any] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment, RFC 3339 in UTC.",
        serialize=_serialize_datetime,
        parse_value=_parse_datetime,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        # Serialised as it comes: an orjson.Fragment, the database's own text, never parsed on the way.
        description="A JSON object, at most 16 KiB.",
        serialize=lambda value: value,
        parse_value=_parse_json,
    ),
}
