"""Who did something that the audit log keeps."""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

from app.accounts.domain.session import Caller
from app.common.domain import Actor, ClientKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """As far as the log keeps it: never a name nor an address, only ids, the client, and where it came from."""

    user_id: UUID | None
    client: ClientKind | None
    session_id: UUID | None
    """The session, or the API key."""
    ip_prefix: str

    @classmethod
    def of(cls, actor: Actor) -> Self:
        return cls(
            user_id=actor.user_id,
            client=actor.client,
            session_id=actor.session_id,
            ip_prefix=actor.ip_prefix,
        )

    @classmethod
    def calling(
        cls,
        caller: Caller,
        *,
        user_id: UUID | None,
        client: ClientKind | None = None,
        session_id: UUID | None = None,
    ) -> Self:
        """For who comes without a token: who signs in, accepts an invitation, resets a password."""
        return cls(user_id=user_id, client=client, session_id=session_id, ip_prefix=caller.ip_prefix)
