"""Secrets at rest: credentials of channels, encrypted with keys that rotate.

The plaintext carries what it belongs to, since Fernet has no associated data: a ciphertext copied to another
workspace's row does not open there. Rotation: put a new key first in SALESPAD_CREDENTIAL_KEYS, let `renew` write the
old ones anew, drop the old key.
"""

import base64
import hashlib
from collections.abc import Sequence
from uuid import UUID

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class BadSecret(Exception):
    """It cannot be opened with the keys there are, or it belongs to something else."""


class SecretBox:
    def __init__(self, keys: Sequence[str]) -> None:
        """`keys`: secrets of at least 32 bytes, the newest first."""
        self._fernet = MultiFernet([Fernet(_fernet_key(key)) for key in keys])

    def seal(self, workspace_id: UUID, kind: str, text: str) -> bytes:
        return self._fernet.encrypt(orjson.dumps([str(workspace_id), kind, text]))

    def open(self, workspace_id: UUID, kind: str, sealed: bytes) -> str:
        """Raises BadSecret."""
        try:
            owner, sealed_kind, text = orjson.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise BadSecret("No key of SALESPAD_CREDENTIAL_KEYS opens it.") from None
        if (owner, sealed_kind) != (str(workspace_id), kind):
            raise BadSecret("It belongs to something else.")
        return str(text)

    def renew(self, sealed: bytes) -> bytes:
        """The same under the first key. Raises BadSecret."""
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken:
            raise BadSecret("No key of SALESPAD_CREDENTIAL_KEYS opens it.") from None


def _fernet_key(secret: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest())
