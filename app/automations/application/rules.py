"""The use cases of automations: load, decide, store, announce, record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from app.accounts.domain.audit import Author
from app.accounts.domain.ports import AuditLog
from app.automations.domain.automation import Automation, Given
from app.automations.domain.checking import INPUT_FIELDS, Draft, check_references, references
from app.automations.domain.errors import AutomationStale, TemplateMisfit
from app.automations.domain.ports import Automations, Things
from app.automations.domain.rule import ActionKind, Rule
from app.automations.domain.webhook import AddressRefused
from app.common.domain import Announcer
from app.templates.domain.texts import Problems


@dataclass(frozen=True)
class RuleChecks:
    """What a rule speaks of is there, and what it calls may be called."""

    workspace_id: UUID
    things: Things

    async def check(self, rule: Rule, *, known: Rule | None = None) -> None:
        """What stands in the `known` one is not asked again: a rule whose tag is gone can be renamed, and warns.
        Raises NotFound, Invalid, Refusals."""
        problems = Problems()
        old = {(one.kind, one.id) for one in references(known)} if known else set()
        asked = [one for one in references(rule) if (one.kind, one.id) not in old]
        there = await self.things.there(self.workspace_id, asked) if asked else {}
        problems.take(lambda: check_references(asked, there), None)
        problems.refusals.extend(await self._misfits(rule, known))
        problems.refusals.extend(await self._refused_calls(rule, known))
        problems.tell()

    async def _misfits(self, rule: Rule, known: Rule | None) -> list[TemplateMisfit]:
        old = (
            {(one.target_id, one.account_id) for one in known.actions if one.kind is SEND} if known else set()
        )
        sends = [
            (at, (one.target_id, one.account_id))
            for at, one in enumerate(rule.actions)
            if one.kind is SEND and one.target_id and one.account_id
        ]
        new = {pair for _, pair in sends if pair not in old}
        misfits = await self.things.misfits(self.workspace_id, sorted(new)) if new else set()
        return [
            TemplateMisfit("actions", str(at), INPUT_FIELDS[SEND], "templateId")
            for at, pair in sends
            if pair in misfits
        ]

    async def _refused_calls(self, rule: Rule, known: Rule | None) -> list[AddressRefused]:
        old = {action.text for action in known.actions if action.kind is CALL} if known else set()
        return [
            AddressRefused("actions", str(at), INPUT_FIELDS[CALL])
            for at, action in enumerate(rule.actions)
            if action.kind is CALL
            and action.text not in old
            and not await self.things.may_call(action.text or "")
        ]


CALL, SEND = ActionKind.CALL_WEBHOOK, ActionKind.SEND_TEMPLATE


@dataclass(frozen=True)
class AutomationUseCases:
    """An admin's. Switching off and deleting stop what waits or is under way, before its next action."""

    workspace_id: UUID
    author: Author
    user_id: UUID
    automations: Automations
    checks: RuleChecks
    feed: Announcer
    record: AuditLog
    new_id: Callable[[], UUID]

    async def create_automation(self, *, name: str, draft: Draft, enabled: bool) -> UUID:
        """Raises Invalid, NotFound, Refusals (all that is wrong with the rule), TooManyAutomations."""
        automation, created = Automation.create(self.new_id(), name=name, draft=draft, enabled=enabled)
        await self.checks.check(automation.rule)
        await self.automations.add(self.workspace_id, automation, user_id=self.user_id)
        self.feed.announce(created)
        await self._record(automation, "created", after={"enabled": enabled, **_told(automation)})
        return automation.id

    async def update_automation(self, id: UUID, given: Given, *, version: int) -> None:
        """One more version; nothing different: none. What runs goes on by the one it began with; what happened before
        it got its trigger starts nothing. Raises AutomationNotFound, AutomationStale, and as `create_automation`."""
        held = await self.automations.get(self.workspace_id, id)
        if held.version != version:
            raise AutomationStale(id)
        automation, changed = held.update(given)
        if changed:
            await self.checks.check(automation.rule, known=held.rule)
            is_anew = automation.rule.trigger is not held.rule.trigger
            await self.automations.save(self.workspace_id, automation, user_id=self.user_id, is_anew=is_anew)
            self.feed.announce(changed)
            await self._record(automation, "updated", before=_told(held), after=_told(automation))

    async def set_automation_enabled(self, id: UUID, *, enabled: bool) -> None:
        """What happened while it was off starts nothing later. Raises AutomationNotFound."""
        held = await self.automations.get(self.workspace_id, id)
        if held.enabled == enabled:
            return
        automation, changed = held.switch(enabled)
        await self.automations.switch(self.workspace_id, id, enabled=enabled)
        self.feed.announce(changed)
        await self._record(automation, "enabled" if enabled else "disabled")

    async def delete_automation(self, id: UUID) -> UUID:
        """Raises AutomationNotFound."""
        automation = await self.automations.get(self.workspace_id, id)
        await self.automations.remove(self.workspace_id, id)
        self.feed.announce(automation.changed("deleted"))
        await self._record(automation, "deleted")
        return id

    async def _record(
        self,
        automation: Automation,
        verb: str,
        *,
        before: Mapping[str, object] | None = None,
        after: Mapping[str, object] | None = None,
    ) -> None:
        await self.record(
            self.workspace_id,
            self.author,
            f"automation.{verb}",
            object_id=automation.id,
            before=before or {},
            after=after or {},
        )


def _told(automation: Automation) -> dict[str, object]:
    """To the audit log: no text of a person's."""
    return {
        "version": automation.version,
        "trigger": automation.rule.trigger,
        "actions": len(automation.rule.actions),
    }
