"""What goes out can be read by others' parsers as it was meant, and no value can end its line."""

import email
import re
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.channels.domain.ports import OutboundFile
from app.channels.infrastructure.compose import compose_mail
from app.channels.infrastructure.mime import read_mail
from app.channels.infrastructure.texts import clean, clean_line
from tests.factories.smtp import ADDRESS, message

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
BREAKS = ["\r\n", "\r", "\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\x00", "\r\n "]


def parsed(raw: bytes) -> EmailMessage:
    """By the standard library's strict-enough parser: somebody else's reading."""
    mail = email.message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def composed(**changed: Any) -> bytes:
    raw = compose_mail(ADDRESS, message(**changed))
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    return raw


def test_the_same_message_gives_the_same_bytes() -> None:
    told = {"key": "k", "message_id": "<k@acme.example.com>"}
    assert composed(**told) == composed(**told)


def test_threads() -> None:
    ids = [f"<{number}@acme.example.com>" for number in range(300)]
    mail = parsed(composed(in_reply_to=ids[-1], references=ids))
    assert mail["In-Reply-To"] == ids[-1]
    assert mail["References"].split() == [ids[0], *ids[-99:]]
    assert mail["Auto-Submitted"] is None


def test_ids_of_a_domain_with_accents_leave_in_ascii_and_are_known_again() -> None:
    ids = ["<1@acmé.example.com>", "<2@straße.example.com>"]
    raw = composed(message_id=ids[0], in_reply_to=ids[1], references=ids)
    assert raw.isascii()
    mail = read_mail(raw)
    assert (mail.message_id, mail.in_reply_to, list(mail.references)) == (ids[0], ids[1], ids)


def test_text_and_its_html() -> None:
    mail = parsed(composed(text="Olá <b>\n\nveja https://x.example/?a=1&b=2\n"))
    assert mail.get_content_type() == "multipart/alternative"
    plain, html = mail.iter_parts()
    assert plain.get_content().replace("\r\n", "\n") == "Olá <b>\n\nveja https://x.example/?a=1&b=2\n"
    assert "<p>Olá &lt;b&gt;</p>" in html.get_content()


@pytest.mark.parametrize("line_break", BREAKS)
@pytest.mark.parametrize("field", ["subject", "from_name", "to_name", "message_id", "in_reply_to"])
def test_no_value_ends_its_line(field: str, line_break: str) -> None:
    mail = parsed(composed(**{field: f"a{line_break}Bcc: <evil@example.net>{line_break}{line_break}body"}))
    assert mail["Bcc"] is None
    assert set(mail.keys()) <= {
        "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "MIME-Version", "Content-Type"
    }  # fmt: skip
    assert mail["To"].addresses[0].addr_spec == "bia@example.com"
    assert len(mail["To"].addresses) == 1


@pytest.mark.parametrize(
    "address",
    [
        "bia@example.com\r\nBcc: evil@example.net",
        "bia@example.com, evil@example.net",
        "a>, <evil@example.net",
    ],
)
def test_an_address_stays_one(address: str) -> None:
    mail = parsed(composed(to_address=address))
    assert mail["Bcc"] is None
    assert len(mail["To"].addresses) <= 1


def test_addresses_in_other_scripts() -> None:
    assert b"To: bia@xn--ao-siap.example.org\r\n" in composed(to_address="bia@ação.example.org")
    assert "To: josé@xn--ao-siap.example.org\r\n".encode() in composed(to_address="josé@ação.example.org")


@pytest.mark.parametrize(
    ("name", "kind", "read_kind"),
    [
        ("plano.pdf", "application/pdf", "application/pdf"),
        ("orçamento “final” 2026.pdf", "application/pdf", "application/pdf"),
        ('a"; x="b.txt', "text/plain", "text/plain"),
        ("ã" * 150, "image/png\r\nX-Evil: 1", "application/octet-stream"),
        ("mail.eml", "message/rfc822", "application/octet-stream"),
        ("x\r\nX-Evil: 1.txt", "", "application/octet-stream"),
    ],
)
def test_files(tmp_path: Path, name: str, kind: str, read_kind: str) -> None:
    path = tmp_path / "content"
    path.write_bytes(bytes(range(256)) * 300)
    mail = parsed(composed(files=[OutboundFile(name, kind, path)]))
    (file,) = mail.iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == (clean_line(name, 200), read_kind)
    assert file["X-Evil"] is None
    assert file.get_payload(decode=True) == path.read_bytes()


@example(subject="0 \x80\t0", text="", to_name="0\xa0\ufeff\t0", from_name="0\r\x80\x1f0")
@given(subject=TEXTS, text=TEXTS, to_name=TEXTS, from_name=TEXTS)
@settings(max_examples=200, deadline=None)
def test_what_goes_in_comes_out(subject: str, text: str, to_name: str, from_name: str) -> None:
    raw = composed(subject=subject, text=text, to_name=to_name, from_name=from_name)
    mail = read_mail(raw)
    assert (mail.subject or "") == clean_line(subject, 900)
    # What looks quoted is folded, never lost.
    assert sorted("".join((mail.text + (mail.quoted_text or "")).split())) == sorted(
        "".join(clean(text, 1000).split())
    )
    if not mail.quoted_text:
        assert mail.text == clean(text, 1000).strip()
    assert mail.from_address == ADDRESS
    assert (mail.from_name or "") == shown(from_name)
    assert [mail.to_addresses, len(parsed(raw)["To"].addresses)] == [["bia@example.com"], 1]


def shown(name: str) -> str:
    """Marks around a name are the mail's, not the person's."""
    read = clean_line(name, 200).strip("\"'<> ")
    return "" if read.lower() == ADDRESS else read


LINK = "https://app.example.com/unsubscribe/abc.DEF_1-2"


def test_a_link_to_unsubscribe_by_one_click() -> None:
    mail = parsed(composed(text="Olá!\n", unsubscribe_url=LINK, locale="pt-BR"))
    assert mail["List-Unsubscribe"] == f"<{LINK}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    plain, html = (part.get_content().replace("\r\n", "\n") for part in mail.iter_parts())
    says = "Não quer mais receber estes e-mails?"
    assert plain == f"Olá!\n\n-- \n{says} Cancelar a inscrição:\n{LINK}\n"
    assert f'{says} <a href="{LINK}">Cancelar a inscrição</a>' in html


@pytest.mark.parametrize("locale", ["en", "fr", ""])
def test_other_languages_are_told_in_english(locale: str) -> None:
    mail = parsed(composed(unsubscribe_url=LINK, locale=locale))
    assert all("You do not want these mails any more?" in part.get_content() for part in mail.iter_parts())


def test_who_writes_to_one_person_offers_no_link() -> None:
    mail = parsed(composed())
    assert mail["List-Unsubscribe"] is mail["List-Unsubscribe-Post"] is None
    assert "nsubscri" not in mail.as_string()


@pytest.mark.parametrize(
    "url",
    [
        f"{LINK}\r\nBcc: eve@example.org",
        f"{LINK}>, <https://evil.example",
        f"{LINK} x",
        "javascript:alert(1)",
        f"{LINK}ã",
        "https://" + "a" * 1000,
    ],
    ids=["line", "second", "space", "script", "accent", "long"],
)
def test_what_is_no_link_is_left_out(url: str) -> None:
    raw = composed(unsubscribe_url=url)
    assert b"List-Unsubscribe" not in raw
    assert parsed(raw)["Bcc"] is None
    assert b"any more?" not in raw
