"""Server-sent events: one operation an HTTP answer (graphql-sse, distinct connections mode).

A subscription's stream lives as a socket does: until its client is gone, its token expires or its session is revoked.
The last two are told as UNAUTHENTICATED before `complete`, so a client subscribes again with a fresh token after the
cursor it has, where one that merely lost its connection would ask for the same again. What is shared with sockets is
shared here (`sharing.py`). A client that stops reading holds its own stream up, until the kernel cuts it
(app/embedded/serve.py).
"""

import asyncio
from collections import Counter
from collections.abc import Hashable
from contextlib import aclosing
from typing import Any

from graphql import GraphQLError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.types.execution import PreExecutionError

from app.common import telemetry
from app.common.graphql import Context, unauthenticated
from app.common.sharing import Frame
from app.graphql.answers import EVENT_STREAM, Refused, encode_json
from app.graphql.errors import present_errors
from app.graphql.requests import Asked
from app.graphql.schema import schema
from app.graphql.sharing import payload_of, run_shared, shareable
from app.graphql.sockets import until_over

KEEP_ALIVE_S = 15.0
"""Proxies cut what is silent for a minute."""
MAX_STREAMS = 20
"""At once, of one session in one process: as many as operations on a socket."""
HEADERS = {
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}
KEEP_ALIVE = b":\n\n"
ENDS_AT_SHUTDOWN = "salespad.ends_at_shutdown"
"""In the scope's state: our server does not wait for this answer when it stops (app/embedded/websockets.py)."""
COMPLETE = b"event: complete\ndata:\n\n"
"""With a field `data`, without which browsers drop an event."""


def next_event(payload: bytes) -> bytes:
    """The payload is JSON, so it has no line breaks."""
    return b"event: next\ndata: " + payload + b"\n\n"


def told_at_once(payload: object) -> Response:
    """The whole stream of what has one result."""
    return Response(next_event(encode_json(payload)) + COMPLETE, headers=HEADERS, media_type=EVENT_STREAM)


class EventStream(Response):
    """A subscription's answer."""

    media_type = EVENT_STREAM
    frame_head = b""
    write_text = None
    """Events are written by their own task: the server writes no chunk without waiting."""

    def __init__(self, asked: Asked, context: Context, open_streams: Counter[Hashable]) -> None:
        """Raises Refused where the session has too many of them."""
        self.query, self.variables = asked.query, asked.variables
        self.operation_name = asked.operation_name
        self._context, self._open = context, open_streams
        actor = context.actor
        self._whose: Hashable = (actor.user_id, actor.session_id) if actor else None
        if self._open[self._whose] >= MAX_STREAMS:
            message = (
                f"A session follows at most {MAX_STREAMS} streams at once: end one, or use the websocket."
            )
            raise Refused("RATE_LIMITED", message)
        self.status_code, self.background = 200, None
        self.init_headers(HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})[ENDS_AT_SHUTDOWN] = True
        self._send = send
        self._open[self._whose] += 1
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._until_ended(receive)
        finally:
            self._open[self._whose] -= 1
            if not self._open[self._whose]:
                del self._open[self._whose]

    async def _until_ended(self, receive: Receive) -> None:
        run = asyncio.create_task(self._run())
        gone = asyncio.create_task(self._until_gone(receive))
        over = asyncio.create_task(until_over(self._context))
        tasks = (run, gone, over)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if over.done() and not over.cancelled():
            why = over.result().capitalize()
            message = f"{why}: refresh it or sign in, and subscribe again after your last cursor."
            await self.send_initial_errors([unauthenticated(message)])
        if gone.cancelled():
            await self._send({"type": "http.response.body", "body": COMPLETE, "more_body": False})

    async def _run(self) -> None:
        telemetry.operations.labels("subscription", "ok").inc()
        checked = shareable(self, schema, self._context)
        try:
            if checked is None:
                await self._run_alone()
            else:
                await run_shared(
                    self, schema, checked, self._context, lambda item: encode_json(item).decode()
                )
        except Exception as error:  # noqa: BLE001 - told, masked
            await self.send_initial_errors([GraphQLError(str(error), original_error=error)])

    async def _run_alone(self) -> None:
        """Not shared with anybody, or refused."""
        results = await schema.stream(
            self.query,
            variable_values=self.variables,
            context_value=self._context,
            operation_name=self.operation_name,
        )
        async with aclosing(results):
            async for result in results:
                if isinstance(result, PreExecutionError):
                    await self.send_initial_errors(result.errors or [])
                else:
                    await self.send_next(result)

    async def send_initial_errors(self, errors: list[GraphQLError]) -> None:
        told = {"errors": present_errors(errors, is_request_error=True)}
        await self._write(next_event(encode_json(told)))

    async def send_next(self, execution_result: Any) -> None:
        await self._write(next_event(encode_json(payload_of(execution_result))))

    async def send_frame(self, frame: Frame) -> None:
        await self._write(next_event(frame.payload.encode()))

    async def _write(self, event: bytes) -> None:
        await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def _until_gone(self, receive: Receive) -> None:
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    while (await receive())["type"] != "http.disconnect":
                        pass
            except TimeoutError:
                await self._write(KEEP_ALIVE)
            else:
                return
