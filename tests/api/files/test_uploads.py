"""POST /uploads and GET /files/{token}."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from itsdangerous import TimestampSigner
from sqlalchemy import text

from app.common.domain import ClientKind, Role
from app.common.work import Doors
from app.files.wiring import FileTokens, file_store, file_url
from app.settings import Settings
from tests.factories.accounts import Person, add_member, sign_up
from tests.factories.files import CSV, HTML, JPEG, PDF, PNG, SVG, XLSX_TYPE, upload, uploaded, xlsx
from tests.fixtures.processes import Api, eventually


async def rows_of(doors: Doors, workspace_id: UUID) -> list[dict[str, Any]]:
    async with doors.open_system() as system:
        query = text("SELECT * FROM file WHERE workspace_id = :workspace_id ORDER BY id")
        return [dict(row._mapping) for row in await system.execute(query, {"workspace_id": workspace_id})]


def stored(settings: Settings, person: Person) -> list[str]:
    folder = settings.files_folder / str(person.workspace_id)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def check_problem(response: httpx.Response, status: int, code: str) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "code"}
    assert (body["status"], body["code"]) == (status, code)
    return str(body["detail"])


# ── taken ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_an_upload_is_stored_whole(ana: Person, doors: Doors, settings: Settings) -> None:
    response = await upload(ana, PDF * 9000, media_type="application/pdf", name="Proposta 2026.pdf")
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    answer = response.json()
    assert answer.pop("uploadToken")
    assert answer == {
        "fileName": "Proposta 2026.pdf", "size": len(PDF) * 9000, "mediaType": "application/pdf"
    }  # fmt: skip
    (row,) = await rows_of(doors, ana.workspace_id)
    assert (row["name"], row["media_type"], row["size"], row["created_by"], row["used_at"]) == (
        "Proposta 2026.pdf", "application/pdf", len(PDF) * 9000, ana.user_id, None
    )  # fmt: skip
    assert row["sha256"] == hashlib.sha256(PDF * 9000).digest()
    assert row["stored_at"] >= row["created_at"]
    path = file_store(settings).path(ana.workspace_id, row["id"])
    assert path.read_bytes() == PDF * 9000
    assert path.stat().st_mode & 0o077 == 0


async def test_a_body_without_a_length_is_counted(ana: Person) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield CSV

    answer = await uploaded(ana, chunks(), media_type="text/csv", name="a.csv")
    assert (answer["size"], answer["mediaType"]) == (50 * len(CSV), "text/csv")


@pytest.mark.parametrize(
    ("content", "claimed", "media_type"),
    [
        (PNG, "image/png", "image/png"),
        (xlsx(), XLSX_TYPE, XLSX_TYPE),
        (CSV, "text/csv", "text/csv"),
        (b"Nome,E-mail\nAna\x00,ana@example.com\n", "text/csv", "text/csv"),
        (CSV.decode().encode("utf-16-le"), "text/csv", "text/csv"),
        (HTML, "text/plain", "text/html"),
        (SVG, "text/plain", "image/svg+xml"),
        (PDF, None, "application/pdf"),
    ],
)
async def test_the_type_is_that_of_the_bytes(
    ana: Person, content: bytes, claimed: str | None, media_type: str
) -> None:
    assert (await uploaded(ana, content, media_type=claimed))["mediaType"] == media_type


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, "file"),
        ('attachment; filename="../../../etc/passwd"', "passwd"),
        ("attachment; filename*=UTF-8''..%5C..%2Fa%00%0D%0Ab.txt", "ab.txt"),
        ("attachment; filename*=UTF-8''" + "%C3%A7" * 1000 + ".csv", "ç" * 118 + ".csv"),
    ],
)
async def test_hostile_names_are_cleaned(
    ana: Person, settings: Settings, header: str | None, name: str
) -> None:
    headers = {"Content-Disposition": header} if header else {}
    answer = await uploaded(ana, name=None, **headers)
    assert answer["fileName"] == name
    assert len(stored(settings, ana)) == 1


# ── refused ───────────────────────────────────────────────────────────────────────────────────────────────────────────
async def nothing_is_left(ana: Person, doors: Doors, settings: Settings) -> None:
    assert await rows_of(doors, ana.workspace_id) == []
    assert stored(settings, ana) == []


@pytest.mark.parametrize(
    ("content", "claimed"),
    [
        (JPEG, "image/png"),
        (HTML, "image/png"),
        (HTML, "application/pdf"),
        (CSV, XLSX_TYPE),
        (b"x", "image/svg+xml"),
        (JPEG, "text/csv"),
        (PNG, "text/csv"),
        (PDF, "text/csv"),
        (b"PK\x03\x04" + bytes(40), "text/csv"),
    ],
)
async def test_a_lying_type_is_refused(
    ana: Person, doors: Doors, settings: Settings, content: bytes, claimed: str
) -> None:
    detail = check_problem(await upload(ana, content, media_type=claimed), 415, "UNSUPPORTED_MEDIA_TYPE")
    assert claimed in detail
    await nothing_is_left(ana, doors, settings)


async def test_who_may_not_upload(ana: Person, doors: Doors, settings: Settings) -> None:
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    extension = await add_member(doors, ana, role=Role.ADMIN, client=ClientKind.EXTENSION)
    for person in (viewer, extension):
        check_problem(await upload(person, CSV), 403, "FORBIDDEN")
    for authorization in ("", "Basic YTpi", "Bearer x.y.z", "Bearer"):
        response = await upload(ana, CSV, Authorization=authorization)
        check_problem(response, 401, "UNAUTHENTICATED")
        assert response.headers["www-authenticate"] == "Bearer"
    check_problem(await ana.http.post("/uploads", content=CSV), 401, "UNAUTHENTICATED")
    await nothing_is_left(ana, doors, settings)
    await uploaded(ana, CSV)


async def test_bodies_that_are_none(ana: Person, doors: Doors, settings: Settings) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    check_problem(await upload(ana, b""), 400, "BAD_REQUEST")
    check_problem(await upload(ana, nothing()), 400, "BAD_REQUEST")
    response = await upload(ana, CSV, **{"Content-Encoding": "gzip"})
    check_problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert (await ana.http.get("/uploads")).status_code == 405
    await nothing_is_left(ana, doors, settings)


async def test_an_upload_over_the_limit_is_refused_by_header_and_by_count(
    doors: Doors, tmp_path: Path
) -> None:
    limits = {"SALESPAD_UPLOAD_MAX_BYTES": "100000", "SALESPAD_IMPORT_UPLOAD_MAX_BYTES": "300000"}
    own = Settings(files_dir=tmp_path)

    async def chunks(content: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(content), 4000):
            yield content[at : at + 4000]

    async with (
        Api.started(**limits, SALESPAD_FILES_DIR=str(tmp_path)) as api,
        httpx.AsyncClient(base_url=api.url, timeout=30, trust_env=False) as http,
    ):
        ana = await sign_up(http)
        for content, claimed in ((b"a" * 100_001, "text/plain"), (b"a" * 300_001, "text/csv")):
            for body in (content, chunks(content)):
                response = await upload(ana, body, media_type=claimed)
                assert f"{len(content) - 1:,}" in check_problem(response, 413, "PAYLOAD_TOO_LARGE")
        large = {
            HTML + b" " * 200_000: (413, "PAYLOAD_TOO_LARGE"),
            PNG + bytes(200_000): (415, "UNSUPPORTED_MEDIA_TYPE"),
        }
        for content, refusal in large.items():
            check_problem(await upload(ana, content, media_type="text/csv"), *refusal)
        await nothing_is_left(ana, doors, own)
        for content, claimed in ((b"a" * 100_000, "text/plain"), (b"a" * 300_000, "text/csv")):
            await uploaded(ana, chunks(content), media_type=claimed)
            assert stored(own, ana)
        assert not list((own.files_folder / "parts").iterdir())


async def test_requests_are_counted_with_the_others_of_the_person(servers: None) -> None:
    async with (
        Api.started(SALESPAD_WEB_REQUESTS_PER_MINUTE="3") as api,
        httpx.AsyncClient(base_url=api.url, timeout=30, trust_env=False) as http,
    ):
        ana = await sign_up(http)
        await ana.run("{ viewer { user { id } } }")
        await uploaded(ana)
        await uploaded(ana)
        response = await upload(ana, CSV)
        check_problem(response, 429, "RATE_LIMITED")
        assert int(response.headers["retry-after"]) >= 1


# ── given out ─────────────────────────────────────────────────────────────────────────────────────────────────────────
async def link_of(ana: Person, doors: Doors, settings: Settings) -> str:
    """The path of a link to the newest file: the settings of this process know no port."""
    row = (await rows_of(doors, ana.workspace_id))[-1]
    url = file_url(settings, ana.workspace_id, row["id"])
    assert url.startswith(f"{settings.base_url}/files/")
    return url.removeprefix(settings.base_url)


async def test_a_link_gives_the_file_out_harmless(ana: Person, doors: Doors, settings: Settings) -> None:
    await uploaded(ana, SVG, media_type="text/plain", name="logo ção.svg")
    path = await link_of(ana, doors, settings)
    response = await ana.http.get(path)
    assert response.status_code == 200
    assert response.content == SVG
    assert dict(response.headers) | {
        "content-type": "image/svg+xml",
        "content-length": str(len(SVG)),
        "content-disposition": "attachment; filename=\"logo __o.svg\"; filename*=UTF-8''logo%20%C3%A7%C3%A3o.svg",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "cross-origin-resource-policy": "same-site",
        "cache-control": f"private, max-age={settings.file_link_ttl_s}, immutable",
    } == dict(response.headers)
    head = await ana.http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(SVG))


@pytest.mark.parametrize(
    ("content", "kind"), [(PNG, "inline"), (JPEG, "inline"), (PDF, "attachment"), (HTML, "attachment")]
)
async def test_only_pictures_are_shown_in_place(
    ana: Person, doors: Doors, settings: Settings, content: bytes, kind: str
) -> None:
    await uploaded(ana, content, media_type=None)
    response = await ana.http.get(await link_of(ana, doors, settings))
    assert response.headers["content-disposition"].startswith(f"{kind}; ")


async def test_links_that_open_nothing(ana: Person, eve: Person, doors: Doors, settings: Settings) -> None:
    answer = await uploaded(ana)
    path = await link_of(ana, doors, settings)
    (row,) = await rows_of(doors, ana.workspace_id)
    others = settings.model_copy(update={"jwt_secret": "another secret, that this API does not know of"})
    forged = FileTokens(others).link(ana.workspace_id, row["id"])
    foreign = FileTokens(settings).link(eve.workspace_id, row["id"])
    unknown = FileTokens(settings).link(ana.workspace_id, uuid4())
    for token in (forged, foreign, unknown, answer["uploadToken"], "x", "é", "a.b.c", "y" * 5000, path[7:-1]):
        check_problem(await ana.http.get(f"/files/{token}"), 404, "NOT_FOUND")
    assert (await ana.http.get(path)).status_code == 200


async def test_a_link_ends(
    ana: Person, doors: Doors, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await uploaded(ana)
    now = TimestampSigner.get_timestamp
    with monkeypatch.context() as patch:
        patch.setattr(TimestampSigner, "get_timestamp", lambda self: now(self) - settings.file_link_ttl_s - 2)
        path = await link_of(ana, doors, settings)
    check_problem(await ana.http.get(path), 410, "GONE")
    with monkeypatch.context() as patch:
        patch.setattr(
            TimestampSigner, "get_timestamp", lambda self: now(self) - settings.file_link_ttl_s + 20
        )
        path = await link_of(ana, doors, settings)
    assert (await ana.http.get(path)).status_code == 200


async def test_no_token_gets_into_the_log(servers: None) -> None:
    async with (
        Api.started() as api,
        httpx.AsyncClient(base_url=api.url, timeout=30, trust_env=False) as http,
    ):
        await http.get("/files/secret-token")
        await http.get("/files/secret-token/")
        await http.delete("/files/secret-token")
        await eventually(lambda: api.log().count("/files/{token}") >= 2, what="their log lines")
        log = api.log()
    assert "secret-token" not in log
