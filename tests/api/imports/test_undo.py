"""What an undo leaves: all that was before the import, and what others did since."""

import random
from itertools import count
from typing import Any

import pytest

from app.common.work import Doors
from app.leads.domain.staged import ImportPolicy, StagedLead
from tests.factories.accounts import Person
from tests.factories.leads import stray_contacts
from tests.factories.undoing import imported, leads_of, staged, undo_chunk, undone
from tests.fixtures.statements import OwnStatements

WORDS = ("Ana", "Bia", "Caio", "Davi")


def somebody(n: int, chance: random.Random) -> StagedLead:
    """Of a small world: an import meets those of another, by one identity or by several."""
    given: dict[str, Any] = {"email": f"p{chance.randrange(30)}@example.com"}
    if chance.random() < 0.5:
        given["phone"] = f"+551199999{chance.randrange(30):04}"
    if chance.random() < 0.5:
        given["instagram"] = f"p{chance.randrange(30)}"
    for field in ("company", "title", "avatar_url"):
        if chance.random() < 0.5:
            given[field] = chance.choice(WORDS)
    if chance.random() < 0.5:
        given["metadata"] = {key: chance.choice([None, *WORDS]) for key in chance.sample("abc", 2)}
    if chance.random() < 0.4:
        given["tags"] = tuple(chance.sample(["Feira", "Site", "Evento"], 2))
    if chance.random() < 0.3:
        given["note"] = chance.choice(WORDS)
    return staged(n, chance.choice([None, *WORDS]), **given)


def people(chance: random.Random, size: int) -> list[StagedLead]:
    """Whose identities do not repeat among them."""
    found: list[StagedLead] = []
    seen: set[object] = set()
    numbers = count(1)
    for _ in range(size):
        one = somebody(next(numbers), chance)
        if seen.isdisjoint(one.identities):
            seen.update(one.identities)
            found.append(one)
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("policy", list(ImportPolicy))
async def test_an_undo_leaves_what_was_before(
    doors: Doors, ana: Person, policy: ImportPolicy, seed: int
) -> None:
    chance = random.Random(f"{policy}{seed}")
    await imported(doors, ana, people(chance, 25))
    before = await leads_of(doors, ana)
    claim = await imported(doors, ana, people(chance, 40), policy=policy, owner_id=ana.user_id)
    assert await leads_of(doors, ana) != before

    assert await undone(doors, claim) == 0

    assert await leads_of(doors, ana) == before
    assert await stray_contacts(doors, ana) == []


async def test_a_thousand_rows_take_no_more_statements_than_ten(
    doors: Doors, ana: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await imported(doors, ana, [staged(n, email=f"p{n}@example.com", company="0") for n in range(0, 2020, 2)])
    rows = [
        staged(n, email=f"p{n}@example.com", company="1", instagram=f"p{n}", tags=("a",))
        for n in range(1, 2021)
    ]
    claim = await imported(doors, ana, rows)
    taken = []
    for chunk_rows in (10, 1000):
        counted = OwnStatements(monkeypatch)
        assert not await undo_chunk(doors, claim, chunk_rows=chunk_rows)
        taken.append(counted.sent)
    assert taken[0] == taken[1] > 0
