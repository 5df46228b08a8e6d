"""What the use cases of bulk sends need stored, and looked up elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from app.common.domain import Announcer, Channel, Waker
from app.conversations.domain.audience import Added, Audience, Tally
from app.conversations.domain.batch import BatchStatus
from app.conversations.domain.delivery import Reason
from app.outreach.domain.bulk_send import BulkSend, BulkSendStatus, Draft


class FeedAndBell(Announcer, Waker, Protocol):
    """What a bulk send that people move is told to."""


class BulkSends(Protocol):
    """The rows of bulk sends, for the requests that move one."""

    async def now(self) -> datetime:
        """The database's clock decides."""

    async def add(self, workspace_id: UUID, id: UUID, draft: Draft, *, created_by: UUID) -> None: ...

    async def hold(self, workspace_id: UUID, id: UUID) -> BulkSend:
        """Locked until the commit; its worker is between two steps. Raises BulkSendNotFound."""

    async def change(self, workspace_id: UUID, id: UUID, draft: Draft) -> None: ...

    async def launch(self, workspace_id: UUID, id: UUID, to: BulkSendStatus, *, send_batch_id: UUID) -> None:
        """Fixes its audience, and wakes its worker."""

    async def move(
        self, workspace_id: UUID, found: BulkSend, to: BulkSendStatus, *, reason: str | None = None
    ) -> None:
        """Wakes its worker. One that runs again is judged by what comes from now on."""

    async def drop(self, workspace_id: UUID, id: UUID) -> None:
        """CANCELED before it was launched: it ends at once."""


@dataclass(frozen=True, slots=True)
class PinnedTemplate:
    version_id: UUID
    channel: Channel | None
    variables: Sequence[str]
    required: Sequence[str]
    has_subject: bool


class Templates(Protocol):
    async def current(self, workspace_id: UUID, template_id: UUID) -> PinnedTemplate | None:
        """Its newest version; None where it is unknown or deleted."""


class Accounts(Protocol):
    async def find(self, workspace_id: UUID, account_id: UUID) -> tuple[Channel, Reason | None] | None:
        """Its channel, and why nothing may be sent over it."""


class Batches(Protocol):
    """The ledger's side of a bulk send."""

    async def create(
        self, workspace_id: UUID, id: UUID, draft: Draft, status: BatchStatus, *, version_id: UUID, by: UUID
    ) -> None: ...

    async def switch(self, workspace_id: UUID, id: UUID, status: BatchStatus) -> None:
        """In force once it commits: what is not on its way by then does not leave any more."""

    async def audience(self, workspace_id: UUID, draft: Draft, template: PinnedTemplate) -> Audience:
        """What its filter's leads would be, now."""


@dataclass(slots=True, kw_only=True)
class Watched:
    """A launched bulk send in a worker's hands: a step changes it, and records it."""

    id: UUID
    status: BulkSendStatus
    account_id: UUID
    send_batch_id: UUID
    filter: Mapping[str, object] | None
    launched_at: datetime
    after_id: UUID
    is_expanded: bool
    start_in_s: float
    """Until its time comes; 0 or less: it has come."""
    quiet_s: float
    """Since its counts differed last."""
    exclusions: Mapping[str, int]
    told: Mapping[str, int]
    judged_from: Mapping[str, int]
    pause_reason: str | None = None
    is_over: bool = False
    """Nothing of it moves by itself any more."""
    has_news: bool = field(default=False)


class SendLedger(Protocol):
    """One bulk send in this worker's hands. All but the look-ups fail with LostLease once another worker has it."""

    async def hold(self) -> Watched | None:
        """Renews the lease and locks the row until the commit: the step's first statement. None: not launched."""

    async def next(self, watched: Watched, limit: int) -> Sequence[UUID]:
        """The next leads that match, by their ids."""

    async def add_recipients(self, watched: Watched, ids: Sequence[UUID]) -> Added: ...

    async def tally(self, watched: Watched) -> Tally: ...

    async def close(self, watched: Watched) -> bool:
        """The batch is looked at no more; False, and nothing changed: somebody has sent a message again meanwhile."""

    async def account_refusal(self, watched: Watched) -> Reason | None:
        """Why nothing may be sent over its account."""

    async def switch(self, watched: Watched, status: BatchStatus) -> None: ...

    async def cancel_rest(self, watched: Watched, limit: int) -> int: ...

    async def record(self, watched: Watched) -> None: ...

    async def rest(self, wait_s: float | None) -> None:
        """Lets go of it until then; None: until somebody moves it."""
