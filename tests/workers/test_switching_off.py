"""Switching a rule off, or deleting it, stops what waits and what is queued, whoever is behind."""

import pytest

from app.automations.domain.events import AutomationChanged
from app.automations.domain.rule import Trigger
from app.automations.infrastructure.reacting import CANCELED
from app.common.work import Doors
from app.settings import Settings
from tests.factories.automation_rows import rule
from tests.fixtures.ruled import Ruled

LIVE = ("WAITING", None)


@pytest.fixture
async def ruled(own: tuple[Settings, Doors]) -> Ruled:
    settings, doors = own
    return await Ruled.founded(doors, settings)


@pytest.mark.parametrize("how", ["enabled", "deleted"])
async def test_what_is_switched_off_is_canceled(ruled: Ruled, how: str) -> None:
    """More than one transaction takes, also what a worker has in hand; another rule's go on, and what came after."""
    rule_id = await ruled.add(rule(), name="off")
    await ruled.add(rule(), name="on")
    await ruled.leads(1000, is_told=True)
    await ruled.leads(CANCELED + 2 - 1000, is_told=True)
    await ruled.react()
    await ruled.desk.sql(
        "UPDATE automation_run SET status = 'RUNNING', token = gen_random_uuid(), lease_until = now() + interval '1 h' "
        "WHERE workspace_id = :workspace_id AND id = (SELECT max(id::text)::uuid FROM automation_run "
        "WHERE workspace_id = :workspace_id AND automation_id = :id)",
        id=rule_id,
    )
    off = {
        "enabled": "enabled = false, stopped_at = clock_timestamp()",
        "deleted": "enabled = false, stopped_at = clock_timestamp(), deleted_at = clock_timestamp()",
    }[how]
    await ruled.desk.sql(
        f"UPDATE automation SET {off} WHERE workspace_id = :workspace_id AND id = :id", id=rule_id
    )
    await ruled.tell(AutomationChanged(entity_ids=[rule_id], changed=[how]))
    await ruled.react()
    assert await ruled.outcomes("off") == [("CANCELED", "DISABLED")] * (CANCELED + 2)
    assert {row.token for row in await ruled.runs("off")} == {None}
    assert set(await ruled.outcomes("on")) == {LIVE}


async def test_switched_off_and_on_again(ruled: Ruled) -> None:
    """What waited before is canceled also when nobody has reacted in between; what came since is not."""
    rule_id = await ruled.add(rule())
    await ruled.lead(is_told=True)
    await ruled.react()
    for change in ("enabled = false, stopped_at", "enabled = true, enabled_at"):
        await ruled.desk.sql(
            f"UPDATE automation SET {change} = clock_timestamp() WHERE workspace_id = :workspace_id AND id = :id",
            id=rule_id,
        )
        await ruled.tell(AutomationChanged(entity_ids=[rule_id], changed=["enabled"]))
    await ruled.lead(is_told=True)
    await ruled.react()
    assert await ruled.outcomes() == [("CANCELED", "DISABLED"), LIVE]


async def test_what_was_switched_off_waits_for_no_leads(ruled: Ruled) -> None:
    """An import holds up the other consumer: a message finds no run of before all the same."""
    rule_id = await ruled.add(rule(trigger=Trigger.MESSAGE_RECEIVED))
    conversation = await ruled.conversation()
    await ruled.receive(conversation.id)
    await ruled.react()
    now = "clock_timestamp()"
    await ruled.desk.sql(
        f"UPDATE automation SET stopped_at = {now}, enabled_at = {now} WHERE id = :id", id=rule_id
    )
    await ruled.tell(AutomationChanged(entity_ids=[rule_id], changed=["enabled"]))
    await ruled.receive(conversation.id)
    await ruled.react(only="automation_messages")
    assert await ruled.outcomes() == [("CANCELED", "DISABLED"), LIVE]
