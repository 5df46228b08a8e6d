"""What is attacked, and what of it is looked at."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx

from tests.factories.accounts import Person
from tests.fixtures.feed import metric
from tests.fixtures.processes import Api

STATEMENTS = "salespad_sql_statements_total"
FAULT = re.compile(r"\[(error|critical|warning) *\]|Traceback|Exception")
NOTED = re.compile("Invalid HTTP request received|Rejected WebSocket connection from origin")
"""What those who run it may want to know: a line, without a word of what was sent."""
LEAK = re.compile(
    r"Traceback|File \"|\.py\b|postgres(ql)?://|redis://|asyncpg|sqlalchemy|SELECT |INSERT INTO|app_user|/root/|/home/|"
    r"site-packages|JWT_SECRET",
)
MAX_REPLY = 20_000
QUIET_READINGS = 3
"""In a row, before the statements of something are counted."""


@dataclass
class Watch:
    """What one hostile input cost and left behind."""

    api: Api
    statements: float = 0
    took_ms: float = 0
    log: str = ""

    @property
    def faults(self) -> list[str]:
        return [line for line in self.log.splitlines() if FAULT.search(line) and not NOTED.search(line)]

    def assert_harmless(self, *, statements: int | None = 0) -> None:
        assert self.faults == []
        if statements is not None:
            assert self.statements == statements


@dataclass
class Target:
    """The API under attack."""

    api: Api
    around: float
    """The statements that reading the metric itself takes."""

    @asynccontextmanager
    async def watched(self, name: str) -> AsyncIterator[Watch]:
        watch, before = Watch(self.api), await self._settled()
        seen, started = len(self.api.log()), time.perf_counter()
        yield watch
        watch.took_ms = (time.perf_counter() - started) * 1000
        watch.statements = await metric(self.api.url, STATEMENTS) - before - self.around
        watch.log = self.api.log()[seen:]
        print(f"{name}: {watch.took_ms:.1f} ms, {watch.statements:.0f} statements")

    async def _settled(self) -> float:
        """The statements so far, once what was done before is over (streams that end, say)."""
        now, quiet = await metric(self.api.url, STATEMENTS), 0
        while quiet < QUIET_READINGS:
            before, now = now, await metric(self.api.url, STATEMENTS)
            quiet = quiet + 1 if now - before <= self.around else 0
        return now


@asynccontextmanager
async def at(target: Target, person: Person) -> AsyncIterator[Person]:
    async with httpx.AsyncClient(base_url=target.api.url, timeout=30, trust_env=False) as client:
        yield replace(person, http=client)


def assert_quiet(answer: httpx.Response, *others: Person) -> None:
    """JSON, short, and nothing of ours or of others in it."""
    assert answer.status_code < 500, answer.text
    assert "json" in answer.headers["Content-Type"]
    answer.json()
    assert len(answer.content) < MAX_REPLY
    assert_no_leak(answer.text, *others)


def assert_no_leak(text: str, *others: Person) -> None:
    assert LEAK.search(text) is None, LEAK.search(text)
    for other in others:
        assert other.email not in text
        assert other.token not in text
