"""Loops that outlive what goes wrong in them."""

import asyncio
from collections.abc import Iterator

from app.common.tasks import for_ever
from app.common.work import Unavailable


async def test_a_loop_goes_on_after_an_outage_and_after_a_bug() -> None:
    errors: Iterator[Exception | None] = iter([Unavailable(), ValueError("a bug"), None])
    reached = asyncio.Event()

    async def act() -> None:
        if error := next(errors, None):
            raise error
        reached.set()

    loop = asyncio.create_task(for_ever(act, pause_s=0, name="test"))
    await asyncio.wait_for(reached.wait(), 5)
    loop.cancel()
    assert isinstance((await asyncio.gather(loop, return_exceptions=True))[0], asyncio.CancelledError)
