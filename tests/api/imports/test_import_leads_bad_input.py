"""What importLeads refuses as a whole, and which rows it rejects: the others land."""

import asyncio
import json
import secrets
from typing import Any

import pytest

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.imports import IMPORT, batch, finished, imported, profile
from tests.fixtures.processes import Worker


async def refusal(person: Person, **fields: Any) -> tuple[str, list[str]]:
    given = {**batch([profile("bia")]), **fields}
    answer = (await person.run(IMPORT, {"input": given}))["importLeads"]
    assert answer["leadImport"] is None
    (error,) = answer["errors"]
    assert error["message"]
    return error["code"], error["path"]


async def nothing_was_imported(person: Person) -> bool:
    found = await person.run("{ leadImports { edges { node { id } } } }")
    return found["leadImports"]["edges"] == []


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"leads": [profile(f"p{n}") for n in range(1001)]}, "INVALID", ["leads"]),
        ({"leads": []}, "INVALID", ["leads"]),
        ({"platform": "MANUAL"}, "INVALID", ["platform"]),
        ({"platform": "EMAIL"}, "INVALID", ["platform"]),
        ({"pageUrl": "javascript:alert(1)"}, "INVALID", ["pageUrl"]),
        ({"idempotencyKey": " "}, "INVALID", ["idempotencyKey"]),
        ({"idempotencyKey": "k" * 201}, "INVALID", ["idempotencyKey"]),
        ({"idempotencyKey": "a\x00b"}, "INVALID", ["idempotencyKey"]),
        ({"tagIds": ["nonsense"]}, "NOT_FOUND", ["tagIds", "0"]),
        ({"ownerId": "nonsense"}, "NOT_FOUND", ["ownerId"]),
    ],
)
async def test_a_batch_that_is_wrong_is_refused_whole(
    ana: Person, fields: dict[str, Any], code: str, path: list[str]
) -> None:
    assert await refusal(ana, **fields) == (code, path)
    assert await nothing_was_imported(ana)


async def test_a_tag_of_another_workspace_is_not_found(ana: Person, eve: Person) -> None:
    made = await eve.run('mutation { createTag(input: {name: "Theirs"}) { tag { id } } }')
    assert await refusal(ana, tagIds=[made["createTag"]["tag"]["id"]]) == ("NOT_FOUND", ["tagIds", "0"])
    assert await nothing_was_imported(ana)


async def test_a_platform_that_is_none_is_a_bad_variable(ana: Person) -> None:
    assert (
        await ana.refused(IMPORT, {"input": batch([profile("bia")], platform="MYSPACE")}) == "BAD_USER_INPUT"
    )


async def test_a_viewer_may_not_import(ana: Person, doors: Doors) -> None:
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    assert await refusal(viewer) == ("FORBIDDEN", [])
    assert await nothing_was_imported(ana)


async def test_a_body_beyond_5_mb_is_not_read(ana: Person) -> None:
    response = await ana.post(IMPORT, {"input": batch([profile("bia", name="n" * 5_100_000)])})
    assert response.status_code == 413
    assert "5 MB" in response.json()["errors"][0]["message"]


async def test_a_body_beyond_5_mb_is_counted_where_no_header_tells_it(ana: Person) -> None:
    async def chunks() -> Any:
        for _ in range(51):
            yield b" " * 100_000
            await asyncio.sleep(0)

    headers = {"Authorization": f"Bearer {ana.token}", "Content-Type": "application/json"}
    response = await ana.http.post("/graphql", content=chunks(), headers=headers)
    assert response.status_code == 413


async def test_only_import_leads_may_send_more_than_1_mb(ana: Person, worker: Worker) -> None:
    large = {"note": "x" * 15_000}
    rows = [profile(f"p{n}", metadata=large) for n in range(100)]
    assert (await imported(ana, rows))["counts"] == {"CREATED": 100}
    response = await ana.post("query ($pad: String) { tags { id } }", {"pad": "x" * 1_100_000})
    assert response.status_code == 413


async def test_metadata_beyond_16_kb_is_a_bad_variable(ana: Person) -> None:
    given = batch([profile("bia", metadata={"note": "x" * 16_400})])
    assert await ana.refused(IMPORT, {"input": given}) == "BAD_USER_INPUT"


async def test_metadata_nested_too_deeply_is_a_bad_variable(ana: Person) -> None:
    """Far below what a parser takes, and before it meets what a writer does not take."""
    nested: dict[str, Any] = {}
    for _ in range(252):
        nested = {"in": nested}
    given = batch([profile("bia", metadata=nested)])
    assert await ana.refused(IMPORT, {"input": given}) == "BAD_USER_INPUT"
    wide = {"all": [{} for _ in range(200)]}
    assert (await ana.run(IMPORT, {"input": batch([profile("bia", metadata=wide)])}))["importLeads"][
        "leadImport"
    ]


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        (profile("x", profileUrl="javascript:alert(1)"), "INVALID_URL", "profileUrl"),
        (profile("x", profileUrl="https://www.linkedin.com/in/x"), "INVALID_PROFILE", "profileUrl"),
        (profile("x", profileUrl="https://www.instagram.com/explore/"), "INVALID_PROFILE", "profileUrl"),
        (profile("x", profileUrl="https://evilinstagram.com/x"), "INVALID_PROFILE", "profileUrl"),
        (profile("x", profileUrl=""), "INVALID_PROFILE", "profileUrl"),
        (profile("x", profileUrl="https://[::1"), "INVALID_URL", "profileUrl"),
        (profile("x", avatarUrl="javascript:alert(1)"), "INVALID_URL", "avatarUrl"),
        (profile("x", name="n" * 10_000), "TOO_LONG", "name"),
        (profile("x", name="a\x00b"), "INVALID_TEXT", "name"),
        (profile("x", email="not an address"), "INVALID_EMAIL", "email"),
        (profile("x", email=f"{'l' * 65}@example.com"), "INVALID_EMAIL", "email"),
        (profile("x", phone="123"), "INVALID_PHONE", "phone"),
    ],
)
async def test_a_row_that_is_wrong_is_rejected_alone(
    ana: Person, worker: Worker, row: dict[str, Any], code: str, field: str
) -> None:
    state = await imported(ana, [profile("before"), row, profile("after")])
    assert state["status"] == "COMPLETED_WITH_ERRORS"
    assert state["counts"] == {"CREATED": 2, "REJECTED": 1}
    (error,) = state["rowErrors"]
    assert (error["row"], error["code"], error["field"]) == (2, code, field)
    assert error["message"]


async def test_half_an_emoji_rejects_its_row_alone(ana: Person, worker: Worker) -> None:
    """JavaScript's JSON.stringify sends a cut string as a lone surrogate's escape."""
    given = batch([profile("before"), profile("x", name="smile \ud83d"), profile("after")])
    body = json.dumps({"query": IMPORT, "variables": {"input": given}})
    headers = {"Authorization": f"Bearer {ana.token}", "Content-Type": "application/json"}
    answer = (await ana.http.post("/graphql", content=body, headers=headers)).json()
    import_id = answer["data"]["importLeads"]["leadImport"]["id"]
    state = await finished(ana, import_id)
    assert state["counts"] == {"CREATED": 2, "REJECTED": 1}
    assert state["rowErrors"][0]["code"] == "INVALID_TEXT"


async def test_the_same_profile_twice_in_a_batch_counts_once(ana: Person, worker: Worker) -> None:
    rows = [
        profile("Bia.Souza", name="First"),
        {"profileUrl": "http://instagram.com/bia.souza?igsh=1", "name": "Second"},
    ]
    state = await imported(ana, rows)
    assert state["counts"] == {"CREATED": 1, "DUPLICATE_IN_FILE": 1}
    found = await ana.run("{ leads { edges { node { name } } } }")
    assert [edge["node"]["name"] for edge in found["leads"]["edges"]] == ["First"]


async def test_an_api_row_without_any_identity_is_rejected(ana: Person, worker: Worker) -> None:
    rows = [
        {"profileUrl": "https://example.com/people/7", "name": "Nobody"},
        {"profileUrl": "https://example.com/people/8", "email": "somebody@example.com"},
        {"profileUrl": "https://br.linkedin.com/in/ana-souza-1?trk=x"},
    ]
    state = await imported(ana, rows, platform="API", idempotencyKey=secrets.token_hex(8))
    assert state["counts"] == {"CREATED": 2, "REJECTED": 1}
    assert state["rowErrors"][0]["code"] == "NO_IDENTITY"
