"""What a worker does for a bulk send, a step a transaction: it takes in the audience, starts it, watches over it, and
ends it. Killed anywhere and run twice at once, nobody is added twice and nobody is lost: the step that added them is
the one that recorded how far it came.
"""

from dataclasses import asdict, dataclass

from app.common.domain import Announcer
from app.conversations.domain.audience import Tally
from app.conversations.domain.batch import BatchStatus
from app.outreach.domain.bulk_send import (
    BulkSendStatus,
    Outcomes,
    account_trouble,
    progressed,
    rate_trouble,
)
from app.outreach.domain.ports import SendLedger, Watched

CANCEL_ROWS = 5000
WATCH_S = 1.0
"""Counts are told at most so often."""
WATCH_MAX_S = 15.0
AT_ONCE = 0.0


@dataclass(frozen=True)
class RunBulkSend:
    ledger: SendLedger
    feed: Announcer
    chunk: int

    async def step(self, *, is_watch_due: bool) -> bool:
        """True when the row was let go of: there is nothing to do, or not yet. Raises LostLease: then nothing was
        written."""
        watched = await self.ledger.hold()
        if watched is None:
            await self.ledger.rest(None)
            return True
        wait_s = await self._go_on(watched, is_watch_due=is_watch_due)
        await self.ledger.record(watched)
        if wait_s == AT_ONCE:
            return False
        await self.ledger.rest(wait_s)
        return True

    async def _go_on(self, watched: Watched, *, is_watch_due: bool) -> float | None:
        """How long to wait before the next step; None: until somebody moves it."""
        if watched.status is BulkSendStatus.COMPLETED:
            return None
        if watched.status is BulkSendStatus.CANCELED:
            return await self._end(watched, is_watch_due=is_watch_due)
        # Apart from the chunks: who switches a batch waits for intents, which wait for leads.
        if watched.status is BulkSendStatus.SCHEDULED and watched.start_in_s <= 0:
            watched.status, watched.has_news = BulkSendStatus.RUNNING, True
            await self.ledger.switch(watched, BatchStatus.RUNNING)
            return AT_ONCE
        if not watched.is_expanded and not is_watch_due:
            await self._expand(watched)
            return AT_ONCE
        tally = await self.ledger.tally(watched)
        if watched.status is BulkSendStatus.RUNNING:
            await self._judge(watched, tally)
        self._tell(watched, tally)
        return _wait_s(watched)

    async def _expand(self, watched: Watched) -> None:
        ids = await self.ledger.next(watched, self.chunk)
        if ids:
            added = await self.ledger.add_recipients(watched, ids)
            excluded = {reason.value: count for reason, count in added.exclusions.items()}
            watched.exclusions = {
                reason: watched.exclusions.get(reason, 0) + excluded.get(reason, 0)
                for reason in {*watched.exclusions, *excluded}
            }
            watched.after_id = max(ids)
        watched.is_expanded = len(ids) < self.chunk

    async def _judge(self, watched: Watched, tally: Tally) -> None:
        """Whether it may go on, and whether it has come to its end."""
        new = Outcomes.of(asdict(tally)).since(Outcomes.of(watched.judged_from))
        trouble = account_trouble(await self.ledger.account_refusal(watched)) or rate_trouble(new)
        if watched.is_expanded and not tally.queued and await self.ledger.close(watched):
            watched.status, watched.is_over = BulkSendStatus.COMPLETED, True
        elif trouble:
            watched.status, watched.pause_reason = BulkSendStatus.PAUSED, trouble
            await self.ledger.switch(watched, BatchStatus.PAUSED)

    async def _end(self, watched: Watched, *, is_watch_due: bool) -> float | None:
        """What nobody has in hand is canceled; what is on its way comes back, or has gone."""
        await self.ledger.switch(watched, BatchStatus.CANCELED)
        if await self.ledger.cancel_rest(watched, CANCEL_ROWS) == CANCEL_ROWS and not is_watch_due:
            return AT_ONCE
        tally = await self.ledger.tally(watched)
        watched.is_over = not tally.queued and await self.ledger.close(watched)
        self._tell(watched, tally)
        return None if watched.is_over else WATCH_S

    def _tell(self, watched: Watched, tally: Tally) -> None:
        """Where it differs from what the feed was told last."""
        counts = {**asdict(tally), "excluded": sum(watched.exclusions.values())}
        watched.has_news |= counts != watched.told or watched.is_over or watched.pause_reason is not None
        if watched.has_news:
            watched.told = counts
            self.feed.announce(progressed(watched.id, watched.status, counts))


def _wait_s(watched: Watched) -> float | None:
    if not watched.is_expanded:
        return AT_ONCE
    if watched.status is BulkSendStatus.SCHEDULED:
        return max(watched.start_in_s, WATCH_S)
    if watched.status is BulkSendStatus.COMPLETED:
        return None
    if watched.status is BulkSendStatus.PAUSED and not watched.has_news:
        return None
    # Nothing moves at night, say: then it is looked at less and less.
    return WATCH_S if watched.has_news else min(max(watched.quiet_s / 4, WATCH_S), WATCH_MAX_S)
