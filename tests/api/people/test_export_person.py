"""GET /export/leads/{id}.json."""

import asyncio
import io
import json
import threading
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from app.common.domain import Actor, ClientKind, Role
from app.common.work import Doors
from app.people.wiring import export_into
from app.settings import Settings
from tests.factories.accounts import Person, add_member, audited
from tests.factories.conversations import make_lead
from tests.factories.merging import exports, merged, unmerged
from tests.factories.people import Known, everywhere
from tests.factories.sending import Outlet


async def ask(person: Person, id: object, token: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {person.token if token is None else token}"}
    return await person.http.get(f"/export/leads/{id}.json", headers=headers)


async def exported(person: Person, id: object) -> dict[str, Any]:
    response = await ask(person, id)
    assert response.status_code == 200, response.text
    return response.json()  # type: ignore[no-any-return]


async def mark(doors: Doors, person: Person, sql: str, **values: object) -> None:
    async with doors.open_work(person.workspace_id) as work:
        changed = await work.execute(text(sql), {"workspace_id": person.workspace_id, **values})
        assert changed.rowcount == 1


async def test_it_holds_all_there_is_about_a_person(outlet: Outlet) -> None:
    known = Known.somebody()
    lead_id = await everywhere(outlet, known)
    told = await exported(outlet.person, lead_id)
    assert (told["format"], told["id"]) == ("salespad.person.1", str(lead_id))
    (lead,) = told["leads"]
    assert (lead["name"], lead["email"], lead["phone"]) == (known.name, known.email, known.phone)
    assert (lead["company"], lead["stageName"]) == (f"{known.word} S.A.", "Novo")
    assert lead["metadata"] == {"origin": known.word}
    assert [one["value"] for one in told["identities"]] == [known.email, known.handle, known.phone]
    assert [one["name"][:5] for one in told["tags"]] == ["Feira"]
    assert [one["type"] for one in told["timeline"]] == ["NOTE", "MESSAGE", "MESSAGE"]
    assert told["timeline"][0]["content"] == f"Ligar para {known.word}."
    (row,) = told["imports"]
    assert (row["outcome"], row["pageUrl"]) == ("UPDATED", f"https://www.instagram.com/{known.handle}/")
    (conversation,) = told["conversations"]
    assert conversation["contactAddress"] == known.email
    received, sent = told["messages"]
    assert (received["body"].strip(), received["direction"]) == (f"Sou {known.word}.", "INBOUND")
    assert (sent["body"], sent["status"]) == (f"Bom dia, {known.word}!", "SENT")
    assert [one["name"] for one in told["attachments"]] == [
        f"{known.word}.txt",
        f"proposta-{known.word}.txt",
    ]
    (delivery,) = told["deliveries"]
    assert (delivery["status"], [one["outcome"] for one in delivery["attempts"]]) == ("sent", ["ACCEPTED"])
    content = await outlet.person.http.get(told["attachments"][0]["url"])
    assert content.content == f"the file of {known.word}".encode() * 50


async def test_it_is_a_file_and_is_told_of_in_the_audit_log(ana: Person, doors: Doors) -> None:
    lead_id = await make_lead(ana)
    response = await ask(ana, lead_id)
    assert response.headers["content-disposition"] == f'attachment; filename="lead-{lead_id}.json"'
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]
    (row,) = [one for one in await audited(doors, ana.workspace_id) if one.action == "lead.exported"]
    assert (row.object_id, row.actor_id, row.after) == (lead_id, ana.user_id, {})


async def test_the_same_rows_make_the_same_bytes(outlet: Outlet) -> None:
    lead_id = await everywhere(outlet, Known.somebody())
    documents = await exports(outlet.person, outlet.doors, lead_id, lead_id)
    assert documents[0] == documents[1]
    told = json.loads(documents[0])
    assert list(told) == sorted(told)
    assert all("version" not in one for one in told["leads"])


async def test_who_was_merged_into_a_lead_is_in_its_document(ana: Person, doors: Doors) -> None:
    kept, gone, before = [await make_lead(ana, name=name) for name in ("Kept", "Merged", "Before")]
    for one, into in ((gone, kept), (before, gone)):
        await mark(
            doors,
            ana,
            """UPDATE lead SET deleted_at = now(), merged_into_id = :into
            WHERE workspace_id = :workspace_id AND id = :id""",
            id=one,
            into=into,
        )
    told = await exported(ana, kept)
    assert [one["name"] for one in told["leads"]] == ["Kept", "Merged", "Before"]
    assert (told["mergedInto"], told["mergedLeadIds"]) == (None, [str(gone), str(before)])
    for id, below in ((gone, [str(before)]), (before, [])):
        told = await exported(ana, id)
        assert (told["mergedInto"], told["mergedLeadIds"]) == (str(kept), below)


class SlowDisk(io.BytesIO):
    """Written to by whoever may wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_reached, self.may_go_on = threading.Event(), threading.Event()

    def write(self, part: Any) -> int:
        self.is_reached.set()
        assert self.may_go_on.wait(30)
        return super().write(part)


async def test_it_is_of_one_moment_though_they_are_merged_meanwhile(
    ana: Person, doors: Doors, settings: Settings
) -> None:
    kept, other = await make_lead(ana), await make_lead(ana)
    await mark(
        doors,
        ana,
        """UPDATE lead SET metadata = jsonb_build_object('long', repeat('x', 200000))
        WHERE workspace_id = :workspace_id AND id = :id""",
        id=kept,
    )
    (before,) = await exports(ana, doors, kept)
    actor = Actor(ana.workspace_id, ana.user_id, Role.OWNER, ClientKind.WEB, uuid4(), 0.0)
    disk = SlowDisk()
    exporting = asyncio.create_task(export_into(disk, doors, settings, actor, kept))
    assert await asyncio.to_thread(disk.is_reached.wait, 30)
    try:
        merge_id = await merged(ana, kept, other)
    finally:
        disk.may_go_on.set()
    await exporting
    assert disk.getvalue() == before
    await unmerged(ana, merge_id)
    assert await exports(ana, doors, kept) == [before]


async def test_a_deleted_lead_is_exported(ana: Person, doors: Doors) -> None:
    lead_id = await make_lead(ana)
    await mark(
        doors,
        ana,
        "UPDATE lead SET deleted_at = now() WHERE workspace_id = :workspace_id AND id = :id",
        id=lead_id,
    )
    assert (await exported(ana, lead_id))["leads"][0]["deletedAt"]


async def test_a_long_conversation_comes_whole(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    await outlet.sql(
        """
        INSERT INTO message (workspace_id, conversation_id, position, account_id, direction, author_kind, body, status)
        SELECT :workspace_id, :id, n, :account_id, 'INBOUND', 'CONTACT', repeat('ç ', 2000) || n, 'RECEIVED'
        FROM generate_series(1, 1500) AS n
        """,
        id=opened.id,
        account_id=outlet.account_id,
    )
    told = await exported(outlet.person, opened.lead_id)
    assert [one["body"].split()[-1] for one in told["messages"]] == [str(n) for n in range(1, 1501)]


@pytest.mark.parametrize("id", ["", "nobody", "%00", "0" * 40, "..%2f..%2fetc%2fpasswd", "{}"])
async def test_what_is_no_lead_is_not_found(ana: Person, id: str) -> None:
    response = await ask(ana, id)
    assert response.status_code == 404


async def test_a_lead_of_others_is_not_found(ana: Person, eve: Person, doors: Doors) -> None:
    theirs = await make_lead(eve)
    for id in (theirs, uuid4()):
        response = await ask(ana, id)
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["code"] == "NOT_FOUND"
    assert not [one for one in await audited(doors, ana.workspace_id) if one.action == "lead.exported"]


async def test_it_takes_a_member_of_the_web_app(ana: Person, doors: Doors) -> None:
    lead_id: UUID = await make_lead(ana)
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    extension = await add_member(doors, ana, role=Role.ADMIN, client=ClientKind.EXTENSION)
    member = await add_member(doors, ana, role=Role.MEMBER)
    assert [(await ask(one, lead_id)).status_code for one in (viewer, extension, member)] == [403, 403, 200]
    nobody = await ask(ana, lead_id, token="x")
    assert (nobody.status_code, nobody.json()["code"]) == (401, "UNAUTHENTICATED")
