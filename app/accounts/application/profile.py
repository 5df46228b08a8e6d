"""A person's own profile and password, which all their workspaces share."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.accounts.application.attempts import utc_now
from app.accounts.domain.attempt import CHANGE_PASSWORD
from app.accounts.domain.audit import Author
from app.accounts.domain.events import MemberChanged
from app.accounts.domain.ports import AttemptCounter, PasswordHasher, Profiles
from app.accounts.domain.session import Caller
from app.accounts.domain.system_mail import NO_WORKSPACE, SystemMail, SystemMailKind
from app.accounts.domain.user import PROFILE, clean_password, cleaned
from app.common.domain import Actor, Conflict, Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileUseCases:
    """Each step is a transaction of its own: none is open while a password is hashed."""

    open_profiles: Callable[[UUID], AbstractAsyncContextManager[Profiles]]
    attempts: AttemptCounter
    passwords: PasswordHasher
    now: Callable[[], datetime] = utc_now

    async def update_profile(self, actor: Actor, changes: Mapping[str, str | None]) -> None:
        """`changes` holds what was given: `name`, `locale`. Raises Refusals."""
        fields = cleaned(changes, PROFILE)
        async with self.open_profiles(actor.user_id) as profiles:
            if fields and await profiles.save(actor.user_id, fields):
                told = MemberChanged(entity_ids=[actor.user_id], changed=["profile"])
                for workspace_id in await profiles.list_workspaces(actor.user_id):
                    profiles.announce_in(workspace_id, told)

    async def change_password(self, actor: Actor, current: str, new: str, caller: Caller) -> None:
        """The same password again will do. Ends the person's other sessions. Raises Invalid, Throttled, Conflict."""
        clean_password(new, "newPassword")
        await self.attempts.count(CHANGE_PASSWORD, caller, subject=str(actor.user_id))
        async with self.open_profiles(actor.user_id) as profiles:
            verified = await profiles.find_password_hash(actor.user_id)
        if not await self.passwords.verify(current, verified):
            raise Invalid("This is not your password. Check it and try again.", path=("currentPassword",))
        password_hash = await self.passwords.hash(new)
        async with self.open_profiles(actor.user_id) as profiles:
            person = await profiles.replace_password(actor.user_id, verified, password_hash)
            if person is None:
                raise Conflict(
                    "Your password was changed at this very moment: sign in with the new one.",
                    path=("currentPassword",),
                )
            await profiles.end_other_sessions(actor.user_id, actor.session_id)
            for workspace_id in await profiles.list_workspaces(actor.user_id):
                await profiles.record(
                    workspace_id, Author.of(actor), "password.changed", object_id=actor.user_id
                )
            at = {"at": self.now().isoformat(timespec="seconds").replace("+00:00", "Z")}
            await profiles.queue_mail(
                NO_WORKSPACE,
                SystemMail(
                    kind=SystemMailKind.PASSWORD_CHANGED, to=person.email, locale=person.locale, words=at
                ),
            )
