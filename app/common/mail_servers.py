"""Mail servers as people name them, by an address with a login in it, and what may keep us from one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult, unquote, urlsplit

from app.common.domain import Invalid

MAX_SERVER_URL = 2000
_HOST = re.compile(r"[a-z0-9._:-]{1,253}", re.ASCII)
_UNWRITABLE = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Protocol(StrEnum):
    SMTP = "SMTP"
    IMAP = "IMAP"


@dataclass(frozen=True, slots=True)
class Scheme:
    protocol: Protocol
    port: int
    is_implicit_tls: bool


SCHEMES = {
    "smtp": Scheme(Protocol.SMTP, 587, False),
    "smtps": Scheme(Protocol.SMTP, 465, True),
    "imap": Scheme(Protocol.IMAP, 143, False),
    "imaps": Scheme(Protocol.IMAP, 993, True),
}
PORTS = {Protocol.SMTP: frozenset({25, 465, 587, 2525}), Protocol.IMAP: frozenset({143, 993})}
"""What may be connected to in production."""
FORMS = {
    Protocol.SMTP: "smtps://user:password@smtp.example.com:465, or smtp:// with port 587 for STARTTLS",
    Protocol.IMAP: "imaps://user:password@imap.example.com:993, or imap:// with port 143 for STARTTLS",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """A server with a login; neither its `repr` nor its errors show the password."""

    protocol: Protocol
    host: str
    """Lower case, punycode."""
    port: int
    is_implicit_tls: bool
    """Without it STARTTLS is demanded, but for a loopback address outside production."""
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)
    url: str = field(repr=False)

    def is_mailbox_of(self, other: "MailServer") -> bool:
        """Whether both name the same mailbox; the password and the port may differ."""
        return (self.host, self.user) == (other.host, other.user)


def mail_server(protocol: Protocol, url: str, *path: str) -> MailServer:
    """Raises Invalid at `path`, which shows nothing of the address."""
    bad = Invalid(
        f"Write the server's address as {FORMS[protocol]}. In user and password write @ : / ? # % as %40 %3A %2F "
        "%3F %23 %25.",
        path=path,
    )
    url = url.strip()
    if not url or len(url) > MAX_SERVER_URL or _UNWRITABLE.search(url):
        raise bad
    try:
        parts = urlsplit(url)
        scheme, port, host = SCHEMES[parts.scheme], parts.port, _host(parts)
        user, password = _login(parts)
    except (ValueError, KeyError):  # UnicodeError is a ValueError
        raise bad from None
    if (
        scheme.protocol is not protocol
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
        or port == 0
    ):
        raise bad
    if (user is None) != (password is None) or (protocol is Protocol.IMAP and user is None):
        raise bad
    return MailServer(
        protocol=protocol,
        host=host,
        port=port or scheme.port,
        is_implicit_tls=scheme.is_implicit_tls,
        user=user,
        password=password,
        url=url,
    )


def _host(parts: SplitResult) -> str:
    """Raises ValueError."""
    host = (parts.hostname or "").encode("idna").decode().lower()
    if not _HOST.fullmatch(host):
        raise ValueError
    return host


def _login(parts: SplitResult) -> tuple[str | None, str | None]:
    """Percent-decoded; None for what is not there. Raises ValueError."""
    decoded = [unquote(text, errors="strict") if text else None for text in (parts.username, parts.password)]
    if any(text is not None and _CONTROL.search(text) for text in decoded):
        raise ValueError
    return decoded[0], decoded[1]


class ReachProblem(StrEnum):
    """Why nothing can be had from a server."""

    HOST_NOT_FOUND = "HOST_NOT_FOUND"
    PRIVATE_ADDRESS = "PRIVATE_ADDRESS"
    PORT_NOT_ALLOWED = "PORT_NOT_ALLOWED"
    CONNECTION_REFUSED = "CONNECTION_REFUSED"
    CONNECTION_LOST = "CONNECTION_LOST"
    TIMEOUT = "TIMEOUT"
    NO_TLS = "NO_TLS"
    CERTIFICATE = "CERTIFICATE"
    TLS_FAILED = "TLS_FAILED"
    LOGIN_NOT_OFFERED = "LOGIN_NOT_OFFERED"
    LOGIN_REFUSED = "LOGIN_REFUSED"
    LOGIN_DEFERRED = "LOGIN_DEFERRED"
    SERVER_REFUSED = "SERVER_REFUSED"
    NO_INBOX = "NO_INBOX"

    @property
    def is_of_account(self) -> bool:
        """Only somebody who changes the account mends it; anything else may mend itself."""
        return self in (ReachProblem.LOGIN_REFUSED, ReachProblem.LOGIN_NOT_OFFERED)


WHAT_TO_DO = {
    ReachProblem.HOST_NOT_FOUND: "There is no host {host}: check its spelling.",
    ReachProblem.PRIVATE_ADDRESS: "{host} is a private address: give a server on the internet.",
    ReachProblem.PORT_NOT_ALLOWED: "Port {port} is not allowed: use {ports}.",
    ReachProblem.CONNECTION_REFUSED: "{host} takes no connections on port {port}: check host and port.",
    ReachProblem.CONNECTION_LOST: "{host} ended the connection: check host, port and whether {other} is right.",
    ReachProblem.TIMEOUT: "{host} did not answer in time on port {port}: check the port and whether {other} is right.",
    ReachProblem.NO_TLS: "{host} offers no STARTTLS on port {port}: use {secure}://, or another port.",
    ReachProblem.CERTIFICATE: "The certificate of {host} is not valid for it: use the host its provider names.",
    ReachProblem.TLS_FAILED: "No TLS connection to {host} on port {port}: check the port and whether {other} is right.",
    ReachProblem.LOGIN_NOT_OFFERED: "{host} offers no login we know: leave user and password out, or check the port.",
    ReachProblem.LOGIN_REFUSED: "{host} refuses the login: check user and password; many want an app password.",
    ReachProblem.LOGIN_DEFERRED: "{host} takes no logins at the moment: try again in a few minutes.",
    ReachProblem.SERVER_REFUSED: "{host} refuses to serve us: ask its provider.",
    ReachProblem.NO_INBOX: "{host} lets nobody read this login's INBOX: switch IMAP on at the provider.",
}


class CannotReach(Exception):
    """`detail` is what the server said, without secrets."""

    def __init__(self, problem: ReachProblem, detail: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.detail = detail


def what_to_do(server: MailServer, failure: CannotReach) -> str:
    """For a person: what happened, what to do, and what the server said."""
    secure = f"{server.protocol.lower()}s"
    text = WHAT_TO_DO[failure.problem].format(
        host=server.host,
        port=server.port,
        ports=" or ".join(map(str, sorted(PORTS[server.protocol]))),
        secure=secure,
        other=f"{server.protocol.lower()}:// or {secure}://",
    )
    return f"{text} It says: {failure.detail}" if failure.detail else text


MAX_DETAIL = 200


def scrubbed(text: str, secrets: Sequence[str | None]) -> str:
    """What a server said, on one line, capped, without any of these."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    return " ".join(re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", " ", text).split())[:MAX_DETAIL]
