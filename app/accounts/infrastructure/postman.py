"""Sends SalesPad's own mails: reads a claimed row, writes the mail, hands it over, records that.

At least once: a worker that dies between the handing over and the record leaves a mail that goes out again, under the
same Message-ID and with the same link. Only here is it found out whether an address that asked for a new password has
an account, so that the one who asked cannot tell.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import func, select, update

from app.accounts.domain.mail_texts import write_mail
from app.accounts.domain.secret_link import RESET_TTL, ResetToken, secret_hash
from app.accounts.domain.system_mail import SystemMail, SystemMailKind
from app.accounts.infrastructure.invitations import is_good
from app.accounts.infrastructure.resets import is_reset_good
from app.accounts.infrastructure.system_mails import (
    FAILED,
    SENT,
    WaitingMail,
    end_mail,
    read_mail,
    seal_again,
)
from app.accounts.infrastructure.tables import app_user, invitation, system_mails
from app.common import telemetry
from app.common.crypto import BadSecret, SecretBox
from app.common.leases import Claim
from app.common.mail import Letter, Mailer, NotSent
from app.common.work import Doors, Work
from app.settings import Settings

WAITS_S = (2, 30, 300, 1500)
"""Before the next try; the last comes after half an hour, when a reset's link is still good."""
OVER = "OVER"
UNREADABLE = "UNREADABLE"
PATHS = {
    SystemMailKind.INVITATION: "invitation",
    SystemMailKind.PASSWORD_RESET: "password-reset",
    SystemMailKind.PASSWORD_CHANGED: "forgot-password",
    SystemMailKind.NEW_SIGN_IN: "forgot-password",
}
"""Of the pages that the links lead to."""


class NotToBeSent(Exception):
    """`status` is what becomes of the row."""

    def __init__(self, status: str, reason: str | None = None) -> None:
        super().__init__(status)
        self.status, self.reason = status, reason


class Postman:
    """One a worker process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._mailer = Mailer(settings)

    async def send(
        self, doors: Doors, settings: Settings, claim: Claim, is_stopping: Callable[[], bool]
    ) -> bool:
        """Sends one and records what became of it. Raises LostLease, Unavailable."""
        async with doors.open_system() as work:
            await system_mails.renew(work, claim, lease_s=settings.system_mail_lease_s)
            try:
                waiting = await self._prepared(work, claim)
            except NotToBeSent as end:
                await end_mail(work, claim, status=end.status, error=end.reason)
                return True
        try:
            await self._mailer.send(self._letter(claim, waiting))
        except NotSent as failure:
            await self._put_back(doors, claim, failure)
            return True
        async with doors.open_system() as work:
            await end_mail(work, claim, status=SENT)
        return True

    async def give_up(self, doors: Doors, claim: Claim, error: str) -> None:
        """Raises LostLease."""
        async with doors.open_system() as work:
            await end_mail(work, claim, status=FAILED, error=error)

    async def _prepared(self, work: Work, claim: Claim) -> WaitingMail:
        """What goes out now. Raises NotToBeSent."""
        box = SecretBox(self._settings.credential_keys)
        try:
            waiting = await read_mail(work, box, claim)
        except BadSecret:
            raise NotToBeSent(FAILED, UNREADABLE) from None
        token = waiting.mail.words.get("token", "")
        if waiting.mail.kind is SystemMailKind.INVITATION and not await _is_invitation_good(work, token):
            raise NotToBeSent(FAILED, OVER)
        if waiting.mail.kind is not SystemMailKind.PASSWORD_RESET:
            return waiting
        if not token:
            mail = await _with_reset_token(work, waiting)
            await seal_again(work, box, claim, mail)
            return replace(waiting, mail=mail)
        if not await _is_reset_good(work, token):
            raise NotToBeSent(FAILED, OVER)
        return waiting

    def _letter(self, claim: Claim, waiting: WaitingMail) -> Letter:
        mail = waiting.mail
        words = dict(mail.words)
        token = words.pop("token", "")
        if "at" in words:
            words["at"] = f"{datetime.fromisoformat(words['at']).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        link = f"{self._settings.base_url}/{PATHS[mail.kind]}" + (f"#{token}" if token else "")
        written = write_mail(mail.kind, mail.locale, words, link)
        return Letter(
            id=str(claim.id),
            to=mail.to,
            subject=written.subject,
            text=written.text,
            html=written.html,
            locale=mail.locale,
            date=waiting.asked_at,
        )

    async def _put_back(self, doors: Doors, claim: Claim, failure: NotSent) -> None:
        is_last = failure.is_final or claim.attempt > len(WAITS_S)
        telemetry.log.warning(
            "system mail not sent", key=str(claim.id), attempt=claim.attempt, reason=failure.reason
        )
        async with doors.open_system() as work:
            if is_last:
                await end_mail(work, claim, status=FAILED, error=failure.reason)
            else:
                wait_s = WAITS_S[claim.attempt - 1]
                await system_mails.retry_later(work, claim, error=failure.reason, wait_s=wait_s)


async def _is_invitation_good(work: Work, token: str) -> bool:
    found = await work.execute(
        select(invitation.c.id).where(invitation.c.token_hash == secret_hash(token), is_good())
    )
    return found.one_or_none() is not None


async def _with_reset_token(work: Work, waiting: WaitingMail) -> SystemMail:
    """With a token that is good from now on, whichever was before. Raises NotToBeSent: over, or nobody has that
    address, which the row does not tell.
    """
    if waiting.asked_at + RESET_TTL < datetime.now(UTC):
        raise NotToBeSent(FAILED, OVER)
    found = await work.execute(
        select(app_user.c.id, app_user.c.locale).where(app_user.c.email == waiting.mail.to)
    )
    person = found.one_or_none()
    if person is None:
        raise NotToBeSent(SENT)
    token = ResetToken.mint(person.id)
    await work.execute(
        update(app_user)
        .where(app_user.c.id == person.id)
        .values(reset_hash=token.hash, reset_expires_at=func.now() + RESET_TTL)
    )
    return replace(waiting.mail, locale=person.locale, words={"token": token.text})


async def _is_reset_good(work: Work, token: str) -> bool:
    read = ResetToken.parse(token)
    if read is None:
        return False
    found = await work.execute(select(app_user.c.id).where(is_reset_good(read)))
    return found.one_or_none() is not None
