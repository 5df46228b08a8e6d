from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from app.accounts.domain.session import Caller, RefreshToken, StoredSession
from app.common.domain import ClientKind

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GRACE = timedelta(seconds=10)
TAB = Caller("10.0.0.1", "browser")


def test_a_token_is_read_back_and_keeps_its_family() -> None:
    token = RefreshToken.mint()
    assert RefreshToken.parse(token.text) == token
    assert token.next().family_hash == token.family_hash
    assert token.next().token_hash != token.token_hash


@pytest.mark.parametrize("text", ["", ".", "x" * 87, "é" * 43 + "." + "x" * 43, "x" * 43 + "." + "x" * 44])
def test_what_is_no_token(text: str) -> None:
    assert RefreshToken.parse(text) is None


@pytest.mark.parametrize(
    ("ip", "prefix"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("", ""),
        ("testclient", ""),
    ],
)
def test_an_address_is_kept_as_its_network(ip: str, prefix: str) -> None:
    assert Caller(ip, "").ip_prefix == prefix


def test_a_user_agent_is_cut_and_has_no_nul() -> None:
    assert Caller.of("", "a\x00b" + "c" * 1000).user_agent == "ab" + "c" * 298


def test_a_second_tab_is_the_same_browser_with_the_token_before_within_the_grace() -> None:
    used = RefreshToken.mint()
    session = StoredSession(
        id=uuid4(),
        user_id=uuid4(),
        workspace_id=uuid4(),
        client=ClientKind.WEB,
        prev_hash=used.token_hash,
        rotated_at=NOW,
        user_agent="browser",
        is_over=False,
    )
    assert session.is_second_tab(used, TAB, NOW + GRACE, GRACE)
    assert not session.is_second_tab(used, TAB, NOW + GRACE + timedelta(seconds=1), GRACE)
    assert not session.is_second_tab(used, Caller("10.0.0.1", "curl"), NOW, GRACE)
    assert not session.is_second_tab(used.next(), TAB, NOW, GRACE)
    assert not replace(session, rotated_at=None).is_second_tab(used, TAB, NOW, GRACE)
