"""Queries of figures."""

from datetime import datetime
from typing import Annotated

import strawberry

from app.analytics.domain.period import MAX_DAYS, period
from app.analytics.presentation.types import Dashboard, DayCounts, StageCount
from app.analytics.wiring import Figures
from app.common.domain import Role
from app.common.graphql import Info, query, selects

Since = Annotated[datetime, strawberry.argument(name="from", description="When the period begins.")]
Until = Annotated[
    datetime,
    strawberry.argument(name="to", description=f"When it is over; {MAX_DAYS:,} days later at most."),
]


@strawberry.type
class AnalyticsQuery:
    @query(
        requires=Role.VIEWER,
        description="The workspace's figures of a period. Only what is asked for is counted.",
    )
    async def dashboard(self, info: Info, since: Since, until: Until) -> Dashboard:
        workspace_id = info.context.signed_in.workspace_id
        asked = period(since, until)
        async with info.context.doors.open_reads(workspace_id, one_snapshot=True) as reads:
            return await _counted(info, Figures(reads, workspace_id, asked))


async def _counted(info: Info, figures: Figures) -> Dashboard:
    """What was not asked for stays empty; nobody sees it."""

    def asks(*names: str) -> bool:
        return any(selects(info, name) for name in names)

    told = Dashboard()
    if asks("leads", "byStage"):
        told.by_stage = [StageCount.of(row) for row in await figures.by_stage()]
        told.leads = sum(one.count for one in told.by_stage)
    if asks("perDay"):
        told.per_day = [DayCounts.of(row) for row in await figures.per_day()]
    if asks("sent"):
        told.sent = (await figures.deliveries("sent"))["sent"]
    if asks("failed", "unknown"):
        counts = await figures.deliveries("failed", "unknown")
        told.failed, told.unknown = counts["failed"], counts["unknown"]
    if asks("replyRate"):
        told.reply_rate = await figures.reply_rate()
    if asks("medianFirstResponseSeconds"):
        told.median_first_response_seconds = await figures.median_first_response_s()
    if asks("automationRuns", "automationSkips"):
        row = await figures.runs()
        told.automation_runs, told.automation_skips = row["began"], row["skipped"]
    return told
