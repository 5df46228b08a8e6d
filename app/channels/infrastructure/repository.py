"""Writes channel accounts, their credentials sealed, and what reads their mailboxes."""

from typing import Any
from uuid import UUID

from sqlalchemy import case, delete, func, literal, null, select, text, update
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import IntegrityError

from app.channels.domain.account import (
    MAX_ACCOUNTS,
    AccountNotFound,
    AddressConnected,
    ChannelAccount,
    ChannelAccountStatus,
    LocalAddressTaken,
    MailboxStart,
    NewEmailAccount,
    Side,
    TooManyAccounts,
    updated,
)
from app.channels.domain.sending_domain import sending_domain_of
from app.channels.infrastructure.limits import look_again
from app.channels.infrastructure.reads import IMAP, SMTP
from app.channels.infrastructure.tables import WAITING, channel_account, imap_mailbox
from app.common.crypto import BadSecret, SecretBox
from app.common.database import Statement
from app.common.domain import Channel
from app.common.mail_servers import MailServer, Protocol, mail_server
from app.common.work import Work

c = channel_account.c
LOCAL_INDEX = "uq_channel_account_local"
HOLD_MAILBOX = Statement(
    text(
        """
        SELECT FROM imap_mailbox WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
        FOR UPDATE
        """
    )
)


class AccountRepository:
    def __init__(self, work: Work, box: SecretBox) -> None:
        self._work, self._box = work, box

    async def connect(self, workspace_id: UUID, new: NewEmailAccount, token: str) -> UUID:
        """A new row, or a disconnected one of this address again: its conversations go on, its token stays.

        Raises AddressConnected, LocalAddressTaken, TooManyAccounts.
        """
        await self._refuse_too_many(workspace_id, new.address)
        values: dict[str, Any] = {
            "name": new.name,
            "sending_domain": sending_domain_of(new.address),
            "status": ChannelAccountStatus.CONNECTED,
            "status_reason": None,
            **self._sealed(workspace_id, SMTP, new.smtp),
            **self._sealed(workspace_id, IMAP, new.imap),
        }
        statement = insert(channel_account).values(
            workspace_id=workspace_id,
            channel=Channel.EMAIL,
            address=new.address,
            inbound_token=token,
            rate_per_minute=new.rate_per_minute,
            burst=new.burst,
            feedback_provider=new.feedback[0],
            feedback_key=new.feedback[1],
            **values,
        )
        statement = statement.on_conflict_do_update(
            index_elements=["workspace_id", "channel", "address"],
            set_={**values, **_kept(statement, new), "updated_at": func.now(), "version": c.version + 1},
            where=c.status == ChannelAccountStatus.DISCONNECTED,
        )
        try:
            row = (await self._work.execute(statement.returning(c.id))).one_or_none()
        except IntegrityError as error:
            raise _taken(error) from None
        if row is None:
            raise AddressConnected
        id: UUID = row.id
        return id

    async def _refuse_too_many(self, workspace_id: UUID, address: str) -> None:
        # Counted before, not under a lock: of several at once a few may pass. It bounds a list, it guards nothing.
        others = select(func.count()).where(c.workspace_id == workspace_id, c.address != address)
        if (await self._work.execute(others)).scalar_one() >= MAX_ACCOUNTS:
            raise TooManyAccounts

    async def get(self, workspace_id: UUID, id: UUID) -> ChannelAccount:
        """Locks it until the commit, after its mailbox (docs/decisions/0026). Raises AccountNotFound."""
        await self._work.fetch(HOLD_MAILBOX, workspace_id=workspace_id, id=id)
        row = (
            await self._work.execute(
                select(
                    *(c.name, c.status, c.status_reason, c.daily_limit, c.rate_per_minute, c.burst),
                    *(c.feedback_provider, c.feedback_key),
                )
                .where(c.workspace_id == workspace_id, c.id == id)
                .with_for_update()
            )
        ).one_or_none()
        if row is None:
            raise AccountNotFound
        return ChannelAccount(
            id=id,
            name=row.name,
            status=ChannelAccountStatus(row.status),
            status_reason=row.status_reason,
            daily_limit=row.daily_limit,
            rate_per_minute=row.rate_per_minute,
            burst=row.burst,
            feedback=(row.feedback_provider, row.feedback_key),
        )

    async def save(self, workspace_id: UUID, account: ChannelAccount) -> None:
        await self._write(
            workspace_id,
            account.id,
            name=account.name,
            status=account.status,
            status_reason=account.status_reason,
            daily_limit=account.daily_limit,
            rate_per_minute=account.rate_per_minute,
            burst=account.burst,
            feedback_provider=account.feedback[0],
            feedback_key=account.feedback[1],
            updated_at=func.now(),
            version=c.version + 1,
        )

    async def store_smtp(self, workspace_id: UUID, id: UUID, server: MailServer | None) -> None:
        """None: the local mailbox. Raises LocalAddressTaken."""
        try:
            await self._write(workspace_id, id, **self._sealed(workspace_id, SMTP, server))
        except IntegrityError as error:
            raise _taken(error, "smtpUrl") from None

    async def store_imap(self, workspace_id: UUID, id: UUID, server: MailServer, start: MailboxStart) -> None:
        """The mailbox is read from `start` on; the one that was read before, from where reading it stood."""
        before = await self._imap_before(workspace_id, id)
        await self._write(workspace_id, id, **self._sealed(workspace_id, IMAP, server))
        fresh: dict[str, Any] = {
            "status": WAITING,
            "run_at": func.now(),
            "attempt": 0,
            "token": null(),
            "lease_until": null(),
            "error": null(),
        }
        statement = insert(imap_mailbox).values(
            workspace_id=workspace_id, id=id, uid_validity=start.uid_validity, uid=start.uid, **fresh
        )
        goes_on = literal(before is not None and before.is_mailbox_of(server)) & (
            imap_mailbox.c.uid_validity == statement.excluded.uid_validity
        )
        await self._work.execute(
            statement.on_conflict_do_update(
                index_elements=["workspace_id", "id"],
                set_={
                    **fresh,
                    "uid": case((goes_on, imap_mailbox.c.uid), else_=statement.excluded.uid),
                    "uid_validity": statement.excluded.uid_validity,
                },
            )
        )

    async def drop_imap(self, workspace_id: UUID, id: UUID) -> None:
        await self._write(workspace_id, id, imap_secret=None)
        await self._work.execute(
            delete(imap_mailbox).where(imap_mailbox.c.workspace_id == workspace_id, imap_mailbox.c.id == id)
        )

    async def wipe(self, workspace_id: UUID, id: UUID) -> None:
        """Every credential, and the reading of its mailbox; after `save` has made it DISCONNECTED."""
        await self.drop_imap(workspace_id, id)
        await self._write(workspace_id, id, smtp_secret=None)

    async def look_again(self, workspace_id: UUID) -> None:
        """At what waits for a limit that may be another now: the last thing to be locked."""
        await look_again(self._work, workspace_id)

    async def _write(self, workspace_id: UUID, id: UUID, **values: Any) -> None:
        written = await self._work.execute(
            update(channel_account).where(c.workspace_id == workspace_id, c.id == id).values(**values)
        )
        if written.rowcount != 1:
            raise AccountNotFound

    async def _imap_before(self, workspace_id: UUID, id: UUID) -> MailServer | None:
        found = await self._work.execute(
            select(c.imap_secret).where(c.workspace_id == workspace_id, c.id == id)
        )
        sealed = found.scalar_one_or_none()
        try:
            return (
                mail_server(Protocol.IMAP, self._box.open(workspace_id, IMAP, bytes(sealed)))
                if sealed
                else None
            )
        except BadSecret:
            return None

    def _sealed(self, workspace_id: UUID, kind: str, server: MailServer | None) -> dict[str, bytes | None]:
        sealed = self._box.seal(workspace_id, kind, server.url) if server is not None else None
        return {f"{kind}_secret": sealed}


def _kept(statement: Insert, new: NewEmailAccount) -> dict[str, Any]:
    """Back to life an account keeps its limits, and who tells of its bounces, but for what is given."""
    given = statement.excluded
    kept: dict[str, Any] = {
        name: func.coalesce(given[name], c[name]) for name in ("rate_per_minute", "burst")
    }
    if new.feedback[0] is not None:
        kept |= {name: given[name] for name in ("feedback_provider", "feedback_key")}
    return kept


def _taken(error: IntegrityError, *path: str) -> Exception:
    """The refusal behind a violated constraint; anything else stays what it is."""
    return LocalAddressTaken(*path) if LOCAL_INDEX in str(error.orig) else error


REPORT = Statement(
    text(
        """
        UPDATE channel_account
        SET status = cast(:new_status as text), status_reason = cast(:new_reason as text), updated_at = now()
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:account_id as uuid)
            AND status <> 'DISCONNECTED'
            AND (status, status_reason)
                IS DISTINCT FROM (cast(:new_status as text), cast(:new_reason as text))
            AND (cast(:new_status as text) <> 'CONNECTED' OR status_reason IS NULL
                OR starts_with(status_reason, cast(:side as text)))
            AND (cast(:side as text) = '{sending}' OR status <> 'NEEDS_REAUTH'
                OR NOT coalesce(starts_with(status_reason, '{sending}'), false))
        RETURNING old.status AS before
        """.replace("{sending}", Side.SENDING)
    )
)


async def report_account(
    work: Work,
    workspace_id: UUID,
    account_id: UUID,
    status: ChannelAccountStatus,
    reason: str | None,
    *,
    side: Side = Side.SENDING,
) -> None:
    """How an account fares, by who uses it; announced if that is news. `reason` says what to do, without secrets.

    CONNECTED takes back only what the same side said before: a login that sends says nothing of one that reads. Where
    the login that sends is refused, what reading says waits for its next report: by that refusal nothing is sent.
    """
    row = await work.fetch_one(
        REPORT,
        workspace_id=workspace_id,
        account_id=account_id,
        new_status=status,
        new_reason=side.reason(reason) if reason else None,
        side=side,
    )
    if row is not None:
        work.announce(updated(account_id, ["status"], ChannelAccountStatus(row["before"]), status))


STALE = Statement(
    text(
        """
        SELECT workspace_id, id, smtp_secret, imap_secret FROM channel_account
        WHERE (substring(smtp_secret for 4) <> cast(:key_id as bytea)
                OR substring(imap_secret for 4) <> cast(:key_id as bytea))
            AND id > cast(:after as uuid)
        ORDER BY id LIMIT cast(:limit as bigint)
        """
    )
)
RENEW = Statement(
    text(
        """
        UPDATE channel_account a
        SET smtp_secret = CASE WHEN a.smtp_secret = n.old_smtp THEN n.new_smtp ELSE a.smtp_secret END,
            imap_secret = CASE WHEN a.imap_secret = n.old_imap THEN n.new_imap ELSE a.imap_secret END
        FROM unnest(cast(:workspace_ids as uuid[]), cast(:ids as uuid[]),
                cast(:old_smtps as bytea[]), cast(:new_smtps as bytea[]),
                cast(:old_imaps as bytea[]), cast(:new_imaps as bytea[]))
            AS n(workspace_id, id, old_smtp, new_smtp, old_imap, new_imap)
        WHERE a.workspace_id = n.workspace_id AND a.id = n.id
        """
    )
)


async def renew_secrets(system: Work, box: SecretBox, *, limit: int, after: UUID) -> tuple[int, UUID]:
    """Seals a number of secrets anew under the first key, whoever's they are; how many rows there were, and the last.

    One that was changed meanwhile is under the first key by that; one that no key opens stays as it is.
    """
    rows = await system.fetch(STALE, key_id=box.key_id, limit=limit, after=after)
    if rows:
        await system.fetch(
            RENEW,
            workspace_ids=[row["workspace_id"] for row in rows],
            ids=[row["id"] for row in rows],
            old_smtps=[row["smtp_secret"] for row in rows],
            new_smtps=[_renewed(box, row["smtp_secret"]) for row in rows],
            old_imaps=[row["imap_secret"] for row in rows],
            new_imaps=[_renewed(box, row["imap_secret"]) for row in rows],
        )
    return len(rows), rows[-1]["id"] if rows else after


def _renewed(box: SecretBox, sealed: bytes | None) -> bytes | None:
    try:
        return box.renew(sealed) if sealed is not None else None
    except BadSecret:
        return sealed
