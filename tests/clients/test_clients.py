"""The clients that people use, against the running API: each asks, changes and follows in its own way."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import CLIENTS, Run
from tests.factories.accounts import Person, sign_in
from tests.fixtures.feed import feed_cursor, seq_of
from tests.fixtures.processes import ROOT

pytestmark = pytest.mark.full

HEARTBEAT = "HEARTBEAT"
GRAPHQL_RESPONSE = "application/graphql-response+json; charset=utf-8"
EXPIRED = "CURSOR_EXPIRED"


@pytest.fixture
async def given(ana: Person) -> dict[str, str]:
    """What a program is told: two sessions of one person, and a position that the feed does not have."""
    other = await sign_in(ana, workspace_id=ana.workspace_id)
    cursor = await feed_cursor(ana)
    return {
        "token": ana.token,
        "refreshToken": ana.refresh_token,
        "otherToken": other.token,
        "ahead": f"1.{seq_of(cursor) + 1000:016x}.{cursor[-8:]}",
    }


def codes(result: dict[str, Any]) -> list[str]:
    return [error["extensions"]["code"] for error in result["errors"]]


def tag_of(answer: dict[str, Any], name: str) -> dict[str, str]:
    assert answer["errors"] == []
    assert answer["tag"]["name"] == name
    return answer["tag"]  # type: ignore[no-any-return]


async def test_graphql_ws(run: Run, given: dict[str, str]) -> None:
    told = await run("graphql_ws.mjs", json.dumps(given))
    assert told["query"] == [{"data": {"tags": []}}]
    (mutation,) = told["mutation"]
    tag_of(mutation["data"]["createTag"], "By socket")
    assert codes({"errors": told["invalid"]}) == ["GRAPHQL_VALIDATION_FAILED"]
    (expired,) = told["expired"]
    assert codes(expired) == [EXPIRED]
    assert told["heartbeat"]["data"]["feed"]["kind"] == HEARTBEAT
    assert told["ended"] == {"isComplete": True}
    assert (told["isHeard"], told["isHeardAgain"], told["closedBefore"]) == (True, True, [])
    assert (told["back"], told["isHeardAfter"], told["closed"]) == (HEARTBEAT, True, [4403])


async def test_graphql_sse(run: Run, given: dict[str, str]) -> None:
    told = await run("graphql_sse.mjs", json.dumps(given))
    assert told["query"] == [{"data": {"tags": []}}]
    (mutation,) = told["mutation"]
    tag_of(mutation["data"]["createTag"], "By stream")
    assert [codes(result) for result in told["invalid"]] == [["GRAPHQL_VALIDATION_FAILED"]]
    assert [codes(result) for result in told["expired"]] == [[EXPIRED]]
    assert told["heartbeat"]["data"]["feed"]["kind"] == HEARTBEAT
    assert (told["isHeard"], told["ended"]) == (True, {"isComplete": True})
    assert (codes(told["signedOut"]), told["over"]) == (["UNAUTHENTICATED"], {"isComplete": True})


async def test_apollo_client(run: Run, given: dict[str, str]) -> None:
    told = await run("apollo.mjs", json.dumps(given))
    assert told["query"] == {"tags": []}
    tag_of(told["mutation"], "By Apollo")
    assert told["userError"]["tag"] is None
    assert [(error["code"], error["path"]) for error in told["userError"]["errors"]] == [
        ("INVALID", ["name"])
    ]
    assert told["invalid"] == {"codes": ["GRAPHQL_VALIDATION_FAILED"]}
    assert told["badInput"] == {"codes": ["BAD_USER_INPUT"]}
    assert told["badToken"] in ({"status": 401}, {"codes": ["UNAUTHENTICATED"]})
    assert told["cached"] == ["Renamed"]
    assert (told["heartbeat"], told["isHeard"]) == (HEARTBEAT, True)
    assert told["expired"] == {"codes": [EXPIRED]}
    assert {status for _, status, _ in told["requests"]} == {200, 400, 401}
    answered = {said for _, status, said in told["requests"] if status != 401}
    assert answered == {GRAPHQL_RESPONSE}


async def test_urql_with_graphcache(run: Run, given: dict[str, str]) -> None:
    """Its Accept mentions event streams in every request: it must get JSON unless it subscribes."""
    told = await run("urql.mjs", json.dumps(given))
    tag = tag_of(told["mutation"], "By urql")
    assert [one["id"] for one in told["query"]["tags"]] == [tag["id"]]
    assert [one["name"] for one in told["updated"]["tags"]] == ["Renamed"]
    assert told["requestsOfUpdate"] == 1
    assert told["requests"]
    for accept, status, said in told["requests"]:
        assert "text/event-stream" in accept
        assert (status, said) == (200, GRAPHQL_RESPONSE)
    assert told["invalid"] == ["GRAPHQL_VALIDATION_FAILED"]
    assert told["badInput"] == ["BAD_USER_INPUT"]
    assert told["bySocket"] == told["byStream"] == [HEARTBEAT, "TAG_CHANGED", True]
    accept, status, said = told["streamRequest"]
    assert accept.startswith("text/event-stream")
    assert (status, said) == (200, "text/event-stream; charset=utf-8")
    assert told["expired"] == [[EXPIRED], [EXPIRED]]


async def test_relays_compiler(node: str, tmp_path: Path) -> None:
    """It refuses a schema whose connections and edges are not Relay's."""
    shutil.copytree(CLIENTS / "relay", tmp_path / "src")
    shutil.copy(ROOT / "schema.graphql", tmp_path)
    config = {
        "root": ".",
        "sources": {"src": "app"},
        "projects": {"app": {"schema": "schema.graphql", "language": "typescript", "output": "made"}},
    }
    (tmp_path / "made").mkdir()
    (tmp_path / "relay.config.json").write_text(json.dumps(config))
    process = await asyncio.create_subprocess_exec(
        node,
        str(CLIENTS / "node_modules" / "relay-compiler" / "cli.js"),
        str(tmp_path / "relay.config.json"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    made = {path.name.removesuffix(".graphql.ts") for path in (tmp_path / "made").iterdir()}
    assert made == {
        "LeadListRow_lead",
        "LeadList_query",
        "LeadListPaginationQuery",
        "LeadListQuery",
        "LeadListCreateTagMutation",
        "LeadListFeedSubscription",
    }
