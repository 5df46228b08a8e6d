"""A file's name, out of what a client wrote (RFC 6266, RFC 8187) and into what a browser gets."""

import re
import unicodedata
from urllib.parse import quote, unquote_to_bytes

from app.common.domain import composed

NO_NAME = "file"
MAX_CHARACTERS = 200
MAX_BYTES = 240
"""With room for the suffix a browser adds: file systems take 255."""
MAX_EXTENSION = 20
_PARAMETER = re.compile(r""";\s*(filename\*?)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)""", re.IGNORECASE)
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Controls, marks that turn the direction of a text (`gpj.exe` for `exe.jpg`), surrogates, unassigned ones."""


def file_name(content_disposition: str) -> str:
    """The name a Content-Disposition gives, cleaned; `filename*` stands above `filename`."""
    given = {name.lower(): value.strip() for name, value in _PARAMETER.findall(f";{content_disposition}")}
    return clean_name(_extended(given.get("filename*", "")) or _plain(given.get("filename", "")))


def clean_name(name: str) -> str:
    """Its last part, composed, without what cannot be seen, of a length that every file system takes."""
    last = re.split(r"[/\\]", name)[-1]
    seen = "".join(c for c in composed(last) if unicodedata.category(c) not in _UNSEEN)
    cleaned = " ".join(seen.split()).strip(". ")
    return _shortened(cleaned) or NO_NAME


def content_disposition(kind: str, name: str) -> str:
    """`kind` is inline or attachment; the plain form for what does not know the other."""
    plain = re.sub(r'[^ -~]|["\\%]', "_", name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _extended(value: str) -> str:
    """`UTF-8''na%C3%AFve.txt`; "" for what is not of that form."""
    charset, _, rest = value.partition("'")
    encoded = rest.partition("'")[2]
    if charset.lower() not in ("utf-8", "iso-8859-1"):
        return ""
    try:
        return unquote_to_bytes(encoded).decode(charset)
    except (UnicodeDecodeError, UnicodeEncodeError):
        return ""


def _plain(value: str) -> str:
    """Quoted or not; browsers and scripts send UTF-8 here, which a header's latin-1 has taken apart."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        # A backslash escapes nothing but these two: Windows' paths come with single ones.
        value = re.sub(r'\\(["\\])', r"\1", value[1:-1])
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _shortened(name: str) -> str:
    if len(name) <= MAX_CHARACTERS and len(name.encode()) <= MAX_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > MAX_EXTENSION:
        stem, dot, extension = name, "", ""
    room = MAX_BYTES - len(f"{dot}{extension}".encode())
    stem = stem[: MAX_CHARACTERS - MAX_EXTENSION].encode()[:room].decode(errors="ignore")
    return f"{stem.rstrip('. ')}{dot}{extension}"
