"""What is missing by SQL is missing by Python: a plan counts exactly those whom sending would leave out."""

import random
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import ARRAY, Text, bindparam, text

from app.common.database import Statement
from app.common.work import Doors
from app.templates.domain.language import parse, render
from app.templates.domain.variables import INVISIBLE, SPACES
from app.templates.wiring import MISSING, VALUE_COLUMNS, VALUE_JOINS, VARIABLES, lead_values, values_of
from tests.factories.accounts import Person
from tests.factories.conversations import make_lead, open_account

CONDITIONS = ", ".join(f'{condition} AS "missing {name}"' for name, condition in MISSING.items())
OF_TEXTS = Statement(
    text(
        f"""
        SELECT l.given, {VALUE_COLUMNS}, {CONDITIONS}
        FROM (
            SELECT t AS given, t AS name, t AS company, t AS title, t AS email, t AS phone,
                s.workspace_id, s.id AS stage_id, cast(:owner_id as uuid) AS owner_id
            FROM unnest(:texts) AS t
                LEFT JOIN stage s ON s.workspace_id = cast(:workspace_id as uuid) AND s.position = 0
        ) l
            CROSS JOIN LATERAL (SELECT l.given AS name, l.given AS address) AS a
            CROSS JOIN LATERAL (SELECT l.given AS name) AS w
            {VALUE_JOINS}
        """
    ).bindparams(bindparam("texts", type_=ARRAY(Text)))
)
WORDS = ("Ana", "Souza", "ção", "e\u0301", "李", "👩\u200d🚀", "❤\ufe0f", "@")
MARKS = ("{{", "}}", "'", '"', "\\", "%", ":x", "$1")
PIECES = (*SPACES, *INVISIBLE, *WORDS, *MARKS)


def hostile(rounds: int) -> Iterator[str | None]:
    yield from (None, "", *PIECES, *(f"{one}Ana{one}Souza{one}" for one in PIECES))
    chance = random.Random(7)
    for _ in range(rounds):
        yield "".join(chance.choices(PIECES, k=chance.randint(1, 6)))


@pytest.mark.parametrize(
    "rounds", [pytest.param(3_000, id="short"), pytest.param(200_000, id="long", marks=pytest.mark.full)]
)
async def test_what_is_missing_by_sql_is_missing_by_python(ana: Person, doors: Doors, rounds: int) -> None:
    texts = list(hostile(rounds))
    everything = parse("".join(f"{{{{ {name} }}}}" for name in VARIABLES), "body")
    async with doors.open_work(ana.workspace_id) as work:
        rows = await work.fetch(OF_TEXTS, workspace_id=ana.workspace_id, owner_id=ana.user_id, texts=texts)
    assert len(rows) == len(texts)
    seen: dict[str, set[bool]] = {name: set() for name in VARIABLES}
    for row in rows:
        values = values_of(row)
        by_sql = {name for name in VARIABLES if row[f"missing {name}"]}
        assert by_sql == {name for name, value in values.items() if value is None}, ascii(row["given"])
        assert by_sql == set(render(everything, values).missing), ascii(row["given"])
        for name in VARIABLES:
            seen[name].add(name in by_sql)
    differing = {name for name, both in seen.items() if len(both) == 2}
    assert differing == set(VARIABLES) - {"lead.stage", "owner.name", "owner.first_name"}


def test_all_white_space_separates_words() -> None:
    spaces = {chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()}
    assert spaces <= set(SPACES)
    assert not set(SPACES) & set(INVISIBLE)


async def test_the_values_of_a_lead(ana: Person, eve: Person, doors: Doors) -> None:
    account_id = await open_account(ana, doors, address="vendas-valores@example.com")
    lead_id = await make_lead(
        ana,
        name="Ana Clara Souza",
        company="Café & Cia",
        title="Diretora",
        email="ana.valores@example.com",
        phone="+55 11 90000-0000",
        ownerId=str(ana.user_id),
    )
    async with doors.open_reads(ana.workspace_id) as reads:
        values = await lead_values(reads, ana.workspace_id, lead_id=lead_id)
        assert values == await lead_values(reads, ana.workspace_id, lead_id=lead_id, account_id=account_id)
    assert values == {
        "lead.name": "Ana Clara Souza",
        "lead.first_name": "Ana",
        "lead.last_name": "Souza",
        "lead.company": "Café & Cia",
        "lead.title": "Diretora",
        "lead.email": "ana.valores@example.com",
        "lead.phone": "+5511900000000",
        "lead.stage": "Novo",
        "owner.name": "Ana",
        "owner.first_name": "Ana",
        "account.name": "Sales",
        "account.address": "vendas-valores@example.com",
        "workspace.name": "Ana's workspace",
    }
    async with doors.open_reads(eve.workspace_id) as reads:
        assert await lead_values(reads, eve.workspace_id, lead_id=lead_id) is None
    alone = await make_lead(ana, name="x@example.com", email=None)
    async with doors.open_reads(ana.workspace_id) as reads:
        values = await lead_values(reads, ana.workspace_id, lead_id=alone)
    assert values is not None
    missing = {"lead.first_name", "lead.last_name", "lead.company", "lead.title", "lead.email", "lead.phone"}
    assert {name for name, value in values.items() if value is None} == missing
