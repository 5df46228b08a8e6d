"""What a bulk send would be, before there is one: nothing is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from app.common.domain import Channel
from app.conversations.domain.audience import Audience, SendingLimits
from app.outreach.domain.bulk_send import Draft
from app.outreach.domain.errors import NoSubject, NoSuchAccount, NoSuchTemplate, WrongChannel
from app.outreach.domain.plan import DailyLimit, Limits, QuietHours, Rate, Timetable, timetable
from app.templates.domain.template import RenderedText, TemplateVersion, rendered


class Audiences(Protocol):
    """What a plan is made of, of one snapshot."""

    async def template(self, workspace_id: UUID, id: UUID) -> TemplateVersion | None:
        """Its newest version; None where it is unknown or deleted."""

    async def limits(self, workspace_id: UUID, account_id: UUID) -> tuple[Channel, SendingLimits] | None:
        """Of an account, with its channel; None where it is unknown."""

    async def audience(self, workspace_id: UUID, draft: Draft, version: TemplateVersion) -> Audience: ...


@dataclass(frozen=True, slots=True)
class Plan:
    audience: Audience
    timetable: Timetable
    samples: Sequence[RenderedText]


@dataclass(frozen=True)
class AudienceUseCases:
    workspace_id: UUID
    audiences: Audiences

    async def plan_bulk_send(self, draft: Draft) -> Plan:
        """Of an account in trouble too: it says how long it would take. Raises Refusals, NoSuchTemplate, NoSuchAccount,
        WrongChannel, NoSubject."""
        found = await self.audiences.limits(self.workspace_id, draft.account_id)
        if found is None:
            raise NoSuchAccount
        channel, limits = found
        draft = draft.checked(limits.now)
        version = await self.audiences.template(self.workspace_id, draft.template_id)
        if version is None:
            raise NoSuchTemplate
        if version.channel not in (None, channel):
            raise WrongChannel
        if channel is Channel.EMAIL and not version.subject:
            raise NoSubject
        audience = await self.audiences.audience(self.workspace_id, draft, version)
        return Plan(
            audience,
            timetable_of(draft, audience, limits),
            [rendered(version, values) for values in audience.examples],
        )


def timetable_of(draft: Draft, audience: Audience, limits: SendingLimits) -> Timetable:
    """After what the account's running batches still have to send, as fast as the account may, whoever sleeps."""
    soon = max(moment for moment in (limits.now, limits.brake_until) if moment)
    own = Rate(draft.rate_per_minute, draft.burst) if draft.rate_per_minute else None
    before = timetable({limits.zone: limits.ahead}, start=soon, limits=_limits(limits, soon))
    if before.finish_at is None:
        return Timetable(None, ())
    start = max(moment for moment in (before.finish_at, draft.start_at) if moment)
    recipients: dict[str, int] = {}
    for zone, count in audience.zones.items():
        recipients[zone or limits.zone] = recipients.get(zone or limits.zone, 0) + count
    return timetable(recipients, start=start, limits=_limits(limits, start, own=own, before=before))


def _limits(
    limits: SendingLimits, start: datetime, *, own: Rate | None = None, before: Timetable | None = None
) -> Limits:
    """`before`: what has gone first, to which nobody's night matters; None: this is that."""
    account = Rate(limits.rate_per_minute, limits.burst) if limits.rate_per_minute else None
    weekdays = None if limits.quiet_weekdays is None else frozenset(limits.quiet_weekdays)
    today, day = (moment.astimezone(ZoneInfo(limits.zone)).date() for moment in (limits.now, start))
    gone = sum(one.messages for one in before.days if one.date == day) if before else 0
    return Limits(
        zone=limits.zone,
        rates=[rate for rate in (own, account) if rate],
        daily=[DailyLimit(limit, (used if day == today else 0) + gone) for limit, used in limits.daily],
        used_at=start,
        quiet=QuietHours(limits.quiet_from, limits.quiet_to, weekdays) if before else QuietHours(),
    )
