"""Dry runs of rules, and time that passes between what they look back on."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.common.work import Doors
from tests.factories.accounts import Person

DRY_RUN = """mutation ($input: DryRunAutomationInput!) { dryRunAutomation(input: $input) {
  dryRun { wouldFire leads sends blocked { reason count } loopsWith { id name } samples { id name } }
  errors { code message path } } }"""
TAG_LEADS = "mutation ($input: TagLeadsInput!) { tagLeads(input: $input) { errors { message } } }"
CREATE = """mutation ($input: CreateAutomationInput!) {
  createAutomation(input: $input) { automation { id } errors { message path } } }"""
NOTE = [{"addNote": "Olá"}]


async def asked(person: Person, *, days: int = 30, **automation: Any) -> dict[str, Any]:
    """The payload."""
    given = {"name": "Regra", "actions": NOTE, **automation}
    answer = await person.run(DRY_RUN, {"input": {"automation": given, "days": days}})
    return answer["dryRunAutomation"]  # type: ignore[no-any-return]


async def dry_run(person: Person, *, days: int = 30, **automation: Any) -> dict[str, Any]:
    payload = await asked(person, days=days, **automation)
    assert payload["errors"] == [], payload
    return payload["dryRun"]  # type: ignore[no-any-return]


async def pass_time(person: Person, doors: Doors, seconds: float) -> None:
    """As if it had passed: all that has happened is longer ago."""
    given = {"id": person.workspace_id, "by": timedelta(seconds=seconds)}
    async with doors.open_system() as system:
        for table, column in (("feed_event", "at"), ("stage_change", "left_at")):
            await system.execute(
                text(
                    f"UPDATE {table} SET {column} = {column} - cast(:by as interval) WHERE workspace_id = :id"
                ),
                given,
            )


async def tag(person: Person, lead_ids: list[UUID], **ids: list[str]) -> None:
    given = {"leadIds": [str(id) for id in lead_ids], **ids}
    assert (await person.run(TAG_LEADS, {"input": given}))["tagLeads"]["errors"] == []


def condition(field: str, op: str, value: str | None = None) -> list[dict[str, Any]]:
    return [{"field": field, "op": op, "value": value}]


async def enabled(person: Person, **automation: Any) -> UUID:
    """An automation that acts; its id."""
    given = {"name": "Regra", "actions": NOTE, "enabled": True, **automation}
    answer = (await person.run(CREATE, {"input": given}))["createAutomation"]
    assert answer["errors"] == [], answer
    return UUID(answer["automation"]["id"])
