"""Requests that no client of ours sends: each is refused with a short JSON answer, no statement and no line of alarm.

Numbered as the table of hostile inputs that the API was designed against; H is raw HTTP. What each cost is printed
(`pytest -s`).
"""

import json
import time
from typing import Any

import jwt
import pytest

from app.accounts.infrastructure.tokens import ALGORITHM
from app.settings import Settings
from tests.api.hostile.cases import ACCEPTS, BODIES, DOCUMENTS, FRAMING, METHODS, PATHS, Case
from tests.api.hostile.raw import exchange, graphql, request
from tests.api.hostile.target import Target, assert_no_leak, assert_quiet
from tests.factories.accounts import Person

CREATE_TAG = (
    "mutation ($name: String!) { createTag(input: {name: $name}) { tag { id } errors { code path } } }"
)
JSON = "Content-Type: application/json"


@pytest.mark.parametrize("case", BODIES + METHODS + DOCUMENTS + ACCEPTS, ids=str)
async def test_graphql_is_not_impressed(target: Target, victim: Person, case: Case) -> None:
    async with target.watched(str(case)) as watch:
        answer = await exchange(target.api, case.sent)
    assert answer is not None
    assert answer.status_code in case.statuses, answer.text
    assert_quiet(answer, victim)
    if case.code is not None:
        assert answer.json()["errors"][0]["extensions"]["code"] == case.code, answer.text
    if 405 in case.statuses:
        assert answer.headers["Allow"]
    assert len(answer.content) < 5_000
    watch.assert_harmless()


@pytest.mark.parametrize("case", FRAMING + PATHS, ids=str)
async def test_http_is_not_impressed(target: Target, victim: Person, case: Case) -> None:
    async with target.watched(str(case)) as watch:
        answer = await exchange(target.api, case.sent)
    if answer is not None:
        assert answer.status_code in case.statuses, answer.text
        assert "Set-Cookie" not in answer.headers
        assert len(answer.content) < 1_000
        assert_no_leak(answer.text, victim)
    watch.assert_harmless(statements=None)
    alive = await exchange(target.api, request("GET", "/health/live"))
    assert alive is not None
    assert alive.status_code == 200


# ── 3: texts that no text is ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("name", "told"),
    [(r"a\u0000b", "INVALID"), (r"\ud800", "INVALID"), (r"a\udfffb", "INVALID"), (r"😀", None)],
)
async def test_what_postgresql_refuses_is_refused_by_name(
    target: Target, victim: Person, name: str, told: str | None
) -> None:
    body = f'{{"query": {json.dumps(CREATE_TAG)}, "variables": {{"name": "{name}"}}}}'
    async with target.watched(f"3: {name}") as watch:
        answer = await exchange(target.api, graphql(body, f"Authorization: Bearer {victim.token}"))
    assert answer is not None
    assert_quiet(answer)
    errors = answer.json()["data"]["createTag"]["errors"]
    assert errors == ([{"code": told, "path": ["name"]}] if told else [])
    watch.assert_harmless(statements=0 if told else None)


# ── 16: tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────
def forged(settings: Settings, token: str) -> dict[str, str]:
    """By what is wrong with it; made from a good one."""
    assert settings.jwt_secret is not None
    claims = jwt.decode(token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(token)["kid"]

    def signed(
        secret: str = settings.jwt_secret, header: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        told = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(told, secret, algorithm=ALGORITHM, headers={"kid": kid} | (header or {}))

    none = jwt.encode(claims, None, algorithm="none", headers={"kid": kid})
    return {
        "none": none,
        "none with a signature": none + token.rpartition(".")[2],
        "another secret": signed("x" * 40),
        "audience": signed(aud="others"),
        "issuer": signed(iss="others"),
        "expired": signed(exp=int(time.time()) - 1),
        "no exp": signed(exp=None),
        "no kid": signed(header={"kid": "0"}),
        "kid of a path": signed(header={"kid": "../../../../dev/null"}),
        "kid of a statement": signed(header={"kid": "' OR 1=1 --"}),
        "jku": signed("x" * 40, header={"jku": "http://127.0.0.1:1/keys"}),
        "role": signed("x" * 40, role="OWNER"),
        "a role there is not": signed(role="GOD"),
        "workspace": signed(ws="../.."),
        "cut": token[:-3],
        "empty": "",
        "long": "a." * 30_000,
        "not ascii": "é" * 10,
    }


async def test_a_token_that_is_not_ours_is_told_nothing(
    target: Target, victim: Person, settings: Settings
) -> None:
    sent = {"query": "{ viewer { user { id } } }"}
    answers = {}
    for what, token in forged(settings, victim.token).items():
        async with target.watched(f"16: {what}") as watch:
            answer = await exchange(target.api, graphql(sent, f"Authorization: Bearer {token}"))
        assert answer is not None, what
        assert_quiet(answer, victim)
        assert (answer.status_code, answer.headers.get("WWW-Authenticate")) == (401, "Bearer"), (
            what,
            answer.text,
        )
        watch.assert_harmless()
        answers[answer.text] = what
    assert len(answers) == 1, answers
    good = await exchange(target.api, graphql(sent, f"Authorization: Bearer {victim.token}"))
    assert good is not None
    assert good.json()["data"]["viewer"]["user"]["id"] == str(victim.user_id)


# ── 20: the cookie's routes ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/sign-out"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((JSON, "Origin: https://evil.example"), 403),
        ((JSON, "Origin: null"), 403),
        ((JSON,), 403),
        (("Content-Type: text/plain", "Origin: {own}"), 415),
        (("Origin: {own}",), 415),
        ((JSON, "Origin: {own}", "Sec-Fetch-Site: cross-site"), 403),
        ((JSON, "Origin: {own}.evil.example"), 403),
    ],
    ids=str,
)
async def test_other_sites_get_nothing_for_the_cookie(
    target: Target, victim: Person, path: str, headers: tuple[str, ...], status: int
) -> None:
    own = [header.replace("{own}", target.api.url) for header in headers]
    cookie = f"Cookie: __Host-sp_rt={victim.refresh_token}"
    async with target.watched(f"20: {path} {headers}") as watch:
        answer = await exchange(target.api, request("POST", path, *own, cookie, body=b"{}"))
    assert answer is not None
    assert (answer.status_code, answer.headers.get("Set-Cookie")) == (status, None)
    assert_quiet(answer, victim)
    watch.assert_harmless()
