"""Tables of scores: the rules, the messages that count, and how far each workspace's leads are scored."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Boolean, Column, Date, DateTime, Index, Named, Table, Text, TypedColumns, Uuid, text

from app.common.database import ThingColumns, metadata, tenant_key, workspace_key
from app.common.leases import DueTable, LeasedColumns

WAITING, HELD = "WAITING", "RUNNING"


class ScoreRuleColumns(TypedColumns):
    """Saved all at once: a rule is its place among them."""

    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    position: Named[int] = Column(primary_key=True, autoincrement=False)
    event: Named[str] = Column(Text)
    value: Named[str | None] = Column(Text)
    """A tag or stage that is gone since matches nothing."""
    points: Named[int]
    half_life_days: Named[int | None]


score_rule = Table("score_rule", metadata, ScoreRuleColumns, workspace_key())


class ScoreEventColumns(ThingColumns):
    """A message that counts; `id` is the message's, so none counts twice. What else counts stands in the lead."""

    lead_id: Named[UUID] = Column(Uuid)
    kind: Named[str] = Column(Text)
    channel: Named[str] = Column(Text)
    conversation_id: Named[UUID] = Column(Uuid)
    """Which it follows where a merge is undone; no foreign key upward."""
    at: Named[datetime] = Column(DateTime(timezone=True))


score_event = Table(
    "score_event",
    metadata,
    ScoreEventColumns,
    tenant_key("lead_id", "lead", ondelete="CASCADE"),
    Index("ix_score_event_lead", "workspace_id", "lead_id", "kind", text("at DESC")),
)


class ScoreSweepColumns(LeasedColumns):
    """One a workspace, for good: its leads are gone through every night, and when its rules changed.

    Who scores leads or changes rules holds it, so all agree on the day and on the rules.
    """

    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    id: Named[UUID] = Column(Uuid, primary_key=True)
    """The workspace's."""
    time_zone: Named[str] = Column(Text)
    """The workspace's, when the sweep began: what is changed since counts from the next one on."""
    day: Named[date] = Column(Date)
    """By which leads are scored, in that time zone: points fade by the day."""
    last_day: Named[date] = Column(Date)
    """By which those are scored that a sweep under way has not come to."""
    after_id: Named[UUID | None] = Column(Uuid)
    """Leads up to this id are gone through; None: no sweep is under way."""
    is_told: Named[bool] = Column(Boolean, server_default=text("true"))
    """Whether thresholds are told in timelines: not where the rules changed, for nothing happened to the leads."""


score_sweep = Table(
    "score_sweep",
    metadata,
    ScoreSweepColumns,
    workspace_key(),
    *DueTable.indexes("score_sweep", WAITING, HELD),
)

score_sweeps = DueTable(score_sweep, waiting=WAITING, held=HELD)
