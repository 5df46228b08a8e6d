"""What HTTP says of an answer: every status in one table, and the media type that is agreed on (GraphQL over HTTP).

The draft of the specification moves statuses about (422, 294); the judges of tests/clients have not followed yet. What
changes then is this table.
"""

from collections.abc import Mapping

import orjson
from starlette.requests import Request
from starlette.responses import Response

from app.graphql.errors import Presented, error_body

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
MEDIA_TYPES = {
    GRAPHQL_RESPONSE: GRAPHQL_RESPONSE,
    JSON: JSON,
    "application/graphql+json": JSON,
    "application/*": JSON,
    "*/*": JSON,
    EVENT_STREAM: EVENT_STREAM,
}
"""What may be accepted, and what is answered then."""

STATUS_OF_CODE = {
    "BAD_REQUEST": 400,
    "GRAPHQL_PARSE_FAILED": 400,
    "GRAPHQL_VALIDATION_FAILED": 400,
    "QUERY_TOO_COMPLEX": 400,
    "BAD_USER_INPUT": 400,
    "UNAUTHENTICATED": 401,
    "METHOD_NOT_ALLOWED": 405,
    "NOT_ACCEPTABLE": 406,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RATE_LIMITED": 429,
    "UNAVAILABLE": 503,
}
"""Of a request that is refused as a whole (`Refused`). What the operation itself brings about: `status_of`."""
PASSING = frozenset({"PAYLOAD_TOO_LARGE", "RATE_LIMITED", "UNAVAILABLE"})
"""Codes whose status is told even where an operation ran: proxies and clients act on it."""
RETRY_AFTER_S = 2
VARY = "Accept, Origin"


class Refused(Exception):
    """An answer before any execution; its status is the code's, whatever is accepted."""

    def __init__(self, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.headers = code, message, dict(headers or {})

    @property
    def response(self) -> Response:
        return json_response(error_body(self.message, self.code), STATUS_OF_CODE[self.code], self.headers)


def status_of(told: Presented, accepted: str) -> int:
    """Of a well-formed request's answer. An operation that was not executed is 400 only for those who accept the media
    type that came with that rule; older clients read errors from a 200."""
    passing = next((code for code in told.codes if code in PASSING), None)
    if passing is not None:
        return STATUS_OF_CODE[passing]
    return 400 if told.is_request_error and accepted == GRAPHQL_RESPONSE else 200


def accepted_type(request: Request) -> str:
    """The first media type of those liked best (`q`) that can be had; JSON where nothing is said. Raises Refused.

    Streams only go to whoever likes them best: urql mentions text/event-stream in every request, as its last resort.
    """
    header = request.headers.get("accept", "").strip()
    if not header:
        return JSON
    ranked = sorted(map(_ranked, header.split(",")), key=lambda one: -one[1])
    for name, quality in ranked:
        if quality > 0 and name in MEDIA_TYPES:
            return MEDIA_TYPES[name]
    raise Refused("NOT_ACCEPTABLE", f"Accept {GRAPHQL_RESPONSE}, {JSON} or {EVENT_STREAM}.")


def _ranked(part: str) -> tuple[str, float]:
    name, *parameters = (text.strip().lower() for text in part.split(";"))
    quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        return name, float(quality)
    except ValueError:
        return name, 0.0


def json_response(
    body: object, status: int, headers: Mapping[str, str] | None = None, *, media_type: str = JSON
) -> Response:
    response = Response(
        encode_json(body), status, dict(headers or {}), media_type=f"{media_type}; charset=utf-8"
    )
    if status in (429, 503):
        response.headers.setdefault("Retry-After", str(RETRY_AFTER_S))
    return response


def encode_json(data: object) -> bytes:
    try:
        return orjson.dumps(data)
    except TypeError:
        return orjson.dumps(_without_surrogates(data))


def _without_surrogates(data: object) -> object:
    """Error messages may quote what a client sent."""
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode()
    if isinstance(data, dict):
        return {key: _without_surrogates(value) for key, value in data.items()}
    return [_without_surrogates(item) for item in data] if isinstance(data, list) else data
