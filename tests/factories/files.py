"""Files: bytes of many kinds, and uploads of them."""

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import httpx

from app.files.domain.names import content_disposition
from tests.factories.accounts import Person

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + bytes(17)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(100)
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"
CSV = "Nome;E-mail\r\nJoão;joao@example.com\r\n".encode()
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def zipped(entries: Mapping[str, str]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return written.getvalue()


def xlsx() -> bytes:
    return zipped({"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "<workbook/>"})


async def upload(
    person: Person,
    content: Any,
    *,
    media_type: str | None = "text/plain",
    name: str | None = "notes.txt",
    **headers: str,
) -> httpx.Response:
    """`content`: bytes, or an async iterable of them, which goes in chunks without a Content-Length."""
    sent = {"Authorization": f"Bearer {person.token}"}
    if media_type is not None:
        sent["Content-Type"] = media_type
    if name is not None:
        sent["Content-Disposition"] = content_disposition("attachment", name)
    return await person.http.post("/uploads", content=content, headers=sent | headers)


async def uploaded(person: Person, content: bytes = b"some notes", **options: Any) -> dict[str, Any]:
    """The answer of an upload that must not be refused."""
    response = await upload(person, content, **options)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer
