"""What may be refused about a bulk send."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from app.common.domain import Conflict, Invalid, NotFound
from app.outreach.domain.pausing import DEFAULT_LOCALE, told


class BulkSendNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__("No such bulk send.", path=("id",))


WHAT_TO_DO = {
    "DRAFT": "It was not launched yet: launch it first.",
    "SCHEDULED": "It has not started yet: wait for its time, or cancel it.",
    "RUNNING": "It runs already.",
    "PAUSED": "It was launched, and is paused: resume or cancel it.",
    "COMPLETED": "It has completed: make a new bulk send instead.",
    "CANCELED": "It was canceled: make a new bulk send instead.",
}
"""By the state that allows no such move."""


class WrongState(Conflict):
    def __init__(self, status: StrEnum) -> None:
        super().__init__(WHAT_TO_DO[status.value], path=("id",))


class NotADraft(Conflict):
    def __init__(self) -> None:
        super().__init__("It was launched: only a draft is changed. Make a new one.", path=("id",))


class NoSuchTemplate(NotFound):
    def __init__(self, path: str = "templateId") -> None:
        super().__init__("No such template: it may have been deleted. Choose another one.", path=(path,))


class WrongChannel(Invalid):
    def __init__(self) -> None:
        super().__init__(
            "This template is for another channel: choose one for this account's.", path=("templateId",)
        )


class NoSubject(Invalid):
    """Who was never written to has no conversation whose subject it could take."""

    def __init__(self) -> None:
        super().__init__(
            "This template has no subject, and an e-mail needs one: give it a subject, or choose another template.",
            path=("templateId",),
        )


class NoSuchAccount(NotFound):
    def __init__(self) -> None:
        super().__init__("No such channel account: choose one of this workspace's.", path=("accountId",))


class AccountInTrouble(Conflict):
    """As `account_trouble` says it."""

    def __init__(self, trouble: str, path: str = "accountId") -> None:
        super().__init__(told(trouble, DEFAULT_LOCALE).partition(": ")[2], path=(path,))


_EXCLUDED = {
    "NO_ADDRESS": "{count} have no address on this channel",
    "SUPPRESSED": "{count} are suppressed",
    "MISSING_VARIABLE": "{count} lack a value that the template requires ({required}: give it a fallback, or fill "
    "it in)",
}


class NobodyToWriteTo(Invalid):
    """All who match are excluded, or nobody matches."""

    def __init__(self, exclusions: Mapping[str, int], required: Sequence[str] = ()) -> None:
        why = ", ".join(
            told.format(count=exclusions[reason], required=" or ".join(required))
            for reason, told in _EXCLUDED.items()
            if exclusions.get(reason)
        )
        super().__init__(
            f"There is nobody to write to. Of those who match, {why}."
            if why
            else "There is nobody to write to: no lead matches. Change the filter.",
            path=("id",),
        )
