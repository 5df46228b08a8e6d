"""An outgoing message as the bytes of a mail (RFC 5322, MIME). The same message gives the same bytes.

Header values come from people. Each is one line of printable characters before it gets here into a header, encoded
where it is not plain ASCII: no value can end its line.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from email.utils import format_datetime
from html import escape
from urllib.parse import quote

from email_validator import EmailNotValidError, validate_email

from app.channels.domain.ports import OutboundFile, OutboundMessage
from app.channels.infrastructure.headers import MAX_IDS, MAX_NAME, message_ids
from app.channels.infrastructure.html import text_to_html
from app.channels.infrastructure.texts import clean_line

CRLF = b"\r\n"
MAX_SUBJECT = 900
MAX_LINE = 76
MAX_TEXT = 1_000_000
WORD_BYTES = 42
"""Of UTF-8 in one encoded word: 56 characters of base64, within a line of 76."""

_PLAIN = re.compile(r"[ -~]*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")
_URL = re.compile(r"https?://[!-;=?-~]{1,900}")
_UNSAFE = re.compile(r"[^\x21-\x7e\u00a1-\U0010ffff]|[<>()\[\],;:\\\"]")

FOOTERS = {
    "en": ("You do not want these mails any more?", "Unsubscribe"),
    "pt-BR": ("Não quer mais receber estes e-mails?", "Cancelar a inscrição"),
}
"""By locale: a question, and what the link says."""

Headers = Sequence[tuple[str, str]]


def compose_mail(account_address: str, message: OutboundMessage) -> bytes:
    """Text, the same as HTML, and the files. Raises OSError where a file cannot be read."""
    top = [
        ("From", _mailbox(message.from_name, account_address)),
        ("To", _mailbox(message.to_name, message.to_address)),
        ("Subject", encoded(clean_line(message.subject, MAX_SUBJECT), len("Subject: "))),
        ("Date", format_datetime(message.date)),
        ("Message-ID", "".join(_ids(message.message_id)[:1])),
        ("In-Reply-To", "".join(_ids(message.in_reply_to or "")[:1])),
        ("References", "\r\n ".join(_references(message.references))),
        *_unsubscribing(_link(message)),
        ("MIME-Version", "1.0"),
    ]
    body = _alternative(message)
    if message.files:
        body = _multipart("mixed", message.key, [body, *(_file(file) for file in message.files)])
    return _head([header for header in top if header[1]]) + body


def _link(message: OutboundMessage) -> str:
    url = message.unsubscribe_url or ""
    return url if _URL.fullmatch(url) else ""


def _unsubscribing(link: str) -> Headers:
    """One POST to it, without a page between, is enough (RFC 8058)."""
    if not link:
        return []
    return [("List-Unsubscribe", f"<{link}>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")]


def _references(ids: Sequence[str]) -> Sequence[str]:
    """The first and the last ones, as RFC 5322 advises for long threads."""
    return _ids(" ".join([*ids[:1], *ids[1:][1 - MAX_IDS :]]))


def _ids(value: str) -> Sequence[str]:
    """The domain in ASCII, as an address's."""
    return [id if id.isascii() else f"<{_address(id[1:-1])}>" for id in message_ids(value)]


def _head(headers: Headers) -> bytes:
    return b"".join(f"{name}: {value}\r\n".encode() for name, value in headers)


def _part(headers: Headers, content: bytes) -> bytes:
    return _head(headers) + CRLF + content


def _multipart(kind: str, key: str, parts: Sequence[bytes]) -> bytes:
    """The boundary cannot stand in a part: "=_" is in neither base64 nor quoted-printable."""
    boundary = f"=_{kind}_{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    line = f"--{boundary}".encode()
    return _part(
        [("Content-Type", f'multipart/{kind};\r\n boundary="{boundary}"')],
        b"".join(line + CRLF + part + CRLF for part in parts) + line + b"--" + CRLF,
    )


def _alternative(message: OutboundMessage) -> bytes:
    text, html = _stored(message.text), text_to_html(_stored(message.text))
    if link := _link(message):
        question, says = FOOTERS.get(message.locale, FOOTERS["en"])
        text = f"{text.rstrip()}\n\n-- \n{question} {says}:\n{link}\n"
        html += f'\n<p><small>{question} <a href="{escape(link)}">{says}</a></small></p>'
    html = f"<!DOCTYPE html>\n<html><body>\n{html}\n</body></html>\n"
    return _multipart("alternative", message.key, [_text("plain", text), _text("html", html)])


def _stored(text: str) -> str:
    text = re.sub(r"\r\n|[\r\u2028\u2029]", "\n", text[:MAX_TEXT]).replace("\x00", "")
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _text(kind: str, text: str) -> bytes:
    content = text.replace("\n", "\r\n").encode()
    ways = {
        "quoted-printable": binascii.b2a_qp(content, istext=True),
        "base64": _base64(content),
    }
    encoding = min(ways, key=lambda way: len(ways[way]) if way == "base64" else 0.8 * len(ways[way]))
    return _part(
        [("Content-Type", f"text/{kind}; charset=utf-8"), ("Content-Transfer-Encoding", encoding)],
        ways[encoding],
    )


def _file(file: OutboundFile) -> bytes:
    kind = file.media_type.lower()
    if not _MEDIA_TYPE.fullmatch(kind) or kind.startswith(("multipart/", "message/")):
        kind = "application/octet-stream"  # a message may not be in base64 (RFC 2046)
    name = clean_line(file.name, MAX_NAME).replace("/", "_").replace("\\", "_") or "attachment"
    headers = [
        ("Content-Type", kind),
        ("Content-Disposition", f"attachment{_file_name(name)}"),
        ("Content-Transfer-Encoding", "base64"),
    ]
    return _part(headers, _base64(file.path.read_bytes()))


def _file_name(name: str) -> str:
    """RFC 2231, in pieces where it is long, with a plain name for programs that do not know it."""
    plain = re.sub(r'[^ -~]|["\\]', "_", name)[:60]
    if plain == name:
        return f';\r\n filename="{name}"'
    encoded_name = quote(name, safe="")
    pieces = re.findall(r"(?:%..|[^%]){1,20}", encoded_name)
    lines = [f"filename*{n}*={'' if n else 'utf-8' + 2 * chr(39)}{piece}" for n, piece in enumerate(pieces)]
    return "".join(f";\r\n {line}" for line in lines)


def _base64(content: bytes) -> bytes:
    return base64.encodebytes(content).replace(b"\n", CRLF)


def _mailbox(name: str | None, address: str) -> str:
    written = _address(address)
    shown = clean_line(name or "", MAX_NAME)
    if not shown:
        return written
    if _ATOMS.fullmatch(shown) and "=?" not in shown and len(shown) < MAX_LINE - 10:
        return f"{shown}\r\n <{written}>"
    if _PLAIN.fullmatch(shown) and "=?" not in shown:
        quoted = shown.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"\r\n <{written}>'
    return f"{encoded(shown, len('From: '))}\r\n <{written}>"


def _address(address: str) -> str:
    """The domain in ASCII. A local part that is not needs SMTPUTF8, as it stands."""
    try:
        valid = validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return _UNSAFE.sub("", address)
    return valid.ascii_email or f"{valid.local_part}@{valid.ascii_domain}"


def encoded(text: str, used: int) -> str:
    """As it is where that is short ASCII, else in encoded words (RFC 2047), one a line."""
    if _PLAIN.fullmatch(text) and "=?" not in text and used + len(text) <= MAX_LINE:
        return text
    words: list[bytearray] = [bytearray()]
    for character in text:
        utf8 = character.encode("utf-8", "replace")
        if len(words[-1]) + len(utf8) > WORD_BYTES:
            words.append(bytearray())
        words[-1] += utf8
    return "\r\n ".join(f"=?utf-8?B?{base64.b64encode(word).decode()}?=" for word in words)
