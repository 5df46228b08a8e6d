"""Secrets at rest: credentials of channels, encrypted with keys that rotate.

The plaintext carries what it belongs to, since Fernet has no associated data: a ciphertext copied to another
workspace's row does not open there. Four bytes before the ciphertext name its key, so that a statement finds what is
not under the first one. Rotation: put a new key first in SALESPAD_CREDENTIAL_KEYS, let the worker write the old ones
anew (`renew`), drop the old key.
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
        self.key_id = _key_id(keys[0])
        """What begins everything that is sealed under the first key."""

    def seal(self, workspace_id: UUID, kind: str, text: str) -> bytes:
        return self.key_id + self._fernet.encrypt(orjson.dumps([str(workspace_id), kind, text]))

    def open(self, workspace_id: UUID, kind: str, sealed: bytes) -> str:
        """Raises BadSecret."""
        try:
            owner, sealed_kind, text = orjson.loads(self._fernet.decrypt(sealed[KEY_ID_BYTES:]))
        except InvalidToken:
            raise BadSecret("No key of SALESPAD_CREDENTIAL_KEYS opens it.") from None
        if (owner, sealed_kind) != (str(workspace_id), kind):
            raise BadSecret("It belongs to something else.")
        return str(text)

    def renew(self, sealed: bytes) -> bytes:
        """The same under the first key. Raises BadSecret."""
        try:
            return self.key_id + self._fernet.rotate(sealed[KEY_ID_BYTES:])
        except InvalidToken:
            raise BadSecret("No key of SALESPAD_CREDENTIAL_KEYS opens it.") from None


KEY_ID_BYTES = 4


def _key_id(secret: str) -> bytes:
    return hashlib.sha256(b"key id " + secret.encode()).digest()[:KEY_ID_BYTES]


def _fernet_key(secret: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest())
