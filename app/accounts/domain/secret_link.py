"""What a link in a mail carries: 256 random bits that are good once. Only their hash is stored."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Self
from uuid import UUID

SECRET_BYTES = 32
SECRET_LENGTH = 43
INVITATION_TTL = timedelta(days=7)
RESET_TTL = timedelta(hours=1)


def new_secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def secret_hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class ResetToken:
    """`<user id>.<secret>`: found by the person, so that no index over secrets is needed."""

    user_id: UUID
    secret: str

    @classmethod
    def mint(cls, user_id: UUID) -> Self:
        return cls(user_id, new_secret())

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for what cannot be a token: it is answered like an unknown one."""
        user_id, _, secret = text.partition(".")
        if len(user_id) != 36 or len(secret) != SECRET_LENGTH or not text.isascii():
            return None
        try:
            return cls(UUID(user_id), secret)
        except ValueError:
            return None

    @property
    def text(self) -> str:
        return f"{self.user_id}.{self.secret}"

    @property
    def hash(self) -> bytes:
        return secret_hash(self.text)
