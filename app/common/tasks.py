"""Loops that live as long as their process."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

from app.common import telemetry
from app.common.work import Unavailable


async def for_ever(act: Callable[[], Awaitable[None]], *, pause_s: float, name: str) -> NoReturn:
    """Acts after each pause. An outage is told as one; any other error is logged as the bug it is, and the loop goes
    on: a poll that died silently would leave its process deaf for the rest of its life."""
    while True:
        await asyncio.sleep(pause_s)
        try:
            await act()
        except Unavailable:
            telemetry.log.warning("poll found no database", kind=name)
        except Exception as error:  # noqa: BLE001 - see above
            telemetry.log.error(
                "poll failed",
                kind=name,
                error_id=telemetry.new_error_id(),
                error_type=type(error).__name__,
                exc_info=error,
            )
