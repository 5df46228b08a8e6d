"""What a file is: told by its bytes. What its sender says of it only chooses among what the bytes allow."""

import codecs
import re

BINARY = "application/octet-stream"
PLAIN_TEXT, HTML, SVG, XML = "text/plain", "text/html", "image/svg+xml", "application/xml"
CSV = "text/csv"
ZIP = "application/zip"
OLE = "application/x-ole-storage"
OFFICE = "application/vnd.openxmlformats-officedocument."
DOCX, PPTX = OFFICE + "wordprocessingml.document", OFFICE + "presentationml.presentation"
XLSX = OFFICE + "spreadsheetml.sheet"
XLS, XLSM = "application/vnd.ms-excel", "application/vnd.ms-excel.sheet.macroenabled.12"
IMPORTED = frozenset({CSV, XLSX})
"""What an import reads: may be larger than what a message carries."""
SHOWN_INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""What a browser may show in place: pictures that hold no script."""

BEARS: dict[str, frozenset[str]] = {
    PLAIN_TEXT: frozenset(
        {CSV, "text/calendar", "text/vcard", "text/markdown", "application/json", "message/rfc822"}
    ),
    XML: frozenset({"text/xml"}),
    HTML: frozenset({"application/xhtml+xml"}),
    OLE: frozenset(
        {"application/msword", XLS, "application/vnd.ms-powerpoint"} | {"application/vnd.ms-outlook"}
    ),
    XLSX: frozenset({XLSM}),
    DOCX: frozenset({"application/vnd.ms-word.document.macroenabled.12"}),
    PPTX: frozenset({"application/vnd.ms-powerpoint.presentation.macroenabled.12"}),
    "image/heif": frozenset({"image/heic"}),
    "video/mp4": frozenset({"audio/mp4", "video/quicktime", "video/3gpp"}),
    "video/webm": frozenset({"audio/webm", "video/x-matroska", "application/x-matroska"}),
    "application/ogg": frozenset({"audio/ogg", "video/ogg", "audio/opus"}),
}
"""Bytes of the one cannot be told from the others: there the sender's word chooses."""
SYNONYMS = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "image/vnd.microsoft.icon": "image/x-icon",
    "application/x-pdf": "application/pdf",
    "application/x-zip-compressed": ZIP,
    "application/x-zip": ZIP,
    "application/x-gzip": "application/gzip",
    "application/x-rar-compressed": "application/vnd.rar",
    "text/rtf": "application/rtf",
    "application/csv": CSV,
    "text/x-csv": CSV,
    "text/comma-separated-values": CSV,
    "text/tab-separated-values": CSV,
}
SIGNED_KINDS = ("image/", OFFICE, "application/vnd.oasis.opendocument.", "application/vnd.ms-")
SIGNED = frozenset(
    {"application/pdf", "application/rtf", ZIP, "application/gzip", "application/x-7z-compressed"}
    | {"application/vnd.rar", "application/msword", "application/epub+zip"}
)
MARKUP = frozenset({SVG, XML})
PLAYED = ("audio/", "video/")
"""Their signatures are many and some weak: bytes that nobody knows are let pass, as bytes."""
UNNAMED = frozenset({"", BINARY, XLS})
"""What browsers say of a CSV: nothing, or on Windows the program that opens it."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
"""What makes bytes no text (mimesniff.spec.whatwg.org, binary data bytes)."""
_HTML = re.compile(
    r"<(?:!doctype\s+html|html|head|body|script|iframe|title|style|table|div|h1|p|a|br|b|font|!--)(?=[\s>/-])",
    re.IGNORECASE,
)
_XML = re.compile(r"<(?:\?xml|!doctype)(?=\s)", re.IGNORECASE)
_SVG = re.compile(r"<(?:!doctype\s+)?svg(?=[\s>/])", re.IGNORECASE)
_XHTML = re.compile(r"<html(?=[\s>])", re.IGNORECASE)


class LyingType(Exception):
    """The bytes are not what their sender says."""

    def __init__(self, claimed: str, found: str) -> None:
        super().__init__(f"The bytes are not {claimed}, as Content-Type says, but {found}: send it as that.")


def claimed_type(content_type: str, name: str) -> str:
    """What the sender says, in one spelling."""
    claimed = content_type.partition(";")[0].strip().lower()
    claimed = SYNONYMS.get(claimed, claimed)
    return CSV if claimed in UNNAMED and name.lower().endswith((".csv", ".tsv")) else claimed


def settle_type(claimed: str, found: str) -> str:
    """The type that is stored. Raises LyingType where the claim is of a kind that shows in the bytes, and does not."""
    if claimed == found or claimed in BEARS.get(found, ()):
        return claimed
    if claimed == CSV and found == BINARY:
        return CSV  # NULs, or UTF-16 without its mark: the import reads all of it and says where it is broken
    if claimed == XLS and found == PLAIN_TEXT:
        return CSV  # many a program exports a text by the name of Excel's old form, and Excel opens it
    if claimed == CSV and not found.startswith("text/") and found not in MARKUP:
        raise LyingType(claimed, found)
    if claimed.startswith(SIGNED_KINDS) or claimed in SIGNED:
        raise LyingType(claimed, found)
    if claimed.startswith(PLAYED) and not (found.startswith(PLAYED) or found in (BINARY, "application/ogg")):
        raise LyingType(claimed, found)
    return found


def text_type(head: bytes, *, is_whole: bool) -> str | None:
    """The type of a text by how it begins; None: no text. `is_whole`: nothing follows `head`."""
    text = _decoded(head, is_whole=is_whole)
    if text is None or _CONTROLS.search(text):
        return None
    start = text.lstrip("\ufeff \t\r\n\f")
    if _SVG.match(start):
        return SVG
    if _XML.match(start) and not _HTML.match(start):
        return SVG if _SVG.search(start) else HTML if _XHTML.search(start) else XML
    return HTML if _HTML.match(start) else PLAIN_TEXT


def _decoded(head: bytes, *, is_whole: bool) -> str | None:
    """UTF-16 with its mark, UTF-8, else one of the old encodings in which every byte is a character."""
    is_utf16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if is_utf16 else ("utf-8", "latin-1"):
        try:
            return codecs.getincrementaldecoder(encoding)().decode(head, is_whole)
        except UnicodeDecodeError:
            continue
    return None
