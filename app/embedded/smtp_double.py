"""An SMTP server that behaves as real ones do, also on their bad days: for tests, benchmarks and trying things out.

It takes every mail, thousands a second, delivers none, and writes down what it took: a line `time message-id recipient`
in an append-only file, before it answers, so that whoever is killed meanwhile can compare. Where it does something else
rules say (`smtp_rules.py`); `smtp_log.py` reads the log. No TLS and no logins: tests/fixtures/smtp.py has those, for
tests of single stages.
"""

import asyncio
import contextlib
import os
import re
import signal
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

from app.embedded.smtp_log import Taken
from app.embedded.smtp_rules import Deed, Rule, Rulebook, Triplet, Wait

HOST = "127.0.0.1"
MAX_TEXT_BYTES = 50_000_000
MAX_LINE_BYTES = 4096
STATUS_EVERY_S = 2
EXTENSIONS = ("PIPELINING", f"SIZE {MAX_TEXT_BYTES}", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8")
MESSAGE_ID = re.compile(rb"^Message-ID:\s*(<[^<>\s]+>)", re.MULTILINE | re.IGNORECASE)
PATH = re.compile(r"(?:FROM|TO):\s*<([^<>]*)>", re.IGNORECASE)


@dataclass
class SmtpDouble:
    """In a thread of its own (`with SmtpDouble.started(...)`), or in a loop (`serve`)."""

    book: Rulebook = field(default_factory=Rulebook)
    log: Path | None = None
    host: str = HOST
    port: int = 0
    taken: list[Taken] = field(default_factory=list)
    """Only where there is no log."""
    counts: Counter[str] = field(default_factory=Counter)
    """mails; 4xx and 5xx by their first digit; drop, close, hang, wait, sessions."""
    open_sessions: int = 0
    _log: int | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    @contextmanager
    def started(cls, *rules: str, seed: int = 0, **options: Any) -> Iterator[Self]:
        double = cls(Rulebook(seed=seed), **options)
        double.behave(*rules)
        ready = threading.Event()
        thread = threading.Thread(
            target=lambda: asyncio.run(double.serve(ready.set)), name="smtp double", daemon=True
        )
        thread.start()
        if not ready.wait(10):
            raise RuntimeError("the SMTP double did not start")
        try:
            yield double
        finally:
            double.end()
            thread.join(10)

    @property
    def url(self) -> str:
        return f"smtp://{self.host}:{self.port}"

    def behave(self, *rules: str) -> None:
        """From now on so, and no longer as before. For any thread."""
        self.book.rules = [Rule.parsed(rule) for rule in rules]

    def end(self) -> None:
        """For any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)

    async def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Until `end`."""
        self._loop = asyncio.get_running_loop()
        if self.log is not None:
            self._log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        sessions: set[Session] = set()
        server = await self._loop.create_server(
            lambda: Session(self, sessions), self.host, self.port, backlog=1000
        )
        self.port = server.sockets[0].getsockname()[1]
        ready()
        try:
            await self._ended.wait()
        finally:
            server.close()
            for session in list(sessions):
                session.end()
            if self._log is not None:
                os.close(self._log)

    def keep(self, text: bytes | bytearray, recipients: Sequence[str]) -> None:
        found = MESSAGE_ID.search(text)
        message_id, at = found[1].decode(errors="replace") if found else "-", time.time()
        taken = [Taken(at, message_id, recipient) for recipient in recipients]
        self.counts["mails"] += 1
        if self._log is None:
            self.taken.extend(taken)
            return
        os.write(self._log, b"".join(one.line() for one in taken))

    def status(self) -> str:
        count = self.counts
        told = [
            f"{count['mails']:,} mails taken",
            f"{self.open_sessions} of {count['sessions']:,} sessions open",
        ]
        told += [
            f"{count[name]:,} {name}"
            for name in ("4xx", "5xx", "drop", "close", "hang", "wait")
            if count[name]
        ]
        return ", ".join(told)


class Session(asyncio.Protocol):
    """One client's connection. While a rule makes it wait, what comes is kept and not looked at."""

    def __init__(self, double: SmtpDouble, sessions: "set[Session]") -> None:
        self._double, self._sessions = double, sessions
        self._came = bytearray()
        self._is_waiting = self._is_over = self._is_text = self._is_begun = False
        self._searched = 0
        self._sender: str | None = None
        self._recipients: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._peer = str((transport.get_extra_info("peername") or ("",))[0])
        self._sessions.add(self)
        self._double.open_sessions += 1
        self._double.counts["sessions"] += 1
        self._at("CONNECT", lambda: self._say("220 smtp-double.test ESMTP"))

    def connection_lost(self, error: Exception | None) -> None:
        self._is_over = True
        self._sessions.discard(self)
        self._double.open_sessions -= 1

    def data_received(self, received: bytes) -> None:
        self._came += received
        self._go_on()

    def end(self) -> None:
        self._is_over = True
        self._transport.abort()

    def _go_on(self) -> None:
        while not (self._is_waiting or self._is_over):
            if not (self._text() if self._is_text else self._line()):
                return

    def _line(self) -> bool:
        end = self._came.find(b"\n")
        if end < 0:
            if len(self._came) > MAX_LINE_BYTES:
                self._say("500 5.5.2 Line too long")
                self.end()
            return False
        line = self._came[:end].decode(errors="replace").strip()
        del self._came[: end + 1]
        verb, _, argument = line.partition(" ")
        command = COMMANDS.get(verb.upper())
        if command is None:
            self._say("500 5.5.2 Not a command here")
        else:
            command(self, argument)
        return True

    def _text(self) -> bool:
        """Looks for the final dot, from where it looked last."""
        if not self._came:
            return False
        if not self._is_begun:
            self._is_begun = True
            self._at("BODY", lambda: None)
            return True
        if self._came.startswith(b".\r\n"):
            start, end = 0, 3
        else:
            start = self._came.find(b"\r\n.\r\n", max(0, self._searched - 4))
            self._searched, end = len(self._came), start + 5
        if start < 0:
            if len(self._came) > MAX_TEXT_BYTES:
                self._say("552 5.3.4 Too big")
                self.end()
            return False
        text, self._came = self._came[:start], self._came[end:]
        self._is_text = False
        self._at("DOT", lambda: self._take(text))
        return True

    def _take(self, text: bytearray) -> None:
        """A reply of a rule stands in place of keeping it; whatever else a rule does, it has been kept."""
        recipients = self._recipients

        def keep() -> None:
            self._double.keep(text, recipients)

        def answer() -> None:
            self._forget()
            self._say(f"250 2.0.0 OK queued as D{self._double.counts['mails']}")

        self._at("END", answer, before=keep)

    def _forget(self) -> None:
        self._sender, self._recipients = None, []

    # ── what the rules say ────────────────────────────────────────────────────────────────────────────────────────────
    def _at(
        self,
        stage: str,
        usual: Callable[[], None],
        *,
        who: Sequence[str] | None = None,
        before: Callable[[], None] | None = None,
        rules: Sequence[Rule] | None = None,
    ) -> None:
        """Does what the first rule says that has something to say; after a wait those that follow it; else what is
        usual. `before` is done first, unless a rule replies."""
        recipients = (self._recipients if who is None else who) or [""]
        triplets = [Triplet(self._peer, self._sender or "", one) for one in recipients]
        of_stage = self._double.book.of(stage) if rules is None else rules
        for number, rule in enumerate(of_stage, 1):
            answer = self._double.book.answer(rule, triplets)
            if answer is None:
                continue
            if isinstance(answer, Wait):
                again = partial(
                    self._at, stage, usual, who=recipients, before=before, rules=of_stage[number:]
                )
                self._wait(answer, again)
                return
            if isinstance(answer, str):
                self._refuse(stage, answer)
                return
            usual = partial(self._do, answer)
            break
        if before is not None:
            before()
        usual()

    def _refuse(self, stage: str, reply: str) -> None:
        self._double.counts[f"{reply[0]}xx"] += 1
        if stage in ("DATA", "BODY", "DOT", "END"):
            self._is_text = False
            self._forget()
        self._say(reply)
        if reply.startswith("421") or stage in ("CONNECT", "BODY"):
            self._is_over = True
            self._transport.close()

    def _wait(self, wait: Wait, then: Callable[[], None]) -> None:
        self._double.counts["wait"] += 1
        self._is_waiting = True

        def go_on() -> None:
            self._is_waiting = False
            if not self._is_over:
                then()
                self._go_on()

        asyncio.get_running_loop().call_later(wait.seconds, go_on)

    def _do(self, deed: Deed) -> None:
        self._double.counts[deed.name.lower()] += 1
        self._is_over = True
        if deed is Deed.DROP:
            reset(self._transport)
        elif deed is Deed.CLOSE:
            self._transport.close()

    # ── commands ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _say(self, reply: str) -> None:
        self._transport.write(reply.encode() + b"\r\n")

    def _ehlo(self, argument: str) -> None:
        self._forget()
        lines = ["smtp-double.test", *EXTENSIONS]
        reply = "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])
        self._at("EHLO", lambda: self._say(reply))

    def _helo(self, argument: str) -> None:
        self._forget()
        self._at("EHLO", lambda: self._say("250 smtp-double.test"))

    def _mail(self, argument: str) -> None:
        path = PATH.match(argument)
        if path is None:
            self._say("501 5.5.4 MAIL FROM:<address>")
            return

        def begin() -> None:
            self._sender, self._recipients = path[1], []
            self._say("250 2.1.0 OK")

        self._at("MAIL", begin)

    def _rcpt(self, argument: str) -> None:
        path = PATH.match(argument)
        if path is None or not path[1]:
            self._say("501 5.5.4 RCPT TO:<address>")
        elif self._sender is None:
            self._say("503 5.5.1 MAIL first")
        else:
            recipient = path[1].lower()

            def add() -> None:
                self._recipients.append(recipient)
                self._say("250 2.1.5 OK")

            self._at("RCPT", add, who=[recipient])

    def _data(self, argument: str) -> None:
        if not self._recipients:
            self._say("503 5.5.1 RCPT first")
            return

        def begin() -> None:
            self._is_text, self._is_begun, self._searched = True, False, 0
            self._say("354 Go on")

        self._at("DATA", begin)

    def _rset(self, argument: str) -> None:
        self._forget()
        self._say("250 2.0.0 OK")

    def _noop(self, argument: str) -> None:
        self._say("250 2.0.0 OK")

    def _quit(self, argument: str) -> None:
        self._is_over = True
        self._say("221 2.0.0 Bye")
        self._transport.close()


COMMANDS: dict[str, Callable[[Session, str], None]] = {
    name.upper(): getattr(Session, f"_{name}")
    for name in ("ehlo", "helo", "mail", "rcpt", "data", "rset", "noop", "quit")
}


def reset(transport: Any) -> None:
    """RST, not FIN: what the other side had not read is lost."""
    with contextlib.suppress(OSError, AttributeError):
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    transport.abort()


async def serve(double: SmtpDouble, *, should_tell: bool = True) -> None:
    """The command: until Ctrl-C or SIGTERM, with a status line every other second in which something happened."""
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, double.end)
    telling = asyncio.create_task(_tell(double)) if should_tell else None
    await double.serve(lambda: print(f"SMTP double listening on {double.url}", flush=True))
    if telling is not None:
        telling.cancel()
    print(double.status(), flush=True)


async def _tell(double: SmtpDouble) -> None:
    told, mails = double.status(), 0
    while True:
        await asyncio.sleep(STATUS_EVERY_S)
        if (now := double.status()) != told:
            rate = (double.counts["mails"] - mails) / STATUS_EVERY_S
            print(f"{now} ({rate:,.0f} mails/s)", flush=True)
        told, mails = now, double.counts["mails"]
