"""What a plan is made of, from the modules that have it."""

from uuid import UUID

from app.channels.wiring import accounts_by_id
from app.common.domain import Channel
from app.common.work import Reads
from app.conversations.domain.audience import Audience, SendingLimits
from app.conversations.wiring import plan_audience, sending_limits
from app.leads.wiring import conditions_of
from app.outreach.domain.bulk_send import Draft
from app.templates.domain.template import TemplateVersion
from app.templates.wiring import current_version


class AudienceReads:
    """Implements the port Audiences."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def template(self, workspace_id: UUID, id: UUID) -> TemplateVersion | None:
        return await current_version(self._reads, workspace_id, id)

    async def limits(self, workspace_id: UUID, account_id: UUID) -> tuple[Channel, SendingLimits] | None:
        row = (await accounts_by_id(self._reads, workspace_id, [account_id])).get(str(account_id))
        limits = await sending_limits(self._reads, workspace_id, account_id)
        return (Channel(row["channel"]), limits) if row and limits else None

    async def audience(self, workspace_id: UUID, draft: Draft, version: TemplateVersion) -> Audience:
        return await plan_audience(
            self._reads,
            workspace_id,
            conditions_of(draft.filter),
            account_id=draft.account_id,
            required=version.required,
            variables=version.variables,
        )
