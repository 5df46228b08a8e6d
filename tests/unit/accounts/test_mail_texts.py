"""What SalesPad's own mails say, and what nobody can make them say."""

import re
from html import unescape

import pytest

from app.accounts.domain.mail_texts import MAX_DEVICE, MAX_NAME, shown_word, write_mail
from app.accounts.domain.system_mail import SystemMailKind

WORDS = {
    SystemMailKind.INVITATION: {"workspace": "Padaria São João", "inviter": "Ana"},
    SystemMailKind.PASSWORD_RESET: {},
    SystemMailKind.PASSWORD_CHANGED: {"at": "2026-11-22 10:00 UTC"},
    SystemMailKind.NEW_SIGN_IN: {
        "at": "2026-11-22 10:00 UTC",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
        "ip_prefix": "203.0.113.0/24",
    },
}
LINK = "https://sales.example.com/invitation#token"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{at} {inviter.__class__}",
    "Ana\r\nBcc: eve@example.com\r\n\r\nhello",
    "Win at www.evil.example now, https://evil.example/x",
    "evil。example．com",
    "\u202egnp.exe\u0000\ud800",
    "x" * 5000,
)


@pytest.mark.parametrize("locale", ["en", "pt-BR"])
@pytest.mark.parametrize("kind", SystemMailKind)
def test_every_mail_says_its_words_in_text_and_html(kind: SystemMailKind, locale: str) -> None:
    mail = write_mail(kind, locale, WORDS[kind], LINK)
    for word in WORDS[kind].values():
        assert word in mail.text
        assert word in unescape(mail.html)
    assert (LINK in mail.text, mail.html.count(f'href="{LINK}"')) == (True, 2)
    assert f'<html lang="{locale}">' in mail.html
    assert "{" not in mail.subject + mail.text
    assert "src=" not in mail.html, "nothing is loaded from elsewhere"


def test_a_language_that_is_not_there_is_english() -> None:
    mail = write_mail(SystemMailKind.PASSWORD_CHANGED, "tlh", {"at": "now"}, LINK)
    assert mail.subject == "Your SalesPad password was changed"


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (SystemMailKind.INVITATION, "workspace"),
        (SystemMailKind.INVITATION, "inviter"),
        (SystemMailKind.NEW_SIGN_IN, "user_agent"),
    ],
)
def test_what_others_wrote_stays_a_short_line_of_text(kind: SystemMailKind, word: str, text: str) -> None:
    mail = write_mail(kind, "en", WORDS[kind] | {word: text}, LINK)
    assert mail.subject.isprintable()
    assert not re.search(r"<(script|img)", mail.html)
    assert "evil.example" not in mail.text
    assert "evil.example" not in mail.html
    assert not re.search(r"[\u202e\x00\ud800]", mail.text + mail.html)
    assert "\nBcc:" not in mail.text
    assert len(shown_word(word, text)) <= max(MAX_NAME, MAX_DEVICE)
    tags = re.findall(r"<[^>]*>", mail.html)
    usual = re.findall(r"<[^>]*>", write_mail(kind, "en", WORDS[kind], LINK).html)
    assert len(tags) == len(usual), "no name makes a tag"


def test_names_with_dots_are_names() -> None:
    assert shown_word("workspace", "Silva & Cia. S.A.") == "Silva & Cia. S.A."
    assert shown_word("workspace", "Booking.com") == "Booking. com"
