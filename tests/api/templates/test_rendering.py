"""renderTemplate, templateSamples and previewTemplate: what a lead would get, and what is wrong with a text."""

from typing import Any

from sqlalchemy import text

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.conversations import make_lead, open_account
from tests.factories.templates import delete_template, template

RENDER = """query ($template: ID!, $lead: ID!, $account: ID) {
  renderTemplate(templateId: $template, leadId: $lead, accountId: $account) { subject body missing } }"""
SAMPLES = """query ($template: ID!) {
  templateSamples(templateId: $template) { kind lead { name } rendered { subject body missing } } }"""
PREVIEW = """query ($body: String!, $subject: String, $lead: ID) {
  previewTemplate(body: $body, subject: $subject, leadId: $lead) {
    problems { field line column message } variables required rendered { subject body missing } } }"""


async def rendered(person: Person, template_id: object, lead_id: object, account: object = None) -> Any:
    given = {"template": str(template_id), "lead": str(lead_id), "account": account and str(account)}
    return (await person.run(RENDER, given))["renderTemplate"]


async def preview(person: Person, body: str, **given: Any) -> Any:
    return (await person.run(PREVIEW, {"body": body, **given}))["previewTemplate"]


async def test_a_template_is_rendered_on_a_lead(ana: Person, doors: Doors) -> None:
    made = await template(
        ana,
        subject="Oi {{ lead.first_name }}",
        body='{{ lead.company | fallback: "vocês" }}, {{ lead.title }} e {{ account.name }}',
    )
    lead_id = await make_lead(ana, name="Bia Lima")
    assert await rendered(ana, made["id"], lead_id) == {
        "subject": "Oi Bia",
        "body": "vocês, {{ lead.title }} e {{ account.name }}",
        "missing": ["lead.title", "account.name"],
    }
    account_id = await open_account(ana, doors)
    shown = await rendered(ana, made["id"], lead_id, account_id)
    assert shown["body"] == "vocês, {{ lead.title }} e Sales"


async def test_what_a_lead_brings_is_text(ana: Person) -> None:
    hostile = "{{ lead.email }} {% raw %} {{7*7}}"
    lead_id = await make_lead(ana, name=hostile, company="Acme\r\nBcc: eve@example.com\u2028X: 1")
    made = await template(ana, subject="{{ lead.company }}", body="{{ lead.name }}/{{ lead.company }}")
    assert await rendered(ana, made["id"], lead_id) == {
        "subject": "Acme Bcc: eve@example.com X: 1",
        "body": f"{hostile}/Acme\r\nBcc: eve@example.com\u2028X: 1",
        "missing": [],
    }


async def test_what_is_not_there_is_null(ana: Person, eve: Person) -> None:
    mine, theirs = await template(ana), await template(eve)
    my_lead, their_lead = await make_lead(ana), await make_lead(eve)
    assert await rendered(ana, mine["id"], my_lead) is not None
    for template_id, lead_id in (
        (theirs["id"], my_lead),
        (mine["id"], their_lead),
        ("nonsense", my_lead),
        (mine["id"], "nonsense"),
    ):
        assert await rendered(ana, template_id, lead_id) is None
    shown = await rendered(ana, mine["id"], my_lead, "nonsense")
    assert shown["missing"] == []
    await delete_template(ana, mine["id"])
    assert await rendered(ana, mine["id"], my_lead) is None


async def test_the_hardest_leads_are_found(ana: Person, doors: Doors) -> None:
    await make_lead(ana, name="Bia Lima", company="Acme", title="CEO")
    await make_lead(ana, name="Maximiliana de Albuquerque e Castro", company="Companhia" * 10, title="CEO")
    await make_lead(ana, name="ana@example.com", company=None)
    await make_lead(ana, name="José Conceição Ávila", company="Ação", title="CEO")
    made = await template(ana, subject="Oi", body="{{ lead.first_name }}, {{ lead.company }}")
    found = (await ana.run(SAMPLES, {"template": made["id"]}))["templateSamples"]
    assert [(one["kind"], one["lead"]["name"], one["rendered"]["missing"]) for one in found] == [
        ("LONGEST", "Maximiliana de Albuquerque e Castro", []),
        ("MISSING", "ana@example.com", ["lead.first_name", "lead.company"]),
        ("ACCENTS", "José Conceição Ávila", []),
    ]
    assert found[2]["rendered"] == {"subject": "Oi", "body": "José, Ação", "missing": []}


async def test_a_template_without_variables_or_leads_has_no_hard_cases(ana: Person, eve: Person) -> None:
    plain, theirs = await template(ana, body="Hi"), await template(eve)
    assert (await ana.run(SAMPLES, {"template": (await template(ana))["id"]}))["templateSamples"] == []
    await make_lead(ana, name="José")
    for id in (plain["id"], theirs["id"], "nonsense"):
        assert (await ana.run(SAMPLES, {"template": id}))["templateSamples"] == []


async def test_a_text_is_looked_at_before_it_is_saved(ana: Person, eve: Person, doors: Doors) -> None:
    lead_id = str(await make_lead(ana, name="Bia Lima"))
    shown = await preview(
        ana, "Oi {{ lead.first_name }} {{ lead.title }}", subject="{{ lead.name }}", lead=lead_id
    )
    assert shown == {
        "problems": [],
        "variables": ["lead.name", "lead.first_name", "lead.title"],
        "required": ["lead.name", "lead.first_name", "lead.title"],
        "rendered": {"subject": "Bia Lima", "body": "Oi Bia {{ lead.title }}", "missing": ["lead.title"]},
    }
    assert (await preview(ana, "Oi"))["rendered"] is None
    foreign = str(await make_lead(eve))
    assert (await preview(ana, "Oi {{ lead.name }}", lead=foreign))["rendered"] is None
    wrong = await preview(ana, "\n{{ lead.nome }}{% x %}", subject="{{", lead=lead_id)
    assert [(one["field"], one["line"], one["column"]) for one in wrong["problems"]] == [
        ("subject", 1, 1),
        ("body", 2, 4),
        ("body", 2, 16),
    ]
    assert wrong["problems"][1]["message"] == "There is no variable lead.nome. Did you mean lead.name?"
    assert (wrong["rendered"], wrong["variables"]) == (None, [])
    for body in ("", "x" * 20_001, "a\x00b"):
        (problem,) = (await preview(ana, body))["problems"]
        assert (problem["field"], problem["line"], problem["column"]) == ("body", 1, 1)
    async with doors.open_work(ana.workspace_id) as work:
        counted = text("SELECT count(*) FROM template WHERE workspace_id = :workspace_id")
        assert (await work.execute(counted, {"workspace_id": ana.workspace_id})).scalar_one() == 3
