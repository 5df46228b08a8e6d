"""The row of an IMAP mailbox under one claim: where its reading stands, and how it fares."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from app.channels.application.following import Place
from app.channels.domain.account import ChannelAccountStatus, Side
from app.channels.domain.inbound import EMAIL, IMAP, imap_id
from app.channels.infrastructure.inbound import accept_mail
from app.channels.infrastructure.repository import report_account
from app.channels.infrastructure.tables import HELD, WAITING, imap_mailboxes
from app.common import telemetry
from app.common.database import Statement
from app.common.leases import BACKOFF_S, Claim, LostLease
from app.common.work import Doors, Reads, Work

PLACE = Statement(
    text(
        "SELECT uid_validity, uid FROM imap_mailbox "
        "WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)"
    )
)
LAST_CAME = Statement(
    text(
        f"""
        SELECT coalesce(max(e.created_at), m.created_at) AS at
        FROM imap_mailbox m LEFT JOIN inbound_event e ON e.workspace_id = m.workspace_id AND e.account_id = m.id
            AND e.provider = '{EMAIL}' AND starts_with(e.external_id, 'imap:')
        WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = cast(:id as uuid) GROUP BY m.created_at
        """  # noqa: S608 - a constant of ours
    )
)
MOVE = Statement(
    text(
        f"""
        UPDATE imap_mailbox SET uid_validity = cast(:uid_validity as bigint), uid = cast(:uid as bigint)
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
            AND token = cast(:token as uuid) AND status = '{HELD}'
        RETURNING id
        """  # noqa: S608 - a constant of ours
    )
)
COUNT_ATTEMPTS = Statement(
    text(
        """
        UPDATE imap_mailbox SET attempt = cast(:attempt as int), error = NULL
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND token = cast(:token as uuid)
        RETURNING id
        """
    )
)
OTHERS_WAIT = Statement(
    text(f"SELECT FROM imap_mailbox WHERE status = '{WAITING}' AND run_at <= now() LIMIT 1")
)


async def do_others_wait(system: Reads) -> bool:
    """Whether some mailbox is due, of whichever workspace, and nobody has it in hand."""
    return bool(await system.fetch(OTHERS_WAIT))


@dataclass(frozen=True)
class MailboxReading:
    """Implements the port `Reading` of application.following."""

    doors: Doors
    claim: Claim
    lease_s: float
    may_go_on: Callable[[], Awaitable[bool]]

    @property
    def _of(self) -> dict[str, object]:
        return {"workspace_id": self.claim.workspace_id, "id": self.claim.id}

    async def place(self) -> Place:
        async with self.doors.open_reads(self.claim.workspace_id) as reads:
            row = await reads.fetch_one(PLACE, **self._of)
        if row is None:
            raise LostLease
        return Place(row["uid_validity"], row["uid"])

    async def last_came(self) -> datetime:
        async with self.doors.open_reads(self.claim.workspace_id) as reads:
            row = await reads.fetch_one(LAST_CAME, **self._of)
        if row is None:
            raise LostLease
        at: datetime = row["at"]
        return at

    async def renew(self) -> None:
        async with self.doors.open_work(self.claim.workspace_id) as work:
            await imap_mailboxes.renew(work, self.claim, lease_s=self.lease_s)

    async def store(self, place: Place, mails: Mapping[int, bytes], *, too_large: int = 0) -> None:
        assert place.uid_validity is not None
        async with self.doors.open_work(self.claim.workspace_id) as work:
            await imap_mailboxes.renew(work, self.claim, lease_s=self.lease_s)
            for uid, raw in mails.items():
                await accept_mail(
                    work,
                    workspace_id=self.claim.workspace_id,
                    account_id=self.claim.id,
                    provider=EMAIL,
                    external_id=imap_id(place.uid_validity, uid, raw),
                    raw=raw,
                )
            moved = {"uid_validity": place.uid_validity, "uid": place.uid, "token": self.claim.token}
            if not await work.fetch(MOVE, **self._of, **moved):
                raise LostLease
        if too_large:
            telemetry.log.warning(
                "mails over the limit were left in their mailbox",
                kind=IMAP,
                key=str(self.claim.id),
                count=too_large,
            )

    async def up_to_date(self) -> bool:
        async with self.doors.open_work(self.claim.workspace_id) as work:
            await imap_mailboxes.renew(work, self.claim, lease_s=self.lease_s)
            await self._count_attempts(work, 0)
            await report_account(
                work,
                self.claim.workspace_id,
                self.claim.id,
                ChannelAccountStatus.CONNECTED,
                None,
                side=Side.READING,
            )
        return await self.may_go_on()

    async def put_back(self, *, wait_s: float) -> None:
        async with self.doors.open_work(self.claim.workspace_id) as work:
            await imap_mailboxes.retry_later(work, self.claim, error="", wait_s=wait_s)

    async def fail(self, reason: str, *, is_of_account: bool) -> None:
        """Tried again after a growing wait, for ever; the account says why once it is no passing trouble.

        A wrong login is told at once, and tried seldom: servers lock accounts that try it often.
        """
        attempt = min(self.claim.attempt, len(BACKOFF_S))
        wait_s = BACKOFF_S[-1 if is_of_account else attempt - 1]
        status = ChannelAccountStatus.NEEDS_REAUTH if is_of_account else ChannelAccountStatus.DEGRADED
        async with self.doors.open_work(self.claim.workspace_id) as work:
            await self._count_attempts(work, min(attempt, len(BACKOFF_S) - 1))
            await imap_mailboxes.retry_later(work, self.claim, error=reason, wait_s=wait_s)
            if is_of_account or attempt >= ATTEMPTS_UNTOLD:
                await report_account(
                    work, self.claim.workspace_id, self.claim.id, status, reason, side=Side.READING
                )

    async def _count_attempts(self, work: Work, attempt: int) -> None:
        """The next claim counts on from here. Raises LostLease."""
        if not await work.fetch(COUNT_ATTEMPTS, **self._of, token=self.claim.token, attempt=attempt):
            raise LostLease


ATTEMPTS_UNTOLD = 3
"""Attempts until a server that cannot be reached is the account's state: after 10 s of trouble."""
