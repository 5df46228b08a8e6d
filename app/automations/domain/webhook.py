"""The address of a webhook as people write it. Pure: where it may lead is judged when it is saved and at every call."""

import re
from ipaddress import IPv6Address
from urllib.parse import quote, urlsplit

from app.automations.domain.rule import MAX_URL
from app.common.domain import Invalid, clean_text

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_KEPT = "%/:?@!$&'()*+,;=~"
"""What stands in a path or a query as it is; the rest is written in percents."""


class NotAnAddress(Invalid):
    def __init__(self, *path: str) -> None:
        super().__init__("Give a whole address, such as https://example.com/hooks/salespad.", path=path)


class AddressRefused(Invalid):
    """It leads into a private network, or is not called safely."""

    def __init__(self, *path: str) -> None:
        super().__init__(
            "Give a public https address on port 443: this one is not called from here.", path=path
        )


def clean_webhook(text: str, *path: str) -> str:
    """In ASCII: a host in the letters of other scripts as a resolver takes it. Raises Invalid."""
    url = clean_text(text, *path, max_length=MAX_URL)
    if any(one.isspace() or not one.isprintable() for one in url) or "\\" in url:
        raise NotAnAddress(*path)
    try:
        parts = urlsplit(url)
        host, port = _host(parts.hostname or ""), parts.port
    except ValueError:  # a port that is none, brackets that do not close, a name no resolver takes
        raise NotAnAddress(*path) from None
    if parts.scheme not in ("https", "http") or port == 0:
        raise NotAnAddress(*path)
    if "@" in parts.netloc:
        raise Invalid(
            "Leave name and password out of the address: the call is signed with this rule's secret.",
            path=path,
        )
    host = f"[{host}]" if ":" in host else host
    return parts._replace(
        netloc=host if port is None else f"{host}:{port}",
        path=quote(parts.path, safe=_KEPT),
        query=quote(parts.query, safe=_KEPT),
        fragment="",
    ).geturl()


def _host(given: str) -> str:
    """Raises ValueError."""
    if ":" in given:
        return str(IPv6Address(given))
    host = given.encode("idna").decode().lower()
    if not _HOST.fullmatch(host):
        raise ValueError(host)
    return host
