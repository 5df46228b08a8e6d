"""What claims of batches reach: rows a second in lots of a hundred, with a million queued; what people's claims cost
beside them. `figures` is a part of `python3 -m bench sends`.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from app.common.work import Doors
from app.conversations.infrastructure.pacing import BatchClaims
from app.conversations.wiring import deliveries
from tests.fixtures.paced import Paced

ROWS = 1_000_000
CHUNK = 100_000
CLAIMED = 100_000
BATCH = 100
PEOPLE = 200
PIDS = (
    "SELECT pid FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name LIKE 'salespad/sp_system%'"
)


@dataclass(frozen=True)
class Figures:
    rows_s: float
    cpu_us: float
    """Of the worker and its connection together, a row."""
    limited_rows_s: float
    """With rates and daily limits of account and domain, all wide."""
    person_ms: float
    """A claim of a person's messages that finds none, beside all these rows."""


async def figures(doors: Doors, *, rows: int = ROWS, claimed: int = CLAIMED) -> Figures:
    paced = await Paced.opened(doors)
    account_id = await paced.account(daily_limit=None)
    batch_id = await paced.batch(account_id, 0)
    for _ in range(rows // CHUNK):
        await paced.add(batch_id, CHUNK)
    async with doors.open_system() as system:
        await system.execute(text("ANALYZE delivery"))
    await _claimed(paced, BATCH * 10)  # warms the caches
    started, cpu = time.perf_counter(), await _cpu_s(doors)
    await _claimed(paced, claimed)
    took_s, cpu_s = time.perf_counter() - started, await _cpu_s(doors) - cpu
    person_ms = await _person_ms(paced)
    await paced.sql(
        "UPDATE channel_account SET daily_limit = 1000000000, rate_per_minute = 60000000 WHERE id = :id",
        id=account_id,
    )
    await paced.limit_domain(1_000_000_000)
    started = time.perf_counter()
    await _claimed(paced, claimed)
    limited_s = time.perf_counter() - started
    await paced.sql("UPDATE send_pace SET look_at = NULL WHERE workspace_id = :workspace_id")
    return Figures(claimed / took_s, cpu_s / claimed * 1e6, claimed / limited_s, person_ms)


async def _claimed(paced: Paced, count: int) -> None:
    claims, taken = BatchClaims(), 0
    while taken < count:
        found = len(await paced.claim(claims, limit=BATCH))
        assert found == BATCH, f"{found} of {BATCH}: somebody else claims here"
        taken += found


async def _person_ms(paced: Paced) -> float:
    started = time.perf_counter()
    for _ in range(PEOPLE):
        async with paced.doors.open_system(plans_once=True) as system:
            assert await deliveries.claim(system, lease_s=60, limit=10) == []
    return (time.perf_counter() - started) / PEOPLE * 1000


async def _cpu_s(doors: Doors) -> float:
    async with doors.open_system() as system:
        pids = [row[0] for row in await system.execute(text(PIDS))]
    return time.process_time() + sum(_cpu_of(pid) for pid in pids)


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
