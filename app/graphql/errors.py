"""Every error that leaves the door: its code, what may be told, and what is only logged.

A client's mistakes are told as they are, with `extensions.code`. Anything else is one of ours: masked, logged with an
`errorId` that the client can quote.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.exceptions import MissingQueryError, StrawberryInputCoercionError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult

from app.common import telemetry
from app.common.domain import ErrorCode, SalesPadError, Unauthenticated
from app.common.work import Unavailable

MAX_ERRORS = 5
CODE_OF_REFUSAL = {
    ErrorCode.UNAUTHENTICATED: "UNAUTHENTICATED",
    ErrorCode.FORBIDDEN: "FORBIDDEN",
    ErrorCode.THROTTLED: "RATE_LIMITED",
    ErrorCode.UNAVAILABLE: "UNAVAILABLE",
}


@dataclass(frozen=True, slots=True)
class Presented:
    """An answer as it is told; `is_request_error`: nothing was executed, so there is no `data`."""

    body: dict[str, object]
    codes: tuple[str, ...] = ()
    is_request_error: bool = False


def present_result(result: ExecutionResult) -> Presented:
    if not result.errors:
        return Presented({"data": result.data})
    is_request_error = result.data is None and all(error.path is None for error in result.errors)
    errors = present_errors(result.errors, is_request_error=is_request_error)
    body: dict[str, object] = {} if is_request_error else {"data": result.data}
    codes = tuple(error["extensions"]["code"] for error in errors)
    return Presented({**body, "errors": errors}, codes, is_request_error)


def present_errors(errors: Sequence[GraphQLError], *, is_request_error: bool) -> list[dict[str, Any]]:
    """At most five, formatted. `is_request_error`: nothing was executed."""
    return [present_error(error, is_request_error=is_request_error) for error in errors[:MAX_ERRORS]]


def present_error(error: GraphQLError, *, is_request_error: bool = False) -> dict[str, Any]:
    code = _code(error, is_request_error=is_request_error)
    if code is None:
        return _masked(error)
    formatted: dict[str, Any] = dict(error.formatted)
    if isinstance(error.original_error, Unavailable | TimeoutError):
        formatted["message"] = "The server cannot answer right now. Try again."
    formatted["extensions"] = {**(error.extensions or {}), "code": code}
    return formatted


def _code(error: GraphQLError, *, is_request_error: bool) -> str | None:
    """None: it is our bug."""
    if isinstance(known := (error.extensions or {}).get("code"), str):
        return known
    if isinstance(error, GraphQLSyntaxError):
        return "GRAPHQL_PARSE_FAILED"
    original = error.original_error
    if isinstance(error, StrawberryInputCoercionError) or isinstance(original, StrawberryInputCoercionError):
        return "GRAPHQL_VALIDATION_FAILED"  # a @oneOf input with none, two or null; a literal's has a path
    if isinstance(original, MissingQueryError | CannotGetOperationTypeError | InvalidOperationTypeError):
        return "GRAPHQL_VALIDATION_FAILED"
    if isinstance(original, Unavailable | TimeoutError):
        return "UNAVAILABLE"
    if isinstance(original, SalesPadError):
        return CODE_OF_REFUSAL.get(original.code, "BAD_USER_INPUT")
    if original is None or isinstance(original, GraphQLError):
        if is_request_error and not error.message.startswith("Variable "):
            return "GRAPHQL_VALIDATION_FAILED"
        return "BAD_USER_INPUT" if is_request_error or error.path is None else None
    return None


def _masked(error: GraphQLError) -> dict[str, Any]:
    error_id = telemetry.new_error_id()
    original = error.original_error or error
    telemetry.log.error(
        "unexpected error",
        error_id=error_id,
        error_type=type(original).__name__,
        exc_info=original,
    )
    masked: dict[str, Any] = {
        "message": "Unexpected error.",
        "extensions": {"code": "INTERNAL_SERVER_ERROR", "errorId": error_id},
    }
    if error.path is not None:
        masked["path"] = list(error.path)
    return masked


def unauthenticated_body(error: Unauthenticated) -> dict[str, Any]:
    return error_body(error.message, "UNAUTHENTICATED")


def error_body(message: str, code: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": code}}]}
