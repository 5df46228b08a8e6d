"""What a change of an account makes of how it fares."""

from uuid import UUID

import pytest

from app.channels.domain.account import ChannelAccount, ChannelAccountStatus


@pytest.mark.parametrize(
    ("reason", "given", "status"),
    [
        ("Sending: refused", {"smtp"}, "CONNECTED"),
        ("Sending: refused", {"imap"}, "NEEDS_REAUTH"),
        ("Sending: refused", {"smtp", "imap"}, "CONNECTED"),
        ("Reading: refused", {"imap"}, "CONNECTED"),
        ("Reading: refused", {"smtp"}, "NEEDS_REAUTH"),
        ("Reading: refused", {"daily_limit"}, "NEEDS_REAUTH"),
    ],
)
def test_a_new_server_mends_what_was_wrong_on_its_side(reason: str, given: set[str], status: str) -> None:
    account = ChannelAccount(
        id=UUID(int=1),
        name="Ana",
        status=ChannelAccountStatus.NEEDS_REAUTH,
        status_reason=reason,
        daily_limit=None,
        rate_per_minute=None,
        burst=None,
    )
    changed, event = account.update(dict.fromkeys(given))
    assert changed.status == status
    assert changed.status_reason == (None if status == "CONNECTED" else reason)
    assert event is None or ("status" in event.changed) is (status == "CONNECTED")
