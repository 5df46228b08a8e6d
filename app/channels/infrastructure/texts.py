"""Bytes of mails to text: charsets that are named wrongly or not at all, and what no text of ours may hold.

Never raises, and takes time in proportion to the input.
"""

import codecs
import re

from app.common.domain import composed

MAX_LINE_NAME = 40

_ALIASES = {
    # What browsers read these labels as: the wider charset that the mail's writer used.
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs",
    "iso2022_jp": "iso2022_jp_ext",
}  # fmt: skip
_TEXT_CODEC = re.compile(
    r"(utf|cp\d|iso8859|iso2022|koi8|mac-|gb|big5|euc|shift|hz|johab|tis|ptcp|kz1048|ascii|latin|hp-roman)"
)
"""Charsets of texts: "punycode", "unicode_escape" and their like are codecs, too, and slow or worse."""
_TRUSTED_LATE = frozenset({"cp1252", "utf-8"})
"""What software writes without looking: the bytes are asked first."""

_NEWLINES = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c]")
_META_CHARSET = re.compile(rb"charset\s{0,9}=\s{0,9}[\"']?([\w.:-]{1,40})", re.IGNORECASE)


def clean(text: str, limit: int) -> str:
    """Lines ended by "\\n", no control characters, composed (NFC), at most `limit` characters."""
    text = _UNWANTED.sub("", _NEWLINES.sub("\n", text[: 2 * limit + 2]))[:limit]
    return composed(text)[:limit]


def clean_line(text: str, limit: int) -> str:
    """One line, for a subject or a name: also without what turns the reading direction."""
    words = _BIDI.sub("", _NEWLINES.sub(" ", text[: 4 * limit])).split()
    kept = (_UNWANTED.sub("", word) for word in words)
    return clean(" ".join(word for word in kept if word), limit).strip()


def decode(content: bytes, charset: str | None) -> str:
    """What was meant: the charset's name is a hint, and the bytes decide where it is a common lie."""
    if not content:
        return ""
    if content.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        charset = "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else "utf-16"
    codec = codec_named(charset) if charset else None
    for name in _candidates(codec, content):
        try:
            return content.decode(name)
        except (UnicodeError, LookupError):
            continue
    return _most_likely(content, codec)


def codec_named(charset: str) -> str | None:
    """Python's name of it; None for what is unknown or no charset of texts."""
    name = charset.strip().strip("'\"").lower()
    if not name.isascii() or not name.isprintable() or len(name) > MAX_LINE_NAME or "." in name:
        return None
    name = {"unicode": "utf-16", "cp-850": "cp850", "utf8mb4": "utf-8", "iso-8859-8-i": "iso8859-8"}.get(
        name, name
    )
    try:
        canonical = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return _ALIASES.get(canonical, canonical) if _TEXT_CODEC.match(canonical) else None


def html_charset(content: bytes) -> str | None:
    """What an HTML text says of itself in its `<meta>`."""
    found = _META_CHARSET.search(content[:4096])
    return found[1].decode("ascii", "replace") if found else None


def _candidates(codec: str | None, content: bytes) -> list[str]:
    if codec is None and b"\x1b$" in content:
        return ["iso2022_jp_ext", "utf-8"]
    if codec is None or codec in _TRUSTED_LATE:
        return ["utf-8"]
    return [codec, "utf-8"]


def _most_likely(content: bytes, codec: str | None) -> str:
    """Of bytes that are neither in their charset nor in UTF-8: the reading that spoils less."""
    if codec not in (None, *_TRUSTED_LATE):
        assert codec is not None
        return content.decode(codec, "replace")
    as_utf8 = content.decode("utf-8", "replace")
    broken = as_utf8.count("\ufffd")
    whole = sum(1 for _ in re.finditer(r"[^\x00-\x7f\ufffd]", as_utf8))
    return as_utf8 if whole > broken else content.decode("cp1252", "replace")
