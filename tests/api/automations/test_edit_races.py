"""Rules that are edited and switched while somebody acts by them; and what the feed tells of it."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text

from app.automations.wiring import enabled_rules
from app.common.work import Doors, Work
from tests.factories.accounts import Person
from tests.factories.automations import NOTE, automation, delete_automation, switch, update_automation
from tests.fixtures.feed import feed_cursor, take
from tests.fixtures.processes import Api, eventually

WAITS = text("SELECT count(*) FROM pg_stat_activity WHERE cast(:pid as int) = ANY (pg_blocking_pids(pid))")
EDIT = text(
    """
    WITH edited AS (
        UPDATE automation SET name = 'Depois', version = version + 1
        WHERE workspace_id = :workspace_id AND id = :id RETURNING version
    )
    INSERT INTO automation_version (workspace_id, automation_id, number, rule)
    SELECT v.workspace_id, v.automation_id, edited.version, v.rule FROM automation_version v, edited
    WHERE v.workspace_id = :workspace_id AND v.automation_id = :id AND v.number = edited.version - 1
    """
)


async def blocked_by(doors: Doors, work: Work) -> int:
    """How many wait for what it holds."""
    pid = (await work.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    async with doors.open_system() as system:
        return int((await system.execute(WAITS, {"pid": pid})).scalar_one())


async def held_names(doors: Doors, workspace_id: UUID) -> list[str]:
    async with doors.open_work(workspace_id) as work:
        return [one.name for one in await enabled_rules(work, workspace_id, held=True)]


async def test_only_what_is_switched_on_acts_by_its_newest_version(ana: Person, doors: Doors) -> None:
    on = await automation(ana, name="Ligada", enabled=True)
    await automation(ana, name="Desligada")
    off = await automation(ana, name="Apagada", enabled=True)
    await switch(ana, off["id"], enabled=False)
    gone = await automation(ana, name="Excluída", enabled=True)
    await delete_automation(ana, gone["id"])
    await update_automation(ana, id=on["id"], version=1, actions=[NOTE, NOTE])
    async with doors.open_reads(ana.workspace_id) as reads:
        (found,) = await enabled_rules(reads, ana.workspace_id)
    assert (str(found.automation_id), found.name, len(found.rule.actions)) == (on["id"], "Ligada", 2)
    assert await held_names(doors, ana.workspace_id) == ["Ligada"]


async def test_who_waited_for_an_edit_acts_by_what_it_made(ana: Person, doors: Doors) -> None:
    """And does not miss the rule, whose new version no statement that began before it could see."""
    made = await automation(ana, name="Antes", enabled=True)
    async with doors.open_work(ana.workspace_id) as editing:
        await editing.execute(EDIT, {"workspace_id": ana.workspace_id, "id": made["id"]})
        asking = asyncio.create_task(held_names(doors, ana.workspace_id))
        await eventually(lambda: blocked_by(doors, editing), what="who asks for the rules")
    assert await asking == ["Depois"]


@pytest.mark.parametrize("change", ["edit", "switch", "delete"])
async def test_who_acts_by_a_rule_is_waited_for(ana: Person, doors: Doors, change: str) -> None:
    made = await automation(ana, enabled=True)
    async with doors.open_work(ana.workspace_id) as acting:
        (held,) = await enabled_rules(acting, ana.workspace_id, held=True)
        changing = asyncio.create_task(
            {
                "edit": lambda: update_automation(ana, id=made["id"], version=1, name="Outra"),
                "switch": lambda: switch(ana, made["id"], enabled=False),
                "delete": lambda: delete_automation(ana, made["id"]),
            }[change]()
        )
        await eventually(lambda: blocked_by(doors, acting), what="who changes the rule")
        (still,) = await enabled_rules(acting, ana.workspace_id)
        assert still == held
    assert (await changing)["errors"] == []


async def test_others_who_act_wait_for_nobody(ana: Person, doors: Doors) -> None:
    await automation(ana, name="Regra", enabled=True)
    async with doors.open_work(ana.workspace_id) as acting:
        assert await enabled_rules(acting, ana.workspace_id, held=True)
        assert await held_names(doors, ana.workspace_id) == ["Regra"]


async def test_the_feed_tells_of_rules(ana: Person, api_server: Api) -> None:
    cursor = await feed_cursor(ana)
    made = await automation(ana)
    await switch(ana, made["id"], enabled=True)
    await switch(ana, made["id"], enabled=True)
    await delete_automation(ana, made["id"])
    items = await take(api_server, ana, 3, after=cursor, kinds=["AUTOMATION_CHANGED"])
    assert [(item["kind"], item["ids"]) for item in items] == [("AUTOMATION_CHANGED", [made["id"]])] * 3
