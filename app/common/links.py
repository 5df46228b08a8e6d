"""Signed links to what somebody may fetch: whoever holds one may, for a short time, as the person who asked for it.

Signed with a key made of the secret that access tokens are signed with and of the purpose; the previous secrets still
verify while keys rotate.
"""

import hashlib
from functools import lru_cache
from typing import Any
from uuid import UUID

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from app.common.domain import Actor, ClientKind, Role
from app.settings import Settings

TTL_S = 300
MAX_LENGTH = 30_000


class LinkExpired(Exception):
    """It was good once."""


class ActorLinks:
    """Links for one purpose."""

    def __init__(self, settings: Settings, purpose: str) -> None:
        assert settings.jwt_secret is not None
        secrets = (*reversed(settings.previous_jwt_secrets), settings.jwt_secret)  # the last one signs
        self._serializer = _serializer(secrets, purpose)
        self._ttl_s = min(TTL_S, settings.access_token_ttl_s)
        """Revocations are known for as long as access tokens live."""

    def make(self, actor: Actor, of: object) -> str:
        """`of`: JSON, what the link is to."""
        who = [actor.workspace_id.hex, actor.user_id.hex, actor.session_id.hex, actor.issued_at]
        told = [*who, actor.role.value, actor.client.value, actor.is_api_key]
        return str(self._serializer.dumps([*told, of]))

    def read(self, text: str) -> tuple[Actor, Any] | None:
        """Who asked for it, as they were then, and what it is to; None: not of our making. Raises LinkExpired."""
        try:
            told = self._serializer.loads(text if len(text) <= MAX_LENGTH else "", max_age=self._ttl_s)
        except SignatureExpired:
            raise LinkExpired from None
        except (BadData, UnicodeError):
            return None
        workspace_id, user_id, session_id, issued_at, role, client, is_api_key, of = told
        actor = Actor(
            workspace_id=UUID(workspace_id),
            user_id=UUID(user_id),
            role=Role(role),
            client=ClientKind(client),
            session_id=UUID(session_id),
            expires_at=issued_at,
            issued_at=issued_at,
            is_api_key=is_api_key,
        )
        return actor, of


@lru_cache(maxsize=8)
def _serializer(secrets: tuple[str, ...], purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        list(secrets),
        salt=purpose,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
