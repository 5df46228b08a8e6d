"""The door at `/graphql`: who is asking, how much, in which media type; errors in one form; sockets that end in time.

HTTP: bearer only, JSON only, body caps before anything is parsed. Websocket: graphql-transport-ws only, the token in
connection_init, closed with 4403 when it expires or its session is revoked. Operations run in Strawberry.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import orjson
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from graphql import GraphQLError, get_operation_ast
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.execution import ExecutionResult
from strawberry.types.unset import UNSET

from app.common import telemetry
from app.common.domain import Unauthenticated
from app.common.graphql import Context
from app.graphql.errors import RETRY_AFTER_S, STATUS_OF_CODE, error_body, present_errors
from app.graphql.graphiql import graphiql_page
from app.graphql.limits import documents_of
from app.graphql.schema import BATCHES, schema
from app.graphql.sockets import TextSocket, TransportHandler
from app.settings import Settings

if TYPE_CHECKING:
    from app.common.ratelimit import RateLimiter

MAX_BODY_BYTES = 5_000_000
MAX_SMALL_BODY_BYTES = 1_000_000
LARGE_BODY_FIELDS = frozenset({"importLeads"})
GRAPHQL_RESPONSE = "application/graphql-response+json"
INIT_WAIT = timedelta(seconds=3)
MAX_OPERATIONS_PER_SOCKET = 20


class Refused(HTTPException):
    """An answer before any execution."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, message)
        self.code, self.headers = code, dict(headers or {})


class GraphQLView(GraphQL[Context, None]):
    graphql_transport_ws_handler_class = TransportHandler
    websocket_adapter_class = TextSocket

    def __init__(self, settings: Settings, process: Any) -> None:
        """`process` is `app.main.Process`: the doors, hub and services that live as long as the process does."""
        super().__init__(
            schema,
            graphql_ide="graphiql",
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=INIT_WAIT,
            max_subscriptions_per_connection=MAX_OPERATIONS_PER_SOCKET,
            allowed_origins=settings.allowed_origins,
        )
        self._settings, self._process = settings, process
        self.documents = documents_of(schema._schema)

    @cached_property
    def limiter(self) -> "RateLimiter":
        from app.common.ratelimit import RateLimiter

        return RateLimiter(self._settings)

    # ── HTTP ──────────────────────────────────────────────────────────────────────────────────────────────────────
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        request = Request(scope, _capped(scope, receive))
        try:
            response = await self.run(request)
        except Refused as refused:
            response = self._error_response(
                refused.status_code, refused.reason, refused.code, refused.headers
            )
        except HTTPException as error:
            response = self._error_response(error.status_code, error.reason, "BAD_REQUEST", {})
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Vary"] = "Accept, Origin"
        await response(scope, receive, send)

    def _error_response(self, status: int, message: str, code: str, headers: Mapping[str, str]) -> Response:
        return Response(
            self.encode_json(error_body(message, code)),
            status_code=status,
            media_type="application/json; charset=utf-8",
            headers=dict(headers),
        )

    async def get_context(self, request: Request | WebSocket, response: Any) -> Context:
        context = Context(
            settings=self._settings,
            doors=self._process.doors,
            hub=self._process.hub,
            services=self._process.services,
            batches=BATCHES,
            shares=self._process.shares,
            ip=request.client.host if request.client else "",
            user_agent=request.headers.get("user-agent", "")[:500],
            origin=request.headers.get("origin"),
            response=None if isinstance(request, WebSocket) else response,
        )
        if isinstance(request, Request):
            await self._sign_in(request, context, response)
        return context

    async def _sign_in(self, request: Request, context: Context, response: Response) -> None:
        """Raises Refused 401 for a bad token, 429 for too many requests. No token at all is for the fields to judge."""
        authorization = request.headers.get("authorization")
        if authorization is None:
            return
        scheme, _, token = authorization.partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise Unauthenticated("Send the access token as Authorization: Bearer …")
            context.actor = self._process.services["accounts"].authenticate(token.strip())
        except Unauthenticated as error:
            raise Refused(401, "UNAUTHENTICATED", error.message, {"WWW-Authenticate": "Bearer"}) from None
        allowance = await self.limiter.hit(context.actor)
        if not allowance.is_allowed:
            raise Refused(429, "RATE_LIMITED", "Too many requests: wait a little.", allowance.headers)
        response.headers.update(allowance.headers)

    def should_render_graphql_ide(self, request: AsyncHTTPRequestAdapter) -> bool:  # type: ignore[override]
        return (
            request.method == "GET"
            and "query" not in request.query_params
            and self._settings.serves_graphiql
            and "text/html" in request.headers.get("accept", "")
        )

    async def render_graphql_ide(self, request: Request) -> Response:
        return graphiql_page(self._settings)

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> Any:
        if request.method == "POST":
            self._check_media_type(request)
            body = await request.get_body()
            data = await super().parse_http_body(request)
            if len(body) > MAX_SMALL_BODY_BYTES:
                self._check_large_body(cast("GraphQLRequestData", data).query)
            return data
        return await super().parse_http_body(request)

    def _check_media_type(self, request: AsyncHTTPRequestAdapter) -> None:
        media_type = (request.content_type or "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Refused(415, "BAD_REQUEST", "Send Content-Type: application/json.")
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused(415, "BAD_REQUEST", "Send the body without Content-Encoding.")

    def _check_large_body(self, query: str | None) -> None:
        """Only importLeads may send more than 1 MB, so that nothing else is parsed at that size."""
        with suppress(GraphQLError):
            if query and self.documents.check(query).root_fields == LARGE_BODY_FIELDS:
                return
        raise Refused(413, "PAYLOAD_TOO_LARGE", "This request may take 1 MB; importLeads, alone, 5 MB.")

    async def execute_single(self, *arguments: Any, **named: Any) -> ExecutionResult:
        started = time.perf_counter()
        data = named["request_data"]
        kind = self.operation_type(data.query, data.operation_name)
        if kind == "subscription":
            raise Refused(
                400, "BAD_REQUEST", "Subscribe over the websocket (graphql-transport-ws) at this address."
            )
        try:
            async with asyncio.timeout(self._settings.operation_timeout_s):
                result = await super().execute_single(*arguments, **named)
        except TimeoutError as error:
            result = ExecutionResult(None, [GraphQLError("Timed out.", original_error=error)])
        telemetry.measure_operation(kind, time.perf_counter() - started, failed=bool(result.errors))
        return result

    def operation_type(self, query: str | None, name: str | None) -> str:
        """Of the operation that is to run."""
        with suppress(GraphQLError):
            operation = get_operation_ast(self.documents.check(query or "").document, name)
            if operation is not None:
                return operation.operation.value
        return "unknown"

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        if not result.errors:
            return {"data": result.data}
        is_request_error = result.data is None and all(error.path is None for error in result.errors)
        errors = present_errors(result.errors, is_request_error=is_request_error)
        codes = {error["extensions"]["code"] for error in errors}
        status = next((STATUS_OF_CODE[code] for code in codes if code in STATUS_OF_CODE), None)
        request.state.status = status or (400 if is_request_error else None)
        told: list[object] = list(errors)
        return {"errors": told} if is_request_error else {"data": result.data, "errors": told}

    async def run(self, request: Any, *arguments: Any, **named: Any) -> Any:
        response = await super().run(request, *arguments, **named)
        if isinstance(request, Request):
            _negotiate(request, response)
        return response

    # ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def decode_json(self, data: str | bytes) -> object:
        """orjson; the standard library where a string holds half an emoji, which the fields then refuse by name."""
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            try:
                return json.loads(data)
            except (RecursionError, UnicodeDecodeError) as error:
                raise json.JSONDecodeError(str(error), "", 0) from None

    def parse_json(self, data: str | bytes) -> Any:
        """A body (bytes), or a GET's `variables` (text, where null is as good as none)."""
        parsed = super().parse_json(data)
        if parsed is None and isinstance(data, str):
            return None
        if isinstance(parsed, list):
            raise Refused(400, "BAD_REQUEST", "Send one operation a request: batches are not taken.")
        if not isinstance(parsed, dict):
            raise Refused(400, "BAD_REQUEST", 'Send a JSON object: {"query": "…", "variables": {…}}.')
        return parsed

    def encode_json(self, data: object) -> str | bytes:
        try:
            return orjson.dumps(data)
        except TypeError:
            return orjson.dumps(_without_surrogates(data))

    def encode_text(self, data: object) -> str:
        encoded = self.encode_json(data)
        return encoded if isinstance(encoded, str) else encoded.decode()

    # ── websocket ─────────────────────────────────────────────────────────────────────────────────────────────────
    async def on_ws_connect(self, context: Context) -> Any:
        authorization = context.connection_params.get("authorization")
        scheme, _, token = str(authorization or "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise Unauthenticated("Send the access token in connection_init.")
            context.actor = self._process.services["accounts"].authenticate(token.strip())
        except Unauthenticated:
            raise ConnectionRejectionError from None
        return UNSET


def _capped(scope: Scope, receive: Receive) -> Receive:
    """Stops reading a body at 5 MB, told by its header or counted."""
    too_large = Refused(413, "PAYLOAD_TOO_LARGE", "A request may take 5 MB: send a smaller batch.")
    headers = dict(scope["headers"])
    read = 0

    async def capped() -> Message:
        nonlocal read
        if int(headers.get(b"content-length") or 0) > MAX_BODY_BYTES:
            raise too_large
        message = await receive()
        read += len(message.get("body", b""))
        if read > MAX_BODY_BYTES:
            raise too_large
        return message

    return capped


def _negotiate(request: Request, response: Response) -> None:
    """application/graphql-response+json where it is asked for: then request errors are 400 (GraphQL over HTTP)."""
    status = getattr(request.state, "status", None)
    wants_graphql_response = GRAPHQL_RESPONSE in request.headers.get("accept", "")
    if response.headers.get("content-type", "").startswith("application/json"):
        media_type = GRAPHQL_RESPONSE if wants_graphql_response else "application/json"
        response.headers["content-type"] = f"{media_type}; charset=utf-8"
    if status is not None and (status != 400 or wants_graphql_response):
        response.status_code = status
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)


def _without_surrogates(data: object) -> object:
    """Error messages may quote what a client sent."""
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode()
    if isinstance(data, dict):
        return {key: _without_surrogates(value) for key, value in data.items()}
    return [_without_surrogates(item) for item in data] if isinstance(data, list) else data
