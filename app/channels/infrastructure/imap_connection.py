"""Opening an IMAP connection as far as the login: to a checked address, encrypted.

IMAPClient blocks, so it runs in threads; where and how it connects is decided before, in the event loop.
"""

import asyncio
import imaplib
import logging
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from imapclient import IMAPClient
from imapclient.exceptions import CapabilityError, IMAPClientAbortError, IMAPClientError, LoginError

from app.channels.domain.account import MailboxStart
from app.common.egress import Egress, EgressRefused, is_loopback
from app.common.mail_servers import PORTS, CannotReach, MailServer, ReachProblem
from app.common.smtp import said

# It tells every command it sends.
logging.getLogger("imapclient").setLevel(logging.WARNING)

INBOX = "INBOX"
FOR_NOW = ("[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]")
"""Refusals of a login that say nothing of the password (RFC 5530)."""
Answer = TypeVar("Answer")


class _Imap4(imaplib.IMAP4):
    """On a connection that stands already."""

    def __init__(self, connection: socket.socket, host: str) -> None:
        self._connection = connection
        super().__init__(host)

    def _create_socket(self, timeout: float | None = None) -> socket.socket:
        return self._connection


class _Client(IMAPClient):  # type: ignore[misc]
    def __init__(self, connection: socket.socket, server: MailServer, context: ssl.SSLContext) -> None:
        self._connection = connection
        if server.is_implicit_tls:
            self._connection = context.wrap_socket(connection, server_hostname=server.host)
        super().__init__(
            server.host,
            server.port,
            ssl=server.is_implicit_tls,
            ssl_context=context,
            timeout=self._connection.gettimeout(),
        )

    def _create_IMAP4(self) -> imaplib.IMAP4:
        return _Imap4(self._connection, self.host)


@dataclass(slots=True)
class ImapDoor:
    """Opens connections; `executor` holds the threads that block meanwhile."""

    egress: Egress
    executor: Executor = field(default_factory=partial(ThreadPoolExecutor, 4, "imap"))
    _context: ssl.SSLContext | None = field(default=None)

    async def open(self, server: MailServer, *, timeout_s: float) -> IMAPClient:
        """Logged in; every answer is waited for `timeout_s`. Raises CannotReach."""
        return await self.ask(server, lambda client: client, timeout_s=timeout_s)

    async def ask(
        self, server: MailServer, question: Callable[[IMAPClient], Answer], *, timeout_s: float
    ) -> Answer:
        """Logs in and asks, all within `timeout_s`; the client is open still. Raises CannotReach."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        try:
            connection, address = await self.egress.connect(
                server.host, server.port, ports=PORTS[server.protocol], timeout_s=timeout_s
            )
        except EgressRefused as refused:
            raise CannotReach(ReachProblem(refused.problem)) from None
        except TimeoutError as error:
            raise CannotReach(ReachProblem.TIMEOUT) from error
        except OSError as error:
            raise CannotReach(ReachProblem.CONNECTION_REFUSED) from error
        connection.settimeout(timeout_s)
        is_plain_allowed = is_loopback(address) and not self.egress.is_production
        # A thread cannot be stopped: what it reads from can. TLS takes the socket over, so a second handle of it.
        handle = connection.dup()
        work = partial(_log_in_and_ask, connection, server, self._tls, question, is_plain_allowed)
        try:
            async with asyncio.timeout_at(deadline):
                return await loop.run_in_executor(self.executor, work)
        except TimeoutError as error:
            _cut(handle)
            raise CannotReach(ReachProblem.TIMEOUT) from error
        except asyncio.CancelledError:
            _cut(handle)
            raise
        finally:
            handle.close()

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
        return self._context


def _cut(handle: socket.socket) -> None:
    with suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)


def _log_in_and_ask(
    connection: socket.socket,
    server: MailServer,
    tls: Callable[[], ssl.SSLContext],
    question: Callable[[IMAPClient], Answer],
    is_plain_allowed: bool,
) -> Answer:
    """In a thread. Raises CannotReach."""
    client: _Client | None = None
    try:
        client = _Client(connection, server, tls())
        _encrypt(client, server, tls(), is_plain_allowed=is_plain_allowed)
        _log_in(client, server)
        return question(client)
    except Exception as error:  # noqa: BLE001 - whatever it is, the connection ends
        with suppress(OSError):  # gone already
            (client.shutdown if client is not None else connection.close)()
        raise _failure(error, server) from error.__cause__


def _log_in(client: IMAPClient, server: MailServer) -> None:
    """LOGIN knows only ASCII."""
    user, password = server.user or "", server.password or ""
    if (user + password).isascii():
        client.login(user, password)
    elif client.has_capability("AUTH=PLAIN"):
        client.plain_login(user, password)
    else:
        raise CannotReach(ReachProblem.LOGIN_NOT_OFFERED)


def _encrypt(
    client: IMAPClient, server: MailServer, context: ssl.SSLContext, *, is_plain_allowed: bool
) -> None:
    if server.is_implicit_tls or (is_plain_allowed and not client.has_capability("STARTTLS")):
        return
    try:
        client.starttls(context)
    except CapabilityError:
        raise CannotReach(ReachProblem.NO_TLS) from None


def _failure(error: Exception, server: MailServer) -> Exception:
    match error:
        case ssl.SSLCertVerificationError():
            return CannotReach(ReachProblem.CERTIFICATE)
        case ssl.SSLError():
            return CannotReach(ReachProblem.TLS_FAILED)
        case TimeoutError():
            return CannotReach(ReachProblem.TIMEOUT)
        case LoginError() if not isinstance(error.__context__, IMAPClientAbortError):  # not a lost connection
            is_for_now = any(code in str(error) for code in FOR_NOW)
            problem = ReachProblem.LOGIN_DEFERRED if is_for_now else ReachProblem.LOGIN_REFUSED
            return CannotReach(problem, said(str(error), server))
        case IMAPClientError() | OSError():
            return CannotReach(ReachProblem.CONNECTION_LOST)
    return error


def newest(client: IMAPClient) -> MailboxStart:
    """Where a mailbox is to be read from so that what is in it today stays out. Raises CannotReach."""
    try:
        state = client.select_folder(INBOX, readonly=True)
        start = MailboxStart(int(state[b"UIDVALIDITY"]), max(0, int(state[b"UIDNEXT"]) - 1))
    except (IMAPClientError, KeyError) as error:
        raise CannotReach(ReachProblem.NO_INBOX) from error
    with suppress(IMAPClientError, OSError):
        client.logout()
    return start
