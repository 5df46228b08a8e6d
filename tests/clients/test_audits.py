"""GraphQL over HTTP, as npm's graphql-http judges it. Strictly: what it only warns of fails here."""

import pytest

from tests.clients.conftest import Run

pytestmark = pytest.mark.full
AUDITS = 61


async def test_every_audit_passes(run: Run) -> None:
    verdicts = await run("audits.mjs")
    failed = [f"{one['id']} {one['name']}: {one['reason']}" for one in verdicts if one["status"] != "ok"]
    assert failed == []
    assert len(verdicts) == AUDITS, (
        "another release of graphql-http asks for more or less: look at what changed"
    )
