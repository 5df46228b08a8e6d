"""API keys as texts, and which role one may have."""

import re

import pytest

from app.accounts.domain.api_key import ALPHABET, ApiKeySecret, check_role
from app.common.domain import Forbidden, Role


def test_a_key_names_itself_and_holds_256_bits() -> None:
    secret = ApiKeySecret.mint()
    assert re.fullmatch(r"sp_live_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}", secret.text)
    assert len(ALPHABET) ** 43 >= 2**256
    assert secret.last_four == secret.text[-4:]
    assert ApiKeySecret.parse(secret.text) == secret
    assert ApiKeySecret.mint().text != secret.text


def test_a_typo_anywhere_is_told_without_looking_it_up() -> None:
    text = ApiKeySecret.mint().text
    for at, letter in enumerate(text):
        typo = text[:at] + ("a" if letter != "a" else "b") + text[at + 1 :]
        assert ApiKeySecret.parse(typo) is None, typo


@pytest.mark.parametrize("text", ["", "sp_live_", "sp_live_" + "é" * 58, "x" * 10_000, "sp_live_" + "0" * 58])
def test_what_is_no_key(text: str) -> None:
    assert ApiKeySecret.parse(text) is None


@pytest.mark.parametrize(
    ("own", "role", "path"),
    [
        (Role.OWNER, Role.OWNER, None),
        (Role.ADMIN, Role.ADMIN, None),
        (Role.ADMIN, Role.VIEWER, None),
        (Role.ADMIN, Role.OWNER, ("role",)),
        (Role.MEMBER, Role.VIEWER, ()),
        (None, Role.VIEWER, ()),
    ],
)
def test_a_key_may_do_no_more_than_its_maker(
    own: Role | None, role: Role, path: tuple[str, ...] | None
) -> None:
    if path is None:
        check_role(role, own=own)
        return
    with pytest.raises(Forbidden) as refusal:
        check_role(role, own=own)
    assert refusal.value.path == path
