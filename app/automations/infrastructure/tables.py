"""Tables of automations. A version never changes: a run that has begun goes on by the one it began with."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Named,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from app.automations.domain.run import RunStatus
from app.common.database import EditedColumns, JsonObject, ThingColumns, metadata, tenant_key, workspace_key
from app.common.leases import LeasedColumns

WAITING, HELD = RunStatus.WAITING.value, RunStatus.RUNNING.value
LIVE = f"status IN ('{WAITING}', '{HELD}')"


class AutomationColumns(EditedColumns):
    """`version` is also the number of its newest `automation_version`; switching it on and off makes none."""

    name: Named[str] = Column(Text)
    enabled: Named[bool] = Column(Boolean, server_default=text("false"))
    enabled_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """The last time, or since it has its trigger: what happened before it starts no run."""
    stopped_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """When it was switched off or deleted the last time: a run that was made before it does nothing more."""
    webhook_secret: Named[bytes | None] = Column(LargeBinary)
    """Sealed. Its calls are signed with it; made when it has a call for the first time."""
    deleted_at: Named[datetime | None] = Column(DateTime(timezone=True))
    created_by: Named[UUID | None] = Column(Uuid)


automation = Table(
    "automation",
    metadata,
    AutomationColumns,
    workspace_key(),
    ForeignKeyConstraint(["created_by"], ["app_user.id"], ondelete="SET NULL"),
)


class AutomationVersionColumns(ThingColumns):
    automation_id: Named[UUID] = Column(Uuid)
    number: Named[int]
    rule: Named[Mapping[str, object]] = Column(JsonObject)
    """`domain/rule.py`: `Rule.stored`."""
    created_by: Named[UUID | None] = Column(Uuid)


automation_version = Table(
    "automation_version",
    metadata,
    AutomationVersionColumns,
    tenant_key("automation_id", "automation", ondelete="CASCADE"),
    ForeignKeyConstraint(["created_by"], ["app_user.id"], ondelete="SET NULL"),
    UniqueConstraint("workspace_id", "automation_id", "number"),
)


class AutomationRunColumns(LeasedColumns, ThingColumns):
    """A due row while it is live. `error` is a handler's, for the log; what people are told is `reason`."""

    automation_id: Named[UUID] = Column(Uuid)
    version_id: Named[UUID] = Column(Uuid)
    lead_id: Named[UUID] = Column(Uuid)
    trigger_seq: Named[int] = Column(BigInteger)
    """The event that started it, or, of NO_REPLY, armed it last."""
    depth: Named[int] = Column(server_default=text("0"))
    """How many reactions led to that event."""
    is_bulk: Named[bool] = Column(Boolean, server_default=text("false"))
    """Of an event about several leads: it lets the others of its workspace go first."""
    is_call: Named[bool] = Column(Boolean, server_default=text("false"))
    """Its next action calls a webhook, which may take long: such runs are claimed apart."""
    position: Named[int] = Column(server_default=text("0"))
    """Its next action, from 0."""
    conversation_id: Named[UUID | None] = Column(Uuid)
    message_id: Named[UUID | None] = Column(Uuid)
    """Of the event: what came in, or, of NO_REPLY, what was not answered."""
    reason: Named[str | None] = Column(Text)
    """`RunReason`."""
    condition: Named[int | None]
    started_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """When it began to act; None: not yet, or never (SKIPPED)."""
    finished_at: Named[datetime | None] = Column(DateTime(timezone=True))


automation_run = Table(
    "automation_run",
    metadata,
    AutomationRunColumns,
    tenant_key("automation_id", "automation", ondelete="CASCADE"),
    tenant_key("version_id", "automation_version"),
    tenant_key("lead_id", "lead", ondelete="CASCADE"),
    UniqueConstraint(
        "workspace_id", "automation_id", "lead_id", "trigger_seq", name="uq_automation_run_trigger"
    ),
    Index(
        "uq_automation_run_live",
        "workspace_id",
        "automation_id",
        "lead_id",
        unique=True,
        postgresql_where=text(LIVE),
    ),
    Index(
        "ix_automation_run_turn",
        "workspace_id",
        "is_bulk",
        "run_at",
        "id",
        postgresql_where=text(f"status = '{WAITING}' AND NOT is_call"),
    ),
    Index(
        "ix_automation_run_call",
        "workspace_id",
        "is_bulk",
        "run_at",
        "id",
        postgresql_where=text(f"status = '{WAITING}' AND is_call"),
    ),
    Index("ix_automation_run_lease", "lease_until", postgresql_where=text(f"status = '{HELD}'")),
    Index(
        "ix_automation_run_ended", "status", "finished_at", postgresql_where=text("finished_at IS NOT NULL")
    ),
    Index(
        "ix_automation_run_began",
        "workspace_id",
        "started_at",
        postgresql_where=text("started_at IS NOT NULL"),
    ),
    Index(
        "ix_automation_run_skipped",
        "workspace_id",
        "finished_at",
        postgresql_where=text("status = 'SKIPPED'"),
    ),
    Index("ix_automation_run_list", "workspace_id", "automation_id", text("id DESC")),
    Index("ix_automation_run_lead", "workspace_id", "lead_id"),
    Index(
        "ix_automation_run_conversation",
        "workspace_id",
        "conversation_id",
        postgresql_where=text(f"conversation_id IS NOT NULL AND {LIVE}"),
    ),
    postgresql_with={"fillfactor": 80},
)


class AutomationHourColumns(TypedColumns):
    """How many runs of a rule began to wait since an hour began: a storm is known without counting them."""

    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    automation_id: Named[UUID] = Column(Uuid, primary_key=True)
    hour: Named[datetime] = Column(DateTime(timezone=True))
    runs: Named[int]


automation_hour = Table(
    "automation_hour",
    metadata,
    AutomationHourColumns,
    tenant_key("automation_id", "automation", ondelete="CASCADE"),
)


class AutomationStepColumns(TypedColumns):
    """The receipt of one action, written in the transaction of its effect. Append only."""

    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    run_id: Named[UUID] = Column(Uuid, primary_key=True)
    position: Named[int] = Column(primary_key=True, autoincrement=False)
    visit: Named[int] = Column(primary_key=True, autoincrement=False, server_default=text("0"))
    """Actions go in order, so always 0: whatever may come back to one counts here."""
    action: Named[str] = Column(Text)
    result: Named[str] = Column(Text)
    """`StepResult`."""
    detail: Named[Mapping[str, object]] = Column(JsonObject, server_default=text("'{}'"))
    """Ids and numbers: the message, the answer's status, the reason."""
    at: Named[datetime] = Column(DateTime(timezone=True), server_default=func.clock_timestamp())


automation_step = Table(
    "automation_step",
    metadata,
    AutomationStepColumns,
    tenant_key("run_id", "automation_run", ondelete="CASCADE"),
)
