"""Headers of mails as far as they can be read: unfolded, decoded (RFC 2047, 2231), addresses, ids, dates (RFC 5322).

Not by the standard library's `email`: its parsers recurse or take squares of time on some inputs, and raise on others
(a date of 400 digits, a charset with a NUL, ten thousand brackets). Here nothing raises, nothing recurses, and time
grows with the input.
"""

import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_to_bytes

from email_validator import EmailNotValidError, validate_email

from app.channels.infrastructure.texts import clean_line, decode

MAX_BLOCK = 4_000_000
"""Bytes of one part's headers that are read; what stands behind is not."""
MAX_HEADER = 65_536
MAX_PARAMETERS = 8_192
MAX_ADDRESS = 254
MAX_ADDRESSES = 100
MAX_NAME = 200
MAX_ID = 998
MAX_IDS = 100

Headers = Mapping[str, str]

_HEADER = re.compile(rb"([!-9;-~]{1,76})[ \t]{0,9}:")
_BREAK = re.compile(rb"(?>\r\n|\n|\r)(?![ \t])")
_FOLD = re.compile(r"[\r\n]+[ \t]*")
_BLOCK_END = re.compile(rb"\r\n\r\n|\n\r?\n|\r\r(?!\n)")
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_PARAMETER = re.compile(r';\s*+([^\s=;"]++)\s*+=\s*+("(?:[^"\\]|\\.)*+"?|[^;]*+)', re.DOTALL)
_ID = re.compile(r"<([^<>\s]{1,996})>")
_BARE_ID = re.compile(r"[^<>\s,;]{1,990}@[^<>\s,;]{1,990}")
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*+)"?|<([^<>]*+)>|([,;:()])|([^",;:()<>]++)|(.)', re.DOTALL)
_ADDRESS = re.compile(r"[^\s\"<>(),;:@]{1,200}@[^\s\"<>(),;:@]{1,253}")


@dataclass(frozen=True, slots=True)
class Address:
    """`value` is normalised: lower-cased and, where it is a valid one, in its international form."""

    value: str
    name: str | None


def split_head(raw: bytes, start: int, end: int) -> tuple[Headers, int]:
    """The headers from `start` on and where the body begins. Text without any header is all body."""
    while start < end and raw[start] in b"\r\n":
        start += 1
    blank = _BLOCK_END.search(raw, start, end)
    head_end, body = (blank.start(), blank.end()) if blank else (end, end)
    headers = read_headers(raw[start : min(head_end, start + MAX_BLOCK)])
    return headers, body if headers else start


def read_headers(block: bytes) -> Headers:
    """By lower-case name; of several with one name the first. Lines that are no headers are passed over."""
    headers: dict[str, str] = {}
    for line in _BREAK.split(block):
        if (head := _HEADER.match(line)) is None:
            continue
        name = head[1].decode("ascii").lower()
        if name not in headers:
            headers[name] = _FOLD.sub(" ", decode(line[head.end() : head.end() + MAX_HEADER], None)).strip()
    return headers


def decode_words(value: str) -> str:
    """RFC 2047 encoded words, also where they split a character, stand inside quotes or hold spaces."""
    pieces: list[str] = []
    charset, waiting, position = "", bytearray(), 0
    for word in _WORD.finditer(value[:MAX_HEADER]):
        between = value[position : word.start()]
        position = word.end()
        own_charset = word[1].partition("*")[0].lower()
        if waiting and (between.strip() or own_charset != charset):
            pieces.append(decode(bytes(waiting), charset))
            waiting.clear()
        if between.strip():
            pieces.append(between)
        charset = own_charset
        waiting += _word_bytes(word[2], word[3])
    if waiting:
        pieces.append(decode(bytes(waiting), charset))
    return "".join(pieces) + value[position:MAX_HEADER]


def _word_bytes(encoding: str, text: str) -> bytes:
    encoded = text.encode("utf-8", "replace")
    return decode_base64(encoded) if encoding in "bB" else binascii.a2b_qp(encoded, header=True)


def decode_base64(content: bytes) -> bytes:
    """As much as can be read: strange characters passed over, a torn end left out."""
    try:
        return binascii.a2b_base64(content)
    except binascii.Error:
        kept = re.sub(rb"[^A-Za-z0-9+/]+", b"", content)
        kept = kept[: len(kept) - 1] if len(kept) % 4 == 1 else kept
        return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


def parameters(value: str) -> tuple[str, Mapping[str, str]]:
    """A header such as Content-Type: its value, lower-cased, and its parameters decoded (RFC 2231, 2047)."""
    value = value[:MAX_PARAMETERS]
    found: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for parameter in _PARAMETER.finditer(value):
        name, text = parameter[1].lower(), _unquoted(parameter[2].strip())
        base, star, rest = name.partition("*")
        number = rest.removesuffix("*")
        if not star:
            found.setdefault(name, decode_words(text))
        elif not number or (number.isascii() and number.isdigit() and len(number) < 5):
            pieces.setdefault(base, {}).setdefault(int(number or 0), (text, name.endswith("*")))
    for name, numbered in pieces.items():
        found[name] = _joined([numbered[number] for number in sorted(numbered)])
    return value.partition(";")[0].strip().lower(), found


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    # A Windows path in quotes has backslashes that quote nothing.
    return re.sub(r'\\(["\\])', r"\1", text[1:].removesuffix('"'))


def _joined(pieces: Sequence[tuple[str, bool]]) -> str:
    """RFC 2231: "charset'language'%41%42", in pieces."""
    first, is_encoded = pieces[0]
    charset = ""
    if is_encoded and first.count("'") >= 2:
        charset, _, first = first.split("'", 2)
    content = b"".join(
        unquote_to_bytes(text) if encoded else text.encode("utf-8", "replace")
        for text, encoded in [(first, is_encoded), *pieces[1:]]
    )
    return decode(content, charset or None)


def text_of(headers: Headers, name: str, limit: int) -> str | None:
    return clean_line(decode_words(headers.get(name, "")), limit) or None


def addresses(value: str) -> Sequence[Address]:
    """The people of a From, To or Cc, as far as they can be made out; groups are taken apart."""
    people: list[Address] = []
    value = value[:MAX_HEADER]
    for words, angled in _mailboxes(value):
        name, written = decode_words(" ".join(words)), angled
        if "@" not in angled and (found := _ADDRESS.search(name)):
            name, written = name.replace(found[0], " "), found[0]
        name = clean_line(name, MAX_NAME).strip("\"'<> ")
        if (normal := normal_address(written)) is not None:
            people.append(Address(normal, name if name.lower() not in ("", normal) else None))
            if len(people) == MAX_ADDRESSES:
                break
    return people


def _mailboxes(value: str) -> Iterator[tuple[list[str], str]]:
    """(words of the name, what stood in angle brackets or ""), one for each between commas."""
    words: list[str] = []
    address, comments = "", 0
    for token in _TOKEN.finditer(value):
        quoted, angled, mark, plain = token[1], token[2], token[3], token[4]
        if mark in ("(", ")"):
            comments = max(0, comments + (1 if mark == "(" else -1))
        elif comments:
            continue
        elif mark in (",", ";"):
            yield words, address
            words, address = [], ""
        elif mark == ":":
            words = []  # "Team: ana@example.com;" was the group's name
        elif angled is not None:
            address = address or angled
        elif quoted is not None:
            words.append(_unquoted(f'"{quoted}"'))
        elif plain is not None and plain.strip():
            words.append(plain.strip())
    yield words, address


def normal_address(text: str) -> str | None:
    """As leads spell it (lower case, international domain); one that is not valid but looks like one: lower case."""
    text = clean_line(text.strip().strip("<>"), 2 * MAX_ADDRESS)
    if "@" not in text or len(text) > MAX_ADDRESS:
        found = _ADDRESS.search(text)
        text = found[0] if found else ""
    if not text or len(text) > MAX_ADDRESS:
        return None
    try:
        return validate_email(text, check_deliverability=False).normalized.lower()
    except (EmailNotValidError, UnicodeError):
        found = _ADDRESS.search(text)
        return found[0].lower() if found else None


def message_ids(value: str) -> Sequence[str]:
    """In angle brackets, without repeats: the first and the last 99 of more. Too long ones are none."""
    found = [f"<{id}>" for id in _ID.findall(re.sub(r"[\x00-\x1f\x7f]", "", value))]
    if not found and "<" not in value:
        found = [f"<{id}>" for id in _BARE_ID.findall(value[:2000])]
    ids = [id for id in dict.fromkeys(found) if len(id.encode("utf-8", "replace")) <= MAX_ID]
    return [international_id(id) for id in (ids if len(ids) <= MAX_IDS else [ids[0], *ids[1 - MAX_IDS :]])]


def international_id(id: str) -> str:
    """A Message-ID as we store it, its domain spelled as in our accounts' addresses: mails have it in ASCII."""
    local, _, domain = id[1:-1].rpartition("@")
    if "xn--" not in domain.lower():
        return id
    return f"<{local}@{(normal_address(f'anyone@{domain}') or domain).rpartition('@')[2]}>"


def sent_at(value: str) -> datetime | None:
    """In UTC; a date without a zone is one."""
    try:
        moment = parsedate_to_datetime(value[:200])
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None
