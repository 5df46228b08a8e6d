"""The courier, in this process: what the provider said outweighs what follows from it."""

from typing import Any

import pytest

from app.common.work import Doors
from app.conversations.infrastructure import courier
from app.conversations.wiring import deliveries
from app.settings import Settings
from tests.fixtures.ledger import Desk
from tests.fixtures.senders import FakeSenders


async def test_a_sent_message_is_sent_even_where_its_lead_cannot_be_touched(
    own: tuple[Settings, Doors], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, doors = own

    async def refuse(*_: Any) -> None:
        raise RuntimeError("no touch")

    monkeypatch.setattr(courier, "touch", refuse)
    desk, senders = await Desk.opened(doors, settings), FakeSenders()
    await desk.accept()
    async with doors.open_system() as system:
        (claim,) = await deliveries.claim(system, lease_s=60, key=desk.account_id)
    carrier = courier.Courier(settings, senders)
    assert await carrier.deliver(doors, settings, claim, lambda: False)
    (state,) = (await desk.states()).values()
    assert (state.status, state.shown, len(senders.sender.calls)) == ("sent", "SENT", 1)
