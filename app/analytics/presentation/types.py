"""GraphQL types of figures."""

import asyncpg
import strawberry

from app.leads.presentation.types import Stage


@strawberry.type(description="How many leads stand in a stage.")
class StageCount:
    stage: Stage = strawberry.field(description="The stage.")
    count: int = strawberry.field(description="Live leads that were made in the period and stand there now.")

    @classmethod
    def of(cls, row: asyncpg.Record) -> "StageCount":
        return cls(stage=Stage.of(row), count=row["count"])


@strawberry.type(
    description="What happened on a day, in the workspace's time zone; of the period's first and last day, the part of "
    "it that lies in the period."
)
class DayCounts:
    day: str = strawberry.field(description="The day, such as 2026-01-31.")
    leads: int = strawberry.field(description="Live leads that were made.")
    sent: int = strawberry.field(description="Messages that went out.")
    received: int = strawberry.field(description="Messages that came in, auto-replies too.")

    @classmethod
    def of(cls, row: asyncpg.Record) -> "DayCounts":
        return cls(day=row["day"], leads=row["leads"], sent=row["sent"], received=row["received"])


@strawberry.type(description="What became of a period. All figures are of one moment.")
class Dashboard:
    leads: int = strawberry.field(description="Live leads that were made in the period.", default=0)
    by_stage: list[StageCount] = strawberry.field(
        description="The same leads by the stage they stand in now; every stage, in the board's order.",
        default_factory=list,
    )
    per_day: list[DayCounts] = strawberry.field(
        description="Every day of the period, the first one first, those without anything too.",
        default_factory=list,
    )
    sent: int = strawberry.field(
        description="Messages that went out in the period, those that came back later too.", default=0
    )
    failed: int = strawberry.field(
        description="Messages that failed for good in the period: their provider or ours refused them.",
        default=0,
    )
    unknown: int = strawberry.field(
        description="Messages of which nobody could say any more, in the period, whether they went out.",
        default=0,
    )
    reply_rate: float | None = strawberry.field(
        description="Of the leads to which a message went out in the period, the share, from 0 to 1, that has replied "
        "since the first of these messages, on whatever channel and until now. Auto-replies are no replies. Null: "
        "nobody was written to.",
        default=None,
    )
    median_first_response_seconds: int | None = strawberry.field(
        description="Of the answers that people sent in the period, the median of how long the lead had waited for it: "
        "from its first message that nobody had answered to the first answer. Bulk sends and automations answer "
        "nobody, and who still waits is not in it. Null: nothing was answered.",
        default=None,
    )
    automation_runs: int = strawberry.field(
        description="Runs of automations that began to act in the period, whatever became of them. Runs are kept for "
        "90 days after their end.",
        default=0,
    )
    automation_skips: int = strawberry.field(
        description="Runs of automations that did not act, as was found in the period: a condition did not hold, or a "
        "guard stopped them. These are kept for 30 days.",
        default=0,
    )
