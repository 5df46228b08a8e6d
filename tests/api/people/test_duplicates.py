"""duplicates through HTTP."""

from typing import Any

import pytest

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import make_lead
from tests.factories.merging import merged, run_sql

DUPLICATES = "query ($first: Int) { duplicates(first: $first) { reason leads { id name } } }"


async def duplicates(person: Person, **variables: object) -> list[tuple[str, list[str]]]:
    groups: list[dict[str, Any]] = (await person.run(DUPLICATES, variables))["duplicates"]
    return [(group["reason"], [lead["id"] for lead in group["leads"]]) for group in groups]


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ({"company": "Ação"}, {"company": "acao"}, "SAME_NAME_AND_COMPANY"),
        ({"phone": "+5511987654321"}, {"phone": "+5521987654321"}, "SAME_NAME_AND_PHONE"),
        ({"email": "bia.souza@acme.com"}, {"email": "bia.souza@gmail.com"}, "SAME_NAME_AND_EMAIL"),
        ({"email": "bia.souza@gmail.com"}, {"email": "biasouza+feira@gmail.com"}, "SAME_NAME_AND_EMAIL"),
        ({"company": "Acme"}, {"company": "Other"}, None),
        ({"email": "bia@acme.com"}, {"email": "beatriz@acme.com"}, None),
        ({"phone": "+5511987654321"}, {"phone": "+5511987654322"}, None),
    ],
)
async def test_the_same_name_and_something_more(
    ana: Person, one: dict[str, str], other: dict[str, str], reason: str | None
) -> None:
    first = await make_lead(ana, name="Bia Souza", **{"email": None} | one)
    second = await make_lead(ana, name="bia  souza".replace("  ", " ").upper(), **{"email": None} | other)
    await make_lead(ana, name="Somebody Else", email=None, company="Acao")
    found = [(reason, [str(first), str(second)])] if reason else []
    assert await duplicates(ana) == found


async def test_a_group_is_shown_once_by_its_strongest_reason(ana: Person) -> None:
    for n in range(3):
        await make_lead(ana, name="Bia", company="Acme", email=f"bia+{n}@example.com")
    ((reason, ids),) = await duplicates(ana)
    assert (reason, len(ids)) == ("SAME_NAME_AND_EMAIL", 3)
    await merged(ana, *ids)
    assert await duplicates(ana) == []


async def test_one_number_as_a_phone_and_on_whatsapp(ana: Person, doors: Doors) -> None:
    first, second = await make_lead(ana, phone="+5511987654321"), await make_lead(ana, name="Other")
    await run_sql(
        ana,
        doors,
        "INSERT INTO lead_identity (workspace_id, lead_id, kind, value, is_primary) "
        "VALUES (:workspace_id, :id, 'WHATSAPP', '+5511987654321', true) RETURNING id",
        id=second,
    )
    assert await duplicates(ana) == [("SAME_NUMBER", [str(first), str(second)])]


async def test_names_of_many_tell_nothing(ana: Person, doors: Doors) -> None:
    await run_sql(
        ana,
        doors,
        "INSERT INTO lead (workspace_id, name, company, stage_id, rank, source) "
        "SELECT :workspace_id, 'Contato', 'Acme', s.id, n::text, 'API' FROM generate_series(1, 51) n, "
        "(SELECT id FROM stage WHERE workspace_id = :workspace_id ORDER BY position LIMIT 1) s RETURNING id",
    )
    assert await duplicates(ana) == []


async def test_whose_they_are_and_how_many(ana: Person, eve: Person, doors: Doors) -> None:
    for name in "cab":
        for _ in range(2):
            await make_lead(ana, name=name, company="Acme", email=None)
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    found = await duplicates(viewer, first=100)
    assert len(found) == 3
    assert await duplicates(viewer, first=2) == found[:2], "by name"
    assert await duplicates(eve) == []
    for first in (0, 101):
        assert await ana.refused(DUPLICATES, {"first": first}) == "BAD_USER_INPUT"
