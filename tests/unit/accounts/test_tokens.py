"""Access tokens: what is issued, and that every bad token is refused with one text."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest

from app.accounts.domain.session import LiveSession
from app.accounts.domain.user import Membership
from app.accounts.infrastructure.tokens import AUDIENCE, ISSUER, TokenService, key_id
from app.common.domain import ClientKind, Role, Unauthenticated
from app.common.starting import refuse_weak_secrets
from app.settings import Settings

SECRET = "kJ3x9Q2mV7bN4cZ8wL6tR1yH5gF0dSaP"
OTHER = "pS0dF5gH1yR6tL8wZ4cN7bV2mQ9x3JkA"
TEXT = "The access token is bad or expired: refresh the session."


def service(**changes: Any) -> TokenService:
    return TokenService(Settings(jwt_secret=SECRET, **changes))


def live_session(client: ClientKind = ClientKind.WEB) -> LiveSession:
    return LiveSession(uuid4(), Membership(uuid4(), uuid4(), Role.ADMIN), client, datetime.now(UTC))


def claims(**changes: object) -> dict[str, object]:
    now = datetime.now(UTC)
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(uuid4()),
        "ws": str(uuid4()),
        "role": "OWNER",
        "sid": str(uuid4()),
        "client": "WEB",
        "jti": "1",
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(minutes=10),
    } | changes


def signed(secret: str = SECRET, kid: object = None, algorithm: str = "HS256", **changes: object) -> str:
    body = {name: value for name, value in claims(**changes).items() if value is not None}
    return jwt.encode(body, secret, algorithm=algorithm, headers={"kid": kid or key_id(SECRET)})


def unsigned(**header: object) -> str:
    parts = [header, {name: str(value) for name, value in claims().items()}]
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
        + "."
    )


def test_an_issued_token_says_who_where_and_what_they_may() -> None:
    session = live_session(ClientKind.EXTENSION)
    access = service().issue(session)
    actor = service().verify(access.text)
    assert (actor.user_id, actor.workspace_id) == (session.member.user_id, session.member.workspace_id)
    assert (actor.role, actor.client, actor.session_id) == (Role.ADMIN, ClientKind.EXTENSION, session.id)
    assert actor.expires_at == access.expires_at.timestamp()
    assert actor.issued_at == session.issued_at.timestamp()


def test_two_tokens_of_one_second_are_told_apart_by_when_they_were_issued() -> None:
    session = live_session()
    moment = session.issued_at.replace(microsecond=0)
    first, second = (
        service().verify(service().issue(replace(session, issued_at=at)).text).issued_at
        for at in (moment, moment + timedelta(microseconds=1))
    )
    assert first < second


def test_a_previous_secret_still_verifies_and_no_longer_signs() -> None:
    access = service().issue(live_session())
    rotated = TokenService(Settings(jwt_secret=OTHER, previous_jwt_secrets=(SECRET,)))
    assert rotated.verify(access.text)
    assert jwt.get_unverified_header(rotated.issue(live_session()).text)["kid"] == key_id(OTHER)
    with pytest.raises(Unauthenticated):
        TokenService(Settings(jwt_secret=OTHER)).verify(access.text)


def test_the_forger_of_the_tests_below_would_pass_if_nothing_were_wrong() -> None:
    assert service().verify(signed())


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "é" * 100,
        "x" * 100_000,
        unsigned(alg="none", typ="JWT", kid=key_id(SECRET)),
        unsigned(alg="HS256", kid=key_id(SECRET)),
        unsigned(alg="HS256", kid=["a"]),
        unsigned(alg="HS256"),
        signed(OTHER),
        signed(OTHER, kid=key_id(OTHER)),
        signed(kid="../../etc/passwd"),
        signed(kid="https://example.com/key"),
        signed(secret=SECRET * 2, algorithm="HS512"),
        signed(aud="another-api"),
        signed(iss="another"),
        signed(exp=datetime.now(UTC) - timedelta(seconds=1)),
        signed(nbf=datetime.now(UTC) + timedelta(hours=1)),
        *(
            signed(**{name: None})
            for name in ("exp", "iat", "nbf", "sub", "ws", "role", "sid", "jti", "aud", "iss", "client")
        ),
        signed(role="GOD"),
        signed(client="TOASTER"),
        signed(ws="not-an-id"),
        signed(ws=7),
        signed(sid={"a": 1}),
        signed(iat="yesterday"),
        signed(iat=[1]),
    ],
)
def test_every_bad_token_is_refused_with_the_same_text(token: str) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        service().verify(token)
    assert refusal.value.message == TEXT


@pytest.mark.parametrize(
    ("environment", "secret"),
    [
        ("development", None),
        ("development", ""),
        ("development", "short"),
        ("production", "dev-secret-change-in-production-0123456789"),
        ("production", "a" * 64),
    ],
)
def test_weak_secrets_stop_the_start(environment: str, secret: str | None) -> None:
    with pytest.raises(SystemExit, match="SALESPAD_JWT_SECRET"):
        refuse_weak_secrets(Settings(env=environment, jwt_secret=secret))


def test_a_weak_previous_secret_stops_the_start_too() -> None:
    good = Settings(
        env="production",
        jwt_secret=SECRET,
        previous_jwt_secrets=(OTHER,),
        credential_keys=(OTHER,),
        erasure_key=OTHER,
    )
    refuse_weak_secrets(good)
    with pytest.raises(SystemExit, match="SALESPAD_PREVIOUS_JWT_SECRETS"):
        refuse_weak_secrets(good.model_copy(update={"previous_jwt_secrets": ("old",)}))


@pytest.mark.parametrize("keys", [(), ("short",), (OTHER, "short"), (OTHER, "a" * 64)])
def test_weak_keys_of_stored_logins_stop_the_start(keys: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="SALESPAD_CREDENTIAL_KEYS"):
        refuse_weak_secrets(Settings(env="production", jwt_secret=SECRET, credential_keys=keys))


@pytest.mark.parametrize("key", [None, "short", "a" * 64])
def test_a_weak_key_of_erased_people_stops_the_start(key: str | None) -> None:
    with pytest.raises(SystemExit, match="SALESPAD_ERASURE_KEY"):
        refuse_weak_secrets(
            Settings(env="production", jwt_secret=SECRET, credential_keys=(OTHER,), erasure_key=key)
        )
