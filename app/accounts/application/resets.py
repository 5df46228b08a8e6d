"""A new password by mail. Who asks is told the same and kept as long, whether the address has an account or not: only
the worker that sends the mail looks.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from app.accounts.domain.attempt import REQUEST_RESET, SIGN_IN, USE_LINK, subject_key
from app.accounts.domain.audit import Author
from app.accounts.domain.ports import AttemptCounter, PasswordHasher
from app.accounts.domain.reset import OpenResets, reset_is_over
from app.accounts.domain.secret_link import ResetToken
from app.accounts.domain.session import Caller
from app.accounts.domain.system_mail import NO_WORKSPACE, SystemMail, SystemMailKind
from app.accounts.domain.user import clean_email, clean_password


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetUseCases:
    open_resets: OpenResets
    attempts: AttemptCounter
    passwords: PasswordHasher

    async def request_password_reset(self, email: str, caller: Caller) -> None:
        """Raises Invalid at `email` for what is no address, which tells nothing; Throttled."""
        address = clean_email(email, "email")
        await self.attempts.count(REQUEST_RESET, caller, subject=address)
        async with self.open_resets() as resets:
            mail = SystemMail(kind=SystemMailKind.PASSWORD_RESET, to=address, locale="")
            await resets.accounts.queue_mail(NO_WORKSPACE, mail)

    async def reset_password(self, text: str, new_password: str, caller: Caller) -> None:
        """Once, within the hour; every session is over. Raises Invalid at `token` or `newPassword`, Throttled."""
        password, token = clean_password(new_password, "newPassword"), ResetToken.parse(text)
        await self.attempts.count(USE_LINK, caller)
        if token is None:
            raise reset_is_over()
        async with self.open_resets() as resets:
            if not await resets.is_good(token):  # asked before the dear part
                raise reset_is_over()
        password_hash = await self.passwords.hash(password)
        async with self.open_resets() as resets:
            person = await resets.use(token, password_hash)
            if person is None:
                raise reset_is_over()
            await resets.end_all_sessions(token.user_id)
            author = Author.calling(caller, user_id=token.user_id)
            for workspace_id in await resets.list_workspaces(token.user_id):
                await resets.record(workspace_id, author, "password.reset", object_id=token.user_id)
            await resets.accounts.queue_mail(
                NO_WORKSPACE,
                SystemMail(
                    kind=SystemMailKind.PASSWORD_CHANGED,
                    to=person.email,
                    locale=person.locale,
                    words={"at": datetime.now(UTC).isoformat(timespec="seconds")},
                ),
            )
            await resets.accounts.forget_attempts(
                subject_key(SIGN_IN, person.email, place) for place in {"", caller.ip_prefix}
            )
