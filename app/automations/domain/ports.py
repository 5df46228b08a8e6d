"""What the use cases of rules need from elsewhere."""

from collections.abc import Mapping, Sequence, Set
from typing import Protocol
from uuid import UUID

from app.automations.domain.automation import Automation
from app.automations.domain.checking import Reference, ThingKind


class Automations(Protocol):
    """The port to the stored automations."""

    async def add(self, workspace_id: UUID, automation: Automation, *, user_id: UUID) -> None:
        """Raises TooManyAutomations."""

    async def get(self, workspace_id: UUID, id: UUID) -> Automation:
        """Locks it until the commit: no run of it begins an action meanwhile. Raises AutomationNotFound."""

    async def save(self, workspace_id: UUID, automation: Automation, *, user_id: UUID, is_anew: bool) -> None:
        """With one more version. `is_anew`: it acts on what happens from now on, as one that is switched on."""

    async def switch(self, workspace_id: UUID, id: UUID, *, enabled: bool) -> None:
        """From now on."""

    async def remove(self, workspace_id: UUID, id: UUID) -> None:
        """It stays for its runs' sake, and acts no more."""


class Things(Protocol):
    """The port to what a rule may speak of, and may call."""

    async def there(
        self, workspace_id: UUID, references: Sequence[Reference]
    ) -> Mapping[ThingKind, set[UUID]]:
        """Those that are there and can be used; disconnected accounts cannot."""

    async def misfits(self, workspace_id: UUID, sends: Sequence[tuple[UUID, UUID]]) -> Set[tuple[UUID, UUID]]:
        """Of templates with accounts, those where the template is for another channel."""

    async def may_call(self, url: str) -> bool:
        """Whether this address is one to call, as far as it says so itself: names are looked up at the call."""
