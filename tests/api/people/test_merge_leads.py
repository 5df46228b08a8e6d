"""mergeLeads through HTTP."""

from typing import Any
from uuid import uuid4

import pytest

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import inbound, make_lead, open_conversation
from tests.factories.merging import asked_to_merge, exports, lead_of, merged, refusals, run_sql, unmerged
from tests.factories.people import Known, everywhere
from tests.factories.sending import Outlet

EVENTS = (
    "SELECT kind, entity_ids, changed, after::text AS after FROM feed_event "
    "WHERE workspace_id = :workspace_id AND seq > :seq ORDER BY seq"
)
HEAD = "SELECT seq FROM feed_head WHERE workspace_id = :workspace_id"
CREATE_TAG = "mutation ($input: CreateTagInput!) { createTag(input: $input) { tag { id } } }"


async def new_tag(person: Person, name: str) -> str:
    return str((await person.run(CREATE_TAG, {"input": {"name": name}}))["createTag"]["tag"]["id"])


async def test_all_of_it_becomes_the_kept_leads_and_goes_exactly_back(outlet: Outlet) -> None:
    ana, doors = outlet.person, outlet.doors
    known, other = Known.somebody(), Known.somebody()
    keep, away = await everywhere(outlet, known), await everywhere(outlet, other)
    before = await exports(ana, doors, keep, away)
    merge_id = await merged(ana, keep, away)

    assert await lead_of(ana, away) is None
    lead = await lead_of(ana, keep)
    assert (lead["name"], lead["email"], lead["company"]) == (known.name, known.email, f"{known.word} S.A.")
    identities = {(one["kind"], one["value"]): one["isPrimary"] for one in lead["identities"]}
    assert identities == {
        (kind, value): of is known
        for of in (known, other)
        for kind, value in (("EMAIL", of.email), ("PHONE", of.phone), ("INSTAGRAM", of.handle))
    }
    assert len(lead["tags"]) == 2
    assert len(lead["provenance"]) == 3
    assert lead["merges"] == [{"id": merge_id, "mergedIds": [str(away)], "kept": {"id": str(keep)}}]
    (told,) = await exports(ana, doors, keep)
    assert all(word in told.decode() for word in (known.word, other.word))

    await unmerged(ana, merge_id)
    assert await exports(ana, doors, keep, away) == before
    restored = await lead_of(ana, keep)
    assert restored["version"] == lead["version"] + 1, "a version that was seen never comes again"
    assert restored["merges"] == []


async def test_the_kept_lead_is_filled_where_it_has_nothing(ana: Person) -> None:
    keep = await make_lead(ana, name="Ana", email=None, company="Kept", metadata={"a": 1}, ownerId=None)
    first = await make_lead(ana, name="B", company="First", title="Boss", metadata={"a": 2, "b": {"x": 1.10}})
    second = await make_lead(
        ana, name="C", title="Clerk", phone="+5511987654321", metadata={"b": 3, "c": None}
    )
    merge_id = await merged(ana, keep, first, second)
    lead = await lead_of(ana, keep)
    assert (lead["name"], lead["company"], lead["title"], lead["phone"]) == (
        "Ana",
        "Kept",
        "Boss",
        "+5511987654321",
    )
    assert lead["metadata"] == {"a": 1, "b": {"x": 1.10}, "c": None}
    assert {one["kind"] for one in lead["identities"] if one["isPrimary"]} == {"EMAIL", "PHONE"}
    await unmerged(ana, merge_id)
    lead = await lead_of(ana, keep)
    assert (lead["title"], lead["email"], lead["phone"], lead["metadata"]) == (None, None, None, {"a": 1})


async def test_everybody_is_told_by_ids_alone(ana: Person, doors: Doors) -> None:
    keep = await make_lead(ana)
    talk = await open_conversation(ana, doors)
    seq = await run_sql(ana, doors, HEAD)
    await merged(ana, keep, talk.lead_id)
    events = [
        (one.kind, one.entity_ids, one.changed) for one in await run_sql(ana, doors, EVENTS, seq=seq[0].seq)
    ]
    assert events == [
        ("conversation.updated", [talk.id], ["lead"]),
        ("lead.updated", [keep], ["merged"]),
        ("lead.deleted", [talk.lead_id], []),
    ]


async def test_its_timeline_says_so(ana: Person, doors: Doors) -> None:
    keep, away = await make_lead(ana, name="Ana"), await make_lead(ana, name="Bia")
    await merged(ana, keep, away)
    (entry,) = await run_sql(
        ana,
        doors,
        "SELECT content, actor_id FROM interaction WHERE lead_id = :id AND type = 'MERGED'",
        id=keep,
    )
    assert (entry.content, entry.actor_id) == ("Bia", ana.user_id)


async def test_tags_and_suppressions_are_the_union(ana: Person, doors: Doors) -> None:
    both, one, other = [await new_tag(ana, name) for name in ("Both", "One", "Other")]
    keep = await make_lead(ana, tagIds=[both, one])
    away = await make_lead(ana, tagIds=[both, other])
    third = await make_lead(ana, tagIds=[other])
    for lead, channel in ((keep, "EMAIL"), (away, "EMAIL"), (away, None), (third, None)):
        await run_sql(
            ana,
            doors,
            "INSERT INTO suppression (workspace_id, value, lead_id, channel, reason) "
            "VALUES (:workspace_id, cast(cast(:id as uuid) as text), :id, :channel, 'MANUAL') RETURNING id",
            id=lead,
            channel=channel,
        )
    before = await exports(ana, doors, keep, away, third)
    merge_id = await merged(ana, keep, away, third)
    lead = await lead_of(ana, keep)
    assert [tag["name"] for tag in lead["tags"]] == ["Both", "One", "Other"]
    rows = await run_sql(
        ana,
        doors,
        "SELECT lead_id, channel FROM suppression WHERE workspace_id = :workspace_id ORDER BY channel",
    )
    assert [(row.lead_id, row.channel) for row in rows] == [(keep, "EMAIL"), (keep, None)]
    await unmerged(ana, merge_id)
    assert await exports(ana, doors, keep, away, third) == before


async def test_a_viewer_may_not_and_another_workspaces_leads_are_not_there(
    ana: Person, eve: Person, doors: Doors
) -> None:
    keep, away, hers = await make_lead(ana), await make_lead(ana), await make_lead(eve)
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    assert refusals(await asked_to_merge(viewer, keep, away)) == [("FORBIDDEN", [])]
    assert refusals(await asked_to_merge(ana, keep, hers)) == [("NOT_FOUND", ["mergeIds", "0"])]
    assert refusals(await asked_to_merge(ana, hers, away)) == [("NOT_FOUND", ["keepId"])]
    assert await lead_of(ana, away) is not None
    assert await lead_of(eve, hers) is not None


async def test_what_cannot_be_merged_is_refused_at_its_place(ana: Person, doors: Doors) -> None:
    keep, away, gone = [await make_lead(ana) for _ in range(3)]
    await run_sql(ana, doors, "UPDATE lead SET deleted_at = now() WHERE id = :id RETURNING id", id=gone)
    cases: list[tuple[object, list[object], tuple[str, list[str]]]] = [
        (keep, [], ("INVALID", ["mergeIds"])),
        (keep, [uuid4() for _ in range(21)], ("INVALID", ["mergeIds"])),
        (keep, [away, keep], ("INVALID", ["mergeIds", "1"])),
        (keep, [away, away], ("INVALID", ["mergeIds", "1"])),
        (keep, [away, gone], ("NOT_FOUND", ["mergeIds", "1"])),
        (keep, ["no id"], ("NOT_FOUND", ["mergeIds", "0"])),
        (gone, [away], ("NOT_FOUND", ["keepId"])),
        (uuid4(), [away], ("NOT_FOUND", ["keepId"])),
    ]
    for keep_id, merge_ids, refusal in cases:
        assert refusals(await asked_to_merge(ana, keep_id, *merge_ids)) == [refusal]
    assert (await lead_of(ana, keep))["version"] == (await lead_of(ana, away))["version"] == 1


@pytest.mark.parametrize("count", [1500])
async def test_a_long_past_is_moved_whole_and_told_in_events_of_a_thousand(
    ana: Person, doors: Doors, count: int
) -> None:
    keep, away = await make_lead(ana), await make_lead(ana)
    talk = await open_conversation(ana, doors)
    await inbound(ana, doors, talk.id)
    made = await run_sql(
        ana,
        doors,
        "INSERT INTO conversation (workspace_id, lead_id, account_id, channel, contact_address) "
        "SELECT :workspace_id, :id, :account, 'EMAIL', n || '@example.org' FROM generate_series(1, :count) n "
        "RETURNING id",
        id=away,
        account=talk.account_id,
        count=count,
    )
    seq: Any = (await run_sql(ana, doors, HEAD))[0].seq
    before = await exports(ana, doors, keep, away)
    merge_id = await merged(ana, keep, away)
    told = [one for one in await run_sql(ana, doors, EVENTS, seq=seq) if one.kind == "conversation.updated"]
    assert [len(one.entity_ids) for one in told] == [1000, count - 1000]
    assert {id for one in told for id in one.entity_ids} == {row.id for row in made}
    await unmerged(ana, merge_id)
    assert await exports(ana, doors, keep, away) == before
