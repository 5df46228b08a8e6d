"""Implements the port Templates."""

from uuid import UUID

from app.common.work import Work
from app.conversations.domain.sending import Outbox
from app.conversations.domain.templated import TemplateOfAnotherChannel, TemplateTexts, TemplateUnknown
from app.templates.wiring import current_version, lead_values, rendered


class TemplateRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def texts(self, workspace_id: UUID, outbox: Outbox, template_id: UUID) -> TemplateTexts:
        version = await current_version(self._work, workspace_id, template_id)
        if version is None:
            raise TemplateUnknown
        if version.channel not in (None, outbox.channel):
            raise TemplateOfAnotherChannel(version.channel or outbox.channel)
        values = await lead_values(
            self._work, workspace_id, lead_id=outbox.lead_id, account_id=outbox.account_id
        )
        text = rendered(version, values or {})
        return TemplateTexts(text.subject or None, text.body, text.missing_in_subject, text.missing_in_body)
