"""Each order of leads walks an index of its own, whatever is filtered by."""

from collections.abc import Iterator
from typing import Any

import asyncpg
import orjson
from sqlalchemy import text

from app.common.work import Doors
from app.leads.domain.search import LeadSort
from app.leads.infrastructure.list_reads import LAST_DELETED, ORDERS, WALK_MAX, Order, Shape, _walk
from app.settings import Settings
from tests.factories.accounts import Person

FILL = """
INSERT INTO lead (workspace_id, name, stage_id, rank, source, score, created_at, last_touch_at, deleted_at)
SELECT cast(:workspace_id as uuid), 'Lead ' || n % 1000, stage.id, n::text, 'MANUAL', n % 100,
    now() - n * interval '1 minute', CASE WHEN n % 3 = 0 THEN now() - n * interval '1 hour' END,
    CASE WHEN n % 2 = 0 THEN now() - n * interval '1 second' END
FROM generate_series(1, 8000) AS n,
    (SELECT id FROM stage WHERE workspace_id = cast(:workspace_id as uuid) ORDER BY position LIMIT 1) AS stage
"""
INDEXES: dict[str, Order] = {
    "ix_lead_newest": ORDERS[LeadSort.NEWEST],
    "ix_lead_name": ORDERS[LeadSort.NAME],
    "ix_lead_score": ORDERS[LeadSort.SCORE],
    "ix_lead_touch": ORDERS[LeadSort.LAST_TOUCH],
    "ix_lead_deleted": LAST_DELETED,
}
VALUES: dict[str, Any] = {"min_score": 5, "sources": ["MANUAL"], "terms": ["lead"]}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


async def test_each_order_walks_its_own_index(ana: Person, doors: Doors, settings: Settings) -> None:
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(text(FILL), {"workspace_id": ana.workspace_id})
    assert settings.database_url is not None
    owner = await asyncpg.connect(settings.database_url)
    await owner.execute("ANALYZE lead")
    await owner.close()
    for index, order in INDEXES.items():
        deleted = {"deleted"} if order is LAST_DELETED else set()
        for used in ((), ("min_score",), ("sources", "terms")):
            for has_after in (False, True):
                shape = Shape(frozenset({*used, *deleted}), order, has_after, False)
                page = await planned_page(doors, ana, shape)
                walked = {node["Index Name"] for node in page if node.get("Relation Name") == "lead"}
                assert walked == {index}, (index, shape)
                worse = [
                    node
                    for node in page
                    if node["Node Type"] in ("Sort", "Seq Scan") or "ROW(" in node.get("Filter", "")
                ]
                assert not worse, (index, shape)


async def planned_page(doors: Doors, person: Person, shape: Shape) -> list[dict[str, Any]]:
    """What the page is found by, under one plan for all values."""
    statement = _walk(shape, WALK_MAX)
    at = {str: "Lead 5", int: 5}.get(shape.order.kind)
    async with doors.open_reads(person.workspace_id) as reads:
        now = await reads._driver.fetchval("SELECT now()")
        values = {"workspace_id": person.workspace_id, "limit": 21, "after_at": now if at is None else at}
        await reads._driver.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        told = await reads._driver.fetchval(
            f"EXPLAIN (FORMAT JSON) {statement.sql}",
            *statement.arguments({**values, "after_id": person.user_id, **VALUES}),
        )
    plan = orjson.loads(orjson.dumps(told))[0]["Plan"]
    return [node for cte in nodes(plan) if cte.get("Subplan Name") == "CTE page" for node in nodes(cte)]
