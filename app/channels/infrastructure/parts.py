"""The tree of a mail taken apart: what is to be read and what is attached, within fixed bounds.

Works on positions in the raw bytes and copies a part only when it is decoded, so a mail costs about its own size.
A mail of more than MAX_PARTS parts or MAX_DEPTH levels keeps what is left as one attachment.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.channels.domain.mail import MailPart
from app.channels.infrastructure.headers import Headers, decode_base64, parameters, split_head
from app.channels.infrastructure.texts import clean_line

MAX_PARTS = 200
MAX_DEPTH = 50
MAX_FILE_NAME = 150
REST_NAME = "rest-of-message.eml"

_GUESSED_BOUNDARY = re.compile(rb"(?:\A|[\r\n])--([^\s]{1,200})[ \t]*[\r\n]+content-", re.IGNORECASE)
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}")
_UNSEEN = frozenset({"text/x-amp-html", "text/watch-html", "text/enriched", "text/x-watch-html"})
"""Other forms of what text/plain or text/html already says."""
_EXTENSIONS = {
    "text/plain": ".txt", "text/html": ".html", "text/calendar": ".ics", "message/rfc822": ".eml",
    "message/global": ".eml", "message/delivery-status": ".txt", "message/global-delivery-status": ".txt",
    "text/rfc822-headers": ".txt", "image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif",
    "application/pdf": ".pdf", "application/ms-tnef": ".dat", "text/csv": ".csv", "text/vcard": ".vcf",
    "application/pgp-signature": ".asc", "application/pkcs7-signature": ".p7s",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Text:
    """One body: as plain text, as HTML, or as both (alternatives of one another)."""

    plain: "Node | None"
    html: "Node | None"


@dataclass(frozen=True, slots=True)
class Node:
    """A part: its headers and where its body stands in the raw mail."""

    raw: bytes = field(repr=False)
    headers: Headers
    start: int
    end: int
    depth: int = 0

    @property
    def media_type(self) -> str:
        declared = self.headers.get("content-type")
        if declared is None:
            return "text/plain"
        kind = parameters(declared)[0].replace(" ", "")
        if _MEDIA_TYPE.fullmatch(kind):
            return kind
        return "text/plain" if kind.startswith("text") or not kind else "application/octet-stream"

    def parameter(self, name: str, header: str = "content-type") -> str | None:
        return parameters(self.headers.get(header, ""))[1].get(name)

    @property
    def disposition(self) -> str:
        return parameters(self.headers.get("content-disposition", ""))[0]

    @property
    def written_name(self) -> str | None:
        return self.parameter("filename", "content-disposition") or self.parameter("name")

    @property
    def is_body(self) -> bool:
        return (
            self.media_type in ("text/plain", "text/html")
            and self.disposition != "attachment"
            and not self.written_name
        )

    def content(self, limit: int | None = None) -> bytes:
        """Decoded; of a limited one at least the first `limit` bytes."""
        end = self.end if limit is None else min(self.end, self.start + 4 * limit)
        encoding = self.headers.get("content-transfer-encoding", "").strip().lower()
        body = self.raw[self.start : end]
        if encoding == "base64":
            return decode_base64(body)
        if encoding == "quoted-printable":
            return binascii.a2b_qp(body)
        return body


class Parts:
    """What a mail holds, collected in the order of the mail."""

    def __init__(self, raw: bytes) -> None:
        headers, start = split_head(raw, 0, len(raw))
        self.root = Node(raw, headers, start, len(raw))
        self.texts: list[Text] = []
        self.attached: list[MailPart] = []
        self._seen = 0
        self._walk(self.root)

    def _walk(self, node: Node) -> None:
        """Recursion ends at MAX_DEPTH."""
        kind = node.media_type
        children = list(self._children(node)) if kind.startswith("multipart/") else []
        if not children:
            self._leaf(node)
        elif kind == "multipart/alternative":
            self._alternative(children)
        else:
            for child in children:
                self._walk(child)

    def _leaf(self, node: Node) -> None:
        if node.media_type.startswith("multipart/") and node.depth < MAX_DEPTH:
            self.texts.append(Text(node, None))  # no boundary anywhere: it is read as it stands
        elif node.is_body:
            self.texts.append(Text(node, None) if node.media_type == "text/plain" else Text(None, node))
        elif node.start < node.end or node.written_name:
            self.attach(node)

    def _alternative(self, children: list[Node]) -> None:
        """The last form of each kind is the richest; what is neither text nor HTML stays attached."""
        before = len(self.texts)
        for child in children:
            if child.media_type not in _UNSEEN:
                self._walk(child)
        found, self.texts = self.texts[before:], self.texts[:before]
        plain = next((text.plain for text in found if text.plain and text.plain.start < text.plain.end), None)
        html = next((text.html for text in reversed(found) if text.html), None)
        if plain or html:
            self.texts.append(Text(plain, html))

    def _children(self, node: Node) -> Iterator[Node]:
        for start, end in self._sections(node):
            self._seen += 1
            if self._seen > MAX_PARTS or node.depth + 1 >= MAX_DEPTH:
                # Whatever it holds, nobody looks into it.
                yield Node(node.raw, {"content-type": "application/octet-stream"}, start, node.end, MAX_DEPTH)
                return
            headers, body = split_head(node.raw, start, end)
            yield Node(node.raw, headers, body, end, node.depth + 1)

    def _sections(self, node: Node) -> Iterator[tuple[int, int]]:
        """Where its parts stand. Text before the first boundary and behind the closing one is no part."""
        boundary = self._boundary(node)
        if not boundary:
            return
        start: int | None = None
        line = re.compile(
            b"--"
            + re.escape(boundary)
            + rb"(?<![^\r\n]--"
            + re.escape(boundary)
            + rb")(--)?+[ \t]*+(?=[\r\n]|\Z)"
        )
        for delimiter in line.finditer(node.raw, node.start, node.end):
            if start is not None:
                yield start, _without_break(node.raw, start, delimiter.start())
            start = _behind_break(node.raw, delimiter.end(), node.end)
            if delimiter[1]:
                return
        if start is not None:
            yield start, node.end

    def _boundary(self, node: Node) -> bytes:
        """As declared; where that stands nowhere, as the body looks to have one."""
        declared = (node.parameter("boundary") or "").rstrip().encode("utf-8", "replace")[:250]
        if declared and node.raw.find(b"--" + declared, node.start, node.end) >= 0:
            return declared
        guessed = _GUESSED_BOUNDARY.search(node.raw, node.start, min(node.end, node.start + 65_536))
        return guessed[1] if guessed else b""

    def attach(self, node: Node) -> None:
        name = REST_NAME if node.depth >= MAX_DEPTH else file_name(node.written_name, node)
        content = node.content()
        if node.media_type.startswith("text/"):
            content = content.removesuffix(b"\n").removesuffix(b"\r") if node.depth else content
        self.attached.append(MailPart(name, node.media_type, content))


def _without_break(raw: bytes, start: int, end: int) -> int:
    """The line break before a boundary belongs to the boundary."""
    if end > start and raw[end - 1 : end] == b"\n":
        end -= 1
    if end > start and raw[end - 1 : end] == b"\r":
        end -= 1
    return end


def _behind_break(raw: bytes, start: int, end: int) -> int:
    if raw[start : start + 2] == b"\r\n":
        start += 2
    elif raw[start : start + 1] in (b"\r", b"\n"):
        start += 1
    return min(start, end)


def file_name(written: str | None, node: Node) -> str:
    """Without folders, hidden beginnings and characters that are not to be seen; never empty."""
    name = re.split(r"[\\/]", clean_line(written or "", 4 * MAX_FILE_NAME))[-1].strip(" .")
    name = re.sub(r'[<>:"|?*]', "_", name)
    if not name:
        subject = "message" if node.media_type.startswith("message/") else "attachment"
        name = subject + _EXTENSIONS.get(node.media_type, "")
    stem, dot, extension = name.rpartition(".")
    if len(name) > MAX_FILE_NAME and dot and len(extension) <= 10:
        return f"{stem[: MAX_FILE_NAME - len(extension) - 1]}.{extension}"
    return name[:MAX_FILE_NAME]
