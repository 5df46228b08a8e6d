"""Finding leads: every filter, order and search, against a plain filter in Python."""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text

from app.common.domain import folded
from app.common.paging import Keyset
from app.common.work import Doors
from app.leads.domain.lead import LeadSource
from app.leads.domain.search import LeadSort
from app.leads.infrastructure import list_reads
from app.leads.infrastructure.tables import lead, lead_tag
from app.leads.presentation.types import LeadFilter, lead_conditions
from app.leads.wiring import count_leads, list_leads
from tests.factories.accounts import Person

LEADS = """query ($filter: LeadFilter, $sort: LeadSort! = NEWEST, $first: Int! = 100, $after: String) {
  leads(filter: $filter, sort: $sort, first: $first, after: $after) {
    totalCount pageInfo { hasNextPage endCursor } edges { cursor node { id name } } } }"""
START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("Maria Silva", "MÁRIA souza", "Ávila", "avila", "Zé Ação", "Bia", "Mário", "ana.maria")
COMPANIES = (None, "Acme Ltda", "Contoso", "Ação & Cia")


def rows_of(person: Person, stages: Sequence[str], rng: random.Random, count: int) -> list[dict[str, Any]]:
    """With many equal sort keys: only the id tells them apart."""
    rows = []
    for n in range(count):
        deleted = rng.random() < 0.2
        email = rng.choice([None, f"p{n}@acme.com"])
        phone = rng.choice([None, f"+5511987650{n:03}"])
        rows.append(
            {
                "workspace_id": person.workspace_id,
                "id": uuid4(),
                "name": rng.choice(NAMES),
                "company": rng.choice(COMPANIES),
                "email": email,
                "phone": phone,
                "handles": [handle for handle in (email, phone) if handle],
                "stage_id": UUID(rng.choice(stages)),
                "rank": f"{n:04}",
                "owner_id": rng.choice([None, person.user_id]),
                "source": rng.choice(["MANUAL", "LINKEDIN"]),
                "score": rng.choice([-1, 0, 7]),
                "created_at": START + timedelta(days=rng.randrange(4)),
                "last_touch_at": rng.choice([None, START + timedelta(days=rng.randrange(4))]),
                "deleted_at": START + timedelta(days=9 + rng.randrange(3)) if deleted else None,
            }
        )
    return rows


class Crowd:
    """Leads of one workspace, and what a filter and an order make of them."""

    def __init__(
        self, rows: list[dict[str, Any]], tags: Mapping[UUID, set[UUID]], stages: Sequence[str]
    ) -> None:
        self.rows, self.tags, self.stages = rows, tags, stages

    @classmethod
    async def made(cls, person: Person, doors: Doors, count: int = 60, seed: int = 1) -> "Crowd":
        rng = random.Random(seed)
        stages = [stage["id"] for stage in (await person.run("{ stages { id } }"))["stages"]][:3]
        rows = rows_of(person, stages, rng, count)
        tags: dict[UUID, set[UUID]] = {}
        for name in ("A", "B"):
            made = await person.run(
                "mutation ($n: String!) { createTag(input: {name: $n}) { tag { id } } }", {"n": name}
            )
            tags[UUID(made["createTag"]["tag"]["id"])] = {row["id"] for row in rows if rng.random() < 0.3}
        async with doors.open_work(person.workspace_id) as work:
            await work.execute(insert(lead), rows)
            carried = [
                {"workspace_id": person.workspace_id, "lead_id": id, "tag_id": tag}
                for tag, ids in tags.items()
                for id in ids
            ]
            await work.execute(insert(lead_tag), carried)
        return cls(rows, tags, stages)

    def found(self, filter: Mapping[str, Any], sort: str) -> list[str]:
        rows = [row for row in self.rows if self.matches(row, filter)]
        key = {
            "NEWEST": lambda row: row["deleted_at"] if filter.get("deleted") else row["created_at"],
            "NAME": lambda row: folded(row["name"]),
            "SCORE": lambda row: row["score"],
            "LAST_TOUCH": lambda row: row["last_touch_at"] or datetime(1970, 1, 1, tzinfo=UTC),
        }[sort]
        rows.sort(key=lambda row: (key(row), row["id"]), reverse=sort != "NAME")
        return [str(row["id"]) for row in rows]

    def matches(self, row: Mapping[str, Any], filter: Mapping[str, Any]) -> bool:
        checks = {
            "deleted": lambda _: True,
            "tagIds": lambda ids: any(row["id"] in self.tags.get(UUID(id), ()) for id in ids),
            "stageIds": lambda ids: str(row["stage_id"]) in ids,
            "ownerIds": lambda ids: str(row["owner_id"]) in ids,
            "sources": lambda names: row["source"] in names,
            "minScore": lambda score: row["score"] >= score,
            "hasEmail": lambda has: (row["email"] is not None) == has,
            "hasPhone": lambda has: (row["phone"] is not None) == has,
            "createdAfter": lambda at: row["created_at"] >= datetime.fromisoformat(at),
            "createdBefore": lambda at: row["created_at"] < datetime.fromisoformat(at),
            "touchedBefore": lambda at: (
                (row["last_touch_at"] or START - timedelta(days=9999)) < datetime.fromisoformat(at)
            ),
            "search": lambda search: all(
                any(word.startswith(asked) for word in words(row)) for asked in folded(search).split()
            ),
        }
        return bool(filter.get("deleted")) == (row["deleted_at"] is not None) and all(
            checks[name](value) for name, value in filter.items() if value is not None
        )

    def filters(self, rng: random.Random, count: int) -> Iterator[dict[str, Any]]:
        choices: dict[str, list[Any]] = {
            "tagIds": [[], [str(id) for id in self.tags], [str(next(iter(self.tags)))]],
            "stageIds": [self.stages[:1], self.stages[1:], []],
            "ownerIds": [[str(row["owner_id"]) for row in self.rows if row["owner_id"]][:1], [str(uuid4())]],
            "sources": [["MANUAL"], ["MANUAL", "LINKEDIN"], []],
            "minScore": [-(2**31), 0, 7, 2**31 - 1],
            "hasEmail": [True, False],
            "hasPhone": [True, False],
            "createdAfter": [(START + timedelta(days=n)).isoformat() for n in range(4)],
            "createdBefore": [(START + timedelta(days=n)).isoformat() for n in range(1, 5)],
            "touchedBefore": [(START + timedelta(days=n)).isoformat() for n in range(4)],
            "deleted": [True, False],
            "search": ["mar", "maria", "MARÍA sil", "acao", "acme", "avila", "zzz", "cia ze"],
        }
        for name, values in choices.items():  # each alone, then several together
            yield {name: rng.choice(values)}
        for _ in range(count):
            yield {name: rng.choice(values) for name, values in choices.items() if rng.random() < 0.25}


def words(row: Mapping[str, Any]) -> list[str]:
    return re.split(r"[\W_]+", folded(" ".join([row["name"], row["company"] or "", *row["handles"]])))


async def pages(person: Person, **variables: Any) -> tuple[list[str], int | None]:
    """All pages' ids, and the total."""
    seen: list[str] = []
    after = None
    while True:
        found = (await person.run(LEADS, variables | {"after": after}))["leads"]
        seen += [edge["node"]["id"] for edge in found["edges"]]
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            return seen, found["totalCount"]


async def test_pages_hold_what_filter_and_order_say(ana: Person, doors: Doors) -> None:
    crowd = await Crowd.made(ana, doors)
    rng = random.Random(2)
    met = 0
    for filter in crowd.filters(rng, 30):
        sort, first = rng.choice(list(LeadSort)).value, rng.choice([3, 20, 100])
        expected = crowd.found(filter, sort)
        assert await pages(ana, filter=filter, sort=sort, first=first) == (expected, len(expected)), (
            filter,
            sort,
        )
        met += len(expected)
    assert met > 300


@pytest.mark.parametrize("walk_max", [1, 5, 1000])
async def test_each_way_finds_the_same(
    ana: Person, doors: Doors, walk_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"WALK_MAX": walk_max, "LONG_WALK_MAX": 2 * walk_max, "COUNT_MAX": 25}.items():
        monkeypatch.setattr(list_reads, name, value)
    crowd = await Crowd.made(ana, doors, seed=3)
    rng = random.Random(4)
    caches = (list_reads._walk, list_reads._whole, list_reads._count_statement)
    for cache in caches:
        cache.cache_clear()
    try:
        for filter in crowd.filters(rng, 15):
            for sort in LeadSort:
                assert await found_in(ana, doors, filter, sort) == crowd.found(filter, sort), (filter, sort)
            total = len(crowd.found(filter, "NEWEST"))
            async with doors.open_reads(ana.workspace_id) as reads:
                counted = await count_leads(reads, ana.workspace_id, lead_conditions(as_input(filter)))
            assert counted == (total if total <= 25 else None), filter
    finally:
        for cache in caches:
            cache.cache_clear()


async def found_in(person: Person, doors: Doors, filter: Mapping[str, Any], sort: LeadSort) -> list[str]:
    seen: list[str] = []
    after = None
    while True:
        async with doors.open_reads(person.workspace_id) as reads:
            found = await list_leads(
                reads,
                person.workspace_id,
                lead_conditions(as_input(filter)),
                sort=sort,
                first=7,
                after=after,
                with_identities=False,
            )
        seen += [row["id"] for row in found.page.rows]
        if not found.page.has_next:
            return seen
        after = found.cursors[-1]


def as_input(filter: Mapping[str, Any]) -> LeadFilter:
    fields = {re.sub("[A-Z]", lambda m: f"_{m[0].lower()}", name): value for name, value in filter.items()}
    fields |= {
        name: datetime.fromisoformat(at) for name, at in fields.items() if name.endswith(("after", "before"))
    }
    if "sources" in fields:
        fields["sources"] = [LeadSource(source) for source in fields["sources"]]
    return LeadFilter(**fields)


async def make(person: Person, name: str, **input: Any) -> str:
    query = "mutation ($i: CreateLeadInput!) { createLead(input: $i) { lead { id } errors { message } } }"
    made = (await person.run(query, {"i": {"name": name, **input}}))["createLead"]
    assert made["errors"] == []
    return str(made["lead"]["id"])


async def names(person: Person, search: str, **variables: Any) -> list[str]:
    found = await person.run(LEADS, {"filter": {"search": search}, **variables})
    return [edge["node"]["name"] for edge in found["leads"]["edges"]]


async def test_a_search_finds_by_all_that_a_person_is_known_by(ana: Person) -> None:
    await make(
        ana,
        "María D'Ávila Silva",
        company="Ação & Cia",
        title="Diretora",
        email="maria.silva@acme.com",
        phone="+55 11 98765-4321",
        linkedin="https://www.linkedin.com/in/m-silva-77",
        instagram="@mari_silva",
    )
    await make(ana, "Outro", email="outro@example.com", phone="+55 21 91111-2222")
    for search in (
        *("maria", "MARIA", "mar sil", "silva maria", "avila", "d'avila", "acao", "AÇÃO", "diretora acao"),
        *(
            "98765-4321",
            "(11) 98765-4321",
            "+55 11 98765 4321",
            "011 98765-4321",
            "4321",
            "987654",
            "5511987",
        ),
        *(
            "maria.silva@acme.com",
            "acme.com",
            "@acme",
            "silva-77",
            "@mari_silva",
            "mari_sil",
            "mar (sil) :* & !",
        ),
    ):
        assert await names(ana, search) == ["María D'Ávila Silva"], search
    for search in ("maria outro", "ilva", "98765-4322", "maria contoso", "91111 4321"):
        assert await names(ana, search) == [], search


async def test_another_workspaces_leads_are_not_found(ana: Person, eve: Person) -> None:
    await make(eve, "Segredo")
    assert await names(ana, "segredo") == []
    assert await names(eve, "segredo") == ["Segredo"]


@pytest.mark.parametrize(
    "search",
    [
        "%%",
        "__",
        "%a%",
        "\\\\",
        "'; drop table lead; --",
        "a & !b",
        "((",
        "b:*",
        "<->",
        "'' ''",
        "🙂🙂",
        "ﷺﷺ",
        "ʼʼ",
    ],
)
async def test_signs_and_operators_are_harmless(ana: Person, search: str) -> None:
    await make(ana, "Xyz")
    assert await names(ana, search) == []


async def test_words_that_other_searches_leave_out_are_words_of_names(ana: Person) -> None:
    await make(ana, "Maria de da Silva")
    await make(ana, "The And")
    assert await names(ana, "de da") == ["Maria de da Silva"]
    assert await names(ana, "the and") == ["The And"]


@pytest.mark.parametrize("search", ["", " ", "a", " a ", "🙂", "a" * 101, "x" * 10_000, "ab\x00"])
async def test_too_short_and_too_long_searches_are_refused(ana: Person, search: str) -> None:
    assert await ana.refused(LEADS, {"filter": {"search": search}}) == "BAD_USER_INPUT"


@pytest.mark.parametrize("field", ["tagIds", "stageIds", "ownerIds", "sources"])
async def test_a_list_has_at_most_100_entries(ana: Person, field: str) -> None:
    one = "MANUAL" if field == "sources" else str(uuid4())
    assert await ana.refused(LEADS, {"filter": {field: [one] * 101}}) == "BAD_USER_INPUT"
    assert await pages(ana, filter={field: [one] * 100}) == ([], 0)


async def test_an_id_that_is_none_matches_nothing(ana: Person) -> None:
    await make(ana, "Bia")
    for field in ("tagIds", "stageIds", "ownerIds"):
        assert await pages(ana, filter={field: ["nonsense"]}) == ([], 0)


async def test_a_cursor_belongs_to_its_order(ana: Person) -> None:
    await make(ana, "Bia | Costa")
    cursors = {}
    for sort in LeadSort:
        found = (await ana.run(LEADS, {"sort": sort}))["leads"]
        cursors[sort] = found["edges"][0]["cursor"]
        assert (await ana.run(LEADS, {"sort": sort, "after": cursors[sort]}))["leads"]["edges"] == []
    for sort in LeadSort:
        for other in LeadSort:
            if other is not sort:
                assert await ana.refused(LEADS, {"sort": sort, "after": cursors[other]}) == "BAD_USER_INPUT"
    deleted = {"filter": {"deleted": True}, "after": cursors[LeadSort.NEWEST]}
    assert await ana.refused(LEADS, deleted) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("sort", "at"),
    [("SCORE", 2**31), ("SCORE", "x"), ("NAME", "a\x00"), ("NEWEST", "2026-01-01T00:00:00"), ("NEWEST", 7)],
)
async def test_a_forged_cursor_is_refused(ana: Person, sort: str, at: Any) -> None:
    forged = Keyset(at, uuid4()).encode(f"leads:{sort}")
    assert await ana.refused(LEADS, {"sort": sort, "after": forged}) == "BAD_USER_INPUT"


async def test_pages_stay_right_while_leads_move(ana: Person, doors: Doors) -> None:
    """What was seen may move anywhere: all that stay are met once."""
    ids = [await make(ana, f"L{n}") for n in range(8)]
    found = (await ana.run(LEADS, {"sort": "NAME", "first": 4}))["leads"]
    assert [edge["node"]["name"] for edge in found["edges"]] == ["L0", "L1", "L2", "L3"]
    async with doors.open_work(ana.workspace_id) as work:
        for n, name in ((3, "A"), (1, "Z"), (5, "B")):
            await work.execute(
                text("UPDATE lead SET name = :name WHERE id = :id"), {"name": name, "id": UUID(ids[n])}
            )
    rest = (await ana.run(LEADS, {"sort": "NAME", "after": found["pageInfo"]["endCursor"]}))["leads"]
    assert [edge["node"]["name"] for edge in rest["edges"]] == ["L4", "L6", "L7", "Z"]
