"""Signed texts that stand for a file: an upload's token, bound to its person; a link's, for whoever holds it.

Signed with a key made of the secret that access tokens are signed with and of the purpose, so neither is any good as
the other; the previous secrets still verify while keys rotate.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from app.settings import Settings

UPLOAD, LINK = "salespad.upload", "salespad.file-link"
MAX_LENGTH = 1000


class Expired(Exception):
    """It was good once."""


@dataclass(frozen=True, slots=True)
class UploadToken:
    workspace_id: UUID
    user_id: UUID
    file_id: UUID


@dataclass(frozen=True, slots=True)
class LinkToken:
    workspace_id: UUID
    file_id: UUID


class FileTokens:
    def __init__(self, settings: Settings) -> None:
        assert settings.jwt_secret is not None
        secrets = (*reversed(settings.previous_jwt_secrets), settings.jwt_secret)  # the last one signs
        self._upload, self._link = _serializer(secrets, UPLOAD), _serializer(secrets, LINK)
        self._upload_ttl_s, self._link_ttl_s = settings.upload_ttl_s, settings.file_link_ttl_s

    def upload(self, workspace_id: UUID, user_id: UUID, file_id: UUID) -> str:
        return str(self._upload.dumps([workspace_id.hex, user_id.hex, file_id.hex]))

    def read_upload(self, token: str) -> UploadToken | None:
        """None: not of our making. Its age is not looked at: see `is_upload_expired`."""
        ids = _ids(self._upload, token, max_age_s=None)
        return UploadToken(*ids) if len(ids) == 3 else None

    def is_upload_expired(self, token: str) -> bool:
        try:
            _ids(self._upload, token, max_age_s=self._upload_ttl_s)
        except Expired:
            return True
        return False

    def link(self, workspace_id: UUID, file_id: UUID) -> str:
        return str(self._link.dumps([workspace_id.hex, file_id.hex]))

    def read_link(self, token: str) -> LinkToken | None:
        """None: not of our making. Raises Expired."""
        ids = _ids(self._link, token, max_age_s=self._link_ttl_s)
        return LinkToken(*ids) if len(ids) == 2 else None


def _ids(serializer: URLSafeTimedSerializer, token: str, *, max_age_s: int | None) -> list[UUID]:
    """Those in it, none for a token that is not ours. Raises Expired."""
    try:
        loaded = serializer.loads(token if len(token) <= MAX_LENGTH else "", max_age=max_age_s)
    except SignatureExpired:
        raise Expired from None
    except (BadData, UnicodeError):
        return []
    return [UUID(id) for id in loaded]


@lru_cache(maxsize=8)
def _serializer(secrets: tuple[str, ...], purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        list(secrets),
        salt=purpose,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
