"""Sends mails by SMTP, and says of each what surely became of it.

SMTP has one moment of doubt: from the first byte of the message's text until the answer to its final dot. What fails
before it did not go out; what is answered after it is settled; what is lost in between is Unknown, since the server may
have the message. Connections are kept a little while and used again, some beside each other for each account.
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import SMTP as SMTP_POLICY
from typing import TypeAlias
from uuid import UUID

import aiosmtplib
from aiosmtplib import SMTPException, SMTPResponse, SMTPResponseException
from email_validator import EmailNotValidError

from app.channels.domain.ports import (
    Accepted,
    Answer,
    OutboundMessage,
    Rejected,
    Retry,
    SendingAccount,
    Unknown,
)
from app.common import tracing
from app.common.egress import Egress
from app.common.mail_servers import (
    CannotReach,
    MailServer,
    Protocol,
    ReachProblem,
    mail_server,
    what_to_do,
)
from app.common.smtp import Envelope, SmtpDoor, reach_failure, said
from app.settings import Settings

CONNECTIONS_MAX = 4
"""Of one account, beside each other."""
WAIT_SHARE = 0.5
"""Of a send's time, for one of them to be free: a text begun with little time left would end in doubt."""
IDLE_S = 30
ALIVE_S = 3
"""Wait for a used connection's sign of life."""
USES_MAX = 100
"""Mails by one connection; then a fresh one."""

Composer: TypeAlias = Callable[[str, OutboundMessage], bytes]
"""The mail of a message, as it goes out from this address."""

ENHANCED = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
BAD_SENDER = frozenset({"5.1.7", "5.1.8"})
LOGIN_CODES = frozenset({530, 534, 535, 538})
"""They speak of the account, at whichever command they come."""
QUEUED_AS = re.compile(r"\b(?:queued as|id[=:])\s*<?([\w.@+-]{2,100})", re.ASCII | re.IGNORECASE)
NAMED_ALONE = re.compile(
    r"(?:2\.\d\.\d\s+)?ok:?\s+<?((?=[\w.@+-]*\d)[\w.@+-]{10,100})>?\s*", re.ASCII | re.IGNORECASE
)
"""As Amazon SES answers: "250 Ok 0102018…-000000"."""


@dataclass(eq=False, slots=True)
class Connection:
    client: aiosmtplib.SMTP
    uses: int = 0
    closing: asyncio.TimerHandle | None = None

    def close(self) -> None:
        if self.closing is not None:
            self.closing.cancel()
        self.client.close()

    def leave(self) -> None:
        """Closes it politely, between two mails: QUIT is said, its answer not waited for."""
        with suppress(SMTPException, OSError):
            if self.client.protocol is not None:
                self.client.protocol.write(b"QUIT\r\n")
        self.close()

    async def is_alive(self) -> bool:
        """Asked before MAIL of a connection that has been used: the other side may have let it go."""
        try:
            await self.client.rset(timeout=ALIVE_S)
        except (SMTPException, OSError):
            return False
        return True


@dataclass(eq=False, slots=True)
class Pool:
    """An account's connections with one address: at most `CONNECTIONS_MAX`, the last used first."""

    server: MailServer
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONNECTIONS_MAX))
    idle: list[Connection] = field(default_factory=list)
    is_closed: bool = False

    def take_idle(self) -> Connection | None:
        if not self.idle:
            return None
        connection = self.idle.pop()
        if connection.closing is not None:
            connection.closing.cancel()
        return connection

    def give_back(self, connection: Connection) -> None:
        if self.is_closed or not connection.client.is_connected or connection.uses >= USES_MAX:
            connection.leave()
            return
        self.idle.append(connection)
        connection.closing = asyncio.get_running_loop().call_later(IDLE_S, self._let_go, connection)

    def _let_go(self, connection: Connection) -> None:
        with suppress(ValueError):
            self.idle.remove(connection)
        connection.leave()

    def close(self) -> None:
        self.is_closed = True
        while self.idle:
            self.idle.pop().leave()


class SmtpSender:
    """Implements `MessageSender`. Its connections belong to the event loop it is used in."""

    is_idempotent = False

    def __init__(self, settings: Settings, compose: Composer, egress: Egress | None = None) -> None:
        self._timeout_s = settings.send_timeout_s
        self._compose = compose
        self._door = SmtpDoor(egress or Egress.of(settings))
        self._pools: dict[UUID, Pool] = {}

    async def send(self, account: SendingAccount, message: OutboundMessage) -> Answer:
        """Answers within `send_timeout_s`. Cancelled, it raises CancelledError: then nothing is known."""
        if not account.url:
            return _no_way_out(account)
        pool = self._pool(account)
        doubt = Doubt()
        try:
            with tracing.span("smtp send", kind="message"):
                async with asyncio.timeout(self._timeout_s):
                    return await self._send(account.address, message, pool, doubt)
        except Exception as error:  # noqa: BLE001 - in doubt nothing may be raised; before, `_not_sent` raises it
            if doubt.is_open:
                return Unknown("NO_ANSWER", "The connection was lost after the message had begun to go out.")
            return _not_sent(error, pool.server)

    async def _send(self, address: str, message: OutboundMessage, pool: Pool, doubt: "Doubt") -> Answer:
        envelope = Envelope.of(address, message.to_address)
        try:
            content = await asyncio.to_thread(self._compose, address, message)
        except OSError:
            return Retry("NO_FILE", "An attachment cannot be read from the store.")
        try:
            async with asyncio.timeout(self._timeout_s * WAIT_SHARE):
                await pool.slots.acquire()
        except TimeoutError:
            return Retry("BUSY", "The account's other mails took the server too long.", is_busy=True)
        try:
            connection = await self._ready(pool, envelope.sender_domain)
            try:
                answer = await _hand_over(connection, envelope, content, pool.server, doubt)
            except BaseException:
                connection.close()
                raise
            pool.give_back(connection)
            return answer
        finally:
            pool.slots.release()

    async def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    def _pool(self, account: SendingAccount) -> Pool:
        """Another address than before begins a new one."""
        pool = self._pools.get(account.id)
        if pool is None or pool.server.url != account.url:
            if pool is not None:
                pool.close()
            pool = self._pools[account.id] = Pool(mail_server(Protocol.SMTP, account.url))
        return pool

    async def _ready(self, pool: Pool, ehlo_name: str) -> Connection:
        """Ready for MAIL. Raises CannotReach."""
        while (connection := pool.take_idle()) is not None:
            try:
                if await connection.is_alive():
                    return connection
            except BaseException:
                connection.close()
                raise
            connection.close()
        client = await self._door.open(pool.server, ehlo_name=ehlo_name, timeout_s=self._timeout_s)
        return Connection(client)


@dataclass(slots=True)
class Doubt:
    """Open from the first byte of the text until the answer to its final dot."""

    is_open: bool = False


async def _hand_over(
    connection: Connection, envelope: Envelope, content: bytes, server: MailServer, doubt: Doubt
) -> Answer:
    """MAIL, RCPT, DATA, the text. An answer of the server becomes ours; anything else is raised."""
    client = connection.client
    connection.uses += 1
    if envelope.needs_utf8 and not client.supports_extension("smtputf8"):
        return Rejected("NO_SMTPUTF8", f"{server.host} cannot carry addresses beyond plain letters.")
    content = _carried(content, client)
    sender, recipient = (f"<{address}>".encode() for address in (envelope.sender, envelope.recipient))
    response = await client.execute_command(b"MAIL", b"FROM:" + sender, *_options(client, envelope, content))
    if response.code != 250:
        return _refused(response, server)
    response = await client.execute_command(b"RCPT", b"TO:" + recipient)
    if response.code not in (250, 251):
        return _refused(response, server, is_about_recipient=True)
    response = await client.execute_command(b"DATA")
    protocol = client.protocol
    if response.code != 354 or protocol is None:
        return _refused(response, server)
    doubt.is_open = True
    protocol.write(_dotted(content))
    response = await protocol.read_response()
    if response.code // 100 not in (2, 4, 5):
        raise SMTPResponseException(response.code, "no answer to a message")
    doubt.is_open = False
    return _accepted(response) if response.code // 100 == 2 else _refused(response, server)


def _options(client: aiosmtplib.SMTP, envelope: Envelope, content: bytes) -> list[bytes]:
    """Of MAIL; only what the server offers."""
    options = [f"SIZE={len(content)}".encode()] if client.supports_extension("size") else []
    if envelope.needs_utf8:
        options.append(b"SMTPUTF8")
    if not content.isascii():
        options.append(b"BODY=8BITMIME")
    return options


def _carried(content: bytes, client: aiosmtplib.SMTP) -> bytes:
    """The mail in what the server carries: 7 bits, unless it offers 8."""
    if content.isascii() or client.supports_extension("8bitmime"):
        return content
    return message_from_bytes(content, policy=SMTP_POLICY).as_bytes(policy=SMTP_POLICY.clone(cte_type="7bit"))


def _dotted(content: bytes) -> bytes:
    """With CRLF line ends, dots doubled at the beginning of lines, and the final dot (RFC 5321 4.5.2)."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    return re.sub(rb"(?m)^\.", b"..", lines) + (b".\r\n" if lines.endswith(b"\r\n") else b"\r\n.\r\n")


def _accepted(response: SMTPResponse) -> Accepted:
    queued = QUEUED_AS.search(response.message) or NAMED_ALONE.fullmatch(response.message)
    return Accepted(queued[1] if queued else None)


def _refused(response: SMTPResponse, server: MailServer, *, is_about_recipient: bool = False) -> Answer:
    """What the server's no means: 5xx for good, anything else for now."""
    text = said(f"{response.code} {response.message}", server)
    enhanced = ENHANCED.search(response.message)
    code = enhanced[1] if enhanced else str(response.code)
    if response.code in LOGIN_CODES:
        return Retry(ReachProblem.LOGIN_REFUSED, text, is_account_broken=True)
    if not 500 <= response.code < 600:
        return Retry(code, text)
    is_bad = is_about_recipient and code.startswith("5.1.") and code not in BAD_SENDER
    return Rejected(code, text, is_address_bad=is_bad)


def _not_sent(error: Exception, server: MailServer) -> Answer:
    """What came before the text: it surely did not go out. Raises what is no failure of the connection."""
    match error:
        case EmailNotValidError():
            return Rejected("BAD_ADDRESS", "This is no e-mail address.", is_address_bad=True)
        case CannotReach():
            failure = error
        case _:
            failure = reach_failure(error, server)
    return Retry(
        failure.problem, what_to_do(server, failure), is_account_broken=failure.problem.is_of_account
    )


def _no_way_out(account: SendingAccount) -> Retry:
    if account.is_local:
        return Retry(
            "NO_MAILBOX",
            "This installation has no local mailbox: give the account an SMTP server.",
            is_account_broken=True,
        )
    return Retry(
        "NO_CREDENTIALS",
        "The stored login cannot be read: give the account its SMTP server again.",
        is_account_broken=True,
    )
