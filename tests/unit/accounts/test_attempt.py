from datetime import UTC, datetime, timedelta

from app.accounts.domain.attempt import (
    PER_EMAIL,
    PER_IP_PREFIX,
    counted,
    email_key,
    next_allowed,
    windows_by_key,
)
from app.accounts.domain.session import Caller

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def seconds_ago(*seconds: float) -> list[datetime]:
    return [NOW - timedelta(seconds=number) for number in seconds]


def test_five_a_minute_then_wait_for_the_oldest_to_leave() -> None:
    assert next_allowed(seconds_ago(50, 40, 30, 20), PER_EMAIL, NOW) is None
    assert next_allowed(seconds_ago(50, 40, 30, 20, 10), PER_EMAIL, NOW) == NOW + timedelta(seconds=10)
    assert next_allowed(seconds_ago(61, 40, 30, 20, 10), PER_EMAIL, NOW) is None


def test_twenty_an_hour_however_they_are_spread() -> None:
    spread = seconds_ago(*range(120, 120 + 20 * 90, 90))
    assert next_allowed(spread, PER_EMAIL, NOW) == min(spread) + timedelta(hours=1)
    assert next_allowed(spread[:-1], PER_EMAIL, NOW) is None


def test_an_ip_prefix_has_thirty_a_minute() -> None:
    assert next_allowed(seconds_ago(*range(29)), PER_IP_PREFIX, NOW) is None
    assert next_allowed(seconds_ago(*range(30)), PER_IP_PREFIX, NOW) is not None


def test_the_attempt_is_added_and_old_ones_are_dropped() -> None:
    key = email_key("ana@example.com")
    kept = counted({key: seconds_ago(4000, 100)}, {key: PER_EMAIL}, NOW)
    assert kept == {key: [*seconds_ago(100), NOW]}


def test_one_key_for_an_account_however_its_address_is_typed() -> None:
    assert email_key(" Ana@Example.com") == email_key("ana@example.com")
    assert email_key("\ud800") != email_key("ana@example.com")


def test_without_an_ip_address_only_the_e_mail_counts() -> None:
    assert len(windows_by_key("ana@example.com", Caller("", "browser"))) == 1
    assert len(windows_by_key("ana@example.com", Caller("10.1.2.3", "browser"))) == 2
