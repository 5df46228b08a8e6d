"""Access tokens: JWTs signed with HS256. Nothing in a token chooses how it is verified.

`iat` has fractions of a second: a token is void if it is not younger than a revocation, which may come in the same
second.
"""

import hashlib
import uuid
from datetime import datetime, timedelta
from uuid import UUID

import jwt

from app.accounts.domain.session import AccessToken, LiveSession
from app.common.domain import Actor, ClientKind, Role, Unauthenticated
from app.settings import Settings

ALGORITHM = "HS256"
ISSUER = "salespad"
AUDIENCE = "salespad-api"
REQUIRED = ["exp", "iat", "nbf", "sub", "ws", "role", "sid", "jti", "aud", "iss", "client"]
MAX_LENGTH = 4096
CLOCK_SKEW = timedelta(seconds=10)
"""A token may be shown to a machine whose clock is this far behind that of its issuer."""


class TokenService:
    """Signs with the current secret; the previous ones still verify while keys rotate."""

    def __init__(self, settings: Settings) -> None:
        assert settings.jwt_secret is not None
        self._kid = key_id(settings.jwt_secret)
        self._secret = settings.jwt_secret
        self._secrets = {key_id(secret): secret for secret in (*settings.previous_jwt_secrets, self._secret)}
        self._ttl = timedelta(seconds=settings.access_token_ttl_s)

    def issue(self, session: LiveSession, *, until: datetime | None = None) -> AccessToken:
        expires_at = (session.issued_at + self._ttl).replace(microsecond=0)
        expires_at = min(expires_at, until or expires_at)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(session.member.user_id),
            "ws": str(session.member.workspace_id),
            "role": session.member.role.value,
            "sid": str(session.id),
            "client": session.client.value,
            "jti": uuid.uuid4().hex,
            "iat": session.issued_at.timestamp(),
            "nbf": session.issued_at - CLOCK_SKEW,
            "exp": expires_at,
        }
        text = jwt.encode(claims, self._secret, algorithm=ALGORITHM, headers={"kid": self._kid})
        return AccessToken(text, expires_at)

    def verify(self, token: str) -> Actor:
        """Raises Unauthenticated, with one text for every cause."""
        try:
            return self._read(token)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
            raise Unauthenticated("The access token is bad or expired: refresh the session.") from None

    def _read(self, token: str) -> Actor:
        if len(token) > MAX_LENGTH:
            raise ValueError("too long")
        claims = jwt.decode(
            token,
            self._secrets[jwt.get_unverified_header(token)["kid"]],
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": REQUIRED, "verify_iat": False},  # nbf judges, with its allowance for skew
        )
        return Actor(
            workspace_id=UUID(str(claims["ws"])),
            user_id=UUID(str(claims["sub"])),
            role=Role(claims["role"]),
            client=ClientKind(claims["client"]),
            session_id=UUID(str(claims["sid"])),
            expires_at=float(claims["exp"]),
            issued_at=float(claims["iat"]),
        )


def key_id(secret: str) -> str:
    return hashlib.sha256(b"salespad kid:" + secret.encode()).hexdigest()[:12]
