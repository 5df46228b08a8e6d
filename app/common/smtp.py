"""Opening an SMTP connection as far as MAIL: to a checked address, encrypted, logged in; what MAIL and RCPT say."""

import asyncio
import base64
import ssl
from dataclasses import dataclass, field

import aiosmtplib
from aiosmtplib import SMTPAuthenticationError, SMTPException, SMTPResponseException
from email_validator import validate_email

from app.common.egress import Egress, EgressRefused, is_loopback
from app.common.mail_servers import PORTS, CannotReach, MailServer, ReachProblem, scrubbed

LOGINS = ("plain", "login", "cram-md5")
"""By preference; the connection is encrypted, or does not leave this machine. One is tried: a wrong password sent three
ways locks accounts."""
NOT_OF_THE_PASSWORD = frozenset({500, 501, 502, 503, 504})
"""The way of logging in is not understood, whatever was offered: another one may be."""


def on_the_wire(address: str) -> tuple[str, str]:
    """With its domain in punycode, and that domain. Raises EmailNotValidError."""
    valid = validate_email(address, check_deliverability=False, globally_deliverable=False)
    return f"{valid.local_part}@{valid.ascii_domain}", valid.ascii_domain


@dataclass(frozen=True, slots=True)
class Envelope:
    """Sender and recipient as they go over the wire: domains in punycode, a local part beyond ASCII as it is."""

    sender: str
    recipient: str
    sender_domain: str

    @classmethod
    def of(cls, sender: str, recipient: str) -> "Envelope":
        """Raises EmailNotValidError."""
        own, sender_domain = on_the_wire(sender)
        return cls(own, on_the_wire(recipient)[0], sender_domain)

    @property
    def needs_utf8(self) -> bool:
        return not (self.sender + self.recipient).isascii()


@dataclass(slots=True)
class SmtpDoor:
    """Opens connections. The TLS context is read once: it holds the system's authorities."""

    egress: Egress
    _context: ssl.SSLContext | None = field(default=None)

    async def open(self, server: MailServer, *, ehlo_name: str, timeout_s: float) -> aiosmtplib.SMTP:
        """Connected, encrypted, greeted, logged in. Raises CannotReach."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._open(server, ehlo_name, timeout_s)
        except TimeoutError as error:
            raise CannotReach(ReachProblem.TIMEOUT) from error

    async def _open(self, server: MailServer, ehlo_name: str, timeout_s: float) -> aiosmtplib.SMTP:
        try:
            connection, address = await self.egress.connect(
                server.host, server.port, ports=PORTS[server.protocol], timeout_s=timeout_s
            )
        except EgressRefused as refused:
            raise CannotReach(ReachProblem(refused.problem)) from None
        except TimeoutError:
            raise
        except OSError as error:
            raise CannotReach(ReachProblem.CONNECTION_REFUSED) from error
        is_plain_allowed = is_loopback(address) and not self.egress.is_production
        client = aiosmtplib.SMTP(
            hostname=server.host,
            sock=connection,
            local_hostname=ehlo_name,
            use_tls=server.is_implicit_tls,
            start_tls=False if server.is_implicit_tls else None,
            tls_context=await self._tls(),
            timeout=timeout_s,
        )
        try:
            await _greet(client, server, is_plain_allowed=is_plain_allowed)
            await _log_in(client, server)
        except BaseException:
            client.close()
            connection.close()  # where no transport has taken it over
            raise
        return client

    async def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = await asyncio.to_thread(ssl.create_default_context)
        return self._context


async def _greet(client: aiosmtplib.SMTP, server: MailServer, *, is_plain_allowed: bool) -> None:
    """TLS and EHLO. Raises CannotReach, TimeoutError."""
    try:
        await client.connect()
        await client._ehlo_or_helo_if_needed()
    except Exception as error:
        raise reach_failure(error, server) from error
    if client.get_transport_info("sslcontext") is None and not is_plain_allowed:
        raise CannotReach(ReachProblem.NO_TLS)


async def _log_in(client: aiosmtplib.SMTP, server: MailServer) -> None:
    """Raises CannotReach, TimeoutError."""
    if server.user is None or server.password is None:
        return
    offered = [name for name in LOGINS if name in client.server_auth_methods]
    refusal: SMTPResponseException | None = None
    for name in offered:
        try:
            await getattr(client, f"auth_{name.replace('-', '')}")(server.user, server.password)
            return
        except SMTPAuthenticationError as error:
            refusal = error
            if error.code not in NOT_OF_THE_PASSWORD:
                break
        except Exception as error:
            raise reach_failure(error, server) from error
    if refusal is None:
        raise CannotReach(ReachProblem.LOGIN_NOT_OFFERED)
    problem = ReachProblem.LOGIN_DEFERRED if 400 <= refusal.code < 500 else ReachProblem.LOGIN_REFUSED
    # `from None`: the failure's text is the server's own, and may hold what we told it.
    raise CannotReach(problem, said(refusal.message, server)) from None


def reach_failure(error: Exception, server: MailServer) -> CannotReach:
    """What an exception before MAIL means. Raises the error if it is no failure of the connection."""
    for cause in (error, error.__cause__):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return CannotReach(ReachProblem.CERTIFICATE)
        if isinstance(cause, ssl.SSLError):
            return CannotReach(ReachProblem.TLS_FAILED)
        if isinstance(cause, TimeoutError):
            return CannotReach(ReachProblem.TIMEOUT)
    if isinstance(error, SMTPResponseException):
        return CannotReach(ReachProblem.SERVER_REFUSED, said(f"{error.code} {error.message}", server))
    if isinstance(error, OSError | SMTPException):
        return CannotReach(ReachProblem.CONNECTION_LOST)
    raise error


def said(text: str, server: MailServer) -> str:
    """A server's words without the login, also as it went over the wire."""
    user, password = server.user or "", server.password or ""
    plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    return scrubbed(text, [plain, password and base64.b64encode(password.encode()).decode(), password])
