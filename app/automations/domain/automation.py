"""An automation as admins make and change it: a name, a switch, and a rule that is whole at any time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict
from uuid import UUID

from app.automations.domain.checking import Draft, checked_rule
from app.automations.domain.events import AutomationChanged
from app.automations.domain.rule import Action, ActionKind, Condition, Match, Rule, Trigger
from app.common.domain import clean_text
from app.templates.domain.texts import Problems


class Given(TypedDict, total=False):
    """What was sent of a change: what is absent stays."""

    name: str | None
    trigger: Trigger | None
    no_reply_after_s: int | None
    once_per_lead: bool | None
    """None: as it is for a new rule of this trigger."""
    match: Match | None
    conditions: Sequence[Condition] | None
    actions: Sequence[Action] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Automation:
    """Every change of name or rule makes a version: `version` is the newest one's number."""

    id: UUID
    name: str
    enabled: bool
    version: int
    rule: Rule

    @classmethod
    def create(
        cls, id: UUID, *, name: str, draft: Draft, enabled: bool
    ) -> "tuple[Automation, AutomationChanged]":
        """Raises Invalid, or all that is wrong as Refusals."""
        name, rule = _checked(name, draft)
        made = cls(id=id, name=name, enabled=enabled, version=1, rule=rule)
        return made, made.changed("created")

    def update(self, given: Given) -> "tuple[Automation, AutomationChanged | None]":
        """Nothing different: no version is made. Raises Invalid, Refusals."""
        name, rule = _checked(given.get("name", self.name) or "", _merged(self.rule, given))
        changed = [*(["name"] if name != self.name else []), *(["rule"] if rule != self.rule else [])]
        if not changed:
            return self, None
        return replace(self, name=name, rule=rule, version=self.version + 1), self.changed(*changed)

    def switch(self, enabled: bool) -> "tuple[Automation, AutomationChanged]":
        return replace(self, enabled=enabled), self.changed("enabled", after={"enabled": enabled})

    def changed(self, *changed: str, after: Mapping[str, object] | None = None) -> AutomationChanged:
        return AutomationChanged(entity_ids=[self.id], changed=changed, after=after or {})

    @property
    def calls(self) -> bool:
        """Whether it calls a webhook, and so has a secret."""
        return any(action.kind is ActionKind.CALL_WEBHOOK for action in self.rule.actions)


def _checked(name: str, draft: Draft) -> tuple[str, Rule]:
    """Raises Invalid, Refusals."""
    problems = Problems()
    name = problems.take(lambda: clean_text(name, "name"), "")
    rule = problems.take(lambda: checked_rule(draft), None)
    problems.tell()
    assert rule is not None, "what was refused was told"
    return name, rule


def _merged(rule: Rule, given: Given) -> Draft:
    trigger = given.get("trigger") or rule.trigger
    conditions, actions = given.get("conditions", rule.conditions), given.get("actions", rule.actions)
    # The time belongs to one trigger: a rule that gets another one leaves it behind.
    kept_s = rule.no_reply_after_s if trigger is Trigger.NO_REPLY else None
    return Draft(
        trigger=trigger,
        no_reply_after_s=given.get("no_reply_after_s", kept_s),
        once_per_lead=given.get("once_per_lead", rule.once_per_lead),
        match=given.get("match") or rule.match,
        conditions=conditions or (),
        actions=actions or (),
    )
