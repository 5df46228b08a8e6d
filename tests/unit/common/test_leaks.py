"""What the tests look for in every log is found where it is, and nothing else is taken for it."""

import secrets

import pytest

from tests.fixtures.logs import leaks, leaks_of_postgres, remember

QUIET = "14:00:00Z [info     ] request request_id=0193f0d5c1a27c0e8a4b7e9f00112233 path=/graphql status=200"


@pytest.mark.parametrize(
    "told",
    [
        "ana-1@example.com",
        "eyJhbGciOiJI",
        "sp_live_abc",
        "a long enough password",
        "Ana",
        secrets.token_urlsafe(32) + "aA1",
    ],
    ids=["address", "access token", "API key", "password", "name", "secret"],
)
def test_a_log_that_tells_too_much(told: str) -> None:
    assert leaks(f"{QUIET}\n{QUIET} reason={told}\n{QUIET}") == [f"line 2:\n{QUIET}\n{QUIET} reason={told}"]


def test_a_log_that_does_not() -> None:
    place = "/srv/app/accounts/infrastructure/repository.py:41 find_members_of_a_workspace_by_their_address_or_name"
    assert leaks(f"{QUIET}\n{place}") == []
    secret = secrets.token_hex(6)
    assert leaks(secret) == []
    remember(secret)
    assert leaks(secret) != []


def test_postgresql_may_repeat_a_test_s_statement_and_no_row() -> None:
    begin = "2026-11-22 14:00:00 UTC [7] sp_owner@salespad "
    assert (
        leaks_of_postgres(f"{begin}STATEMENT:  SELECT 'ana@example.com'\n\tFROM x -- ana@example.com") == []
    )
    assert leaks_of_postgres(f"{begin}DETAIL:  Key (email)=(x) already exists.") != []
