"""F13: a send to 5,000 is paused, resumed, canceled. Once each has answered, nothing more leaves but what was on its
way at that instant."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from app.embedded.smtp_double import SmtpDouble
from tests.fixtures.bulk import Bulk
from tests.fixtures.bulk_workers import PATIENT, sending
from tests.fixtures.installation import Installation
from tests.fixtures.processes import eventually

pytestmark = pytest.mark.xdist_group("bulk pause")
RECIPIENTS = 5_000
BEFORE = 300
SLOW = ("rcpt * wait 0.02", "end * wait 0.02")
"""At any instant some are on their way."""
ON_THEIR_WAY = """
SELECT count(*)::int AS n FROM delivery_attempt t
    JOIN delivery d ON (d.workspace_id, d.id) = (t.workspace_id, t.delivery_id)
WHERE d.workspace_id = $1 AND d.origin_id = $2 AND t.started_at <= $3 AND coalesce(t.ended_at, 'infinity') > $3
"""
BEGUN = """
SELECT count(*)::int AS n FROM delivery_attempt t
    JOIN delivery d ON (d.workspace_id, d.id) = (t.workspace_id, t.delivery_id)
WHERE d.workspace_id = $1 AND d.origin_id = $2 AND t.started_at > $3
"""


@pytest.fixture(scope="module")
async def sent_to(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Installation, SmtpDouble]]:
    async with sending(tmp_path_factory.mktemp("double"), workers=2, **PATIENT) as both:
        yield both


async def test_f13_paused_resumed_canceled(sent_to: tuple[Installation, SmtpDouble]) -> None:
    installation, double = sent_to
    double.behave(*SLOW)
    async with installation.new_person() as person:
        bulk = await Bulk.prepared(installation, person, recipients=RECIPIENTS)
        await bulk.launch()
        await eventually(lambda: len(bulk.taken(double)) >= BEFORE, what="the first mails")
        paused = await switched(bulk, double, "pauseBulkSend")
        assert (await bulk.shown())["status"] == "PAUSED"
        waiting = (await bulk.counted())["queued"]
        assert waiting > 0, "there is something left to stop"

        await bulk.switch("resumeBulkSend")
        reached = len(bulk.taken(double))
        await eventually(lambda: len(bulk.taken(double)) >= reached + BEFORE, what="mails once resumed")
        canceled = await switched(bulk, double, "cancelBulkSend")
        compared = await bulk.ended(double, "CANCELED")
    print(
        f"F13 {RECIPIENTS} recipients: paused with {paused[0]} on their way, {paused[1]} taken after; canceled with "
        f"{canceled[0]} on their way, {canceled[1]} taken after; {compared}"
    )
    assert paused[1] <= paused[0]
    assert canceled[1] <= canceled[0]
    assert (compared.twice, compared.lost) == (0, 0)
    assert set(compared.counts) == {"sent", "canceled"}


async def switched(bulk: Bulk, double: SmtpDouble, mutation: str) -> tuple[int, int]:
    """How many were on their way as it answered, and how many mails the double took after. No intent came after."""
    await bulk.switch(mutation)
    answered = time.time()

    async def is_still() -> bool:
        return not (await bulk.counted()).keys() & {"claimed", "sending"}

    await eventually(is_still, what=f"the end of what was on its way at {mutation}")
    whose = (bulk.person.workspace_id, bulk.uuid, datetime.fromtimestamp(answered, UTC))
    (under_way,) = await bulk.installation.sql(ON_THEIR_WAY, *whose)
    (begun,) = await bulk.installation.sql(BEGUN, *whose)
    assert begun["n"] == 0, f"intents after {mutation} had answered"
    return under_way["n"], sum(1 for one in bulk.taken(double) if one.at > answered)
