"""F14: a rate of 10 a second with a burst of 5, two workers, and quiet hours that open midway.

The pace is kept at the claim: its moments, by the database's clock, are held against the rate to the letter. When the
mails came the double's log says: a busy machine holds some up between claim and call, which may put more of them into
one second, by as many as the rate allows in the longest such while, and by no more. Where it held both workers up for
longer than the burst makes up for, that time counts for nothing.
"""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from app.embedded.smtp_double import SmtpDouble
from tests.factories.accounts import Person
from tests.fixtures.bulk import Bulk
from tests.fixtures.bulk_workers import PATIENT, sending
from tests.fixtures.installation import Installation
from tests.fixtures.processes import eventually

pytestmark = pytest.mark.xdist_group("bulk pace")
RATE, BURST = 10, 5
QUIET = """mutation ($input: UpdateWorkspaceInput!) {
  updateWorkspace(input: $input) { workspace { id } errors { code message path } } }"""
LOG_CLAIMS = """
CREATE TABLE claimed_at (id uuid, at timestamptz);
GRANT INSERT, SELECT ON claimed_at TO PUBLIC;
CREATE FUNCTION log_claim() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO claimed_at VALUES (NEW.id, now()); RETURN NULL; END $$;
CREATE TRIGGER log_claim AFTER UPDATE OF status ON delivery FOR EACH ROW
    WHEN (NEW.status = 'claimed' AND OLD.status = 'queued') EXECUTE FUNCTION log_claim();
"""
CLAIMED = """
SELECT c.id::text, extract(epoch FROM max(c.at))::float AS at
FROM claimed_at c JOIN delivery d ON d.id = c.id
WHERE d.workspace_id = $1 AND d.origin_id = $2 AND d.status = 'sent' GROUP BY 1
"""
ASLEEP = """
SELECT count(*)::int AS n FROM delivery
WHERE workspace_id = $1 AND origin_id = $2 AND status = 'queued' AND run_at = $3
"""
ZONE = "SELECT time_zone FROM workspace WHERE id = $1"


@pytest.fixture(scope="module")
async def sent_to(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Installation, SmtpDouble]]:
    async with sending(tmp_path_factory.mktemp("double"), workers=2, **PATIENT) as both:
        yield both


@pytest.mark.parametrize("seconds", [8, pytest.param(15, marks=pytest.mark.full)])
async def test_f14_the_rate_is_kept_and_quiet_hours_open_midway(
    sent_to: tuple[Installation, SmtpDouble], seconds: int
) -> None:
    installation, double = sent_to
    await as_owner(installation, LOG_CLAIMS)
    async with installation.new_person() as person:
        bulk = await Bulk.prepared(installation, person, recipients=RATE * seconds * 10)
        await bulk.launch(ratePerMinute=RATE * 60, burst=BURST)
        await eventually(
            lambda: len(bulk.taken(double)) >= RATE * seconds,
            timeout_s=4 * seconds,
            what="a while of sending",
        )
        until = await quiet_now(installation, person)
        opened = datetime.now(UTC).timestamp()

        async def is_still() -> bool:
            return not (await bulk.counted()).keys() & {"claimed", "sending"}

        await eventually(is_still, what="the end of what was claimed before")
        settled = len(bulk.taken(double))
        await eventually(
            lambda: datetime.now(UTC).timestamp() >= opened + seconds, timeout_s=2 * seconds, what="quiet"
        )
        late, whose = len(bulk.taken(double)) - settled, (person.workspace_id, bulk.uuid)
        taken = {one.message_id[1:].partition("@")[0]: one.at for one in bulk.taken(double)}
        claimed = {row["id"]: row["at"] for row in await installation.sql(CLAIMED, *whose)}
        (asleep,) = await installation.sql(ASLEEP, *whose, until)
        await bulk.switch("cancelBulkSend")
    claims, mails = sorted(claimed.values()), sorted(taken.values())
    delay_s = max(taken[id] - claimed[id] for id in taken.keys() & claimed.keys())
    gaps = [later - at for at, later in itertools.pairwise(claims)]
    lasted_s = sum(min(gap, BURST / RATE) for gap in gaps)
    mean = (len(claims) - BURST) / lasted_s
    print(
        f"F14 rate {RATE}/s, burst {BURST}, 2 workers: {len(claims)} in {lasted_s:.1f} s, mean {mean:.2f}/s; most in a "
        f"second {most_in_a_second(claims)} by claims, {most_in_a_second(mails)} by mails, the slowest of which came "
        f"{delay_s:.2f} s after its claim; in the quiet hours {sum(at > opened for at in claims)} claims, {late} mails"
    )
    assert most_in_a_second(claims) <= RATE + BURST
    assert most_in_a_second(mails) <= RATE + BURST + RATE * delay_s
    assert RATE * 0.95 <= mean <= RATE * 1.05
    assert late == 0
    assert not any(at > opened for at in claims)
    assert asleep["n"] == bulk.recipients - len(taken), "the others wait for the end of the quiet hours"


def most_in_a_second(moments: list[float]) -> int:
    return max(sum(at <= other < at + 1 for other in moments) for at in moments)


async def quiet_now(installation: Installation, person: Person) -> datetime:
    """Quiet hours that began an hour ago; when they end."""
    (row,) = await installation.sql(ZONE, person.workspace_id)
    now = datetime.now(ZoneInfo(row["time_zone"]))
    ends = (now + timedelta(hours=1)).replace(second=0, microsecond=0)
    hours = {"from": f"{now - timedelta(hours=1):%H:%M}", "to": f"{ends:%H:%M}", "weekdays": [*range(1, 8)]}
    answer = (await installation.post(person, QUIET, {"input": {"quietHours": hours}}))["updateWorkspace"]
    assert answer["errors"] == [], answer
    return ends


async def as_owner(installation: Installation, statements: str) -> None:
    connection = await asyncpg.connect(installation.cluster.url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()
