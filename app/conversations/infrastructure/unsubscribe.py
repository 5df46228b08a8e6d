"""The link by which a person has no more sent to their address; who holds it can do that and nothing else.

Signed with a key made of those of stored logins and of the purpose: the first signs, all verify, so that the link of an
old mail is good for as long as its key is kept, whatever becomes of the secret that access tokens are signed with. It
names the delivery. No address is in it: links stand in logs of proxies and in browsers' histories.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from itsdangerous import BadSignature, Signer

from app.settings import Settings

PATH = "/unsubscribe"
PURPOSE = "salespad.unsubscribe"
TOKEN_LENGTH = 87
"""43 characters for two ids, a dot, 43 for the signature."""


@dataclass(frozen=True, slots=True)
class UnsubscribeToken:
    workspace_id: UUID
    delivery_id: UUID


def unsubscribe_url(settings: Settings, workspace_id: UUID, delivery_id: UUID) -> str:
    ids = urlsafe_b64encode(workspace_id.bytes + delivery_id.bytes).rstrip(b"=")
    token = _signer(settings.credential_keys).sign(ids).decode()
    return f"{settings.base_url}{PATH}/{token}"


def read_token(settings: Settings, token: str) -> UnsubscribeToken | None:
    """None: not of our making, not whole, or of a key that is kept no more."""
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return None
    try:
        ids = urlsafe_b64decode(_signer(settings.credential_keys).unsign(token) + b"=")
    except (BadSignature, NotBase64):
        return None
    return UnsubscribeToken(UUID(bytes=ids[:16]), UUID(bytes=ids[16:]))


@lru_cache(maxsize=4)
def _signer(keys: tuple[str, ...]) -> Signer:
    return Signer(
        list(reversed(keys)),  # the last one signs
        salt=PURPOSE,
        key_derivation="hmac",
        digest_method=hashlib.sha256,
    )
