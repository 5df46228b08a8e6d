"""uvicorn's protocols with one thing more each: event streams that end when the server does, and a text frame written
at once, for what goes to hundreds of sockets.

ASGI's `send` serialises each frame anew and wakes whoever waits; where a frame's bytes are the same for many that is
most of the cost. Offered to the app as an ASGI extension, which it does without under another server. Leans on names of
uvicorn's that are not documented: pinned, with a contract test.
"""

from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

WRITE_TEXT = "salespad.write_text"
ENDS_AT_SHUTDOWN = "salespad.ends_at_shutdown"
MAX_HEAD_BYTES = 524_288
"""Of a request line and its headers: httptools itself would keep whatever comes. Counted by what is read at once, which
may begin with the end of another request."""


class StreamEndingProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, which would wait for event streams to end by themselves when it stops. They are marked in their
    scope's state, and cut: their clients come back to another process."""

    head_bytes: int | None = None
    """What has come of the head that is being read."""

    def on_message_begin(self) -> None:
        self.head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.head_bytes = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.head_bytes is not None:
            self.head_bytes += len(data)
            if self.head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The request's headers are too long.")

    def shutdown(self) -> None:
        super().shutdown()
        if self.cycle is not None and self.cycle.scope["state"].get(ENDS_AT_SHUTDOWN):
            self.transport.close()


class FrameWritingProtocol(WebSocketsSansIOProtocol):
    __slots__ = ("close_sent", "handshake_complete", "transport", "writable")
    """uvicorn's own attributes, kept side by side: what a frame looks at is not strewn over a dict of forty."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        scope: Any = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][WRITE_TEXT] = self.write_text

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # refused with an answer: uvicorn would call it an error of ours

    def send_receive_event_to_app(self) -> None:
        """What is no UTF-8 closes the socket; uvicorn would log a traceback for it."""
        try:
            if self.curr_msg_data_type == "text":
                b"".join(self.frames).decode()
        except UnicodeDecodeError:
            self.conn.send_close(1007)
            self.handle_parser_exception()
        else:
            super().send_receive_event_to_app()

    def write_text(self, head: bytes, rest: bytes) -> bool:
        """One frame of both. False where it would have to wait or nobody is there: then the ordinary way says so."""
        if (
            not self.handshake_complete
            or self.close_sent
            or not self.writable.is_set()
            or self.transport.is_closing()
        ):
            return False
        self.transport.write(b"".join((_text_head(len(head) + len(rest)), head, rest)))
        return True


@lru_cache(maxsize=1024)
def _text_head(length: int) -> bytes:
    """Of an unmasked, unfragmented text frame (RFC 6455, 5.2)."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")
