"""The hash itself (no I/O): each byte counts, whatever bcrypt's limit of 72."""

import pytest

from app.accounts.infrastructure.passwords import SCHEME, hash_password, is_password

COST = 4


@pytest.mark.parametrize(
    ("password", "other"),
    [
        ("x" * 72 + "a", "x" * 72 + "b"),
        ("🙂" * 72, "🙂" * 71 + "🙃"),
        ("x" * 10_240, "x" * 10_239),
        ("a\x00bcdefgh", "a\x00bcdefgi"),
        ("\ud800 broken", "\ud801 broken"),
    ],
    ids=["73 bytes", "72 emoji", "10 kB", "NUL", "lone surrogate"],
)
def test_every_byte_counts(password: str, other: str) -> None:
    stored = hash_password(password, COST)
    assert stored.startswith(SCHEME)
    assert is_password(password, stored)
    assert not is_password(other, stored)


def test_the_same_accents_from_another_keyboard() -> None:
    assert is_password("ac\u0327a\u0303o!!", hash_password("ação!!", COST))
