"""`seed-demo --leads N`: so many further leads, set-based, ten thousand in a transaction.

Each transaction is whole or not at all, and what is there already is left alone, whatever became of it: killed half
way or run again, it makes what is missing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import text

from app.common.database import Statement
from app.common.domain import EVENT_IDS_MAX
from app.common.work import Doors, Work
from app.demo.crowd import CrowdLead, crowd_lead
from app.demo.people import OWNER
from app.leads.domain.lead import LeadSource, created, rank_of
from app.leads.domain.stage import StageKind
from app.leads.wiring import list_stages
from app.settings import Settings
from app.tags.wiring import list_tags

CHUNK = 10_000
FILLED = ("lead", "lead_identity", "lead_tag", "feed_event")
COLUMNS = {
    "id": "uuid", "name": "text", "email": "text", "phone": "text", "company": "text", "title": "text",
    "stage_id": "uuid", "rank": "text", "stage_entered_at": "timestamptz", "lost_reason": "text", "owner_id": "uuid",
    "source": "text", "engagement": "text", "metadata": "jsonb", "created_by": "uuid",
    "last_touch_at": "timestamptz", "created_at": "timestamptz", "handles": "text[]",
}  # fmt: skip
OWN_COLUMNS = {"kinds": "text[]", "tag_ids": "uuid[]"}
"""`kinds` of the `handles`, and what stands in other tables."""
STAGE_DDL = text(
    "CREATE TEMP TABLE IF NOT EXISTS demo_lead ("
    + ", ".join(f"{name} {kind}" for name, kind in (COLUMNS | OWN_COLUMNS).items())
    + ") ON COMMIT DELETE ROWS"
)
ANALYSE = text("ANALYZE pg_temp.demo_lead")
ONE_AT_A_TIME = Statement(
    text("SELECT pg_advisory_xact_lock(hashtextextended(cast(cast(:workspace_id as uuid) as text), 7))")
)
LEAVE_OUT = Statement(
    text(
        """
        DELETE FROM pg_temp.demo_lead d
        USING (
            SELECT l.id FROM lead l
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id IN (SELECT id FROM pg_temp.demo_lead)
            UNION
            SELECT own.id FROM (
                SELECT id, unnest(kinds) AS kind, unnest(handles) AS value FROM pg_temp.demo_lead
            ) AS own
            JOIN lead_identity i ON i.workspace_id = cast(:workspace_id as uuid) AND i.kind = own.kind
                AND i.value = own.value AND i.released_at IS NULL
        ) AS taken
        WHERE taken.id = d.id
        """
    )
)
"""Also deleted and merged ones, and who somebody else made with the same address."""
WRITE = tuple(
    Statement(text(sql))
    for sql in (
        f"""
        INSERT INTO lead (workspace_id, updated_at, score, {", ".join(COLUMNS)})
        SELECT cast(:workspace_id as uuid), created_at,
            first_score(cast(:workspace_id as uuid), email, phone, company, title, source), {", ".join(COLUMNS)}
        FROM pg_temp.demo_lead ORDER BY id
        """,  # noqa: S608 - names of ours
        """
        INSERT INTO lead_identity (workspace_id, lead_id, kind, value, is_primary)
        SELECT cast(:workspace_id as uuid), d.id, own.kind, own.value, true
        FROM pg_temp.demo_lead d, unnest(d.kinds, d.handles) AS own(kind, value)
        ORDER BY own.kind, own.value
        """,
        """
        INSERT INTO lead_tag (workspace_id, lead_id, tag_id)
        SELECT cast(:workspace_id as uuid), d.id, own.id FROM pg_temp.demo_lead d, unnest(d.tag_ids) AS own(id)
        """,
    )
)
MADE = Statement(
    text("SELECT source, array_agg(id ORDER BY id) AS ids FROM pg_temp.demo_lead GROUP BY source")
)
FIND_MEMBERS = Statement(
    text(
        """
        SELECT u.email, m.user_id FROM member m JOIN app_user u ON u.id = m.user_id
        WHERE m.workspace_id = cast(:workspace_id as uuid)
        """
    )
)


@dataclass(frozen=True)
class Surroundings:
    """What of the workspace the leads refer to."""

    stages: Sequence[tuple[UUID, bool]]
    """In their order, and whether it is for lost ones."""
    tags: Mapping[str, UUID]
    members: Mapping[str, UUID]


async def fill(
    doors: Doors, settings: Settings, workspace_id: UUID, total: int, progress: Callable[[int], None]
) -> int:
    """How many were made; `progress` is told how many are looked after. Brings the tables' statistics up to date."""
    now, made = datetime.now(UTC), 0

    def people(first: int) -> list[CrowdLead]:
        return [crowd_lead(number, total, now) for number in range(first, min(first + CHUNK, total + 1))]

    leads = people(1)
    for first in range(1, total + 1, CHUNK):
        following = asyncio.create_task(
            asyncio.to_thread(people, first + CHUNK)
        )  # while PostgreSQL writes these
        async with doors.open_work(workspace_id) as work:
            made += await _write(work, workspace_id, leads)
        progress(first - 1 + len(leads))
        leads = await following
    if made:
        await _analyse(settings)
    return made


async def _write(work: Work, workspace_id: UUID, leads: Sequence[CrowdLead]) -> int:
    await work.execute(STAGE_DDL)
    await work.fetch(ONE_AT_A_TIME, workspace_id=workspace_id)
    around = await _surroundings(work, workspace_id)
    await work.copy("demo_lead", [*COLUMNS, *OWN_COLUMNS], [_row(lead, around) for lead in leads])
    await work.execute(ANALYSE)
    await work.fetch(LEAVE_OUT, workspace_id=workspace_id)
    for statement in WRITE:
        await work.fetch(statement, workspace_id=workspace_id)
    made = await work.fetch(MADE)
    for row in made:
        for start in range(0, len(row["ids"]), EVENT_IDS_MAX):
            work.announce(created(row["ids"][start : start + EVENT_IDS_MAX], LeadSource(row["source"])))
    return sum(len(row["ids"]) for row in made)


async def _surroundings(work: Work, workspace_id: UUID) -> Surroundings:
    return Surroundings(
        [(UUID(row["id"]), row["kind"] == StageKind.LOST) for row in await list_stages(work, workspace_id)],
        {row["name"]: UUID(row["id"]) for row in await list_tags(work, workspace_id)},
        {row["email"]: row["user_id"] for row in await work.fetch(FIND_MEMBERS, workspace_id=workspace_id)},
    )


def _row(lead: CrowdLead, around: Surroundings) -> tuple[object, ...]:
    stage_id, is_lost = around.stages[min(lead.stage, len(around.stages) - 1)]
    kinds = sorted(lead.identities, key=lambda kind: (kind, lead.identities[kind]))
    return (
        lead.id,
        lead.name,
        lead.identities.get("EMAIL"),
        lead.identities.get("PHONE"),
        lead.company,
        lead.title,
        stage_id,
        rank_of(lead.id),
        lead.stage_entered_at,
        lead.lost_reason if is_lost else None,
        around.members.get(lead.owner or ""),
        lead.source.value,
        lead.engagement,
        orjson.dumps(lead.metadata).decode(),
        around.members.get(OWNER.email),
        lead.last_touch_at,
        lead.created_at,
        [lead.identities[kind] for kind in kinds],
        kinds,
        [around.tags[tag] for tag in lead.tags if tag in around.tags],
    )


async def _analyse(settings: Settings) -> None:
    """As autovacuum does within minutes; whoever may not is told by PostgreSQL, and has lost nothing else."""
    scheme, _, rest = (settings.database_url or "").partition("://")
    connection = await asyncpg.connect(f"{scheme.partition('+')[0]}://{rest}")
    try:
        for table in FILLED:
            await connection.execute(f"VACUUM (ANALYZE) {table}")
    finally:
        await connection.close()
