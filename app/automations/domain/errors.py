"""Refusals that are about rules and their past."""

from uuid import UUID

from app.automations.domain.rule import MAX_AUTOMATIONS
from app.common.domain import Conflict, Invalid, LimitReached, NotFound, Throttled


class AutomationNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__("No such automation: it may be deleted by now. Load them again.", path=("id",))


class AutomationStale(Conflict):
    """The payload shows the automation as it is now."""

    def __init__(self, automation_id: UUID) -> None:
        super().__init__(
            "Somebody changed this automation meanwhile: look at it as it is now, then try again.",
            path=("version",),
        )
        self.automation_id = automation_id


class TemplateMisfit(Invalid):
    def __init__(self, *path: str) -> None:
        super().__init__(
            "This template is for another channel than the account: choose one that fits it.", path=path
        )


class TooManyAutomations(LimitReached):
    def __init__(self) -> None:
        super().__init__(
            f"A workspace has at most {MAX_AUTOMATIONS} automations: delete some you no longer use."
        )


class TooManyDays(Invalid):
    def __init__(self, most: int) -> None:
        super().__init__(f"Give 1 to {most} days.", path=("days",))


class TooMuchHistory(LimitReached):
    """What the rule waits for has happened so often that nobody can wait for the answer."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"This happened more than {most:,} times in these days: choose fewer days.", path=("days",)
        )


class DryRunUnderWay(Throttled):
    """Each reads much: one at a time in a workspace."""

    def __init__(self) -> None:
        super().__init__("Another dry run of this workspace is under way: try again when it has ended.")
