"""Mails are read as far as they can be read: people, texts, names, charsets, structure."""

from datetime import UTC, datetime

from app.channels.infrastructure.compose import compose_mail
from app.channels.infrastructure.mime import read_mail
from tests.factories.sending import message as new_message


def test_a_mail_of_ours_reads_as_it_was_written() -> None:
    message = new_message(
        to_name='Bia "da" Conceição',
        from_name="Ana, Vendas",
        subject="Olá — proposta",
        text="Oi,\n\n  recuado\n\nAté!",
    )
    mail = read_mail(compose_mail("ana@example.com", message))
    assert (mail.from_address, mail.from_name) == ("ana@example.com", "Ana, Vendas")
    assert mail.to_addresses == ["bia@example.com"]
    assert (mail.subject, mail.text) == ("Olá — proposta", "Oi,\n\n  recuado\n\nAté!")
    assert mail.message_id == message.message_id
    assert mail.sent_at == datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def test_it_reads_anything() -> None:
    assert read_mail(b"").text == ""
    assert read_mail(b"hello").text == "hello"
    assert read_mail(b"From: Ana <ANA@example.org>\n\nhi\x00\xff").from_address == "ana@example.org"
