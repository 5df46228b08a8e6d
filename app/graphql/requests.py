"""One operation as it is asked for over HTTP: how large, in which form, by which method; nothing of it is run here."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import orjson
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope

from app.graphql.answers import Refused
from app.graphql.limits import Documents

MAX_BODY_BYTES = 5_000_000
MAX_SMALL_BODY_BYTES = 1_000_000
LARGE_BODY_FIELDS = frozenset({"importLeads"})
METHODS = "GET, POST"


@dataclass(frozen=True, slots=True)
class Asked:
    """The operation that a request asks for, of the right shape."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Raises Refused."""
        query, name = given.get("query"), given.get("operationName")
        if not isinstance(query, str) or not query:
            raise bad_request("Send the operation's text as `query`.")
        if not isinstance(name, str | None):
            raise bad_request("`operationName` is a string.")
        for part in ("variables", "extensions"):
            if not isinstance(given.get(part), dict | None):
                raise bad_request(f"`{part}` is an object.")
        return cls(query, given.get("variables"), name or None)


def bad_request(message: str) -> Refused:
    return Refused("BAD_REQUEST", message)


def not_allowed(message: str, allowed: str) -> Refused:
    return Refused("METHOD_NOT_ALLOWED", message, {"Allow": allowed})


async def read_request(request: Request, documents: Documents) -> Asked:
    """Raises Refused."""
    if request.method == "GET":
        given: dict[str, Any] = dict(request.query_params)
        for part in ("variables", "extensions"):
            given[part] = parse_json(given[part]) if given.get(part) else None
        return Asked.of(given)
    _check_media_type(request)
    try:
        body = await request.body()
    except ClientDisconnect:
        raise bad_request("The body ended early.") from None
    asked = Asked.of(_object(parse_json(body)))
    if len(body) > MAX_SMALL_BODY_BYTES:
        _check_large_body(asked.query, documents)
    return asked


def _check_media_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refused("UNSUPPORTED_MEDIA_TYPE", "Send Content-Type: application/json.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused("UNSUPPORTED_MEDIA_TYPE", "Send the body without Content-Encoding.")


def _check_large_body(query: str, documents: Documents) -> None:
    """Only importLeads may send more than 1 MB, so that nothing else is parsed at that size."""
    with suppress(GraphQLError):
        if documents.check(query).root_fields == LARGE_BODY_FIELDS:
            return
    raise Refused("PAYLOAD_TOO_LARGE", "This request may take 1 MB; importLeads, alone, 5 MB.")


def _object(parsed: object) -> dict[str, Any]:
    if isinstance(parsed, list):
        raise bad_request("Send one operation a request: batches are not taken.")
    if not isinstance(parsed, dict):
        raise bad_request('Send a JSON object: {"query": "…", "variables": {…}}.')
    return parsed


def parse_json(text: str | bytes) -> object:
    try:
        return decode_json(text)
    except json.JSONDecodeError:
        raise bad_request("That is no JSON.") from None


def decode_json(text: str | bytes) -> object:
    """orjson; the standard library where a string holds half an emoji, which the fields then refuse by name. Raises
    JSONDecodeError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text if isinstance(text, str) else text.decode())
        except (RecursionError, UnicodeDecodeError) as error:
            raise json.JSONDecodeError(str(error), "", 0) from None


def capped(scope: Scope, receive: Receive) -> Receive:
    """Stops reading a body at 5 MB, told by its header or counted."""
    too_large = Refused("PAYLOAD_TOO_LARGE", "A request may take 5 MB: send a smaller batch.")
    headers = dict(scope["headers"])
    read = 0

    async def receive_capped() -> Message:
        nonlocal read
        if int(headers.get(b"content-length") or 0) > MAX_BODY_BYTES:
            raise too_large
        message = await receive()
        read += len(message.get("body", b""))
        if read > MAX_BODY_BYTES:
            raise too_large
        return message

    return receive_capped
