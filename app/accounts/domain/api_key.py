"""API keys: a secret that a program sends in a person's stead, bound to one workspace.

`sp_live_<8>_<43><6>` in base62: a name for people and scanners, 256 random bits, and a checksum of all before it. What
is no key, a typo among them, is told from one without asking the database.
"""

import hashlib
import secrets
import string
import zlib
from dataclasses import dataclass
from typing import Self

from app.common.domain import Forbidden, LimitReached, NotFound, Role

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIX = "sp_live_"
NAME_LENGTH, RANDOM_LENGTH, CHECK_LENGTH = 8, 43, 6
MAX_LENGTH = len(PREFIX) + NAME_LENGTH + 1 + RANDOM_LENGTH + CHECK_LENGTH
MAX_KEYS = 100
"""Live ones a workspace."""


class ApiKeyNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__("No such API key: it is revoked already. Reload the list.", path=("id",))


class TooManyApiKeys(LimitReached):
    def __init__(self) -> None:
        super().__init__(f"A workspace may have {MAX_KEYS} API keys: revoke one first.")


@dataclass(frozen=True, slots=True)
class ApiKeySecret:
    """The whole text; only its hash is stored."""

    text: str

    @classmethod
    def mint(cls) -> Self:
        body = f"{PREFIX}{_random(NAME_LENGTH)}_{_random(RANDOM_LENGTH)}"
        return cls(body + _check(body))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for what no server of ours can have given out."""
        if len(text) != MAX_LENGTH or not text.isascii() or not text.startswith(PREFIX):
            return None
        return cls(text) if _check(text[:-CHECK_LENGTH]) == text[-CHECK_LENGTH:] else None

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(self.text.encode()).digest()

    @property
    def last_four(self) -> str:
        return self.text[-4:]


def check_role(role: Role, *, own: Role | None) -> None:
    """`own` is the maker's; None: they are no member any more. Raises Forbidden."""
    if own is None or not own.includes(Role.ADMIN):
        raise Forbidden("This needs the role ADMIN, which you have no more: ask an admin.")
    if not own.includes(role):
        raise Forbidden(
            f"A key may do no more than you, who are {own}: choose a lesser role.", path=("role",)
        )


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _check(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECK_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
