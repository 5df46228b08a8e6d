"""The dashboard's figures: one statement each, over narrow indexes (docs/decisions/0047).

Moments are compared as they are; only days are the workspace's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.analytics.domain.period import Period
from app.common.database import Statement
from app.common.work import Reads


def _within(column: str) -> str:
    return f"{column} >= cast(:since as timestamptz) AND {column} < cast(:until as timestamptz)"


BY_STAGE = Statement(
    text(
        f"""
        SELECT s.id::text, s.name, s.kind, s.position, coalesce(held.count, 0) AS count
        FROM stage s LEFT JOIN (
            SELECT l.stage_id, count(*) AS count FROM lead l
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.deleted_at IS NULL AND {_within("l.created_at")}
            GROUP BY l.stage_id
        ) held ON held.stage_id = s.id
        WHERE s.workspace_id = cast(:workspace_id as uuid)
        ORDER BY s.position, s.id
    """  # noqa: S608 - words of ours
    )
)
# A day's limits are made into moments first, so that each is a stretch of an index: no row's own day is worked out.
PER_DAY = Statement(
    text(
        """
        WITH days AS MATERIALIZED (
            SELECT day, CASE
                    WHEN day > cast(:since as timestamptz) AT TIME ZONE z.zone THEN day AT TIME ZONE z.zone
                    ELSE cast(:since as timestamptz)
                END AS begins,
                least(cast(:until as timestamptz), (day + interval '1 day') AT TIME ZONE z.zone) AS ends
            FROM workspace w CROSS JOIN LATERAL known_zone(w.time_zone) AS z(zone) CROSS JOIN LATERAL generate_series(
                date_trunc('day', cast(:since as timestamptz) AT TIME ZONE z.zone),
                (cast(:until as timestamptz) - interval '1 microsecond') AT TIME ZONE z.zone,
                interval '1 day'
            ) AS day
            WHERE w.id = cast(:workspace_id as uuid) AND cast(:since as timestamptz) < cast(:until as timestamptz)
        )
        SELECT to_char(day, 'YYYY-MM-DD') AS day, (
            SELECT count(*) FROM lead l
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.deleted_at IS NULL
                AND l.created_at >= begins AND l.created_at < ends
        ) AS leads, (
            SELECT count(*) FROM delivery d
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.status = 'sent'
                AND d.settled_at >= begins AND d.settled_at < ends
        ) AS sent, (
            SELECT count(*) FROM message m
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.direction = 'INBOUND'
                AND m.created_at >= begins AND m.created_at < ends
        ) AS received
        FROM days ORDER BY days.day
        """
    )
)
DELIVERIES = Statement(
    text(
        f"""
        SELECT d.status, count(*) AS count FROM delivery d
        WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.status = ANY (cast(:statuses as text[]))
            AND {_within("d.settled_at")}
        GROUP BY d.status
        """  # noqa: S608 - words of ours
    )
)
# A conversation says when its lead was heard last, which is all that "since" needs to know.
REPLY_RATE = Statement(
    text(
        f"""
        SELECT cast(count(*) FILTER (WHERE heard.last_at > written.first_at) AS double precision) / nullif(count(*), 0)
            AS rate
        FROM (
            SELECT d.lead_id, min(d.settled_at) AS first_at FROM delivery d
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.status = 'sent' AND {_within("d.settled_at")}
            GROUP BY d.lead_id
        ) written LEFT JOIN (
            SELECT c.lead_id, max(c.last_inbound_at) AS last_at FROM conversation c
            WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.last_inbound_at >= cast(:since as timestamptz)
            GROUP BY c.lead_id
        ) heard USING (lead_id)
    """  # noqa: S608 - words of ours
    )
)
# For this transaction: 200,000 leads are told apart in memory, not on disk.
ROOM = Statement(text("SELECT set_config('work_mem', '32MB', true)"))
FIRST_RESPONSE = Statement(
    text(
        f"""
        SELECT cast(round(percentile_cont(0.5) WITHIN GROUP (
            ORDER BY extract(epoch FROM d.settled_at - d.answers_since)::double precision
        )) AS bigint) AS seconds
        FROM delivery d
        WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.status = 'sent' AND d.answers_since IS NOT NULL
            AND {_within("d.settled_at")}
    """  # noqa: S608 - words of ours
    )
)
RUNS = Statement(
    text(
        f"""
        SELECT (
            SELECT count(*) FROM automation_run r
            WHERE r.workspace_id = cast(:workspace_id as uuid) AND {_within("r.started_at")}
        ) AS began, (
            SELECT count(*) FROM automation_run r
            WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.status = 'SKIPPED' AND {_within("r.finished_at")}
        ) AS skipped
    """  # noqa: S608 - words of ours
    )
)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one period of one workspace."""

    reads: Reads
    workspace_id: UUID
    period: Period

    async def by_stage(self) -> Sequence[asyncpg.Record]:
        """Each stage with how many live leads that were made in the period stand in it now."""
        return await self._rows(BY_STAGE)

    async def per_day(self) -> Sequence[asyncpg.Record]:
        """Each day of the workspace's that the period touches, the first and the last perhaps in part: the live leads
        that were made, the messages that went out, those that came in, auto-replies too."""
        return await self._rows(PER_DAY)

    async def deliveries(self, *statuses: str) -> Mapping[str, int]:
        """Messages by what became of them, where it did so in the period: `sent`, whatever came back later; `failed`
        for good; `unknown`. One that is sent again counts as what became of it then."""
        rows = await self._rows(DELIVERIES, statuses=list(statuses))
        return dict.fromkeys(statuses, 0) | {row["status"]: row["count"] for row in rows}

    async def reply_rate(self) -> float | None:
        """Of the leads to which a message went out in the period, the share from whom a reply has come since the first
        of these messages, on whatever channel and until now; auto-replies are none. None: nobody was written to.

        A lead counts once, however often it was written to. A deleted one counts, a merged one as whom it is now.
        """
        await self.reads.fetch(ROOM)
        rate: float | None = (await self._row(REPLY_RATE))["rate"]
        return rate

    async def median_first_response_s(self) -> int | None:
        """Of the answers of people that went out in the period, the median of how long the lead had waited: from its
        first message that nobody had answered to the first answer. None: nothing was answered.

        Time in which nobody works counts. Bulk sends and automations answer nobody; who waits still is not in it; who
        writes again before the answer waits no less.
        """
        seconds: int | None = (await self._row(FIRST_RESPONSE))["seconds"]
        return seconds

    async def runs(self) -> asyncpg.Record:
        """`began`: runs of rules that began to act in the period, whatever became of them. `skipped`: those that it was
        found in the period that they do not act. As long as runs are kept."""
        return await self._row(RUNS)

    async def _rows(self, statement: Statement, **values: object) -> Sequence[asyncpg.Record]:
        given = {"workspace_id": self.workspace_id, "since": self.period.since, "until": self.period.until}
        return await self.reads.fetch(statement, **given, **values)

    async def _row(self, statement: Statement) -> asyncpg.Record:
        return (await self._rows(statement))[0]
