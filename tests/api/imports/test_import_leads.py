"""importLeads through HTTP, run by the real worker."""

from app.common.domain import ClientKind, Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.imports import IMPORT, batch, finished, import_leads, import_state, imported, profile
from tests.fixtures.processes import Worker

LEADS = """
query ($filter: LeadFilter, $first: Int! = 100) {
  leads(filter: $filter, first: $first) {
    totalCount
    edges { node { id name email phone title source owner { email } tags { name } metadata
      identities { kind value isPrimary }
      provenance { source row pageUrl actor { email } leadImport { id } } } }
  }
}
"""


async def leads_of(person: Person, **filter: object) -> list[dict[str, object]]:
    found = await person.run(LEADS, {"filter": filter or None})
    return [edge["node"] for edge in found["leads"]["edges"]]


async def make_tag(person: Person, name: str = "Feira") -> str:
    made = await person.run(
        "mutation ($n: String!) { createTag(input: {name: $n}) { tag { id } } }", {"n": name}
    )
    return str(made["createTag"]["tag"]["id"])


async def test_a_batch_becomes_leads_with_tags_and_provenance(ana: Person, worker: Worker) -> None:
    tag = await make_tag(ana)
    rows = [
        profile("bia", name="Bia", email="Bia@Example.com", phone="(11) 98765-4321", headline="Diretora"),
        profile("caio", metadata={"followers": 12}),
    ]
    page = "https://www.instagram.com/acme/followers/"
    import_id = await import_leads(ana, rows, tagIds=[tag], pageUrl=page)
    state = await finished(ana, import_id)
    assert state["status"] == "COMPLETED"
    assert state["counts"] == {"CREATED": 2}
    assert state["finishAt"] is None
    assert state["finishedAt"] is not None
    bia, caio = sorted(await leads_of(ana, tagIds=[tag]), key=lambda lead: str(lead["name"]))
    assert (bia["name"], bia["email"], bia["phone"], bia["title"]) == (
        "Bia",
        "bia@example.com",
        "+5511987654321",
        "Diretora",
    )
    assert (caio["name"], caio["metadata"], caio["source"]) == ("caio", {"followers": 12}, "INSTAGRAM")
    assert caio["tags"] == [{"name": "Feira"}]
    assert caio["identities"] == [{"kind": "INSTAGRAM", "value": "caio", "isPrimary": True}]
    assert caio["provenance"] == [
        {
            "source": "INSTAGRAM",
            "row": 2,
            "pageUrl": page,
            "actor": {"email": ana.email},
            "leadImport": {"id": import_id},
        }
    ]


async def test_known_people_are_matched_by_any_identity_and_updated(ana: Person, worker: Worker) -> None:
    await imported(ana, [profile("bia", name="Bia", email="bia@example.com")])
    rows = [
        {"profileUrl": "https://instagram.com/BIA?hl=en", "company": "Acme"},
        profile("another.handle", email="BIA@example.com"),
    ]
    first = await imported(ana, rows[:1])
    assert first["counts"] == {"UPDATED": 1}
    second = await imported(ana, rows[1:])
    assert second["counts"] == {"UPDATED": 1}
    (lead,) = await leads_of(ana)
    assert lead["name"] == "Bia"
    assert [one["value"] for one in lead["identities"]] == ["bia@example.com", "bia", "another.handle"]  # type: ignore[attr-defined]
    assert (await imported(ana, rows))["counts"] == {"UNCHANGED": 1, "DUPLICATE_IN_FILE": 1}


async def test_policies_decide_about_known_and_unknown_people(ana: Person, worker: Worker) -> None:
    await imported(ana, [profile("bia", name="Bia", company="Acme")])
    rows = [profile("bia", name="Beatriz", headline="CEO", company="Other"), profile("new", name="New")]
    assert (await imported(ana, rows, policy="CREATE_ONLY"))["counts"] == {
        "SKIPPED_EXISTING": 1,
        "CREATED": 1,
    }
    rows[1] = profile("newer", name="Newer")
    assert (await imported(ana, rows, policy="FILL_EMPTY"))["counts"] == {"UPDATED": 1, "CREATED": 1}
    bia = next(lead for lead in await leads_of(ana) if lead["name"] == "Bia")
    assert bia["title"] == "CEO"
    rows[1] = profile("newest", name="Newest")
    assert (await imported(ana, rows, policy="UPDATE_ONLY"))["counts"] == {
        "UPDATED": 1,
        "SKIPPED_EXISTING": 1,
    }
    assert {lead["name"] for lead in await leads_of(ana)} == {"Beatriz", "New", "Newer"}


async def test_a_row_that_matches_two_leads_follows_the_stronger_identity(
    ana: Person, worker: Worker
) -> None:
    await imported(ana, [profile("bia", name="Bia"), profile("caio", name="Caio", email="caio@example.com")])
    state = await imported(ana, [profile("bia", email="caio@example.com", company="Acme")])
    assert state["counts"] == {"UPDATED": 1}
    (error,) = state["rowErrors"]
    assert (error["row"], error["code"], error["field"]) == (1, "IDENTITY_TAKEN", "profileUrl")
    assert len(await leads_of(ana)) == 2


async def test_the_same_key_gives_the_same_import(ana: Person, worker: Worker) -> None:
    given = batch([profile("bia")])
    first = (await ana.run(IMPORT, {"input": given}))["importLeads"]["leadImport"]["id"]
    again = (await ana.run(IMPORT, {"input": given}))["importLeads"]["leadImport"]["id"]
    assert first == again
    other = await ana.run(IMPORT, {"input": {**given, "leads": [profile("caio")]}})
    assert other["importLeads"]["leadImport"] is None
    (error,) = other["importLeads"]["errors"]
    assert (error["code"], error["path"]) == ("CONFLICT", ["idempotencyKey"])


async def test_an_extension_session_imports_and_watches(ana: Person, doors: Doors, worker: Worker) -> None:
    extension = await add_member(doors, ana, role=Role.MEMBER, client=ClientKind.EXTENSION)
    assert (await imported(extension, [profile("bia")]))["counts"] == {"CREATED": 1}
    assert await extension.refused("{ leads { totalCount } }") == "FORBIDDEN"


async def test_an_owner_is_given_and_must_be_a_member(
    ana: Person, eve: Person, doors: Doors, worker: Worker
) -> None:
    bruno = await add_member(doors, ana, role=Role.VIEWER)
    await imported(ana, [profile("bia")], ownerId=str(bruno.user_id))
    (lead,) = await leads_of(ana)
    assert lead["owner"] == {"email": bruno.email}
    refused = (await ana.run(IMPORT, {"input": batch([profile("x")], ownerId=str(eve.user_id))}))[
        "importLeads"
    ]
    assert [(one["code"], one["path"]) for one in refused["errors"]] == [("NOT_FOUND", ["ownerId"])]


async def test_imports_are_listed_newest_first_a_page_at_a_time(ana: Person, worker: Worker) -> None:
    ids = [await import_leads(ana, [profile(f"p{number}")]) for number in range(3)]
    listed: list[str] = []
    after = None
    while True:
        query = """query ($after: String) { leadImports(first: 2, after: $after) {
            edges { node { id } } pageInfo { hasNextPage endCursor } } }"""
        page = (await ana.run(query, {"after": after}))["leadImports"]
        listed += [edge["node"]["id"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert listed == ids[::-1]
    for id in ids:
        await finished(ana, id)


async def test_another_workspace_sees_nothing_of_an_import(ana: Person, eve: Person, worker: Worker) -> None:
    import_id = await import_leads(ana, [profile("bia")])
    await finished(ana, import_id)
    assert (await eve.run("query ($id: ID!) { leadImport(id: $id) { id } }", {"id": import_id}))[
        "leadImport"
    ] is None
    assert (await imported(eve, [profile("bia")]))["counts"] == {"CREATED": 1}
    assert (await import_state(ana, import_id))["counts"] == {"CREATED": 1}
