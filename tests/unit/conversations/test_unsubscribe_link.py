"""Links in mails live for years: longer than the secrets around them, and worth nothing to whoever changes a letter."""

from uuid import UUID

import pytest

from app.conversations.infrastructure.unsubscribe import UnsubscribeToken, read_token, unsubscribe_url
from app.settings import Settings

WORKSPACE, DELIVERY = UUID(int=7), UUID(int=2**127 + 9)
OLD, NEW = "an old key of at least 32 bytes, made up", "a new key of at least 32 bytes, made up"


def settings(*keys: str, jwt_secret: str = "a secret of at least 32 bytes, made up") -> Settings:
    return Settings(credential_keys=keys, jwt_secret=jwt_secret, public_url="https://app.example.com/")


def token_of(made_by: Settings) -> str:
    return unsubscribe_url(made_by, WORKSPACE, DELIVERY).rpartition("/")[2]


def test_it_stands_at_the_public_address_and_names_the_delivery() -> None:
    url = unsubscribe_url(settings(OLD), WORKSPACE, DELIVERY)
    assert url.startswith("https://app.example.com/unsubscribe/")
    assert len(url) < 150
    assert read_token(settings(OLD), token_of(settings(OLD))) == UnsubscribeToken(WORKSPACE, DELIVERY)


def test_it_outlives_the_rotation_of_both_keys() -> None:
    old = token_of(settings(OLD))
    assert read_token(settings(NEW, OLD, jwt_secret="another secret of 32 bytes and more"), old)
    assert token_of(settings(NEW, OLD)) == token_of(settings(NEW)) != old
    assert read_token(settings(NEW), old) is None


@pytest.mark.parametrize("place", [0, 21, 43, 44, 60])
def test_a_changed_letter_is_not_ours(place: int) -> None:
    token = token_of(settings(OLD))
    other = "A" if token[place] != "A" else "B"
    assert read_token(settings(OLD), token[:place] + other + token[place + 1 :]) is None


@pytest.mark.parametrize(
    "garbage", ["", ".", "x", "ã" * 87, "." * 87, "A" * 87, "A" * 5000, "a\x00b"], ids=repr
)
def test_garbage_is_not_ours(garbage: str) -> None:
    assert read_token(settings(OLD), garbage) is None


def test_half_a_link_is_not_ours() -> None:
    token = token_of(settings(OLD))
    assert all(read_token(settings(OLD), token[:length]) is None for length in range(len(token)))
