"""Whose a mail is, what it opens, what a bounce says."""

from uuid import uuid4

import pytest

from app.channels.domain.mail import Bounce, Mail
from app.conversations.domain.conversation import ConversationStatus, after_inbound
from app.conversations.domain.receiving import (
    FoundConversation,
    ReturnedMessage,
    body_of,
    born_of_inbound,
    bounce_error,
    contact_address,
    html_of,
    is_to_suppress,
)

OPEN, SNOOZED, CLOSED = ConversationStatus.OPEN, ConversationStatus.SNOOZED, ConversationStatus.CLOSED


def conversation(contact: str = "bia@example.org") -> FoundConversation:
    return FoundConversation(id=uuid4(), lead_id=uuid4(), contact_address=contact)


def returned(contact: str = "bia@example.org") -> ReturnedMessage:
    return ReturnedMessage(id=uuid4(), conversation_id=uuid4(), contact_address=contact)


def bounce(*, is_hard: bool = True, recipient: str | None = None, code: str | None = None) -> Bounce:
    return Bounce(message_ids=["<a@b>"], recipient=recipient, is_hard=is_hard, status_code=code)


@pytest.mark.parametrize("status", list(ConversationStatus))
def test_a_reply_opens_and_an_auto_reply_does_not(status: ConversationStatus) -> None:
    expected = OPEN if status in (OPEN, CLOSED, SNOOZED) else status
    assert after_inbound(status, is_auto_reply=False) is expected
    assert after_inbound(status, is_auto_reply=True) is status


def test_a_conversation_begins_open_unless_nobody_wrote() -> None:
    assert born_of_inbound(is_auto_reply=False) is OPEN
    assert born_of_inbound(is_auto_reply=True) is CLOSED


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("Bia@Example.ORG", "bia@example.org"),
        ("root@localhost", "root@localhost"),
        ("bia@host.local", "bia@host.local"),
        ("  ", None),
        (None, None),
    ],
)
def test_who_wrote(address: str | None, expected: str | None) -> None:
    assert contact_address(Mail(from_address=address)) == expected


def test_somebody_elses_words_stand_under_their_name() -> None:
    mail = Mail(from_address="caio@example.org", from_name='Caio <"x">\n', text="Sure.", html="<p>Sure.</p>")
    own, other = conversation("caio@example.org"), conversation("bia@example.org")
    assert body_of(mail, conversation=own, sender="caio@example.org") == "Sure."
    assert html_of(mail, conversation=own, sender="caio@example.org") == "<p>Sure.</p>"
    text = body_of(mail, conversation=other, sender="caio@example.org")
    assert text.startswith('From: Caio "x" <caio@example.org>\n\nSure.')
    assert html_of(mail, conversation=other, sender="caio@example.org") is None
    nameless = Mail(from_address="caio@example.org", text="Sure.")
    assert (
        body_of(nameless, conversation=other, sender="caio@example.org") == "From: caio@example.org\n\nSure."
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (bounce(), True),
        (bounce(recipient="bia@example.org"), True),
        (bounce(recipient="rival@example.com"), False),
        (bounce(is_hard=False), False),
    ],
)
def test_a_bounce_suppresses_only_whom_we_wrote_to(given: Bounce, expected: bool) -> None:
    assert is_to_suppress(given, returned()) is expected


def test_a_bounced_message_says_why() -> None:
    assert bounce_error(bounce(code="5.1.1")) == "HARD_BOUNCE 5.1.1"
    assert bounce_error(bounce(is_hard=False)) == "SOFT_BOUNCE"
