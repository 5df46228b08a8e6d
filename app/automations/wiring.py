"""The door to automations for other modules."""

from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from uuid_utils.compat import uuid7

from app.accounts.domain.audit import Author
from app.accounts.wiring import record_audit
from app.automations.application.dry_run import DryRunUseCases
from app.automations.application.rules import AutomationUseCases, RuleChecks
from app.automations.domain.automation import Automation
from app.automations.domain.checking import Draft
from app.automations.domain.run import CALL_DUE, DUE
from app.automations.infrastructure.exporting import export_runs
from app.automations.infrastructure.history_reads import FeedHistory
from app.automations.infrastructure.merging import REASSIGNED as REASSIGNED_WITH_AUTOMATIONS
from app.automations.infrastructure.merging import give_back as give_back_runs
from app.automations.infrastructure.merging import hold_runs
from app.automations.infrastructure.merging import reassign as reassign_runs
from app.automations.infrastructure.reacting import consumers as rule_consumers
from app.automations.infrastructure.reads import (
    WantedRuns,
    automations_by_id,
    list_automations,
    runs_of_automations,
    steps_of_runs,
)
from app.automations.infrastructure.repository import AutomationRepository
from app.automations.infrastructure.retention import drop_old_runs
from app.automations.infrastructure.rules import enabled_rules
from app.automations.infrastructure.running import Runner
from app.automations.infrastructure.running import give_up as give_up_run
from app.automations.infrastructure.runs import calls as automation_calls
from app.automations.infrastructure.runs import runs as automation_runs
from app.automations.infrastructure.secrets import opened_secret, renew_secrets
from app.automations.infrastructure.things_reads import ThingsThere, names_of_things
from app.common.crypto import BadSecret
from app.common.domain import Actor
from app.common.work import Doors, Reads, Work
from app.settings import Settings

if TYPE_CHECKING:
    from app.automations.infrastructure.calling import Caller


def automation_use_cases(work: Work, settings: Settings, actor: Actor) -> AutomationUseCases:
    return AutomationUseCases(
        actor.workspace_id,
        Author.of(actor),
        actor.user_id,
        AutomationRepository(work, settings),
        rule_checks(work, settings, actor.workspace_id),
        work,
        partial(record_audit, work),
        uuid7,
    )


def rule_checks(reads: Reads, settings: Settings, workspace_id: UUID) -> RuleChecks:
    return RuleChecks(workspace_id, ThingsThere(reads, settings))


def secret_shown(settings: Settings, workspace_id: UUID, sealed: bytes) -> str | None:
    """As its calls are verified with it; None where no key opens it."""
    try:
        return opened_secret(settings, workspace_id, sealed)
    except BadSecret:
        return None


async def add_automation(
    work: Work,
    settings: Settings,
    workspace_id: UUID,
    user_id: UUID,
    *,
    name: str,
    draft: Draft,
    enabled: bool,
) -> UUID:
    """One that a workspace begins with; announces nothing. Raises Invalid, NotFound, Refusals, TooManyAutomations."""
    automation, _ = Automation.create(uuid7(), name=name, draft=draft, enabled=enabled)
    await rule_checks(work, settings, workspace_id).check(automation.rule)
    await AutomationRepository(work, settings).add(workspace_id, automation, user_id=user_id)
    return automation.id


def dry_run_use_cases(reads: Reads, settings: Settings, workspace_id: UUID) -> DryRunUseCases:
    """Over one snapshot, in which nothing is written."""
    checks = rule_checks(reads, settings, workspace_id)
    return DryRunUseCases(FeedHistory(reads, workspace_id), checks, settings.automation_runs_per_hour)


def create_caller(settings: Settings) -> "Caller":
    """One a worker process."""
    from app.automations.infrastructure.calling import Caller

    return Caller(settings)


async def seal_webhook_secrets_anew(doors: Doors, settings: Settings, *, limit: int) -> None:
    """Every secret of a rule's calls under the first of the keys. Repeated, it changes nothing."""
    rows, last = limit, UUID(int=0)
    while rows == limit:
        async with doors.open_system() as system:
            rows, last = await renew_secrets(system, settings, limit=limit, after=last)


__all__ = [
    "CALL_DUE",
    "DUE",
    "REASSIGNED_WITH_AUTOMATIONS",
    "Runner",
    "WantedRuns",
    "add_automation",
    "automation_calls",
    "automation_runs",
    "automation_use_cases",
    "automations_by_id",
    "create_caller",
    "drop_old_runs",
    "dry_run_use_cases",
    "enabled_rules",
    "export_runs",
    "give_back_runs",
    "give_up_run",
    "hold_runs",
    "list_automations",
    "names_of_things",
    "reassign_runs",
    "rule_checks",
    "rule_consumers",
    "runs_of_automations",
    "seal_webhook_secrets_anew",
    "secret_shown",
    "steps_of_runs",
]
