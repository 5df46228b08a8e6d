"""A raw mail read into facts (`domain/mail.py`): for any bytes it answers, and in time that grows with their number.

What cannot be read is not lost: the raw mail is kept beside it, and a text longer than MAX_TEXT is attached whole.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

from app.channels.domain.mail import Mail, MailPart
from app.channels.infrastructure.bounces import bounce_of, is_auto_reply
from app.channels.infrastructure.headers import (
    MAX_ADDRESSES,
    Address,
    Headers,
    addresses,
    message_ids,
    sent_at,
    text_of,
)
from app.channels.infrastructure.html import sanitized, text_from_html, text_to_html
from app.channels.infrastructure.parts import Node, Parts, Text
from app.channels.infrastructure.quoting import fold
from app.channels.infrastructure.texts import clean, decode, html_charset

MAX_TEXT = 100_000
"""Characters of a text that are stored in the message."""
MAX_READ = 1_000_000
"""Bytes of a body that are read at all."""
MAX_SUBJECT = 998
MAX_BODIES = 20
_FORWARDED = re.compile(r"\s*(fwd?|enc|rv|wg|tr|i)\s*:", re.IGNORECASE)


def read_mail(raw: bytes) -> Mail:
    """Never raises: of a mail that cannot be read, the raw bytes are its attachment."""
    try:
        return _read(raw)
    except Exception:  # noqa: BLE001 A mail nobody thought of must not stop those behind it.
        digest = hashlib.sha256(raw).hexdigest()
        return Mail(
            from_address=None,
            parts=(MailPart("message.eml", "message/rfc822", raw),),
            identity=f"raw:{digest}",
        )


def _read(raw: bytes) -> Mail:
    mail = Parts(raw)
    headers = mail.root.headers
    subject = text_of(headers, "subject", MAX_SUBJECT)
    bodies = mail.texts[:MAX_BODIES]
    texts = [_text_of(body) for body in bodies]
    written = "\n\n".join(filter(None, texts))
    text, quoted = fold(clean(written, MAX_READ), is_forward=bool(_FORWARDED.match(subject or "")))
    parts = [*mail.attached, *_left_over(mail, texts)]
    sender = next(iter(addresses(headers.get("from", "") or headers.get("sender", ""))), None)
    bounce = bounce_of(headers, written[:MAX_TEXT], parts, sender.value if sender else None)
    result = Mail(
        from_address=sender.value if sender else None,
        from_name=sender.name if sender else None,
        reply_to=next((person.value for person in addresses(headers.get("reply-to", ""))), None),
        to_addresses=[person.value for person in _recipients(headers)],
        subject=subject,
        text=text[:MAX_TEXT],
        quoted_text=(quoted or "")[:MAX_TEXT] or None,
        html=_html_of(bodies, texts),
        message_id=next(iter(message_ids(headers.get("message-id", ""))), None),
        in_reply_to=next(iter(message_ids(headers.get("in-reply-to", ""))), None),
        references=message_ids(headers.get("references", "")),
        sent_at=sent_at(headers.get("date", "")),
        parts=parts,
        is_auto_reply=bounce is not None or is_auto_reply(headers, subject or ""),
        bounce=bounce,
    )
    return replace(result, identity=_identity(result, headers))


def _recipients(headers: Headers) -> Sequence[Address]:
    return [*addresses(headers.get("to", "")), *addresses(headers.get("cc", ""))][:MAX_ADDRESSES]


def _text_of(body: Text) -> str:
    if body.plain is not None:
        text = _decoded(body.plain)
        if body.plain.parameter("format") == "flowed":
            text = unflowed(text, is_space_deleted=body.plain.parameter("delsp") == "yes")
        if text.strip() or body.html is None:
            return text.strip("\n")
    return text_from_html(_decoded(body.html)) if body.html is not None else ""


def _html_of(bodies: Sequence[Text], texts: Sequence[str]) -> str | None:
    """All bodies as one, sanitised; None where none is HTML or it is too long to be shown as such."""
    if not any(body.html for body in bodies):
        return None
    pieces = [
        _decoded(body.html) if body.html else text_to_html(text)
        for body, text in zip(bodies, texts, strict=True)
    ]
    return sanitized("\n".join(pieces)) or None


def _decoded(node: Node) -> str:
    content = node.content(MAX_READ)[:MAX_READ]
    charset = node.parameter("charset")
    if charset is None and node.media_type == "text/html":
        charset = html_charset(content)
    return clean(decode(content, charset), MAX_READ)


def _left_over(mail: Parts, texts: Sequence[str]) -> Sequence[MailPart]:
    """Bodies that are longer than what is stored of them, whole."""
    rest = [node for body in mail.texts[MAX_BODIES:] if (node := body.plain or body.html)]
    for body, text in zip(mail.texts, texts, strict=False):
        node = body.plain or body.html
        if node is not None and (node.end - node.start > MAX_READ or len(text) > MAX_TEXT):
            rest.append(node)
    return [
        MailPart(
            "message.html" if node.media_type == "text/html" else "message.txt",
            node.media_type,
            node.content(),
        )
        for node in rest
    ]


def unflowed(text: str, *, is_space_deleted: bool) -> str:
    """RFC 3676: a line that ends with a space goes on in the next one of the same quote depth."""
    lines: list[str] = []
    pieces: list[str] = []
    open_depth = -1
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        is_signature = content == "-- "
        if open_depth == depth and not is_signature:
            pieces.append(content)
        else:
            _close(lines, pieces)
            pieces.append(">" * depth + " " + content if depth else content)
        is_open = content.endswith(" ") and not is_signature
        open_depth = depth if is_open else -1
        if is_open and is_space_deleted:
            pieces[-1] = pieces[-1][:-1]
    _close(lines, pieces)
    return "\n".join(lines)


def _close(lines: list[str], pieces: list[str]) -> None:
    if pieces:
        lines.append("".join(pieces))
        pieces.clear()


def _identity(mail: Mail, headers: Headers) -> str:
    """Of what a mail says, not of how it came: relays add headers and change encodings and line ends."""
    digest = hashlib.sha256()
    said = [mail.from_address or "", mail.subject or "", mail.text, mail.quoted_text or "", mail.html or ""]
    if mail.message_id is None:
        said += [headers.get("date", "").strip(), *mail.references, mail.in_reply_to or ""]
    for text in said:
        digest.update("\n".join(line.rstrip() for line in text.strip().split("\n")).encode() + b"\0")
    for part in mail.parts:
        is_text = (
            part.media_type.startswith(("text/", "message/")) or part.media_type == "application/octet-stream"
        )
        content = part.content.replace(b"\r\n", b"\n").rstrip() if is_text else part.content
        digest.update(part.name.encode() + b"\0" + hashlib.sha256(content).digest())
    return f"{mail.message_id or ''}:{digest.hexdigest()}"
