"""Files as other programs export them are mapped for sure, and their rows are leads."""

import csv
from pathlib import Path

import pytest

from app.imports.domain.mapping import LeadField, is_sure, suggest
from app.imports.domain.presets import preset_key, preset_of
from app.imports.domain.row_reader import RowReader
from app.imports.domain.rows import Rejected
from app.leads.domain.sheet import headings
from app.leads.domain.staged import StagedLead

SAMPLES = Path(__file__).parents[2] / "fixtures" / "imports"
GOOGLE_BEFORE = (
    *("Name", "Given Name", "Additional Name", "Family Name", "Yomi Name", "Group Membership", "Notes"),
    *("E-mail 1 - Type", "E-mail 1 - Value", "Phone 1 - Type", "Phone 1 - Value", "Phone 2 - Value"),
    *("Organization 1 - Type", "Organization 1 - Name", "Organization 1 - Title", "Photo"),
)


def read(name: str, encoding: str, delimiter: str, skipped: int = 0) -> tuple[list[str], list[list[str]]]:
    with (SAMPLES / f"{name}.csv").open(encoding=encoding, newline="") as file:
        rows = [row for row in csv.reader(file, delimiter=delimiter) if row][skipped:]
    return rows[0], rows[1:]


def leads(columns: list[str], rows: list[list[str]]) -> list[StagedLead | None]:
    mapping = suggest(columns, rows, remembered=None)
    assert is_sure(mapping)
    reader = RowReader(mapping, "BR")
    found: list[StagedLead | None] = []
    for n, row in enumerate(rows, start=1):
        try:
            found.append(reader.read(n, row))
        except Rejected:
            found.append(None)
    return found


@pytest.mark.parametrize(
    ("name", "encoding", "delimiter", "skipped", "preset"),
    [
        ("linkedin_connections", "utf-8", ",", 2, "LinkedIn connections"),
        ("linkedin_lead_form", "utf-8-sig", ",", 0, "LinkedIn lead form"),
        ("meta_lead_form", "utf-16", "\t", 0, "Meta lead form"),
        ("google_contacts", "utf-8", ",", 0, "Google Contacts"),
        ("hubspot_contacts", "utf-8", ",", 0, "HubSpot contacts"),
    ],
)
def test_an_export_is_known_by_its_headers(
    name: str, encoding: str, delimiter: str, skipped: int, preset: str
) -> None:
    columns, rows = read(name, encoding, delimiter, skipped)
    found = preset_of(columns)
    assert found is not None
    assert found.name == preset
    assert preset_of(columns[::-1]) is found
    for mark in found.marks:
        assert preset_of([column for column in columns if preset_key(column) != mark]) is not found
    assert sum(lead is not None for lead in leads(columns, rows)) >= len(rows) - 1


def test_linkedin_connections() -> None:
    first, second, *_, last = leads(*read("linkedin_connections", "utf-8", ",", 2))
    assert first is not None
    assert (first.name, first.company, first.title) == (
        "Ana Prado",
        "Café Exemplo Ltda.",
        "Diretora Comercial",
    )
    assert [one.value for one in first.identities] == ["ana.prado@exemplo.com.br", "ana-prado-exemplo"]
    assert first.metadata == {"Connected On": "12 Mar 2026"}
    assert second is not None
    assert [one.value for one in second.identities] == ["bruno-teixeira-exemplo"]
    assert last is None


def test_google_contacts() -> None:
    elisa, fabio, workshop, _ = leads(*read("google_contacts", "utf-8", ","))
    assert elisa is not None
    assert fabio is not None
    assert workshop is not None
    assert (elisa.tags, elisa.note) == (("Clientes",), "Conheci na feira.\nPediu proposta em abril.")
    assert (elisa.company, elisa.title) == ("Padaria Modelo", "Sócia")
    emails = ["fabio@example.org", "fabio.guedes@example.com"]
    assert [one.value for one in fabio.identities] == [*emails, "+5521998760202", "+552125550202"]
    assert fabio.tags == ()
    assert (workshop.name, workshop.company) == (None, "Oficina Exemplo")


def test_google_contacts_as_they_were_before() -> None:
    columns = list(GOOGLE_BEFORE)
    row = [
        *("Ana Souza", "Ana", "", "Souza", "", "* myContacts ::: * friends ::: VIP", "Oi"),
        *("* Work", "a@example.com", "Mobile", "+55 11 98765-4321 ::: +55 11 3065-4321", ""),
        *("", "Acme", "CEO", "https://example.com/a.jpg"),
    ]
    (lead,) = leads(columns, [row])
    assert lead is not None
    assert (lead.name, lead.company, lead.title, lead.note) == ("Ana Souza", "Acme", "CEO", "Oi")
    assert lead.tags == ("friends", "VIP")
    assert [one.value for one in lead.identities] == ["a@example.com", "+5511987654321", "+551130654321"]
    assert lead.metadata is None


def test_meta_lead_forms() -> None:
    lead = leads(*read("meta_lead_form", "utf-16", "\t"))[0]
    assert lead is not None
    assert [one.value for one in lead.identities] == ["joana@exemplo.com.br", "+5511987650107"]
    assert lead.metadata is not None
    assert lead.metadata["qual_é_o_seu_prazo?"] == "este_mês"
    assert lead.metadata.keys().isdisjoint({"id", "ad_id", "form_id"})


def test_what_is_a_companys_in_a_list_of_people_makes_no_doubles_of_colleagues() -> None:
    columns = ["First Name", "Last Name", "Title", "Email", "Work Direct Phone", "Corporate Phone"]
    columns += ["Person Linkedin Url", "Company Linkedin Url", "Facebook Url"]
    urls = ("https://linkedin.com/in/ana", "https://linkedin.com/company/acme", "https://facebook.com/acme")
    row = ["Ana", "Souza", "CEO", "a@example.com", "+55 11 98765-4321", "+55 11 3065-4321", *urls]
    (lead,) = leads(columns, [row])
    assert lead is not None
    assert (lead.name, lead.title) == ("Ana Souza", "CEO")
    assert [one.value for one in lead.identities] == ["a@example.com", "+5511987654321", "ana"]


def test_outlook_and_pipedrive() -> None:
    columns = ["First Name", "Last Name", "Title", "Suffix", "E-mail Address", "Business Phone", "Job Title"]
    (lead,) = leads(columns, [["Ana", "Souza", "Ms.", "", "a@example.com", "+55 11 3065-4321", "CEO"]])
    assert lead is not None
    assert (lead.title, lead.metadata) == ("CEO", {"Title": "Ms."})
    columns = ["Person - Name", "Person - Organization", "Person - Email - Work", "Person - Email - Home"]
    (lead,) = leads(columns, [["Ana", "Acme", "", "a@example.com"]])
    assert lead is not None
    assert (lead.name, lead.company, lead.identities[0].value) == ("Ana", "Acme", "a@example.com")


def test_a_spreadsheet_in_portuguese_needs_no_preset() -> None:
    columns, rows = read("planilha_pt", "cp1252", ";")
    assert preset_of(columns) is None
    first = leads(columns, rows)[0]
    assert first is not None
    assert (first.name, first.company, first.tags) == ("Paula Quintão", "Açaí & Cia", ("vip", "sp"))
    assert [one.value for one in first.identities] == [
        "paula@exemplo.com.br",
        "+5511987650111",
        "paula.exemplo",
    ]
    assert first.metadata == {"Valor": "1.234,56"}


@pytest.mark.parametrize("locale", ["en", "pt-BR"])
def test_our_own_export_comes_back_without_whom_it_belongs_to(locale: str) -> None:
    columns = list(headings(locale))
    row = {"name": "Ana", "email": "a@example.com", "owner_email": "boss@example.com", "tags": "vip; sp"}
    places = dict(zip(headings("en"), columns, strict=True))
    found = suggest(columns, [[row.get(key, "") for key in headings("en")]], remembered=None)
    by_column = {one.column: one.field for one in found}
    assert by_column[places["email"]] is LeadField.EMAIL
    assert by_column[places["owner_email"]] is LeadField.IGNORE
    assert by_column[places["id"]] is LeadField.IGNORE
    assert by_column[places["tags"]] is LeadField.TAGS
    assert is_sure(found)
