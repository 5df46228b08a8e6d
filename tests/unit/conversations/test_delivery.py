"""What a sender's answer makes of a delivery, and by which Message-IDs a message of ours is known."""

from uuid import uuid4

import pytest

from app.channels.domain.ports import Accepted, Answer, Rejected, Retry, Unknown
from app.conversations.domain.delivery import MAX_CALLS, DeliveryStatus, settle
from app.conversations.domain.receiving import with_other_copies

RETRY, BUSY = Retry("421", "Later."), Retry("BUSY", "Our own mails.", is_busy=True)


@pytest.mark.parametrize(
    ("answer", "calls", "is_idempotent", "status"),
    [
        (Accepted("x"), 1, False, DeliveryStatus.SENT),
        (Rejected("550", "No."), 1, False, DeliveryStatus.FAILED),
        (RETRY, 1, False, DeliveryStatus.QUEUED),
        (RETRY, MAX_CALLS, False, DeliveryStatus.FAILED),
        (BUSY, MAX_CALLS, False, DeliveryStatus.QUEUED),
        (BUSY, MAX_CALLS + 9, False, DeliveryStatus.QUEUED),
        (Retry("535", "No.", is_account_broken=True), 1, False, DeliveryStatus.FAILED),
        (Unknown("NO_ANSWER", ""), 1, False, DeliveryStatus.UNKNOWN),
        (Unknown("NO_ANSWER", ""), 1, True, DeliveryStatus.QUEUED),
        (Unknown("NO_ANSWER", ""), MAX_CALLS, True, DeliveryStatus.UNKNOWN),
    ],
)
def test_what_an_answer_makes_of_it(
    answer: Answer, calls: int, is_idempotent: bool, status: DeliveryStatus
) -> None:
    assert settle(answer, calls=calls, is_idempotent=is_idempotent, jitter=1).status is status


@pytest.mark.parametrize(("calls", "wait_s"), [(1, 2), (2, 8), (3, 32), (4, 300), (6, 3600)])
def test_waits_grow_and_a_server_may_ask_for_more(calls: int, wait_s: float) -> None:
    assert settle(RETRY, calls=calls, is_idempotent=False, jitter=1).wait_s == wait_s
    asked = Retry("421", "Later.", after_s=100)
    assert settle(asked, calls=calls, is_idempotent=False, jitter=1).wait_s == max(wait_s, 100)


def test_each_copy_of_a_message_sent_again_names_it() -> None:
    key = uuid4()
    first, second = f"<{key}@ours.example>", f"<{key}-1@ours.example>"
    assert second in with_other_copies([first])
    assert first in with_other_copies([second])


def test_other_peoples_ids_stay_as_they_are() -> None:
    ids = ["<a@b>", f"<x{uuid4()}@b>", "<>", f"<{uuid4()}-9999@b>"]
    assert with_other_copies(ids) == ids
