"""What a file is, by its bytes."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.files.application.uploads import END_BYTES, Content
from app.files.domain.media import BINARY, LyingType, claimed_type, settle_type
from app.files.domain.uploads import Empty, Sizes, TooLarge
from app.files.infrastructure.sniffing import sniff
from tests.factories.files import CSV, HTML, JPEG, PDF, PNG, SVG, XLSX_TYPE, xlsx, zipped

SIZES = Sizes(upload=100_000, imported=1_000_000)
ODS = "application/vnd.oasis.opendocument.spreadsheet"


def kind_of(content: bytes) -> str:
    return sniff(content[:END_BYTES], content[-END_BYTES:])


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (b"GIF89a" + bytes(20), "image/gif"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(20), "image/webp"),
        (PDF, "application/pdf"),
        (b"%PDF-1.4 all of it text", "application/pdf"),
        (gzip.compress(b"x", mtime=0), "application/gzip"),
        (xlsx(), XLSX_TYPE),
        (zipped({"a.txt": "x"}), "application/zip"),
        (zipped({"notes about xl/workbook.xml": "x"}), "application/zip"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(40), "image/heif"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(40), "video/mp4"),
        (b"ID3\x03\x00" + bytes(60), "audio/mpeg"),
        (CSV, "text/plain"),
        (CSV.decode().encode("utf-16"), "text/plain"),
        (CSV.decode().encode("utf-8-sig"), "text/plain"),
        (CSV.decode().encode("cp1252"), "text/plain"),
        (b"<script> is how this note begins", "text/html"),
        (HTML, "text/html"),
        (b"\n\n  <HTML lang=en>", "text/html"),
        ("\ufeff<html>".encode("utf-16"), "text/html"),
        (SVG, "image/svg+xml"),
        (b"<svg/>", "image/svg+xml"),
        (b"<?xml version='1.0'?><a/>", "application/xml"),
        (b"a < b and <html> later on", "text/plain"),
        (b"a\x00b", BINARY),
        (b"caf\xe9\x01\x02", BINARY),
        (bytes(range(256)) * 4, BINARY),
    ],
)
def test_bytes_tell(content: bytes, media_type: str) -> None:
    assert kind_of(content) == media_type


def test_open_document_says_it_in_its_first_entry() -> None:
    import io
    import zipfile

    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("mimetype", ODS)
        archive.writestr("content.xml", "<x/>")
    assert kind_of(written.getvalue()) == ODS


def test_a_character_cut_by_the_end_of_the_head_is_still_text() -> None:
    assert kind_of(b"a" * (END_BYTES - 1) + "é".encode() * 10) == "text/plain"


@pytest.mark.parametrize(
    ("claimed", "content", "media_type"),
    [
        ("text/csv", CSV, "text/csv"),
        ("text/csv; charset=utf-8", CSV, "text/csv"),
        ("text/plain", CSV, "text/plain"),
        ("", CSV, "text/plain"),
        ("text/csv", b"Nome,E-mail\nAna\x00,ana@example.com\n", "text/csv"),
        ("text/csv", CSV.decode().encode("utf-16-le"), "text/csv"),
        ("text/csv", CSV.decode().encode("utf-16-be"), "text/csv"),
        ("text/csv", "Nome;E-mail\r\nJoão;joao@example.com\r\n".encode("utf-16-le"), "text/csv"),
        ("text/plain", HTML, "text/html"),
        ("text/csv", SVG, "image/svg+xml"),
        ("application/x-made-up", PDF, "application/pdf"),
        ("application/x-made-up", b"text", "text/plain"),
        ("application/octet-stream", PNG, "image/png"),
        ("image/jpg", JPEG, "image/jpeg"),
        ("IMAGE/PNG", PNG, "image/png"),
        ("application/json", b'{"a": 1}', "application/json"),
        ("text/html", b"no page at all", "text/plain"),
        (XLSX_TYPE, xlsx(), XLSX_TYPE),
        ("application/x-zip-compressed", zipped({"a": "b"}), "application/zip"),
        ("video/quicktime", b"\x00\x00\x00\x14ftypqt  " + bytes(40), "video/quicktime"),
        ("audio/x-unknown", bytes(range(256)), BINARY),
    ],
)
def test_the_claim_chooses_only_among_what_the_bytes_allow(
    claimed: str, content: bytes, media_type: str
) -> None:
    assert settle_type(claimed_type(claimed, "a.bin"), kind_of(content)) == media_type


@pytest.mark.parametrize(
    ("claimed", "content"),
    [
        ("image/png", JPEG),
        ("image/png", HTML),
        ("image/svg+xml", PNG),
        ("image/jpeg", b"text"),
        ("application/pdf", HTML),
        ("application/pdf", bytes(100)),
        ("application/zip", b"text"),
        (XLSX_TYPE, zipped({"a": "b"})),
        (XLSX_TYPE, CSV),
        ("text/csv", PNG),
        ("text/csv", PDF),
        ("text/csv", xlsx()),
        ("text/csv", zipped({"a": "b"})),
        ("application/msword", PDF),
        ("video/mp4", HTML),
        (ODS, zipped({"mimetype.txt": ODS})),
    ],
)
def test_a_claim_that_shows_in_the_bytes_must(claimed: str, content: bytes) -> None:
    with pytest.raises(LyingType, match="send it as that"):
        settle_type(claimed_type(claimed, "a.bin"), kind_of(content))


def test_a_csv_that_its_browser_names_after_a_program_is_a_csv() -> None:
    for claimed in ("application/vnd.ms-excel", "", "application/octet-stream"):
        assert settle_type(claimed_type(claimed, "Contacts.CSV"), kind_of(CSV)) == "text/csv"
    for claimed, name in (
        ("text/tab-separated-values", "a"),
        ("", "a.tsv"),
        ("application/vnd.ms-excel", "a.xls"),
    ):
        assert settle_type(claimed_type(claimed, name), kind_of(CSV)) == "text/csv"
    with pytest.raises(LyingType):
        settle_type(claimed_type("application/vnd.ms-excel", "a.xls"), kind_of(HTML))


@given(st.binary(max_size=300))
def test_any_bytes_are_something(content: bytes) -> None:
    assert "/" in kind_of(content)


# ── sizes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def take(content: bytes, claimed: str) -> str:
    taken = Content(claimed, SIZES, sniff)
    for at in range(0, len(content), 10_000):
        taken.take(content[at : at + 10_000])
    return taken.settle()


def test_only_what_an_import_reads_may_be_large() -> None:
    rows = b"name;email\n" * 20_000
    assert take(rows, "text/csv") == "text/csv"
    with pytest.raises(TooLarge, match="100,000"):
        take(rows, "text/plain")
    with pytest.raises(TooLarge, match="1,000,000"):
        take(rows * 5, "text/csv")


def test_a_large_file_that_only_says_it_is_for_an_import_is_refused() -> None:
    with pytest.raises(TooLarge, match="100,000"):
        take(HTML + b" " * 150_000, "text/csv")
    with pytest.raises(LyingType):
        take(PNG + bytes(150_000), "text/csv")
    with pytest.raises(LyingType):
        take(b"PK\x03\x04" + bytes(150_000), XLSX_TYPE)


def test_nothing_is_no_file() -> None:
    with pytest.raises(Empty):
        take(b"", "text/plain")
