"""A bulk send goes by what its account says of sending, as its claims do."""

import json

import pytest

from app.channels.domain.account import Side
from app.common.work import Doors
from app.settings import Settings
from tests.factories.outreach import Outreach

FARES = (
    "UPDATE channel_account SET status = :status, status_reason = cast(:side as text) || ': no', smtp_secret = 'x'"
    " WHERE workspace_id = :workspace_id"
)


@pytest.fixture
async def outreach(own: tuple[Settings, Doors]) -> Outreach:
    settings, doors = own
    return await Outreach.begun(doors, settings)


@pytest.mark.parametrize(
    ("status", "side", "reason"),
    [
        ("DISCONNECTED", None, "ACCOUNT_DISCONNECTED"),
        ("NEEDS_REAUTH", Side.SENDING, "ACCOUNT_NEEDS_REAUTH"),
    ],
)
async def test_it_pauses_when_its_account_is_in_trouble(
    outreach: Outreach, status: str, side: Side | None, reason: str
) -> None:
    await outreach.crowd.add_many(5)
    id = await outreach.launched()
    await outreach.turn()
    await outreach.crowd.sql(FARES, status=status, side=side)
    await outreach.turn()
    state = await outreach.state(id)
    assert (state.state, state.pause_reason.partition(":")[0]) == ("PAUSED", reason)
    assert json.loads(state.told)["queued"] == 5
    await outreach.turn()
    assert (await outreach.state(id)).status == "idle"


async def test_an_account_that_reads_badly_sends_all_the_same(outreach: Outreach) -> None:
    await outreach.crowd.add_many(5)
    await outreach.crowd.sql(FARES, status="NEEDS_REAUTH", side=Side.READING)
    id = await outreach.launched()
    await outreach.turn()
    assert (await outreach.state(id)).state == "RUNNING"
    await outreach.moved("pause", id)
    await outreach.moved("resume", id)
    await outreach.turn()
    assert (await outreach.state(id)).state == "RUNNING"
