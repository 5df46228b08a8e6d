"""Writes the mails of the demo: by the inbox's own use cases, then dated back.

What is ours goes through the ledger as if it had been sent: it is marked so before the commit, and no worker sees it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy import text

from app.channels.domain.account import LocalAddressTaken, new_email_account
from app.channels.domain.inbound import EMAIL, digest_id
from app.channels.wiring import accept_mail, account_use_cases, list_accounts, read_mail
from app.common.database import Statement
from app.common.domain import Actor, Channel, ClientKind, Conflict, Role
from app.common.work import Doors, Work
from app.conversations.domain.receiving import ReceivingAccount
from app.conversations.domain.sending import send_request
from app.conversations.wiring import inbox_use_cases, receive_at_once, sending_use_cases
from app.demo.mails import ACCOUNT_NAME, DOMAIN, MAILBOX, THREADS, Thread, filled, mail_of_lead
from app.demo.people import OWNER
from app.leads.domain.contact import SuppressionReason
from app.leads.wiring import suppress
from app.settings import Settings

ADDRESSES = 9
READERS = 2
"""The first so many members have read what is not unread."""

FIND_LEADS = Statement(
    text(
        """
        SELECT id, name, company, email FROM lead
        WHERE workspace_id = cast(:workspace_id as uuid) AND deleted_at IS NULL AND email LIKE '%.example'
            AND engagement IN ('REPLIED', 'ENGAGED') AND created_at < now() - interval '12 days'
        ORDER BY md5(email) LIMIT cast(:limit as int)
        """
    )
)
TAKEN_IN = Statement(
    text(
        """
        UPDATE inbound_event SET status = 'done', created_at = cast(:at as timestamptz)
        WHERE workspace_id = cast(:workspace_id as uuid) AND account_id = cast(:account_id as uuid)
            AND external_id = cast(:external_id as text)
        RETURNING id
        """
    )
)
DATE_MESSAGES = Statement(
    text(
        """
        WITH said AS (
            UPDATE message m SET created_at = d.at, sent_at = CASE WHEN d.status = 'FAILED' THEN NULL ELSE d.at END,
                status = CASE WHEN m.direction = 'OUTBOUND' THEN d.status ELSE m.status END,
                error = CASE d.status WHEN 'FAILED' THEN '5.3.4: Message too big for the recipient''s mailbox.'
                    WHEN 'BOUNCED' THEN 'HARD_BOUNCE 5.1.1' END,
                rfc_message_id = coalesce(m.rfc_message_id, '<' || m.id || '@' || cast(:domain as text) || '>')
            FROM unnest(cast(:positions as int[]), cast(:ats as timestamptz[]), cast(:statuses as text[]))
                AS d(position, at, status)
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.conversation_id = cast(:id as uuid)
                AND m.position = d.position
            RETURNING m.workspace_id, m.id, d.at, d.status
        ), told AS (
            UPDATE interaction i SET created_at = said.at FROM said
            WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.message_id = said.id
        ), settled AS (
            UPDATE delivery SET status = CASE WHEN said.status = 'FAILED' THEN 'failed' ELSE 'sent' END,
                created_at = said.at, run_at = said.at, settled_at = said.at,
                error = CASE WHEN said.status = 'FAILED' THEN '5.3.4' END
            FROM said WHERE delivery.workspace_id = cast(:workspace_id as uuid) AND message_id = said.id
            RETURNING delivery.workspace_id, delivery.id, said.at, said.status
        )
        INSERT INTO delivery_attempt (workspace_id, delivery_id, n, resend, started_at, ended_at, outcome)
        SELECT workspace_id, id, 1, 0, at, at, CASE WHEN status = 'FAILED' THEN 'REJECTED' ELSE 'ACCEPTED' END
        FROM settled
        """
    )
)
DATE_ANSWERS = Statement(
    text(
        """
        UPDATE delivery d SET answers_since = (
            SELECT min(i.created_at) FROM message i
            WHERE i.workspace_id = d.workspace_id AND i.conversation_id = d.conversation_id
                AND i.direction = 'INBOUND' AND NOT i.is_auto_reply AND i.position < d.position AND i.position > (
                    SELECT coalesce(max(o.position), 0) FROM message o
                    WHERE o.workspace_id = d.workspace_id AND o.conversation_id = d.conversation_id
                        AND o.direction = 'OUTBOUND' AND o.position < d.position
                )
        )
        WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.conversation_id = cast(:id as uuid)
            AND d.answers_since IS NOT NULL
        """
    )
)
DATE_CONVERSATION = Statement(
    text(
        """
        WITH of_it AS (
            SELECT min(created_at) AS began, max(created_at) AS ended,
                max(created_at) FILTER (WHERE direction = 'INBOUND') AS heard,
                max(created_at) FILTER (WHERE direction = 'OUTBOUND') AS said
            FROM message WHERE workspace_id = cast(:workspace_id as uuid) AND conversation_id = cast(:id as uuid)
        ), dated AS (
            UPDATE conversation SET created_at = began, updated_at = ended, activity_at = ended,
                last_message_at = ended, last_inbound_at = heard, last_outbound_at = said,
                waiting_since = CASE WHEN waiting_since IS NOT NULL THEN heard END
            FROM of_it WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
            RETURNING lead_id, ended
        ), told AS (
            UPDATE interaction SET created_at = ended + interval '3 minutes' FROM dated
            WHERE workspace_id = cast(:workspace_id as uuid) AND conversation_id = cast(:id as uuid)
                AND message_id IS NULL
        )
        UPDATE lead SET last_touch_at = ended FROM dated
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead.id = dated.lead_id
        """
    )
)
"""No use case writes what was last week."""


async def add_mails(doors: Doors, settings: Settings, workspace_id: UUID, people: Mapping[str, UUID]) -> bool:
    """False when there is an account, or another call has just made ours: of two at once, its address decides."""
    for n in range(1, ADDRESSES + 1):
        address = f"{MAILBOX}{n if n > 1 else ''}@{DOMAIN}"
        try:
            async with doors.open_work(workspace_id) as work:
                if await list_accounts(work, workspace_id):
                    return False
                await Writing(work, settings, workspace_id, people, address).write()
            return True
        except LocalAddressTaken:  # another workspace of this installation has it
            continue
        except Conflict:
            return False
    return False


@dataclass
class Writing:
    work: Work
    settings: Settings
    workspace_id: UUID
    people: Mapping[str, UUID]
    address: str

    async def write(self) -> None:
        """Raises Conflict where the address is connected already."""
        new = new_email_account(
            name=ACCOUNT_NAME, address=self.address, smtp_url=None, imap_url=None, has_local_mailbox=True
        )
        account_id = await account_use_cases(self.work, self.settings, self._as(OWNER.email)).connect_email(
            new
        )
        leads = await self.work.fetch(FIND_LEADS, workspace_id=self.workspace_id, limit=len(THREADS))
        now = datetime.now(UTC)
        for thread, lead in zip(THREADS, leads, strict=False):
            await self._write(thread, lead, account_id, now)

    async def _write(self, thread: Thread, lead: asyncpg.Record, account_id: UUID, now: datetime) -> None:
        id = await inbox_use_cases(self.work, self._as(OWNER.email)).start_conversation(
            lead_id=lead["id"], account_id=account_id
        )
        filling = {"name": lead["name"], "company": lead["company"] or "", "author": thread.author}
        subject = filled(thread.subject, **filling)
        for index, line in enumerate(thread.lines):
            said = filled(line[2:], **filling)
            if line.startswith(">"):
                await self._send(id, said, subject=subject if index == 0 else None, author=thread.author)
            else:
                raw = mail_of_lead(
                    thread, index, text=said, subject=subject, sender=lead["email"], name=lead["name"],
                    to=self.address, at=thread.at(index, now),
                )  # fmt: skip
                await self._receive(account_id, raw, thread.at(index, now))
        await self._look_after(thread, id, lead["id"], now)
        await self._date(thread, id, now)
        if thread.ends == "BOUNCED":
            await suppress(
                self.work,
                self.workspace_id,
                value=lead["email"],
                channel=Channel.EMAIL,
                reason=SuppressionReason.HARD_BOUNCE,
            )

    async def _send(self, id: UUID, body: str, *, subject: str | None, author: str) -> None:
        request = send_request(
            conversation_id=id, body=body, subject=subject, attachment_tokens=(), not_before=None
        )
        sending = sending_use_cases(self.work, self.workspace_id, self.settings)
        await sending.send_message(request, idempotency_key=str(uuid4()), author_id=self.people[author])

    async def _receive(self, account_id: UUID, raw: bytes, at: datetime) -> None:
        external_id = digest_id(raw)
        account = ReceivingAccount(
            workspace_id=self.workspace_id, id=account_id, channel=Channel.EMAIL, address=self.address
        )
        await accept_mail(
            self.work,
            workspace_id=self.workspace_id,
            account_id=account_id,
            provider=EMAIL,
            external_id=external_id,
            raw=raw,
        )
        event = await self.work.fetch_one(
            TAKEN_IN, workspace_id=self.workspace_id, account_id=account_id, external_id=external_id, at=at
        )
        assert event is not None, "it was stored just now"
        await receive_at_once(self.work, self.settings, account, event["id"], read_mail(raw))

    async def _look_after(self, thread: Thread, id: UUID, lead_id: UUID, now: datetime) -> None:
        """What members did with it, once the mails are there."""
        inbox = inbox_use_cases(self.work, self._as(thread.author))
        if thread.assignee:
            await inbox.assign_conversation(id, user_id=self.people[thread.assignee])
        if thread.note:
            await inbox.add_note(lead_id=lead_id, body=thread.note, conversation_id=id)
        if thread.snoozed_days:
            await inbox.snooze_conversation(id, until=now + timedelta(days=thread.snoozed_days))
        if thread.is_closed:
            await inbox.close_conversation(id)
        if not thread.is_unread:
            for email in list(self.people)[:READERS]:
                await inbox_use_cases(self.work, self._as(email)).mark_conversation_read(id, up_to=None)

    async def _date(self, thread: Thread, id: UUID, now: datetime) -> None:
        count = len(thread.lines)
        last = max((n for n, line in enumerate(thread.lines) if line.startswith(">")), default=None)
        statuses = [thread.ends if n == last else "SENT" for n in range(count)]
        await self.work.fetch(
            DATE_MESSAGES,
            workspace_id=self.workspace_id,
            id=id,
            domain=DOMAIN,
            positions=list(range(1, count + 1)),
            ats=[thread.at(n, now) for n in range(count)],
            statuses=statuses,
        )
        await self.work.fetch(DATE_ANSWERS, workspace_id=self.workspace_id, id=id)
        await self.work.fetch(DATE_CONVERSATION, workspace_id=self.workspace_id, id=id)

    def _as(self, email: str) -> Actor:
        return Actor(
            workspace_id=self.workspace_id,
            user_id=self.people[email],
            role=Role.OWNER,
            client=ClientKind.API,
            session_id=uuid4(),
            expires_at=0,
        )
