"""importProgress: from the state now to the end, at most one a second."""

import asyncio
import secrets
from typing import Any

import pytest

from tests.factories.accounts import Person
from tests.factories.imports import finished, import_leads, profile
from tests.fixtures.graphql import GraphQLRefused, open_socket
from tests.fixtures.processes import Api, Worker

PROGRESS = """
subscription ($id: ID!) {
  importProgress(id: $id) { id status processedRows totalRows counts { outcome count } }
}
"""


async def progress(api: Api, person: Person, import_id: str) -> list[dict[str, Any]]:
    """The states told, until the server completes the subscription."""
    states = []
    async with asyncio.timeout(60), open_socket(api.ws_url, person.token) as socket:
        async for payload in socket.subscribe(PROGRESS, {"id": import_id}):
            if "errors" in payload:
                raise GraphQLRefused(payload["errors"])
            states.append(payload["data"]["importProgress"])
    return states


async def test_it_begins_with_now_and_ends_with_the_end(ana: Person, api_server: Api, worker: Worker) -> None:
    import_id = await import_leads(ana, [profile(f"p{n}") for n in range(1000)])
    states = await progress(api_server, ana, import_id)
    assert {state["id"] for state in states} == {import_id}
    assert states[-1]["status"] == "COMPLETED"
    assert states[-1]["processedRows"] == states[-1]["totalRows"] == 1000
    processed = [state["processedRows"] for state in states]
    assert processed == sorted(processed)
    for state in states:
        assert sum(one["count"] for one in state["counts"]) == state["processedRows"]


async def test_an_ended_import_is_told_once(ana: Person, api_server: Api, worker: Worker) -> None:
    import_id = await import_leads(ana, [profile("bia")])
    await finished(ana, import_id)
    states = await progress(api_server, ana, import_id)
    assert [state["status"] for state in states] == ["COMPLETED"]


@pytest.mark.parametrize("id", ["nonsense", "019aa000-0000-7000-8000-000000000000"])
async def test_an_unknown_import_is_not_found(ana: Person, api_server: Api, id: str) -> None:
    with pytest.raises(GraphQLRefused) as refused:
        await progress(api_server, ana, id)
    assert refused.value.code == "NOT_FOUND"


async def test_another_workspaces_import_is_not_found(ana: Person, eve: Person, api_server: Api) -> None:
    import_id = await import_leads(eve, [profile(secrets.token_hex(4))])
    with pytest.raises(GraphQLRefused) as refused:
        await progress(api_server, ana, import_id)
    assert refused.value.code == "NOT_FOUND"
