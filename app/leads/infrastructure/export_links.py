"""Signed links to an export: whoever holds one may fetch it for a short time, as the person who asked for it.

Signed with a key made of the secret that access tokens are signed with and of the purpose; the previous secrets still
verify while keys rotate. The filter rides inside, compressed.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from app.common.domain import Actor, ClientKind, Role
from app.leads.infrastructure.reads import LeadConditions
from app.leads.infrastructure.stored_filters import conditions_of, stored_filter
from app.settings import Settings

PURPOSE = "salespad.leads-export"
TTL_S = 300
MAX_LENGTH = 30_000


class LinkExpired(Exception):
    """It was good once."""


@dataclass(frozen=True, slots=True)
class ExportLink:
    actor: Actor
    """Who asked for it, as they were then."""
    conditions: LeadConditions


class ExportLinks:
    def __init__(self, settings: Settings) -> None:
        assert settings.jwt_secret is not None
        secrets = (*reversed(settings.previous_jwt_secrets), settings.jwt_secret)  # the last one signs
        self._serializer = _serializer(secrets)
        self._ttl_s = min(TTL_S, settings.access_token_ttl_s)
        """Revocations are known for as long as access tokens live."""

    def make(self, actor: Actor, conditions: LeadConditions) -> str:
        who = [actor.workspace_id.hex, actor.user_id.hex, actor.session_id.hex, actor.issued_at]
        told = [*who, actor.role.value, actor.client.value, actor.is_api_key]
        return str(self._serializer.dumps([*told, stored_filter(conditions)]))

    def read(self, text: str) -> ExportLink | None:
        """None: not of our making. Raises LinkExpired."""
        try:
            told = self._serializer.loads(text if len(text) <= MAX_LENGTH else "", max_age=self._ttl_s)
        except SignatureExpired:
            raise LinkExpired from None
        except (BadData, UnicodeError):
            return None
        workspace_id, user_id, session_id, issued_at, role, client, is_api_key, stored = told
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
        return ExportLink(actor, conditions_of(stored))


@lru_cache(maxsize=8)
def _serializer(secrets: tuple[str, ...]) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        list(secrets),
        salt=PURPOSE,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
