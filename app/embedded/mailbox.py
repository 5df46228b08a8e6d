"""The local mailbox's SMTP server, on the loopback address only: what SalesPad sends by default ends here.

A mail to a connected account of this installation comes in to it (`deliver` says which those are, and has stored it
when it returns); to anybody else it is kept in the Maildir that `GET /mailbox` shows. 250 is answered once all of that
is durable; after anything else the sender keeps the mail and tries again. One answer goes for all recipients of a
mail, so a second try meets some that are settled: both ways to settle one know the same mail again.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence, Set
from typing import Any, TypeAlias

from aiosmtpd.smtp import SMTP, Envelope, Session

from app.embedded.maildir import Maildir

HOST = "127.0.0.1"
MAX_RECIPIENTS = 100
MAX_LINE_BYTES = 1_000_000
"""Not RFC 5321's 998: mails that programs write by hand have long lines, and nobody is served by their loss."""
IDLE_S = 60
GRACE_S = 0.5

Deliver: TypeAlias = Callable[[Sequence[str], bytes], Awaitable[Set[str]]]
"""Takes a mail in for those of the addresses that are accounts' own, and returns them. Raises where it cannot now."""

log = logging.getLogger("salespad.mailbox")
logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd's: it names addresses


class PatientSMTP(SMTP):
    line_length_limit = MAX_LINE_BYTES


class Handler:
    """What aiosmtpd asks at each step of a transaction."""

    def __init__(self, deliver: Deliver, kept: Maildir) -> None:
        self._deliver, self._kept = deliver, kept
        self.in_hand: set[asyncio.Task[str]] = set()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients; send the rest as another mail"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Settled whole, even when its sender hangs up meanwhile."""
        content = envelope.original_content or b""
        settling = asyncio.create_task(
            self._settle(envelope.mail_from or "", list(dict.fromkeys(envelope.rcpt_tos)), content)
        )
        self.in_hand.add(settling)
        settling.add_done_callback(self.in_hand.discard)
        return await asyncio.shield(settling)

    async def _settle(self, sender: str, recipients: Sequence[str], raw: bytes) -> str:
        try:
            own = await self._deliver(recipients, raw)
            if others := [recipient for recipient in recipients if recipient not in own]:
                await asyncio.to_thread(self._kept.keep, raw, sender=sender, recipients=others)
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender still has the mail
            log.warning("a mail was put off: %s", type(error).__name__)
            return "451 4.3.0 Not taken now; try again"
        return "250 2.0.0 Taken"


def listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    return listener


async def start(listener: socket.socket, handler: Handler, *, max_bytes: int) -> asyncio.Server:
    loop = asyncio.get_running_loop()

    def session() -> Any:
        # hostname: by default it asks the network for this machine's name, which may take seconds.
        return PatientSMTP(
            handler,
            data_size_limit=max_bytes,
            enable_SMTPUTF8=True,
            hostname="localhost",
            ident="SalesPad",
            timeout=IDLE_S,
            loop=loop,
        )

    return await loop.create_server(session, sock=listener)


async def serve(listener: socket.socket, deliver: Deliver, kept: Maildir, *, max_bytes: int) -> None:
    """Until SIGTERM or SIGINT; a mail whose last line has come is still settled and answered."""
    stop, handler = asyncio.Event(), Handler(deliver, kept)
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    server = await start(listener, handler, max_bytes=max_bytes)
    print(f"Mailbox listening on {HOST}:{listener.getsockname()[1]}", flush=True)
    await stop.wait()
    server.close()
    if handler.in_hand:
        await asyncio.wait(handler.in_hand, timeout=GRACE_S)
