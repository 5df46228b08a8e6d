"""A kept mail as people read it: enough of MIME for the page of the local mailbox.

Everything here is hostile text. Nothing raises: what cannot be read is left out, and the raw mail is always there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
"""Control characters, halves of characters, and what turns the direction of the text around it."""
HEADERS = ("From", "To", "Cc", "Subject", "Date", "Reply-To", "Message-ID", "In-Reply-To", "Delivered-To")
MAX_HEADER = 1000
MAX_REPEATS = 20
MAX_TEXT = 200_000
MAX_HTML = 2_000_000
MAX_PARTS = 200


@dataclass
class MailView:
    headers: list[tuple[str, str]] = field(default_factory=list)
    text: str | None = None
    html: str | None = None
    attachments: list[str] = field(default_factory=list)
    is_whole: bool = True
    """False where reading it stopped before its end."""

    def header(self, name: str) -> str:
        return next((text for known, text in self.headers if known == name and text), "")


def read_headers(raw: bytes) -> MailView:
    view = MailView()
    try:
        view.headers = list(_headers(BytesHeaderParser().parsebytes(raw)))
    except Exception:  # noqa: BLE001 - a mail is whatever somebody made of it
        view.is_whole = False
    return view


def read_view(raw: bytes) -> MailView:
    view = read_headers(raw)
    try:
        _read_parts(BytesParser().parsebytes(raw), view)
    except Exception:  # noqa: BLE001 - as above; RecursionError is among them
        view.is_whole = False
    return view


def _headers(message: "Message[str, str]") -> Iterator[tuple[str, str]]:
    found = list(message.raw_items())  # get_all() gives up on 8-bit text
    for name in HEADERS:
        for value in [value for known, value in found if known.lower() == name.lower()][:MAX_REPEATS]:
            yield name, printable(_decoded(str(value)), MAX_HEADER)


def _decoded(value: str) -> str:
    """RFC 2047 undone; raw 8-bit text is read as UTF-8."""
    value = re.sub(r"\r?\n[ \t]+", " ", _from_bytes(value))
    try:
        parts = [
            text.decode(charset or "latin-1", "replace") if isinstance(text, bytes) else text
            for text, charset in decode_header(value)
        ]
    except (ValueError, LookupError):
        return value
    return "".join(parts)


def _from_bytes(value: str) -> str:
    try:
        return value.encode("ascii", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return value


def _read_parts(message: "Message[str, str]", view: MailView) -> None:
    for number, part in enumerate(message.walk()):
        if number == MAX_PARTS:
            view.is_whole = False
            return
        if part.is_multipart():
            continue
        name, kind = part.get_filename(), part.get_content_type()
        is_attached = name is not None or part.get_content_disposition() == "attachment"
        if not is_attached and kind == "text/plain" and view.text is None:
            view.text = printable(_content(part), MAX_TEXT)
        elif not is_attached and kind == "text/html" and view.html is None:
            view.html = printable(_content(part), MAX_HTML)
        else:
            view.attachments.append(printable(_decoded(name or kind), 200))


def _content(part: "Message[str, str]") -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    try:
        return content.decode(part.get_content_charset() or "utf-8", "replace")
    except (LookupError, ValueError):
        return content.decode("utf-8", "replace")


def printable(text: str, limit: int) -> str:
    """Without what no page may hold; cut at the limit."""
    shown = UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n"))
    return shown if len(shown) <= limit else shown[:limit] + "…"
