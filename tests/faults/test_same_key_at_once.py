"""F11: one idempotencyKey 20 times at once."""

import asyncio
import secrets

from tests.factories.accounts import Person
from tests.factories.imports import IMPORT, batch, finished, profile
from tests.fixtures.processes import Worker


async def test_f11_one_key_20_times_at_once_is_one_import(ana: Person, worker: Worker) -> None:
    key = secrets.token_hex(8)
    given = batch([profile(f"k{n}") for n in range(50)], idempotencyKey=key)
    answers = await asyncio.gather(*(ana.run(IMPORT, {"input": given}) for _ in range(20)))
    assert [answer["importLeads"]["errors"] for answer in answers] == [[]] * 20
    ids = {answer["importLeads"]["leadImport"]["id"] for answer in answers}
    assert len(ids) == 1
    state = await finished(ana, ids.pop())
    assert state["counts"] == {"CREATED": 50}
    listed = await ana.run("{ leadImports { edges { node { id } } } leads { totalCount } }")
    assert len(listed["leadImports"]["edges"]) == 1
    assert listed["leads"]["totalCount"] == 50
    other = batch([profile("other")], idempotencyKey=key)
    refused = await asyncio.gather(*(ana.run(IMPORT, {"input": other}) for _ in range(5)))
    codes = [answer["importLeads"]["errors"][0]["code"] for answer in refused]
    assert codes == ["CONFLICT"] * 5
    print("F11: 20 calls at once, 1 import, 20 equal answers; the key with another input: CONFLICT")
