from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from app.accounts.domain.attempt import SIGN_IN, Tally, next_allowed, sign_up_limits, slowed, subject_key
from app.accounts.domain.session import Caller

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EMAIL = "ana@example.com"
HERE, ELSEWHERE = Caller("10.1.2.3", "browser"), Caller("10.9.9.9", "browser")


def seconds_ago(*seconds: float) -> list[datetime]:
    return [NOW - timedelta(seconds=number) for number in seconds]


def attempts_of(
    tally: Tally, given: Mapping[bytes, Sequence[datetime]] | None = None
) -> dict[bytes, Sequence[datetime]]:
    return dict.fromkeys(tally.windows, ()) | (given or {})


def test_five_a_minute_then_wait_for_the_oldest_to_leave() -> None:
    limits = SIGN_IN.per_subject
    assert next_allowed(seconds_ago(50, 40, 30, 20), limits, NOW) is None
    assert next_allowed(seconds_ago(50, 40, 30, 20, 10), limits, NOW) == NOW + timedelta(seconds=10)
    assert next_allowed(seconds_ago(61, 40, 30, 20, 10), limits, NOW) is None


def test_twenty_an_hour_however_they_are_spread() -> None:
    spread = seconds_ago(*range(120, 120 + 20 * 90, 90))
    assert next_allowed(spread, SIGN_IN.per_subject, NOW) == min(spread) + timedelta(hours=1)
    assert next_allowed(spread[:-1], SIGN_IN.per_subject, NOW) is None


def test_an_ip_prefix_has_thirty_a_minute() -> None:
    assert next_allowed(seconds_ago(*range(29)), SIGN_IN.per_ip_prefix, NOW) is None
    assert next_allowed(seconds_ago(*range(30)), SIGN_IN.per_ip_prefix, NOW) is not None


def test_the_attempt_is_added_and_more_than_a_window_asks_about_is_dropped() -> None:
    tally, key = Tally.of(SIGN_IN, HERE, subject=EMAIL), subject_key(SIGN_IN, EMAIL)
    old = seconds_ago(*range(1900, 0, -100))
    kept = tally.counted(attempts_of(tally, {key: old + seconds_ago(5)}), NOW)
    assert kept[key] == [*old, *seconds_ago(5), NOW][-20:]
    assert {tuple(at) for other, at in kept.items() if other != key} == {(NOW,)}


def test_one_key_for_an_account_however_its_address_is_typed() -> None:
    assert subject_key(SIGN_IN, " Ana@Example.com") == subject_key(SIGN_IN, EMAIL)
    assert subject_key(SIGN_IN, "\ud800") != subject_key(SIGN_IN, EMAIL)
    assert subject_key(SIGN_IN, f"{EMAIL}\n10.1.2.0/24") != subject_key(SIGN_IN, EMAIL, "10.1.2.0/24")


def test_strangers_who_try_an_account_do_not_keep_its_owner_out() -> None:
    key = subject_key(SIGN_IN, EMAIL)
    for caller, is_at_home, may in ((ELSEWHERE, False, False), (HERE, False, False), (HERE, True, True)):
        tally = Tally.of(SIGN_IN, caller, subject=EMAIL, is_at_home=is_at_home)
        attempts = attempts_of(tally, {key: seconds_ago(*range(5))})
        assert (tally.next_allowed(attempts, NOW) is None) is may


def test_at_home_one_has_no_more_than_elsewhere() -> None:
    tally = Tally.of(SIGN_IN, HERE, subject=EMAIL, is_at_home=True)
    here = subject_key(SIGN_IN, EMAIL, HERE.ip_prefix)
    assert tally.next_allowed(attempts_of(tally, {here: seconds_ago(*range(5))}), NOW)
    assert subject_key(SIGN_IN, EMAIL) in tally.counted(attempts_of(tally), NOW)


def test_while_all_together_try_too_much_strangers_are_slowed_and_nobody_is_locked_out() -> None:
    assert [window.attempts for window in slowed(SIGN_IN.per_subject)] == [1, 4]
    for is_at_home, tries, may in ((False, 0, True), (False, 6, False), (True, 6, True)):
        tally = Tally.of(SIGN_IN, HERE, subject=EMAIL, is_at_home=is_at_home)
        (by_address,) = (key for key, windows in tally.windows.items() if windows == SIGN_IN.per_ip_prefix)
        assert tally.overall
        given = {tally.overall: seconds_ago(*[1] * 300), by_address: seconds_ago(*[2] * tries)}
        assert (tally.next_allowed(attempts_of(tally, given), NOW) is None) is may


def test_without_an_ip_address_the_e_mail_alone_judges() -> None:
    nowhere = Tally.of(SIGN_IN, Caller("", "browser"), subject=EMAIL, is_at_home=True)
    assert nowhere.judges == {subject_key(SIGN_IN, EMAIL)}


def test_who_runs_the_machine_signs_up_whom_they_like() -> None:
    limits = sign_up_limits(1)
    assert not Tally.of(limits, Caller("127.0.0.1", "")).judges
    assert not Tally.of(limits, Caller("::1", "")).judges
    assert Tally.of(limits, HERE).judges
