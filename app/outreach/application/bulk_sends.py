"""What members do with bulk sends. Each holds the row first, so that what comes twice, or at once, finds what is so."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

from app.common.domain import Channel, Once
from app.conversations.domain.batch import BatchStatus
from app.outreach.domain.bulk_send import (
    DUE,
    LAUNCHED,
    BulkSend,
    BulkSendStatus,
    Draft,
    account_trouble,
    progressed,
)
from app.outreach.domain.errors import (
    AccountInTrouble,
    NobodyToWriteTo,
    NoSubject,
    NoSuchAccount,
    NoSuchTemplate,
    NotADraft,
    WrongChannel,
    WrongState,
)
from app.outreach.domain.pausing import PAUSED_BY_MEMBER
from app.outreach.domain.ports import Accounts, Batches, BulkSends, FeedAndBell, PinnedTemplate, Templates


@dataclass(frozen=True)
class BulkSendUseCases:
    workspace_id: UUID
    user_id: UUID
    bulk_sends: BulkSends
    templates: Templates
    accounts: Accounts
    batches: Batches
    once: Once
    work: FeedAndBell
    new_id: Callable[[], UUID]

    async def create_bulk_send(self, draft: Draft, *, idempotency_key: str) -> UUID:
        """The draft's id; the same one for the same key. Raises Conflict, Refusals, NoSuchTemplate, WrongChannel,
        NoSubject, NoSuchAccount, AccountInTrouble."""
        if earlier := await self.once.seen(idempotency_key, asdict(draft)):
            return earlier
        draft = draft.checked(await self.bulk_sends.now())
        await self._check(draft)
        id = self.new_id()
        await self.bulk_sends.add(self.workspace_id, id, draft, created_by=self.user_id)
        await self.once.remember(idempotency_key, id)
        self.work.announce(progressed(id, BulkSendStatus.DRAFT))
        return id

    async def update_bulk_send(self, id: UUID, changes: Mapping[str, Any]) -> None:
        """Raises what creating one does; BulkSendNotFound, NotADraft."""
        found = await self.bulk_sends.hold(self.workspace_id, id)
        if found.status is not BulkSendStatus.DRAFT or found.draft is None:
            raise NotADraft
        draft = replace(found.draft, **changes)
        if draft == found.draft:
            return
        draft = draft.checked(await self.bulk_sends.now(), found.draft)
        await self._check(draft)
        await self.bulk_sends.change(self.workspace_id, id, draft)
        self.work.announce(progressed(id, BulkSendStatus.DRAFT))

    async def launch_bulk_send(self, id: UUID) -> None:
        """Nothing more where it was launched before. Raises BulkSendNotFound, WrongState, NobodyToWriteTo,
        NoSuchTemplate, WrongChannel, NoSubject, NoSuchAccount, AccountInTrouble."""
        found = await self.bulk_sends.hold(self.workspace_id, id)
        if found.status in LAUNCHED:
            return
        if found.draft is None or found.status is not BulkSendStatus.DRAFT:
            raise WrongState(found.status)
        template = await self._check(found.draft, template_path="id", account_path="id")
        audience = await self.batches.audience(self.workspace_id, found.draft, template)
        if not audience.eligible:
            excluded = {why.value: count for why, count in audience.exclusions.items()}
            raise NobodyToWriteTo(excluded, template.required)
        to, batch_id = found.start(await self.bulk_sends.now()), self.new_id()
        await self.batches.create(
            self.workspace_id,
            batch_id,
            found.draft,
            BatchStatus.RUNNING if to is BulkSendStatus.RUNNING else BatchStatus.PAUSED,
            version_id=template.version_id,
            by=self.user_id,
        )
        await self.bulk_sends.launch(self.workspace_id, id, to, send_batch_id=batch_id)
        self._tell(id, to)

    async def pause_bulk_send(self, id: UUID) -> None:
        """In force when its transaction has committed. Raises BulkSendNotFound, WrongState."""
        found = await self.bulk_sends.hold(self.workspace_id, id)
        if found.moved(BulkSendStatus.PAUSED):
            await self._move(found, BulkSendStatus.PAUSED, BatchStatus.PAUSED, reason=PAUSED_BY_MEMBER)

    async def resume_bulk_send(self, id: UUID) -> None:
        """Raises BulkSendNotFound, WrongState, NoSuchAccount, AccountInTrouble."""
        found = await self.bulk_sends.hold(self.workspace_id, id)
        if found.status in LAUNCHED and found.status is not BulkSendStatus.PAUSED:
            return
        if found.status is not BulkSendStatus.PAUSED:
            raise WrongState(found.status)
        await self._channel(found.account_id, "id")
        to = found.start(await self.bulk_sends.now())
        batch = BatchStatus.RUNNING if to is BulkSendStatus.RUNNING else BatchStatus.PAUSED
        await self._move(found, to, batch)

    async def cancel_bulk_send(self, id: UUID) -> None:
        """What is not on its way yet is never sent. Raises BulkSendNotFound, WrongState."""
        found = await self.bulk_sends.hold(self.workspace_id, id)
        if found.status is BulkSendStatus.DRAFT:
            await self.bulk_sends.drop(self.workspace_id, id)
            self._tell(id, BulkSendStatus.CANCELED)
        elif found.moved(BulkSendStatus.CANCELED) or not found.has_ended:
            await self._move(found, BulkSendStatus.CANCELED, BatchStatus.CANCELED)

    async def _move(
        self, found: BulkSend, to: BulkSendStatus, batch: BatchStatus, *, reason: str | None = None
    ) -> None:
        assert found.send_batch_id is not None, "one that was launched has a batch"
        await self.bulk_sends.move(self.workspace_id, found, to, reason=reason)
        await self.batches.switch(self.workspace_id, found.send_batch_id, batch)
        self._tell(found.id, to)

    def _tell(self, id: UUID, status: BulkSendStatus) -> None:
        self.work.announce(progressed(id, status))
        self.work.wake(DUE, id)

    async def _check(
        self, draft: Draft, *, template_path: str = "templateId", account_path: str = "accountId"
    ) -> PinnedTemplate:
        """Of what it names, all is there and goes together. What changes after this moment is found at the intent."""
        template = await self.templates.current(self.workspace_id, draft.template_id)
        if template is None:
            raise NoSuchTemplate(template_path)
        channel = await self._channel(draft.account_id, account_path)
        if template.channel not in (None, channel):
            raise WrongChannel
        if channel is Channel.EMAIL and not template.has_subject:
            raise NoSubject
        return template

    async def _channel(self, account_id: UUID, path: str) -> Channel:
        account = await self.accounts.find(self.workspace_id, account_id)
        if account is None:
            raise NoSuchAccount
        channel, refusal = account
        if trouble := account_trouble(refusal):
            raise AccountInTrouble(trouble, path)
        return channel
