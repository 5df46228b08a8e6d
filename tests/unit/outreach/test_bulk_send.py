"""A bulk send's states, and when it pauses by itself."""

from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.common.domain import Refusals
from app.conversations.domain.delivery import Reason
from app.outreach.domain.bulk_send import (
    ENDED,
    MOVES,
    BulkSend,
    BulkSendStatus,
    Draft,
    Outcomes,
    account_trouble,
    rate_trouble,
)
from app.outreach.domain.errors import WrongState
from app.outreach.domain.pausing import PauseReason, told, why

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ID = UUID(int=7)


def bulk_send(
    status: BulkSendStatus, *, start_at: datetime | None = None, is_started: bool = True
) -> BulkSend:
    return BulkSend(
        id=ID,
        status=status,
        draft=None,
        account_id=ID,
        send_batch_id=ID,
        start_at=start_at,
        is_started=is_started,
        has_ended=False,
    )


def test_every_state_has_its_moves_and_what_has_ended_has_none() -> None:
    assert MOVES.keys() == set(BulkSendStatus)
    assert {status for status, to in MOVES.items() if not to} == ENDED


@pytest.mark.parametrize(("status", "to"), list(product(BulkSendStatus, BulkSendStatus)))
def test_a_move_is_made_once_or_refused(status: BulkSendStatus, to: BulkSendStatus) -> None:
    if to is status:
        assert not bulk_send(status).moved(to)
    elif to in MOVES[status]:
        assert bulk_send(status).moved(to)
    else:
        with pytest.raises(WrongState) as refused:
            bulk_send(status).moved(to)
        assert refused.value.path == ("id",)


def test_it_waits_for_its_time_only_until_it_has_started() -> None:
    later = NOW + timedelta(hours=1)
    for start_at, is_started, to in (
        (None, False, BulkSendStatus.RUNNING),
        (NOW, False, BulkSendStatus.RUNNING),
        (later, False, BulkSendStatus.SCHEDULED),
        (later, True, BulkSendStatus.RUNNING),
    ):
        found = bulk_send(BulkSendStatus.PAUSED, start_at=start_at, is_started=is_started)
        assert found.start(NOW) is to


@pytest.mark.parametrize(
    ("outcomes", "reason"),
    [
        (Outcomes(failed=19), None),
        (Outcomes(sent=16, failed=4), None),
        (Outcomes(sent=15, failed=5), "ERROR_RATE|5|20"),
        (Outcomes(sent=15, unknown=5), "ERROR_RATE|5|20"),
        (Outcomes(sent=49, bounced=49), None),
        (Outcomes(sent=60, bounced=3), None),
        (Outcomes(sent=50, bounced=3), "BOUNCE_RATE|3|50"),
        (Outcomes(sent=299, complained=3), None),
        (Outcomes(sent=1000, complained=3), None),
        (Outcomes(sent=1000, complained=4), "COMPLAINT_RATE|4|1000"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else None,
)
def test_it_pauses_by_its_rates(outcomes: Outcomes, reason: str | None) -> None:
    assert rate_trouble(outcomes) == reason


def test_what_was_known_when_it_was_resumed_stops_it_no_more() -> None:
    before = Outcomes(sent=15, failed=5)
    assert rate_trouble(Outcomes(sent=34, failed=6).since(before)) is None
    assert rate_trouble(Outcomes(sent=30, failed=10).since(before)) is not None


counts = st.builds(Outcomes, *[st.integers(0, 10_000)] * 5)


@given(counts, counts)
def test_no_rate_is_of_less_than_nothing(now: Outcomes, before: Outcomes) -> None:
    new = now.since(before)
    assert min(new.sent, new.failed, new.unknown, new.bounced, new.complained) >= 0
    if new.sent + new.failed + new.unknown < 20:
        assert rate_trouble(new) is None or new.sent >= 50


@pytest.mark.parametrize("refusal", [None, Reason.ACCOUNT_DISCONNECTED, Reason.ACCOUNT_NEEDS_REAUTH], ids=str)
def test_it_pauses_by_its_accounts_trouble(refusal: Reason | None) -> None:
    assert account_trouble(refusal) == refusal


@pytest.mark.parametrize("locale", ["en", "pt-BR", "fr"])
@pytest.mark.parametrize("reason", list(PauseReason), ids=str)
def test_every_pause_has_a_text_after_its_code(reason: PauseReason, locale: str) -> None:
    given = {PauseReason.INTERNAL_ERROR: ("Unexpected error 7",)}.get(reason, (3, 50))
    shown = told(why(reason, *given), locale)
    assert shown.startswith(f"{reason.value}: ")
    assert "{" not in shown
    assert (shown == told(why(reason, *given), "en")) is (locale != "pt-BR")
    if reason in (PauseReason.ERROR_RATE, PauseReason.BOUNCE_RATE, PauseReason.COMPLAINT_RATE):
        assert {"3", "50"} <= set(shown.split())


def test_what_an_error_says_stays_one_part_of_the_reason() -> None:
    stored = why(PauseReason.INTERNAL_ERROR, "Unexpected |{} error")
    assert told(stored, "en").startswith("INTERNAL_ERROR: Unexpected  {} error. ")


def test_a_draft_tells_all_that_is_wrong_with_it() -> None:
    draft = Draft(
        name=" ",
        template_id=ID,
        account_id=ID,
        filter={"deleted": True},
        start_at=NOW - timedelta(seconds=1),
        rate_per_minute=0,
        burst=0,
    )
    with pytest.raises(Refusals) as refused:
        draft.checked(NOW)
    assert {one.path for one in refused.value.refusals} == {
        ("name",),
        ("ratePerMinute",),
        ("burst",),
        ("startAt",),
        ("filter", "deleted"),
    }


def test_a_draft_that_is_right_has_its_name_trimmed() -> None:
    draft = Draft(name="  October ", template_id=ID, account_id=ID, filter={}, rate_per_minute=1, burst=1)
    assert draft.checked(NOW).name == "October"
