"""Any merges, in chains and of several at once, over any histories: undone in reverse, each lead is what it was, to the
byte of its export."""

import random
from uuid import UUID

import pytest

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.board import moved, stage_ids
from tests.factories.conversations import inbound, make_lead, open_account, open_conversation, outbound
from tests.factories.imports import imported, profile
from tests.factories.leads import new_tag
from tests.factories.merging import exports, merged, unmerged
from tests.fixtures.processes import Worker

NOTE = "mutation ($input: AddNoteInput!) { addNote(input: $input) { errors { code path } } }"
TAG = "mutation ($input: TagLeadsInput!) { tagLeads(input: $input) { errors { code path } } }"
IDENTITY = "mutation ($input: AddIdentityInput!) { addIdentity(input: $input) { errors { code path } } }"
SUPPRESS = "mutation ($input: SuppressInput!) { suppress(input: $input) { errors { code path } } }"
HISTORY = ("note", "tag", "identity", "talk", "imports", "move", "suppress")


async def ok(person: Person, mutation: str, **given: object) -> None:
    (payload,) = (await person.run(mutation, {"input": given})).values()
    assert payload["errors"] == [], payload


class Past:
    """What happens to one lead."""

    def __init__(
        self, person: Person, doors: Doors, dice: random.Random, tags: list[str], account: UUID
    ) -> None:
        self.person, self.doors, self.dice, self.tags, self.account = person, doors, dice, tags, account

    async def lead(self, n: int) -> UUID:
        some = {"company": "Acme", "title": "Boss", "metadata": {"n": n, "k": self.dice.randrange(3)}}
        given = {name: value for name, value in some.items() if self.dice.random() < 0.5}
        id = await make_lead(self.person, name=f"Bia {n}", email=f"bia{n}@example.org", **given)
        for step, what in enumerate(self.dice.choices(HISTORY, k=5)):
            await getattr(self, what)(id, n, step)
        return id

    async def note(self, id: UUID, n: int, step: int) -> None:
        await ok(self.person, NOTE, leadId=str(id), body=f"note {n} {step}")

    async def tag(self, id: UUID, n: int, step: int) -> None:
        await ok(self.person, TAG, leadIds=[str(id)], addTagIds=self.dice.sample(self.tags, 2))

    async def identity(self, id: UUID, n: int, step: int) -> None:
        value = f"other{n}.{step}@example.org"
        await ok(
            self.person,
            IDENTITY,
            leadId=str(id),
            kind="EMAIL",
            value=value,
            isPrimary=self.dice.random() < 0.5,
        )

    async def talk(self, id: UUID, n: int, step: int) -> None:
        address = f"talk{n}.{step}@example.org"
        talk = await open_conversation(
            self.person, self.doors, lead_id=id, account_id=self.account, address=address
        )
        for _ in range(self.dice.randrange(1, 4)):
            await self.dice.choice((inbound, outbound))(self.person, self.doors, talk.id)

    async def imports(self, id: UUID, n: int, step: int) -> None:
        rows = [profile(f"bia{n}.{step}", email=f"bia{n}@example.org")]
        counts = (await imported(self.person, rows))["counts"]
        assert counts in ({"UPDATED": 1}, {"SUPPRESSED": 1})

    async def move(self, id: UUID, n: int, step: int) -> None:
        await moved(self.person, str(id), self.dice.choice(await stage_ids(self.person)))

    async def suppress(self, id: UUID, n: int, step: int) -> None:
        await ok(self.person, SUPPRESS, leadId=str(id), **self.dice.choice(({}, {"channel": "EMAIL"})))


@pytest.mark.parametrize("seed", range(6))
async def test_undone_in_reverse(ana: Person, doors: Doors, worker: Worker, seed: int) -> None:
    dice = random.Random(seed)
    tags = [await new_tag(ana, f"T{n}") for n in range(4)]
    past = Past(ana, doors, dice, tags, await open_account(ana, doors))
    ids = [await past.lead(n) for n in range(6)]
    live, merges, states = list(ids), [], []
    while len(live) > 1:
        states.append(await exports(ana, doors, *live))
        kept, *away = dice.sample(live, min(len(live), dice.choice((2, 2, 3))))
        merges.append((await merged(ana, kept, *away), list(live)))
        live = [id for id in live if id not in away]
    for (merge_id, were), state in zip(reversed(merges), reversed(states), strict=True):
        await unmerged(ana, merge_id)
        assert await exports(ana, doors, *were) == state
