"""A message from a template: what the template gives, and what may be refused of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from app.common.domain import Channel, Conflict, Invalid, NotFound
from app.conversations.domain.sending import Outbox, SendRequest

PATH = ("templateId",)


class TemplateUnknown(NotFound):
    def __init__(self) -> None:
        super().__init__(
            "No such template: it may be deleted by now. Pick one of this workspace's templates.", path=PATH
        )


class TemplateOfAnotherChannel(Conflict):
    def __init__(self, channel: Channel) -> None:
        super().__init__(
            f"This template is for {channel}, and the conversation is on another channel: pick another template.",
            path=PATH,
        )


class ValueMissing(Invalid):
    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(
            f"This lead has no {', '.join(missing)}, which the template requires: complete the lead, or give the"
            " template a fallback.",
            path=PATH,
        )
        self.missing = missing


@dataclass(frozen=True, slots=True)
class TemplateTexts:
    """What a template says to the lead of a conversation; where anything is missing, it must not be sent."""

    subject: str | None
    body: str
    missing_in_subject: Sequence[str]
    missing_in_body: Sequence[str]


class Templates(Protocol):
    async def texts(self, workspace_id: UUID, outbox: Outbox, template_id: UUID) -> TemplateTexts:
        """The template as it is now. Raises TemplateUnknown, TemplateOfAnotherChannel."""


def filled(request: SendRequest, texts: TemplateTexts) -> SendRequest:
    """What the request left out comes of the template. Raises ValueMissing, of what is taken from it alone."""
    takes_subject = request.subject is None and texts.subject is not None
    missing = [
        *(texts.missing_in_subject if takes_subject else ()),
        *(texts.missing_in_body if request.is_templated else ()),
    ]
    if missing:
        raise ValueMissing(list(dict.fromkeys(missing)))
    return replace(
        request,
        subject=texts.subject if takes_subject else request.subject,
        body=texts.body if request.is_templated else request.body,
    )
