"""Raw websocket clients by the thousand: they greet, subscribe and count what comes, at little cost of their own."""

import os
import re
import selectors
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)
WAIT_S = 60.0


def text_frame(text: str) -> bytes:
    """Masked, as a client's must be; the mask is zero."""
    data = text.encode()
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
    return b"\x81" + length + bytes(4) + data


class Crowd:
    """Connections of one process to one server, read together. Frames are counted by a mark each of them has once."""

    def __init__(self, port: int, path: str, *, more: str = "") -> None:
        self._address = ("127.0.0.1", port)
        self._greeting = HANDSHAKE.format(path=path, host="127.0.0.1", port=port, more=more).encode()
        self._selector = selectors.DefaultSelector()
        self._tails: dict[socket.socket, bytes] = {}
        self.received = 0
        """Bytes, of what was waited for with `arrivals`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._tails:
            connection.close()
        self._selector.close()

    def join(self, count: int, steps: Sequence[tuple[str, bytes]]) -> None:
        """`count` more, each through its steps: a text to send and the mark to wait for."""
        for _ in range(count):
            connection = socket.create_connection(self._address, timeout=WAIT_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(self._greeting)
            rest = _read_until(connection, b"\r\n\r\n", b"")
            for text, mark in steps:
                connection.sendall(text_frame(text) if text else b"")
                rest = _read_until(connection, mark, rest)
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ)
            self._tails[connection] = b""

    def arrivals(self, mark: bytes, count: int) -> Iterator[float]:
        """The times (`time.time`) at which the next `count` frames came."""
        left, deadline = count, time.monotonic() + WAIT_S
        while left > 0:
            assert time.monotonic() < deadline, f"{left} of {count} frames did not come"
            for key, _ in self._selector.select(timeout=1):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                chunk = connection.recv(1 << 20)
                assert chunk, "the server closed a connection"
                self.received += len(chunk)
                chunk = self._tails[connection] + chunk
                found = chunk.count(mark)
                self._tails[connection] = chunk[chunk.rfind(mark) + len(mark) :] if found else chunk
                now = time.time()
                for _ in range(found):
                    left -= 1
                    yield now


def _read_until(connection: socket.socket, mark: bytes, seen: bytes) -> bytes:
    """What came after the mark."""
    while mark not in seen:
        chunk = connection.recv(1 << 16)
        assert chunk, f"the server closed after {seen[-300:]!r}"
        seen += chunk
    return seen.partition(mark)[2] if mark else seen


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process's threads have used, to the microsecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def rss_kib(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


def keep_to_core(pid: int, core: int) -> None:
    """The server on one core, the clients on the other, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {cores[core % len(cores)]})
