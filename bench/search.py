"""Searching the inbox of a workspace with 500,000 messages in 50,000 conversations, beside 100,000 messages of others.

The goal: a page of 20 within 50 ms, whatever is searched for. Measured is what the query does in the database's doors:
transaction, statement, rows. `SALESPAD_BENCH_EXPLAIN=1` prints the plans too.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles
from uuid import UUID, uuid4

import asyncpg

from app.common.paging import Keyset
from app.common.work import Doors
from app.conversations.domain.search import search_terms
from app.conversations.infrastructure.list_reads import _list_statement
from app.conversations.wiring import ConversationConditions, list_conversations
from app.settings import Settings

CONVERSATIONS = int(os.environ.get("SALESPAD_BENCH_CONVERSATIONS", "50000"))
OTHERS = 10
MESSAGES_EACH = 10
ROUNDS = 40
LOADERS = 2

TENANT = """
WITH made AS (INSERT INTO workspace (id, name, locale, time_zone, phone_region) VALUES ($1, 'W', 'pt-BR', 'UTC', 'BR')),
    head AS (INSERT INTO feed_head (workspace_id) VALUES ($1)),
    person AS (INSERT INTO app_user (id, name, email, password_hash, locale)
        VALUES ($2, 'Ana', cast(cast($2 as uuid) as text) || '@example.com', '-', 'pt-BR')),
    joined AS (INSERT INTO member (workspace_id, user_id, role) VALUES ($1, $2, 'OWNER')),
    stage AS (INSERT INTO stage (workspace_id, id, name, kind, position) VALUES ($1, $2, 'New', 'OPEN', 0))
INSERT INTO channel_account (workspace_id, id, channel, name, address, inbound_token)
VALUES ($1, $2, 'EMAIL', 'Sales', cast(cast($2 as uuid) as text) || '@example.com', cast(cast($2 as uuid) as text))
"""
ID = "('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid"
LEADS = f"""
INSERT INTO lead (workspace_id, id, name, email, stage_id, rank, source)
SELECT $1, {ID}, 'Lead ' || n, n || '@example.com', $2, n::text, 'MANUAL' FROM generate_series(1, $3::int) AS n
"""
CONVERSATION_ROWS = f"""
INSERT INTO conversation (workspace_id, id, lead_id, account_id, channel, contact_address, activity_at, message_count,
    inbound_count, status)
SELECT $1, {ID}, {ID}, $2, 'EMAIL', n || '@example.com', now() - n * interval '1 minute', {MESSAGES_EACH},
    {MESSAGES_EACH // 2}, CASE WHEN n % 10 = 0 THEN 'CLOSED' ELSE 'OPEN' END
FROM generate_series(1, $3::int) AS n
"""
MESSAGES = f"""
INSERT INTO message (workspace_id, conversation_id, position, account_id, direction, author_kind, body, status, lexemes)
SELECT $1, {ID}, position, $2, 'INBOUND', 'CONTACT', body, 'RECEIVED', message_lexemes($1, 'portuguese', body)
FROM generate_series($3::int, $4::int) AS n, generate_series(1, {MESSAGES_EACH}) AS position, LATERAL (
    SELECT concat_ws(' ', string_agg('palavra' || (power(random(), 3) * 20000 + 0 * (n + position + k))::int, ' '),
        CASE WHEN random() < 0.6 THEN 'orcamento' END,
        CASE WHEN random() < 0.03 THEN 'desconto' END,
        CASE WHEN random() < 0.008 THEN 'contrato' END,
        CASE WHEN n > $5::int * 0.9 AND random() < 0.3 THEN 'antigo' END,
        CASE WHEN n % ($5::int / 20) = 0 AND position = 1 THEN 'raridade' END) AS body
    FROM generate_series(1, 20) AS k
) AS written
"""
SEARCHES: Sequence[tuple[str, str, dict[str, object]]] = (
    ("in no message", "inexistente", {}),
    ("in 20", "raridade", {}),
    ("in 4,000", "contratos", {}),
    ("in 15,000", "desconto", {}),
    ("in 300,000", "orçamentos", {}),
    ("in 15,000, all old", "antigo", {}),
    ("a common and a rare", "orcamento raridade", {}),
    ("two common ones", "orcamento desconto", {}),
    ("a beginning of many", "palavra1", {}),
    ("a beginning of all", "pa", {}),
    ("common, closed only", "orcamento", {"statuses": ["CLOSED"]}),
    ("in 4,000, unread only", "contrato", {"is_unread": True}),
    ("common, of nobody", "orcamento", {"assignee_ids": [uuid4()]}),
)


@dataclass(frozen=True)
class Tenant:
    workspace_id: UUID
    user_id: UUID
    conversations: int


async def load() -> Tenant:
    url = os.environ["SALESPAD_DATABASE_URL"]
    owner = await asyncpg.connect(url)
    await owner.execute("DROP INDEX ix_message_lexemes")
    big = Tenant(uuid4(), uuid4(), CONVERSATIONS)
    small = [Tenant(uuid4(), uuid4(), CONVERSATIONS // 5 // OTHERS) for _ in range(OTHERS)]
    await owner.execute("SET ROLE sp_system")
    for tenant in (big, *small):
        await owner.execute(TENANT, tenant.workspace_id, tenant.user_id)
        for sql in (LEADS, CONVERSATION_ROWS):
            await owner.execute(sql, tenant.workspace_id, tenant.user_id, tenant.conversations)
    step = CONVERSATIONS // 10
    parts = [(big, first, first + step - 1) for first in range(1, CONVERSATIONS, step)]
    parts += [(tenant, 1, tenant.conversations) for tenant in small]
    await asyncio.gather(*(_load_messages(url, parts[n::LOADERS]) for n in range(LOADERS)))
    await owner.execute("RESET ROLE")
    await owner.execute("SET maintenance_work_mem = '512MB'")
    await owner.execute(
        "CREATE INDEX ix_message_lexemes ON message USING gin (lexemes) WITH (gin_pending_list_limit = 256)"
    )
    for table in ("message", "conversation", "lead", "conversation_read", "feed_head"):
        await owner.execute(f"VACUUM ANALYZE {table}")
    await owner.close()
    return big


async def _load_messages(url: str, parts: Sequence[tuple[Tenant, int, int]]) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("SET ROLE sp_system")
    for tenant, first, last in parts:
        await connection.execute(
            MESSAGES, tenant.workspace_id, tenant.user_id, first, last, tenant.conversations
        )
    await connection.close()


async def run() -> None:
    started = time.perf_counter()
    tenant = await load()
    print(f"{CONVERSATIONS * MESSAGES_EACH:,} messages loaded in {time.perf_counter() - started:.0f} s")
    doors = Doors(Settings())
    print(f"{'':26}{'rows':>6}{'p50 ms':>9}{'p95 ms':>9}   page 2{'p50 ms':>9}{'p95 ms':>9}")
    for name, search, filter in SEARCHES:
        conditions = ConversationConditions(terms=search_terms(search), **filter)  # type: ignore[arg-type]
        rows, first = await measure(doors, tenant, conditions, None)
        after = Keyset(rows[-1]["activity_at"], rows[-1]["key"]) if rows else None
        _, second = await measure(doors, tenant, conditions, after)
        print(
            f"{name:26}{len(rows):6}{first[0]:9.1f}{first[1]:9.1f}         {second[0]:9.1f}{second[1]:9.1f}"
        )
        if os.environ.get("SALESPAD_BENCH_EXPLAIN"):
            await explain(doors, tenant, conditions)
    await doors.close()


async def measure(
    doors: Doors, tenant: Tenant, conditions: ConversationConditions, after: Keyset | None
) -> tuple[Sequence[asyncpg.Record], tuple[float, float]]:
    """The rows, and the 50th and 95th percentile in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        async with doors.open_reads(tenant.workspace_id) as reads:
            found = await list_conversations(
                reads,
                tenant.workspace_id,
                tenant.user_id,
                conditions,
                first=20,
                after=after,
                with_identities=False,
                with_attachments=False,
            )
        times.append((time.perf_counter() - began) * 1000)
    cuts = quantiles(times, n=20)
    return found.page.rows, (cuts[9], cuts[18])


async def explain(doors: Doors, tenant: Tenant, conditions: ConversationConditions) -> None:
    statement = _list_statement(conditions.used, False, False, False)
    values = {"workspace_id": tenant.workspace_id, "viewer_id": tenant.user_id, "limit": 21}
    async with doors.open_reads(tenant.workspace_id) as reads:
        plan = await reads._driver.fetch(
            f"EXPLAIN (ANALYZE, COSTS off) {statement.sql}", *statement.arguments(values | conditions.values)
        )
    print("\n".join(str(row[0]) for row in plan))
