"""Who a new lead belongs to, and on what basis it is kept."""

from typing import Any

from tests.factories.accounts import Person
from tests.factories.imports import batch, imported, profile
from tests.factories.leads import CREATE, new_lead, refusals
from tests.fixtures.processes import Worker

PROVENANCE = "query ($id: ID!) { lead(id: $id) { provenance { source row basis } } }"
IMPORT = "mutation ($input: ImportLeadsInput!) { importLeads(input: $input) { errors { code path } } }"


async def provenance(person: Person, id: str) -> list[dict[str, Any]]:
    return (await person.run(PROVENANCE, {"id": id}))["lead"]["provenance"]  # type: ignore[no-any-return]


async def test_a_lead_is_its_makers_unless_it_is_to_be_nobodys(ana: Person) -> None:
    assert (await new_lead(ana))["owner"] == {"email": ana.email}
    assert (await new_lead(ana, ownerId=None))["owner"] is None


async def test_the_basis_that_was_given_shows(ana: Person, worker: Worker) -> None:
    lead = await new_lead(ana, instagram="bia", basis=" Consent, fair of 2026 ")
    await imported(ana, [profile("bia", company="Acme"), profile("caio")], basis="Legitimate interest")
    assert await provenance(ana, lead["id"]) == [
        {"source": "MANUAL", "row": None, "basis": "Consent, fair of 2026"},
        {"source": "INSTAGRAM", "row": 1, "basis": "Legitimate interest"},
    ]
    leads = (await ana.run("{ leads { edges { node { id name } } } }"))["leads"]["edges"]
    (caio,) = [edge["node"]["id"] for edge in leads if edge["node"]["id"] != lead["id"]]
    assert await provenance(ana, caio) == [{"source": "INSTAGRAM", "row": 2, "basis": "Legitimate interest"}]
    assert await provenance(ana, (await new_lead(ana))["id"]) == [
        {"source": "MANUAL", "row": None, "basis": None}
    ]


async def test_a_basis_that_is_too_long_is_refused(ana: Person) -> None:
    made = (await ana.run(CREATE, {"input": {"name": "Bia", "basis": "b" * 201}}))["createLead"]
    assert refusals(made) == [("INVALID", ["basis"])]
    sent = (await ana.run(IMPORT, {"input": batch([profile("bia")], basis="b" * 201)}))["importLeads"]
    assert refusals(sent) == [("INVALID", ["basis"])]
