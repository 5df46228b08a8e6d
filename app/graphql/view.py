"""The door at `/graphql`: who is asking, how much, in which media type; errors in one form; sockets that end in time.

HTTP: bearer only, JSON only, body caps before anything is parsed (`requests.py`), every status in one table
(`answers.py`). Websocket: graphql-transport-ws only, the token in connection_init, closed with 4403 when it expires or
its session is revoked; its frames are Strawberry's to read. Operations run in Strawberry.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, get_operation_ast
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType
from strawberry.types.unset import UNSET

from app.common import telemetry, tracing
from app.common.domain import Actor, Throttled, Unauthenticated
from app.common.graphql import Context, unauthenticated
from app.common.work import Unavailable
from app.graphql.answers import (
    EVENT_STREAM,
    VARY,
    Refused,
    accepted_type,
    encode_json,
    json_response,
    status_of,
)
from app.graphql.errors import error_body, present_result
from app.graphql.graphiql import graphiql_page
from app.graphql.limits import documents_of
from app.graphql.requests import METHODS, Asked, bad_request, capped, decode_json, not_allowed, read_request
from app.graphql.schema import BATCHES, schema
from app.graphql.sockets import TextSocket, TransportHandler
from app.graphql.streams import EventStream, told_at_once
from app.settings import Settings

if TYPE_CHECKING:
    from app.common.ratelimit import RateLimiter

INIT_WAIT = timedelta(seconds=3)
MAX_OPERATIONS_PER_SOCKET = 20
KINDS_BY = {
    "GET": (OperationType.QUERY,),
    "POST": (OperationType.QUERY, OperationType.MUTATION),
}


class GraphQLView(GraphQL[Context, None]):
    graphql_transport_ws_handler_class = TransportHandler
    websocket_adapter_class = TextSocket

    def __init__(self, settings: Settings, process: Any) -> None:
        """`process` is `app.main.Process`: the doors, hub and services that live as long as the process does."""
        super().__init__(
            schema,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=INIT_WAIT,
            max_subscriptions_per_connection=MAX_OPERATIONS_PER_SOCKET,
            allowed_origins=settings.allowed_origins,
        )
        self._settings, self._process = settings, process
        self.documents = documents_of(schema._schema)
        self._streams: Counter[Hashable] = Counter()
        """Open, by session."""

    @cached_property
    def limiter(self) -> "RateLimiter":
        from app.common.ratelimit import RateLimiter

        return RateLimiter(self._settings)

    # ── HTTP ──────────────────────────────────────────────────────────────────────────────────────────────────────
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        try:
            response = await self._answer(Request(scope, capped(scope, receive)))
        except Refused as refused:
            response = refused.response
        if response.media_type != EVENT_STREAM:
            response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Vary"] = VARY
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        """Raises Refused."""
        if request.method not in ("GET", "POST"):
            raise not_allowed("GraphQL is asked by POST, queries by GET too.", METHODS)
        own = Response()
        context = await self.get_context(request, own)
        if self._wants_graphiql(request):
            return graphiql_page(self._settings)
        response = await self._respond(request, context)
        del own.headers["content-length"]
        if "Retry-After" in own.headers:  # said by what knows better when
            del response.headers["Retry-After"]
        response.raw_headers.extend(own.raw_headers)
        return response

    async def _respond(self, request: Request, context: Context) -> Response:
        """Raises Refused."""
        accepted = accepted_type(request)
        asked = await read_request(request, self.documents)
        kind = self.operation_type(asked.query, asked.operation_name)
        if request.method == "GET" and kind in ("mutation", "subscription"):
            raise not_allowed(f"Send a {kind} by POST.", "POST")
        if kind == "subscription":
            return self._stream(asked, accepted, context)
        told = present_result(await self._execute(asked, context, kinds=KINDS_BY[request.method]))
        if accepted == EVENT_STREAM:
            return told_at_once(told.body)
        status = max(status_of(told, accepted), context.response.status_code)  # 429: a mutation was throttled
        return json_response(told.body, status, media_type=accepted)

    def _stream(self, asked: Asked, accepted: str, context: Context) -> Response:
        """Raises Refused."""
        if accepted != EVENT_STREAM:
            raise bad_request(
                "Subscribe over the websocket (graphql-transport-ws) here, or accept text/event-stream first."
            )
        if context.actor is None:
            return told_at_once(error_body(unauthenticated().message, "UNAUTHENTICATED"))
        return EventStream(asked, context, self._streams)

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
        try:
            context.actor = await self._bearer(
                authorization, context.ip, "Send the access token as Authorization: Bearer …"
            )
        except Unauthenticated as error:
            raise Refused("UNAUTHENTICATED", error.message, {"WWW-Authenticate": "Bearer"}) from None
        except Throttled as error:
            raise Refused("RATE_LIMITED", error.message, {"Retry-After": "60"}) from None
        except Unavailable:
            raise Refused("UNAVAILABLE", "Try again in a moment.", {"Retry-After": "1"}) from None
        allowance = await self.limiter.hit(context.actor)
        if not allowance.is_allowed:
            raise Refused("RATE_LIMITED", "Too many requests: wait a little.", allowance.headers)
        response.headers.update(allowance.headers)

    async def _bearer(self, authorization: str, ip: str, what_to_do: str) -> Actor:
        """Raises Unauthenticated; for an API key that is looked up Throttled, Unavailable."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(what_to_do)
        actor: Actor = await self._process.services["accounts"].authenticate(token.strip(), ip)
        return actor

    def _wants_graphiql(self, request: Request) -> bool:
        return (
            request.method == "GET"
            and "query" not in request.query_params
            and self._settings.serves_graphiql
            and "text/html" in request.headers.get("accept", "")
        )

    async def _execute(
        self, asked: Asked, context: Context, *, kinds: Sequence[OperationType]
    ) -> ExecutionResult:
        started, kind = time.perf_counter(), self.operation_type(asked.query, asked.operation_name)
        try:
            with self.traced(asked.query, kind):
                async with asyncio.timeout(self._settings.operation_timeout_s):
                    result = await schema.execute(
                        asked.query,
                        variable_values=asked.variables,
                        context_value=context,
                        operation_name=asked.operation_name,
                        allowed_operation_types=kinds,
                    )
        except TimeoutError as error:
            result = ExecutionResult(None, [GraphQLError("Timed out.", original_error=error)])
        except (CannotGetOperationTypeError, InvalidOperationTypeError) as error:
            message = "There is no such operation in this document that may run here."
            result = ExecutionResult(None, [GraphQLError(message, original_error=error)])
        telemetry.measure_operation(kind, time.perf_counter() - started, failed=bool(result.errors))
        return result

    def traced(self, query: str | None, kind: str) -> AbstractContextManager[None]:
        """Named by our own fields: an operation's name is the client's word."""
        if not tracing.is_on():
            return nullcontext()
        checked = self.documents.check(query or "") if kind != "unknown" else None
        fields = sorted(checked.root_fields) if checked and not checked.errors else []
        return tracing.span(f"graphql {kind}", type=kind, fields=",".join(fields))

    def operation_type(self, query: str | None, name: str | None) -> str:
        """Of the operation that is to run."""
        with suppress(GraphQLError):
            operation = get_operation_ast(self.documents.check(query or "").document, name)
            if operation is not None:
                return operation.operation.value
        return "unknown"

    # ── websocket ─────────────────────────────────────────────────────────────────────────────────────────────────
    async def on_ws_connect(self, context: Context) -> Any:
        authorization = str(context.connection_params.get("authorization") or "")
        try:
            context.actor = await self._bearer(
                authorization, context.ip, "Send the access token in connection_init."
            )
        except (Unauthenticated, Throttled, Unavailable):  # 4403: clients try again
            raise ConnectionRejectionError from None
        return UNSET

    def decode_json(self, data: str | bytes) -> object:
        return decode_json(data)

    def encode_json(self, data: object) -> str | bytes:
        return encode_json(data)

    def encode_text(self, data: object) -> str:
        return encode_json(data).decode()
