"""One graphql-transport-ws connection: messages of the right shape, errors in the door's form, an end in time.

Leans on Strawberry's handler, whose methods are not a documented API: pinned, with a contract test.
"""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any, cast

from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect
from strawberry import Schema
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.types.execution import ExecutionResult

from app.common import telemetry
from app.common.graphql import Context
from app.common.sharing import Frame
from app.graphql.errors import present_errors
from app.graphql.limits import Checked
from app.graphql.sharing import payload_of, run_shared, shareable

FORBIDDEN = 4403
WRITE_TEXT = "salespad.write_text"
"""The ASGI extension of our server that writes a text frame without waiting, or says that it cannot."""


class TextSocket(ASGIWebSocketAdapter):
    """Frames are text: browsers' clients do not read binary ones."""

    async def send_json(self, message: Any) -> None:
        encoded = self.view.encode_json(message)
        await self.send_text(encoded if isinstance(encoded, str) else encoded.decode())

    @cached_property
    def write_text(self) -> Callable[[bytes, bytes], bool] | None:
        return cast("dict[str, Any]", self.ws.scope.get("extensions") or {}).get(WRITE_TEXT)

    async def send_text(self, text: str) -> None:
        try:
            await self.ws.send_text(text)
        except WebSocketDisconnect as error:
            raise WebSocketDisconnected from error


class SocketOperation(Operation[Context, None]):
    async def send_initial_errors(self, errors: list[GraphQLError]) -> None:
        payload = present_errors(errors, is_request_error=True)
        await self.send_operation_message({"id": self.id, "type": "error", "payload": cast("Any", payload)})

    async def send_next(self, execution_result: ExecutionResult) -> None:
        payload = cast("Any", payload_of(execution_result))
        await self.send_operation_message({"id": self.id, "type": "next", "payload": payload})

    async def send_frame(self, frame: Frame) -> None:
        """What was encoded once for many: only the operation's id is this one's own."""
        if not self.completed:
            await cast("TextSocket", self.handler.websocket).send_text(
                self.frame_head.decode() + frame.data.decode()
            )

    @property
    def frame_head(self) -> bytes:
        return f'{{"id":{json.dumps(self.id)},"type":"next","payload":'.encode()

    @property
    def write_text(self) -> Callable[[bytes, bytes], bool] | None:
        """Writes at once and without this operation's task, where the server can (app/embedded/websockets.py)."""
        return cast("TextSocket", self.handler.websocket).write_text


class TransportHandler(BaseGraphQLTransportWSHandler[Context, None]):
    _watch: "asyncio.Task[None] | None" = None

    async def handle_message(self, message: Any) -> None:
        """A message of a wrong shape closes the socket with 4400 instead of killing it with a traceback."""
        if not _is_well_formed(message):
            await self.handle_invalid_message("A message has the wrong shape")
            return
        await super().handle_message(message)

    async def handle_connection_init(self, message: Any) -> None:
        if message.get("payload") is None:
            message = {"type": "connection_init"}
        await super().handle_connection_init(message)
        if self.connection_acknowledged and self._watch is None and self.context.actor is not None:
            self._watch = asyncio.create_task(self._close_when_over())

    async def handle_ping(self, message: Any) -> None:
        payload = {"payload": message["payload"]} if message.get("payload") is not None else {}
        await self.send_message(cast("Any", {"type": "pong", **payload}))

    async def handle_subscribe(self, message: Any) -> None:
        """As Strawberry's, with the door's limits and form of errors."""
        if not self.connection_acknowledged:
            await self.websocket.close(code=4401, reason="Unauthorized")
            return
        if message["id"] in self.operations:
            await self.websocket.close(code=4409, reason=f"Subscriber for {message['id']} already exists")
            return
        payload = message["payload"]
        operation = SocketOperation(
            self, message["id"], payload["query"], payload.get("variables"), payload.get("operationName")
        )
        refusal = await self._refusal()
        if refusal is not None:
            self.operations[operation.id] = operation
            await operation.send_initial_errors([refusal])
            return
        operation.task = asyncio.create_task(self.run_operation(operation))
        operation.task.add_done_callback(self._task_done)
        self.operations[operation.id] = operation

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """A query or mutation ends in time, as over HTTP; a subscription lives as long as its socket."""
        kind = cast("Any", self.view).operation_type(operation.query, operation.operation_name)
        if kind == "subscription":
            telemetry.operations.labels(kind, "ok").inc()
            checked = shareable(cast("SocketOperation", operation), cast("Schema", self.schema), self.context)
            if checked is None:
                await super().run_operation(operation)
            else:
                await self._run_shared(cast("SocketOperation", operation), checked)
            return
        started, failed = time.perf_counter(), False
        try:
            with cast("Any", self.view).traced(operation.query, kind):
                async with asyncio.timeout(self.context.settings.operation_timeout_s):
                    await super().run_operation(operation)
        except TimeoutError as error:
            failed = True
            await operation.send_initial_errors([GraphQLError("Timed out.", original_error=error)])
        telemetry.measure_operation(kind, time.perf_counter() - started, failed=failed)

    async def _run_shared(self, operation: SocketOperation, checked: Checked) -> None:
        try:
            schema, encode = cast("Schema", self.schema), cast("Any", self.view).encode_text
            await run_shared(operation, schema, checked, self.context, encode)
            await operation.send_operation_message({"id": operation.id, "type": "complete"})
        except Exception as error:
            await self.handle_task_exception(error)
            self.operations.pop(operation.id, None)
            raise

    async def _refusal(self) -> GraphQLError | None:
        assert self.max_subscriptions_per_connection is not None
        assert self.context.actor is not None
        if len(self.operations) >= self.max_subscriptions_per_connection:
            limit = self.max_subscriptions_per_connection
            return GraphQLError(
                f"A socket runs at most {limit} operations at once.", extensions={"code": "RATE_LIMITED"}
            )
        allowance = await cast("Any", self.view).limiter.hit(self.context.actor)
        if not allowance.is_allowed:
            return GraphQLError("Too many requests: wait a little.", extensions={"code": "RATE_LIMITED"})
        return None

    @staticmethod
    def _get_pre_execution_close_reason(error: GraphQLError) -> str | None:
        return None  # one bad document is an `error` for its id; the other subscriptions live on

    async def handle_task_exception(self, error: Exception) -> None:
        if not isinstance(error, WebSocketDisconnected | WebSocketDisconnect):
            telemetry.log.error("websocket operation failed", error_type=type(error).__name__, exc_info=error)

    async def shutdown(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        await super().shutdown()

    async def _close_when_over(self) -> None:
        """The client reconnects with a fresh token and resumes by its cursor, so closing costs it nothing."""
        reason = await until_over(self.context)
        with suppress(RuntimeError, WebSocketDisconnect, WebSocketDisconnected):
            await self.websocket.close(FORBIDDEN, reason)


async def until_over(context: Context) -> str:
    """Waits for the end of the actor's token, and says why: expired, or revoked."""
    actor = context.signed_in
    revocations = context.services["accounts"].revocations
    try:
        async with asyncio.timeout(max(0.0, actor.expires_at - time.time())):
            await revocations.until_revoked(actor)
    except TimeoutError:
        return "token expired"
    return "session revoked"


def _is_well_formed(message: object) -> bool:
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return False
    if message["type"] == "complete":
        return isinstance(message.get("id"), str)
    if message["type"] != "subscribe":
        return True
    payload = message.get("payload")
    return (
        isinstance(message.get("id"), str)
        and isinstance(payload, dict)
        and isinstance(payload.get("query"), str)
        and isinstance(payload.get("variables"), dict | None)
        and isinstance(payload.get("operationName"), str | None)
    )
