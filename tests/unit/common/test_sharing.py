"""What an event costs is paid once, whoever leaves meanwhile, and is let go of soon."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field

import pytest

from app.common import sharing
from app.common.sharing import LOAD_BYTES, Shares
from app.common.work import Unavailable
from tests.fixtures.processes import eventually


@dataclass
class Event:
    shared: "dict[Hashable, asyncio.Future[object]]" = field(default_factory=dict)


class Load:
    """Counts its calls; each waits until it is let go."""

    def __init__(self, *failures: Exception) -> None:
        self.calls = 0
        self.go = asyncio.Event()
        self.failures = list(failures)

    async def __call__(self) -> str:
        self.calls += 1
        await self.go.wait()
        if self.failures:
            raise self.failures.pop(0)
        return f"loaded {self.calls}"


async def test_all_share_the_first_ones_load() -> None:
    shares, event, load = Shares(), Event(), Load()
    asking = [asyncio.create_task(shares.once(event, "lead", load)) for _ in range(20)]
    await eventually(lambda: load.calls == 1)
    load.go.set()
    assert set(await asyncio.gather(*asking)) == {"loaded 1"}
    assert await shares.once(event, "lead", load) == "loaded 1"
    assert await shares.once(event, "other", load) == "loaded 2"
    assert await shares.once(Event(), "lead", load) == "loaded 3"


async def test_one_that_leaves_does_not_take_the_others_load_with_it() -> None:
    shares, event, load = Shares(), Event(), Load()
    first = asyncio.create_task(shares.once(event, "lead", load))
    await eventually(lambda: load.calls == 1)
    others = [asyncio.create_task(shares.once(event, "lead", load)) for _ in range(5)]
    await asyncio.sleep(0)
    others.pop().cancel()
    first.cancel()
    await eventually(lambda: load.calls == 2)
    load.go.set()
    assert set(await asyncio.gather(*others)) == {"loaded 2"}
    assert load.calls == 2


async def test_an_outage_is_waited_out_by_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "RETRY_S", 0.01)
    shares, event, load = Shares(), Event(), Load(Unavailable("away"), Unavailable("away"))
    load.go.set()
    answers = await asyncio.gather(*(shares.once(event, "lead", load) for _ in range(5)))
    assert set(answers) == {"loaded 3"}
    assert load.calls == 3


async def test_another_error_is_everybodys() -> None:
    shares, event, load = Shares(), Event(), Load(ValueError("ours"))
    load.go.set()
    answers = await asyncio.gather(
        *(shares.once(event, "lead", load) for _ in range(5)), return_exceptions=True
    )
    assert [str(answer) for answer in answers] == ["ours"] * 5
    assert load.calls == 1


async def test_it_is_let_go_of_in_time() -> None:
    shares, event, load = Shares(keep_s=0.05), Event(), Load()
    load.go.set()
    await shares.once(event, "lead", load)
    assert "lead" in event.shared
    await eventually(lambda: not event.shared)
    assert await shares.once(event, "lead", load) == "loaded 2"
    await eventually(lambda: not event.shared)


async def test_what_is_kept_is_bounded_in_bytes() -> None:
    shares, load = Shares(max_bytes=10 * LOAD_BYTES), Load()
    load.go.set()
    events = [Event() for _ in range(30)]
    for event in events:
        await shares.once(event, "lead", load)
    assert [bool(event.shared) for event in events] == [False] * 20 + [True] * 10
    await shares.once(Event(), "frame", load, size=lambda _: 9 * LOAD_BYTES)
    assert sum(bool(event.shared) for event in events) == 1
