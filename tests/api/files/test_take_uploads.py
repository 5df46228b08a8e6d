"""The doors of `app/files/wiring.py` for other modules: what an upload's token is good for, what mails bring."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from itsdangerous import TimestampSigner
from sqlalchemy import text

from app.common.domain import ErrorCode, Refusals, Role, SalesPadError
from app.common.work import Doors
from app.files.wiring import FileTokens, add_received_file, file_store, file_url, take_uploads
from app.settings import Settings
from tests.factories.accounts import Person, add_member
from tests.factories.files import HTML, PNG, uploaded


async def take(
    doors: Doors,
    person: Person,
    settings: Settings,
    tokens: Sequence[str],
    *,
    workspace_id: UUID | None = None,
) -> list[UUID]:
    workspace_id = workspace_id or person.workspace_id
    async with doors.open_work(workspace_id) as work:
        return await take_uploads(work, workspace_id, person.user_id, tokens, settings)


async def refused(doors: Doors, person: Person, settings: Settings, *tokens: str) -> list[tuple[str, str]]:
    """The codes, with the places they stand at."""
    with pytest.raises(SalesPadError) as caught:
        await take(doors, person, settings, tokens)
    refusal = caught.value
    refusals = refusal.refusals if isinstance(refusal, Refusals) else (refusal,)
    assert {one.path[0] for one in refusals} == {"attachmentTokens"}
    return [(one.code.value, one.path[1]) for one in refusals]


async def test_tokens_are_used_once_and_in_their_order(ana: Person, doors: Doors, settings: Settings) -> None:
    tokens = [(await uploaded(ana, f"note {n}".encode()))["uploadToken"] for n in range(4)]
    ids = await take(doors, ana, settings, [tokens[2], tokens[0]])
    store = file_store(settings)
    assert [store.path(ana.workspace_id, id).read_bytes() for id in ids] == [b"note 2", b"note 0"]
    # One that is used stops the others of the same call from being used.
    assert await refused(doors, ana, settings, tokens[1], tokens[2]) == [(ErrorCode.CONFLICT, "1")]
    assert len(await take(doors, ana, settings, [tokens[1]])) == 1
    assert await refused(doors, ana, settings, tokens[3], tokens[3]) == [(ErrorCode.CONFLICT, "1")]
    assert await take(doors, ana, settings, []) == []


async def test_a_token_is_its_persons_in_its_workspace(
    ana: Person, eve: Person, doors: Doors, settings: Settings
) -> None:
    token = (await uploaded(ana))["uploadToken"]
    bruno = await add_member(doors, ana, role=Role.MEMBER)
    (row_id,) = await ids_of(doors, ana.workspace_id)
    for person in (eve, bruno):
        assert await refused(doors, person, settings, token) == [(ErrorCode.NOT_FOUND, "0")]
        # Nor does a token that says so, for a row that is another's.
        claiming = FileTokens(settings).upload(person.workspace_id, person.user_id, row_id)
        assert await refused(doors, person, settings, claiming) == [(ErrorCode.NOT_FOUND, "0")]
    link = file_url(settings, ana.workspace_id, row_id).rpartition("/")[2]
    others = settings.model_copy(update={"jwt_secret": "another secret, that this API does not know of"})
    forged = FileTokens(others).upload(ana.workspace_id, ana.user_id, row_id)
    refusals = await refused(doors, ana, settings, link, "", "x" * 9999, forged, token[:-1], "\ud800")
    assert refusals == [(ErrorCode.NOT_FOUND, str(n)) for n in range(6)]
    assert await take(doors, ana, settings, [token]) == [row_id]


async def test_a_token_outlives_a_change_of_the_secret(ana: Person, doors: Doors, settings: Settings) -> None:
    token = (await uploaded(ana))["uploadToken"]
    new = "the new secret, of thirty-two bytes and more"
    rotated = settings.model_copy(update={"jwt_secret": new, "previous_jwt_secrets": (settings.jwt_secret,)})
    assert len(await take(doors, ana, rotated, [token])) == 1
    (row_id,) = await ids_of(doors, ana.workspace_id)
    signed_now = FileTokens(rotated).link(ana.workspace_id, row_id)
    alone = settings.model_copy(update={"jwt_secret": new, "previous_jwt_secrets": ()})
    assert FileTokens(alone).read_link(signed_now) is not None


async def test_a_token_ends(
    ana: Person, doors: Doors, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = (await uploaded(ana))["uploadToken"]
    now = TimestampSigner.get_timestamp
    with monkeypatch.context() as patch:
        patch.setattr(TimestampSigner, "get_timestamp", lambda self: now(self) + settings.upload_ttl_s + 2)
        assert await refused(doors, ana, settings, token) == [(ErrorCode.INVALID, "0")]
    assert len(await take(doors, ana, settings, [token])) == 1


async def test_of_two_that_use_the_same_uploads_at_once_one_does(
    ana: Person, doors: Doors, settings: Settings
) -> None:
    tokens = [(await uploaded(ana, b"note"))["uploadToken"] for _ in range(6)]
    outcomes = await asyncio.gather(
        *(take(doors, ana, settings, order) for order in (tokens, tokens[::-1], tokens, tokens[::-1])),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["Refusals", "Refusals", "Refusals", "list"], (
        outcomes
    )
    async with doors.open_system() as system:
        query = text("SELECT count(*) FROM file WHERE workspace_id = :id AND used_at IS NOT NULL")
        assert (await system.execute(query, {"id": ana.workspace_id})).scalar_one() == 6


async def test_what_is_undone_is_not_used(ana: Person, doors: Doors, settings: Settings) -> None:
    token = (await uploaded(ana))["uploadToken"]

    async def take_and_fail() -> None:
        async with doors.open_work(ana.workspace_id) as work:
            await take_uploads(work, ana.workspace_id, ana.user_id, [token], settings)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await take_and_fail()
    assert len(await take(doors, ana, settings, [token])) == 1


async def test_what_a_mail_brings_is_stored_once(ana: Person, doors: Doors, settings: Settings) -> None:
    store, file_id = file_store(settings), uuid4()
    for name, content in (("../logo.png", PNG), ("again.png", PNG)):
        store.write(ana.workspace_id, file_id, content)
        async with doors.open_work(ana.workspace_id) as work:
            await add_received_file(
                work,
                ana.workspace_id,
                id=file_id,
                name=name,
                claimed_media_type="image/png",
                content=content,
            )
    async with doors.open_system() as system:
        query = text("SELECT * FROM file WHERE workspace_id = :id")
        (row,) = (await system.execute(query, {"id": ana.workspace_id})).all()
    assert (row.id, row.name, row.media_type, row.size, row.created_by) == (
        file_id, "logo.png", "image/png", len(PNG), None
    )  # fmt: skip
    assert row.used_at is not None
    response = await ana.http.get(
        file_url(settings, ana.workspace_id, file_id).removeprefix(settings.base_url)
    )
    assert response.content == PNG
    assert not list((settings.files_folder / "parts").glob(f"{file_id}*"))


async def test_a_mail_that_lies_of_its_attachment_is_not_believed(
    ana: Person, doors: Doors, settings: Settings
) -> None:
    async with doors.open_work(ana.workspace_id) as work:
        await add_received_file(
            work, ana.workspace_id, id=uuid4(), name="a.png", claimed_media_type="image/png", content=HTML
        )
        await add_received_file(
            work, ana.workspace_id, id=uuid4(), name="", claimed_media_type="application/pdf", content=b""
        )
    async with doors.open_system() as system:
        query = text("SELECT name, media_type FROM file WHERE workspace_id = :id ORDER BY name")
        rows = (await system.execute(query, {"id": ana.workspace_id})).all()
    assert [tuple(row) for row in rows] == [("a.png", "text/html"), ("file", "text/plain")]


async def ids_of(doors: Doors, workspace_id: UUID) -> list[UUID]:
    async with doors.open_system() as system:
        query = text("SELECT id FROM file WHERE workspace_id = :id ORDER BY id")
        return list((await system.execute(query, {"id": workspace_id})).scalars())
