"""A file's type by its first and last bytes: a few signatures of our own, then text, then puremagic's."""

import re

from app.files.domain.media import BINARY, DOCX, OLE, PPTX, SYNONYMS, XLSX, ZIP, text_type

SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"%PDF-": "application/pdf",
    b"{\\rtf": "application/rtf",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": OLE,
    b"\x1f\x8b\x08": "application/gzip",
}
ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
MP4_BRANDS = {b"heic": "image/heif", b"heix": "image/heif", b"mif1": "image/heif", b"avif": "image/avif"}
OFFICE_PARTS = {b"xl/workbook.": XLSX, b"word/document.": DOCX, b"ppt/presentation.": PPTX}
MAGIC_BYTES = 4096
SURE = 0.4
"""Below it puremagic goes by two or three bytes."""


def sniff(head: bytes, tail: bytes) -> str:
    """`tail` is b"" while more is to come; the whole file may be shorter than either."""
    for signature, media_type in SIGNATURES.items():
        if head.startswith(signature):
            return media_type
    if head.startswith(ZIP_SIGNATURES):
        return _zip_type(head, tail)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return MP4_BRANDS.get(head[8:12], "video/mp4")
    is_whole = head == tail
    return text_type(head, is_whole=is_whole) or _magic_type(head[:MAGIC_BYTES])


def _zip_type(head: bytes, tail: bytes) -> str:
    """By the names of what is in it, which stand again at its end. It is never unpacked."""
    if head[30:38] == b"mimetype":  # OpenDocument and EPUB: a first entry, not compressed, says it
        told = head[38 : 38 + int.from_bytes(head[22:26], "little")].decode("latin-1")
        if re.fullmatch(r"application/(vnd\.oasis\.opendocument\.[a-z-]{1,40}|epub\+zip)", told):
            return told
    if b"[Content_Types].xml" in head or b"[Content_Types].xml" in tail:
        for part, media_type in OFFICE_PARTS.items():
            if part in head or part in tail:
                return media_type
    return ZIP


def _magic_type(head: bytes) -> str:
    import puremagic  # its list of types takes its time: the API starts without it

    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return BINARY
    sure = (one.mime_type for one in found if one.mime_type and one.confidence >= SURE)
    media_type = next(sure, BINARY)
    return SYNONYMS.get(media_type, media_type)
