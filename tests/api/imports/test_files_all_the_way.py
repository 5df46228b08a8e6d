"""Files all the way: uploaded, imported by the real worker while a websocket tells of it, taken back, put right."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import openpyxl
import pytest
from sqlalchemy import text

from app.settings import Settings
from tests.factories.accounts import Person, sign_up
from tests.factories.files import XLSX_TYPE, uploaded
from tests.factories.import_files import start, steer
from tests.fixtures.databases import OwnDatabase, own_database
from tests.fixtures.graphql import open_socket
from tests.fixtures.processes import Api, Worker

SAMPLES = Path(__file__).parents[2] / "fixtures" / "imports"
STATE = """id status fileName totalRows processedRows keptOnUndo failure finishedAt errorReportUrl
    counts { outcome count } rowErrors { row code field }"""
ONE = f"query ($id: ID!) {{ leadImport(id: $id) {{ {STATE} }} }}"
WATCH = f"subscription ($id: ID!) {{ importProgress(id: $id) {{ {STATE} }} }}"
LEADS = """query ($after: String) { leads(first: 100, after: $after) {
    edges { node { id version name company title source tags { name } identities { kind value } } }
    pageInfo { hasNextPage endCursor } } }"""
RENAME = "mutation ($input: UpdateLeadInput!) { updateLead(input: $input) { lead { name } errors { code } } }"
MAX_STEP = 20_000
"""Rows: a chunk, by its default."""
HEAD = "Nome;E-mail;Telefone;Empresa"


async def begin(
    person: Person,
    content: bytes,
    *,
    name: str = "pessoas.csv",
    media_type: str = "text/csv",
    **fields: Any,
) -> str:
    token = (await uploaded(person, content, media_type=media_type, name=name))["uploadToken"]
    payload = await start(person, token, **fields)
    assert payload["errors"] == [], payload
    return str(payload["leadImport"]["id"])


async def frames(api: Api, person: Person, id: str) -> AsyncIterator[dict[str, Any]]:
    """Until the subscription ends; in each, the outcomes add up to the rows that have one."""
    rows = 0
    async with open_socket(api.ws_url, person.token) as socket:
        async for payload in socket.subscribe(WATCH, {"id": id}):
            assert "errors" not in payload, payload
            frame = payload["data"]["importProgress"]
            assert sum(one["count"] for one in frame["counts"]) == frame["processedRows"], frame
            assert frame["processedRows"] >= rows, "it never goes back"
            rows = frame["processedRows"]
            yield frame


async def watched(api: Api, person: Person, id: str) -> list[dict[str, Any]]:
    async with asyncio.timeout(120):
        return [frame async for frame in frames(api, person, id)]


async def imported(api: Api, person: Person, content: bytes, **options: Any) -> dict[str, Any]:
    """Its last frame."""
    return (await watched(api, person, await begin(person, content, **options)))[-1]


async def state(person: Person, id: str) -> Any:
    return (await person.run(ONE, {"id": id}))["leadImport"]


def counts(shown: dict[str, Any]) -> dict[str, int]:
    return {one["outcome"]: one["count"] for one in shown["counts"] if one["count"]}


async def leads(person: Person) -> list[dict[str, Any]]:
    found, after = [], None
    while True:
        page = (await person.run(LEADS, {"after": after}))["leads"]
        found += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def told(lead: dict[str, Any]) -> tuple[Any, ...]:
    identities = sorted(f"{one['kind']} {one['value']}" for one in lead["identities"])
    return (
        lead["name"],
        lead["company"],
        lead["title"],
        identities,
        sorted(tag["name"] for tag in lead["tags"]),
    )


def people(count: int, *, start: int = 0) -> list[str]:
    return [f"Pessoa {n};pessoa{n}@exemplo.com.br;;Empresa {n % 7}" for n in range(start, start + count)]


def file_of(rows: list[str], head: str = HEAD) -> bytes:
    return "\r\n".join([head, *rows, ""]).encode()


EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "google_contacts.csv": [
        ("+553135550303", "Oficina Exemplo", None, ["PHONE +553135550303"], ["Fornecedores"]),
        (
            *("Elisa Fontes", "Padaria Modelo", "Sócia"),
            ["EMAIL elisa@padaria-modelo.com.br", "PHONE +5511987650101"],
            ["Clientes"],
        ),
        (
            *("Fábio Guedes", None, None),
            [
                *("EMAIL fabio.guedes@example.com", "EMAIL fabio@example.org"),
                *("PHONE +552125550202", "PHONE +5521998760202"),
            ],
            [],
        ),
        ("Grace Sample", None, None, ["EMAIL grace@example.net"], []),
    ],
    "hubspot_contacts.csv": [
        (
            *("Helena Ivo", "Modelo Sul", "CEO"),
            ["EMAIL helena@modelo.com.br", "LINKEDIN helena-ivo-exemplo", "PHONE +5541999110404"],
            [],
        ),
        ("Igor Jardim", "Example, Inc.", "VP, Sales", ["EMAIL igor@example.com", "PHONE +14155550105"], []),
        (
            *("contato@loja-exemplo.com.br", None, None),
            ["EMAIL contato@loja-exemplo.com.br", "PHONE +554133330106"],
            [],
        ),
    ],
    "linkedin_connections.csv": [
        (
            *("Ana Prado", "Café Exemplo Ltda.", "Diretora Comercial"),
            ["EMAIL ana.prado@exemplo.com.br", "LINKEDIN ana-prado-exemplo"],
            [],
        ),
        (
            *("Bruno Teixeira, MBA", "Logística Modelo S.A.", "Gerente de Vendas, Sul"),
            ["LINKEDIN bruno-teixeira-exemplo"],
            [],
        ),
        ("Célia Nóbrega", None, None, ["LINKEDIN célia-nóbrega-exemplo"], []),
        (
            *("Daniel O'Hara", 'The "Sample" Company, Inc.', "Head of Sales"),
            ["EMAIL daniel@example.com", "LINKEDIN daniel-ohara-example"],
            [],
        ),
    ],
    "linkedin_lead_form.csv": [
        (
            *("Nádia Oliveira", "Indústria Modelo", "Coordenadora de Compras"),
            [
                "EMAIL nadia@industria-modelo.com.br",
                "LINKEDIN nadia-oliveira-exemplo",
                "PHONE +5547988880110",
            ],
            [],
        ),
        (
            *("Otto Probst", "Beispiel GmbH", "Einkauf; Leitung"),
            ["EMAIL otto@example.de", "LINKEDIN otto-probst-example"],
            [],
        ),
    ],
    "meta_lead_form.csv": [
        ("Joana Klein", "Klein Modas", "Dona", ["EMAIL joana@exemplo.com.br", "PHONE +5511987650107"], []),
        ("Luís Müller", None, None, ["EMAIL luis@example.com", "PHONE +5551987650108"], []),
        ("Mônica 🌻", None, None, ["PHONE +5521987650109"], []),
    ],
    "planilha_pt.csv": [
        (
            *("Paula Quintão", "Açaí & Cia", "Proprietária"),
            ["EMAIL paula@exemplo.com.br", "INSTAGRAM paula.exemplo", "PHONE +5511987650111"],
            ["sp", "vip"],
        ),
        (
            *("Rui São João", "Construções Exemplo", "Engenheiro"),
            ["EMAIL rui@exemplo.com.br", "PHONE +5521998760112"],
            [],
        ),
        ("Sônia", None, None, ["INSTAGRAM sonia.exemplo", "PHONE +5585997650113"], ["vip"]),
    ],
}
REJECTED = {"linkedin_connections.csv": [(5, "NO_IDENTITY")]}


@pytest.fixture
async def slowly(settings: Settings) -> AsyncIterator[OwnDatabase]:
    """Where an import is many chunks."""
    async with own_database(settings, SALESPAD_IMPORT_CHUNK_ROWS="50") as own:
        yield own


def test_every_sample_is_expected() -> None:
    assert sorted(path.name for path in SAMPLES.glob("*.csv")) == sorted(EXPECTED)


async def test_a_workbook_becomes_leads_and_a_report(
    api_server: Api, worker: Worker, http: httpx.AsyncClient, ana: Person
) -> None:
    book = openpyxl.Workbook()
    for row in (HEAD.split(";"), ["Rui", "rui@exemplo.com.br", 11987650111.0], ["Sônia", "nobody"]):
        book.active.append(row)
    written = io.BytesIO()
    book.save(written)
    shown = await imported(api_server, ana, written.getvalue(), name="pessoas.xlsx", media_type=XLSX_TYPE)
    assert (shown["failure"], shown["fileName"], counts(shown)) == (
        None,
        "pessoas.xlsx",
        {"CREATED": 1, "REJECTED": 1},
    )
    assert [told(lead) for lead in await leads(ana)] == [
        ("Rui", None, None, ["EMAIL rui@exemplo.com.br", "PHONE +5511987650111"], [])
    ]
    _, (headings, line) = await report(http, shown, delimiter=";")  # as Excel in Portuguese opens it
    assert (headings[:4], line[:6]) == (HEAD.split(";"), ["Sônia", "nobody", "", "", "2", "INVALID_EMAIL"])


@pytest.mark.parametrize("name", sorted(EXPECTED))
async def test_what_people_export_becomes_leads(
    api_server: Api, worker: Worker, ana: Person, name: str
) -> None:
    shown = await imported(api_server, ana, (SAMPLES / name).read_bytes(), name=name)
    rejected = REJECTED.get(name, [])
    assert [(one["row"], one["code"]) for one in shown["rowErrors"]] == rejected
    assert shown["status"] == ("COMPLETED_WITH_ERRORS" if rejected else "COMPLETED")
    assert shown["fileName"] == name
    assert shown["totalRows"] == shown["processedRows"] == len(EXPECTED[name]) + len(rejected)
    found = await leads(ana)
    assert sorted(map(told, found)) == sorted(EXPECTED[name])
    assert {lead["source"] for lead in found} == {"CSV"}


@pytest.mark.full
async def test_fifty_thousand_rows_are_told_of_all_the_while(settings: Settings) -> None:
    rows = people(50_000)
    rows[100::1000] = ["Ninguém;;;"] * 50
    rows[200::1000] = [rows[199]] * 50
    async with own_database(settings) as own:
        person = await sign_up(own.http)
        seen = await watched(own.api, person, await begin(person, file_of(rows)))
        last = seen[-1]
        async with own.doors.open_system() as system:
            found = (await system.execute(text("SELECT count(*) FROM lead"))).scalar_one()
    assert counts(last) == {"CREATED": 49_900, "DUPLICATE_IN_FILE": 50, "REJECTED": 50}
    assert last["status"] == "COMPLETED_WITH_ERRORS"
    assert last["totalRows"] == last["processedRows"] == 50_000
    steps = sorted({frame["processedRows"] for frame in seen})
    print(f"{len(seen)} frames, {len(steps)} different: {steps}")
    assert max(after - before for before, after in pairwise(steps)) <= MAX_STEP, "no long silence"
    assert found == 49_900


async def leads_counted(person: Person) -> int:
    return int((await person.run("{ leads(first: 1) { totalCount } }"))["leads"]["totalCount"])


async def midway(own: OwnDatabase, person: Person, rows: int, mutation: str) -> tuple[str, int]:
    """It has begun and is not at its end when a person steers it: its id, and the rows it says it has done."""
    id = await begin(person, file_of(people(rows)))
    async with asyncio.timeout(60):
        async for frame in frames(own.api, person, id):
            if frame["status"] == "RUNNING" and frame["processedRows"]:
                break
    payload = await steer(person, mutation, id)
    assert payload["errors"] == [], payload
    done = payload["leadImport"]["processedRows"]
    assert 0 < done < rows
    return id, done


async def test_a_pause_holds_until_it_goes_on(slowly: OwnDatabase) -> None:
    person = await sign_up(slowly.http)
    id, done = await midway(slowly, person, 6_000, "pauseImport")
    later = await imported(slowly.api, person, file_of(people(300, start=50_000)))
    assert later["status"] == "COMPLETED", "the worker does others meanwhile"
    paused = await state(person, id)
    assert (paused["status"], paused["processedRows"]) == ("PAUSED", done)
    assert await leads_counted(person) == done + 300
    assert (await steer(person, "resumeImport", id))["errors"] == []
    last = (await watched(slowly.api, person, id))[-1]
    assert (last["status"], counts(last)) == ("COMPLETED", {"CREATED": 6_000})
    assert await leads_counted(person) == 6_300


async def test_what_is_canceled_stays_and_can_be_taken_back(slowly: OwnDatabase) -> None:
    person = await sign_up(slowly.http)
    id, done = await midway(slowly, person, 6_000, "cancelImport")
    last = (await watched(slowly.api, person, id))[-1]
    assert (last["status"], counts(last)) == ("CANCELED", {"CREATED": done})
    assert await leads_counted(person) == done
    kept = (await leads(person))[0]
    await person.run(RENAME, {"input": {"id": kept["id"], "name": "Conhecida", "version": kept["version"]}})
    assert (await steer(person, "undoImport", id))["errors"] == []
    undone = (await watched(slowly.api, person, id))[-1]
    assert (undone["status"], undone["keptOnUndo"]) == ("UNDONE", 1)
    assert [lead["name"] for lead in await leads(person)] == ["Conhecida"]


async def report(
    http: httpx.AsyncClient, shown: dict[str, Any], *, delimiter: str = ";"
) -> tuple[str, list[list[str]]]:
    """By its link alone."""
    url = urlsplit(shown["errorReportUrl"])
    answer = await http.get(f"{url.path}?{url.query}")
    assert answer.status_code == 200, answer.text
    given = answer.content.decode("utf-8-sig")
    return given, list(csv.reader(io.StringIO(given, newline=""), delimiter=delimiter))


async def test_errors_are_corrected_and_sent_again(
    api_server: Api, worker: Worker, http: httpx.AsyncClient, ana: Person
) -> None:
    rows = [*people(2), "=SOMA(A1);nobody;;Padaria", "Rui;;(11) 98765-0111;", "Sônia;;;"]
    first = await imported(api_server, ana, file_of(rows))
    assert counts(first) == {"CREATED": 3, "REJECTED": 2}
    given, (headings, *lines) = await report(http, first)
    assert headings == [*HEAD.split(";"), "row", "code", "message"]
    assert [line[:4] for line in lines] == [["'=SOMA(A1)", "nobody", "", "Padaria"], ["Sônia", "", "", ""]]
    assert [line[4] for line in lines] == ["3", "5"]
    corrected = given.replace("nobody", "soma@exemplo.com.br").replace("Sônia;", "Sônia;sonia@exemplo.com.br")
    again = await imported(api_server, ana, corrected.encode("utf-8-sig"), name="errors.csv")
    assert (again["status"], counts(again)) == ("COMPLETED", {"CREATED": 2})
    assert again["errorReportUrl"] is None
    found = sorted(map(told, await leads(ana)))
    assert ("=SOMA(A1)", "Padaria", None, ["EMAIL soma@exemplo.com.br"], []) in found
    assert ("Sônia", None, None, ["EMAIL sonia@exemplo.com.br"], []) in found
    assert len(found) == 5


async def test_two_workspaces_never_see_each_others(
    api_server: Api, worker: Worker, http: httpx.AsyncClient, ana: Person, eve: Person
) -> None:
    """One file, sent by both at once."""
    content = file_of([*people(20), "Ninguém;;;"])
    hers, theirs = await asyncio.gather(*(imported(api_server, one, content) for one in (ana, eve)))
    assert counts(hers) == counts(theirs) == {"CREATED": 20, "REJECTED": 1}
    assert len(await leads(ana)) == len(await leads(eve)) == 20
    id = hers["id"]
    assert await state(eve, id) is None
    async with open_socket(api_server.ws_url, eve.token) as socket:
        (answer,) = [payload async for payload in socket.subscribe(WATCH, {"id": id})]
    assert answer["data"] is None
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["NOT_FOUND"]
    for mutation in ("pauseImport", "resumeImport", "cancelImport", "undoImport"):
        payload = await steer(eve, mutation, id)
        assert [error["code"] for error in payload["errors"]] == ["NOT_FOUND"], mutation
    token = (await uploaded(ana, content, media_type="text/csv", name="a.csv"))["uploadToken"]
    stolen = await start(eve, token)
    assert stolen["leadImport"] is None
    assert [(error["code"], error["path"]) for error in stolen["errors"]] == [("NOT_FOUND", ["uploadToken"])]
    assert (await start(ana, token))["errors"] == [], "whose it is may use it"
    await see_no_report(http, eve, hers, theirs)


async def see_no_report(
    http: httpx.AsyncClient, eve: Person, hers: dict[str, Any], theirs: dict[str, Any]
) -> None:
    path, link = f"/imports/{hers['id']}/errors.csv", urlsplit(theirs["errorReportUrl"]).query
    bearer = {"Authorization": f"Bearer {eve.token}"}
    own = await http.get(f"/imports/{theirs['id']}/errors.csv", headers=bearer)
    answers = [await http.get(path, headers=bearer), await http.get(f"{path}?{link}"), await http.get(path)]
    assert (own.status_code, [answer.status_code for answer in answers]) == (200, [404, 404, 401])
