"""Webhooks out, as Standard Webhooks has them: where one may go, and how it is signed.

The signature is HMAC-SHA256 over `id.timestamp.body`, under a secret that only the two sides know. The id stays the
same however often a call is made, so that who is called can tell a repetition; the time is each attempt's.
"""

import base64
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.common.egress import Egress, EgressProblem, EgressRefused

PORTS = {"https": 443, "http": 80}
PUBLIC_PORTS = frozenset({443})
SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret begins with
SECRET_BYTES = 32
MAX_HOST = 253
TIMEOUT_S = 5.0
"""Of a call, from the look-up of the name to the end of the answer."""
TOO_OLD, TOO_MANY = 408, 429


@dataclass(frozen=True, slots=True)
class Target:
    """An address that is called, taken apart once: what is checked is what is connected to."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query."""

    @classmethod
    def of(cls, url: str) -> "Target":
        """Raises EgressRefused."""
        try:
            parts = urlsplit(url)
            port, host = parts.port or PORTS[parts.scheme], _ascii(parts.hostname or "")
        except (KeyError, ValueError):  # another scheme; a port, a host or brackets that are none
            raise EgressRefused(EgressProblem.NO_ADDRESS) from None
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        if (
            not url.isprintable()
            or not _is_plain(path)
            or not 0 < len(host) <= MAX_HOST
            or "@" in parts.netloc
        ):
            raise EgressRefused(EgressProblem.NO_ADDRESS)
        return cls(parts.scheme, host, port, path)

    @property
    def ports(self) -> frozenset[int]:
        """Where it may go but for networks that are allowed by themselves: nowhere without TLS."""
        return PUBLIC_PORTS if self.scheme == "https" else frozenset()

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


class CannotPost(Exception):
    """No answer came. `reason`: TIMEOUT, TLS, CONNECTION or PROTOCOL."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    retry_after_s: float | None
    """What it asks for before the next attempt."""

    @property
    def is_accepted(self) -> bool:
        return 200 <= self.status < 300

    @property
    def may_change(self) -> bool:
        """Whether the same again may be answered otherwise."""
        return self.status >= 500 or self.status in (TOO_OLD, TOO_MANY)


def _ascii(host: str) -> str:
    """Raises UnicodeError, a ValueError."""
    ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    if not _is_plain(ascii_host):
        raise ValueError(ascii_host)
    return ascii_host


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and not set(text) & {" ", "\\", '"', "<", ">"}


async def check_target(url: str, egress: Egress) -> None:
    """Whether it may be called as its name resolves now; it is asked again at each call. Raises EgressRefused."""
    target = Target.of(url)
    await egress.addresses(target.host, target.port, ports=target.ports)


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(secret: str, *, id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """`timestamp`: of this attempt, seconds since the epoch."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, "sha256")
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
