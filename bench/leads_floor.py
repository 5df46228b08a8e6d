"""The floor beside `bench leads`: bare asyncpg and ASGI, with SQL and JSON by hand; nobody is signed in, nothing is
checked, no wall between tenants. Answers POST {"name", "values"}."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

WORKSPACE = UUID(os.environ["BENCH_WORKSPACE"])
LEAD = """
    SELECT l.id::text, l.name, l.email, l.phone, l.company, l.title, l.source, l.engagement, l.score, l.version,
        l.created_at, s.id::text AS stage_id, s.name AS stage_name, u.id::text AS owner_id, u.name AS owner_name,
        array(SELECT tag_id::text FROM lead_tag t WHERE t.workspace_id = l.workspace_id AND t.lead_id = l.id) AS tag_ids
    FROM lead l JOIN stage s ON s.workspace_id = l.workspace_id AND s.id = l.stage_id
        LEFT JOIN app_user u ON u.id = l.owner_id
    WHERE l.workspace_id = $1 AND l.deleted_at IS NULL
"""
SQL = {
    "page": f"{LEAD} AND (l.created_at, l.id) < ($2, $3) ORDER BY l.created_at DESC, l.id DESC LIMIT 50",
    "one": f"{LEAD} AND l.id = $2",
    "search": f"{LEAD} AND l.lexemes @@ lead_query($1, $2) ORDER BY l.created_at DESC, l.id DESC LIMIT 20",
    "board": f"""
        SELECT card.* FROM stage c, LATERAL ({LEAD} AND l.stage_id = c.id ORDER BY l.rank, l.id LIMIT 20) AS card
        WHERE c.workspace_id = $1 ORDER BY c.position
    """,
}
TAGS = "SELECT id::text, name, color FROM tag WHERE workspace_id = $1 ORDER BY name"
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Floor:
    pool: "asyncpg.Pool[asyncpg.Record]"

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            self.pool = await asyncpg.create_pool(
                os.environ["SALESPAD_DATABASE_URL"],
                min_size=10,
                max_size=10,
                reset=_nothing,
                server_settings={"role": "sp_system"},
            )
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self.pool.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = b"" if scope["method"] == "GET" else await self._answer(await _read(receive))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, asked: dict[str, Any]) -> bytes:
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(SQL[asked["name"]], WORKSPACE, *_values(asked))
            tags = {row["id"]: dict(row) for row in await connection.fetch(TAGS, WORKSPACE)}
        return orjson.dumps([_lead(row, tags) for row in rows])


async def _nothing(_: object) -> None:
    pass


async def _read(receive: Receive) -> dict[str, Any]:
    chunks, has_more = [], True
    while has_more:
        message = await receive()
        chunks.append(message["body"])
        has_more = message.get("more_body", False)
    asked: dict[str, Any] = orjson.loads(b"".join(chunks))
    return asked


def _values(asked: dict[str, Any]) -> list[object]:
    values = asked["values"]
    if asked["name"] == "page":
        return [datetime.fromisoformat(values["createdAt"]), UUID(values["id"])]
    if asked["name"] == "one":
        return [UUID(values["id"])]
    return [values["search"].split()] if asked["name"] == "search" else []


def _lead(row: asyncpg.Record, tags: dict[str, dict[str, object]]) -> dict[str, object]:
    return {
        "id": row["id"],
        "name": row["name"],
        "email": row["email"],
        "phone": row["phone"],
        "company": row["company"],
        "title": row["title"],
        "source": row["source"],
        "engagement": row["engagement"],
        "score": row["score"],
        "version": row["version"],
        "createdAt": row["created_at"],
        "stage": {"id": row["stage_id"], "name": row["stage_name"]},
        "owner": {"id": row["owner_id"], "name": row["owner_name"]} if row["owner_id"] else None,
        "tags": [tags[id] for id in row["tag_ids"]],
    }


app = Floor()
