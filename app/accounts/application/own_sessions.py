"""What somebody does with the sessions they have: end one, take this one to another workspace."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from app.accounts.application.attempts import utc_now
from app.accounts.domain.audit import Author
from app.accounts.domain.member import NotYourWorkspace
from app.accounts.domain.ports import OpenStore, TokenIssuer
from app.accounts.domain.session import MovedSession
from app.common.domain import Actor, Conflict, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSessionUseCases:
    open_store: OpenStore
    tokens: TokenIssuer
    now: Callable[[], datetime] = utc_now

    async def revoke_session(self, actor: Actor, session_id: UUID) -> None:
        """With its access tokens; the one in use too, which is signing out. Raises NotFound."""
        async with self.open_store() as store:
            workspace_id = await store.find_own_session(actor.user_id, session_id)
            if workspace_id is None or not await store.end_session(actor.user_id, session_id):
                raise NotFound("No such session: it is over already. Reload the list.", path=("id",))
            await store.record(workspace_id, Author.of(actor), "session.revoked", object_id=session_id)

    async def switch_workspace(self, actor: Actor, workspace_id: UUID) -> MovedSession:
        """Under the refresh token it has, and for no longer than the access token that asks: whoever got hold of that
        one alone has ten minutes, and no session. Of two at once one wins. Raises NotYourWorkspace, Conflict.
        """
        async with self.open_store() as store:
            member = await store.hold_membership(actor.user_id, workspace_id)
            if member is None:
                raise NotYourWorkspace
            live = await store.move_session(actor.session_id, actor.workspace_id, member, now=self.now())
            if live is None:
                raise Conflict(
                    "This session has just gone elsewhere, or is over: refresh it, then try again."
                )
            await store.record(workspace_id, Author.of(actor), "workspace.entered", object_id=live.id)
        until = datetime.fromtimestamp(actor.expires_at, UTC)
        return MovedSession(live, self.tokens.issue(live, until=until))
