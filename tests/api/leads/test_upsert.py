"""What an import writes besides the lead itself: tags by name, notes, and what takes it all back."""

import asyncio
import json
from typing import Any

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Doors
from app.leads.domain.identity import IdentityKind
from app.leads.domain.staged import ImportPolicy
from app.leads.wiring import upsert_leads
from app.tags.domain import MAX_TAGS
from tests.factories.accounts import Person
from tests.factories.leads import entries, new_tag, stray_contacts, the_lead
from tests.factories.staged import defaults_of, nothing, row, settled
from tests.fixtures.processes import eventually

TAG_EVENTS = Statement(
    text(
        """
        SELECT kind, cardinality(entity_ids) AS ids, changed FROM feed_event
        WHERE workspace_id = cast(:workspace_id as uuid) AND kind IN ('tag.changed', 'note.added') ORDER BY seq
        """
    )
)
FILL_TAGS = Statement(
    text(
        """
        INSERT INTO tag (workspace_id, name, name_key, color)
        SELECT cast(:workspace_id as uuid), 'T' || n, 't' || n, '#2563eb'
        FROM generate_series(1, cast(:count as int)) AS n
        """
    )
)

WAITERS = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND :pid = ANY (pg_blocking_pids(pid))")


async def told(doors: Doors, person: Person) -> list[tuple[str, int, list[str]]]:
    async with doors.open_reads(person.workspace_id) as reads:
        rows = await reads.fetch(TAG_EVENTS, workspace_id=person.workspace_id)
    return [(one["kind"], one["ids"], one["changed"]) for one in rows]


def undo_of(stage: list[Any], n: int = 1) -> dict[str, Any] | None:
    undo = next(one["undo"] for one in stage if one["n"] == n)
    return json.loads(undo) if undo else None


async def test_tags_are_found_by_their_folded_names_or_made(ana: Person, doors: Doors) -> None:
    await new_tag(ana, "São Paulo")
    rows = [
        row(1, email="a@example.com", tags=("sao paulo", "Feira")),
        row(2, email="b@example.com", tags=("FEIRA", "feira")),
        row(3, email="c@example.com"),
    ]
    written, _ = await settled(doors, ana, rows)
    tags = []
    for one in written:
        assert (one.outcome, one.are_tags_left_out) == ("CREATED", False)
        lead = await the_lead(ana, str(one.lead_id))
        assert lead is not None
        tags.append(sorted(tag["name"] for tag in lead["tags"]))
    assert tags == [["Feira", "São Paulo"], ["Feira"], []]
    assert await told(doors, ana) == [("tag.changed", 1, ["created"]), ("tag.changed", 1, ["created"])]


async def test_a_row_that_is_not_written_makes_no_tag(ana: Person, doors: Doors) -> None:
    rows = [row(1, email="a@example.com", tags=("Feira",))]
    written, _ = await settled(doors, ana, rows, ImportPolicy.UPDATE_ONLY)
    assert [(one.outcome, one.lead_id) for one in written] == [("SKIPPED_EXISTING", None)]
    assert await told(doors, ana) == []


async def test_a_workspace_without_room_for_a_tag_takes_the_lead_alone(ana: Person, doors: Doors) -> None:
    async with doors.open_work(ana.workspace_id) as work:
        await work.fetch(FILL_TAGS, workspace_id=ana.workspace_id, count=MAX_TAGS - 1)
    rows = [
        row(1, email="a@example.com", tags=("t1", "Last")),
        row(2, email="b@example.com", tags=("One too many", "T2")),
    ]
    written, _ = await settled(doors, ana, rows)
    assert [(one.outcome, one.are_tags_left_out) for one in written] == [
        ("CREATED", False),
        ("CREATED", True),
    ]
    lead = await the_lead(ana, str(written[1].lead_id))
    assert lead is not None
    assert lead["tags"] == [{"name": "T2"}]


async def test_a_note_is_written_once_and_by_who_imports(ana: Person, doors: Doors) -> None:
    rows = [row(1, email="a@example.com", note="Met in May"), row(2, email="b@example.com")]
    written, stage = await settled(doors, ana, rows)
    lead_id = str(written[0].lead_id)
    noted = ("NOTE", "Met in May", "HUMAN", ana.user_id)
    assert await entries(doors, ana, lead_id) == [noted]
    assert [*(undo_of(stage) or {})] == ["note", "version"]
    assert undo_of(stage, 2) is None
    again, _ = await settled(doors, ana, rows)
    assert [one.outcome for one in again] == ["UNCHANGED", "UNCHANGED"]
    other, stage = await settled(doors, ana, [row(1, email="a@example.com", note="Call her")])
    assert [one.outcome for one in other] == ["UPDATED"]
    assert [*(undo_of(stage) or {})] == ["note", "version"]
    assert await entries(doors, ana, lead_id) == [noted, ("NOTE", "Call her", "HUMAN", ana.user_id)]
    assert await told(doors, ana) == [("note.added", 1, []), ("note.added", 1, [])]


async def test_what_takes_a_change_back_is_kept(ana: Person, doors: Doors) -> None:
    tag = await new_tag(ana, "Feira")
    first = row(1, email="a@example.com", name="Bia", company="Acme", metadata={"a": 1})
    ((made,), stage) = await settled(doors, ana, [first])
    assert undo_of(stage) is None
    second = row(
        1,
        email="a@example.com",
        phone="+5511987654321",
        linkedin="bia",
        name="Beatriz",
        company="Acme",
        metadata={"b": 2},
        tags=["feira"],
        note="Call her",
    )
    ((changed,), stage) = await settled(doors, ana, [second], owner_id=ana.user_id)
    assert (changed.outcome, changed.lead_id) == ("UPDATED", made.lead_id)
    undo = undo_of(stage)
    assert undo is not None
    assert isinstance(undo.pop("note"), str)
    assert undo == {
        "version": 2,
        "fields": {
            "name": ["Bia", "Beatriz"],
            "metadata": [{"a": 1}, {"a": 1, "b": 2}],
            "owner_id": [None, str(ana.user_id)],
        },
        "identities": [["LINKEDIN", "bia"], ["PHONE", "+5511987654321"]],
        "tags": [tag],
    }
    lead = await the_lead(ana, str(made.lead_id))
    assert lead is not None
    assert (lead["version"], lead["phone"]) == (2, "+5511987654321")
    ((same,), stage) = await settled(doors, ana, [second], owner_id=ana.user_id)
    assert (same.outcome, undo_of(stage)) == ("UNCHANGED", None)
    assert await stray_contacts(doors, ana) == []


async def test_a_tag_alone_is_a_change_of_the_lead(ana: Person, doors: Doors) -> None:
    tag = await new_tag(ana, "Feira")
    await settled(doors, ana, [row(1, email="a@example.com", name="Bia")])
    known = row(1, email="a@example.com", tags=("Feira",))
    for policy in (ImportPolicy.CREATE_ONLY, ImportPolicy.FILL_EMPTY, ImportPolicy.FILL_EMPTY):
        ((one,), stage) = await settled(doors, ana, [known], policy)
        lead = await the_lead(ana, str(one.lead_id))
        assert lead is not None
        if policy is ImportPolicy.CREATE_ONLY:
            assert (one.outcome, lead["version"], lead["tags"]) == ("SKIPPED_EXISTING", 1, [])
        elif one.outcome == "UPDATED":
            assert undo_of(stage) == {"version": 2, "tags": [tag]}
    assert (one.outcome, lead["version"], lead["tags"]) == ("UNCHANGED", 2, [{"name": "Feira"}])


async def test_two_of_a_kind_in_one_row_have_one_primary(ana: Person, doors: Doors) -> None:
    two = row(1, email="a@example.com")
    other = row(1, email="b@example.com")
    both = row(1, email="a@example.com", name="Bia")
    rows = [
        type(two)(
            **{name: getattr(both, name) for name in both.__slots__ if name != "identities"},
            identities=[*two.identities, *other.identities],
        )
    ]
    ((made,), _) = await settled(doors, ana, rows)
    lead = await the_lead(ana, str(made.lead_id))
    assert lead is not None
    assert [(one["kind"], one["value"], one["isPrimary"]) for one in lead["identities"]] == [
        (IdentityKind.EMAIL, "a@example.com", True),
        (IdentityKind.EMAIL, "b@example.com", False),
    ]
    assert await stray_contacts(doors, ana) == []


async def test_who_another_import_makes_meanwhile_is_known_then(ana: Person, doors: Doors) -> None:
    """It waits at the identity that both have, and matches its rows again once the other has committed."""
    first = [row(1, email="a@example.com"), row(2, email="c@example.com", phone="+5511987654321")]
    second = [
        row(1, email="b@example.com", name="Bia"),
        row(2, phone="+5511987654321", name="Caio"),
        row(3, email="a@example.com"),
    ]

    async def is_waiting() -> bool:
        async with doors.open_system() as system:
            return bool((await system.execute(WAITERS, {"pid": pid})).scalar_one())

    async with doors.open_work(ana.workspace_id) as work:
        given = await defaults_of(work, ana)
        made = await upsert_leads(work, ana.workspace_id, first, ImportPolicy.UPSERT, given, settle=nothing)
        pid = (await work.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        meeting = asyncio.create_task(settled(doors, ana, second))
        await eventually(is_waiting, what="the second import waits")
    met, _ = await meeting
    assert [one.outcome for one in met] == ["CREATED", "UPDATED", "UNCHANGED"]
    assert [one.lead_id for one in met[1:]] == [made[1].lead_id, made[0].lead_id]
    assert await stray_contacts(doors, ana) == []
