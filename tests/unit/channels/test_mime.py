"""Mails are read as far as they can be read: people, texts, quotes, names, charsets, structure."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.channels.domain.mail import Mail
from app.channels.infrastructure.mime import read_mail

MAILS = Path(__file__).parents[2] / "fixtures" / "mails"


def mail_named(name: str) -> Mail:
    return read_mail((MAILS / f"{name}.eml").read_bytes())


def with_body(content: bytes, kind: str = "text/plain", *, extra: str = "") -> bytes:
    return f"From: Bia <bia@example.org>\r\nContent-Type: {kind}\r\n{extra}\r\n".encode() + content


@pytest.mark.parametrize(
    ("name", "text", "quoted"),
    [
        (
            "gmail_reply_pt",
            "Pode ser na terça às 10h?\n\n-- \nBia Souza\n+55 11 91234-5678",
            "Em seg., 3 de nov. de 2025 às 09:58, Ana Lima <ana@acme.example.com>\nescreveu:\n\n"
            "> Oi, Bia!\n>\n> Quando podemos falar?\n>",
        ),
        (
            "outlook_reply_pt",
            "Boa tarde, Ana,\n\nAprovado – podem seguir com o “plano B”.\n\nAtt,\nBruno",
            "________________________________\nDe: Ana Lima <ana@acme.example.com>\n"
            "Enviado: segunda-feira, 3 de novembro de 2025 09:58\nPara: Bruno Dias <bruno@example.net>\n"
            "Assunto: Proposta\n\nOi, Bruno!\n\nSegue a proposta.",
        ),
        (
            "outlook_html_only",
            "Yes, go ahead.\n\n- first\n- second, see the page (https://example.net/x)",
            "> ---\n> From: Ana\n> Sent: Monday\n> To: Bruno\n> Shall we?",
        ),
        (
            "apple_reply_en",
            "See the file.\n\nThanks!",
            "> On 5 Nov 2025, at 07:00, Ana Lima <ana@acme.example.com> wrote:\n>\n> Here it is.",
        ),
        (
            "yahoo_reply",
            "Fechado!",
            "On Thursday, November 6, 2025 at 09:00:00 AM GMT-3, Ana Lima <ana@acme.example.com> wrote:  \n \n"
            " Podemos fechar?",
        ),
        (
            "inline_answers",
            "> Quantas unidades?\nDez.\n\n> Para quando? A data precisa caber no calendário.\n"
            "Dezembro, se a entrega puder ser feita pela manhã.",
            "> Ana",
        ),
    ],
)
def test_what_is_new_is_told_from_what_is_quoted(name: str, text: str, quoted: str) -> None:
    mail = mail_named(name)
    assert (mail.text, mail.quoted_text) == (text, quoted)


def test_what_is_forwarded_is_not_folded() -> None:
    mail = mail_named("forward")
    assert mail.text.endswith("Quero 10 unidades.")
    assert mail.quoted_text is None


def test_people_ids_and_dates() -> None:
    mail = mail_named("gmail_reply_pt")
    assert (mail.from_address, mail.from_name) == ("bia.souza@example.org", "Bia Souza")
    assert mail.subject == "Re: Proposta de preço"
    assert mail.sent_at == datetime(2025, 11, 3, 13, 15, tzinfo=UTC)
    assert mail.thread_ids == ["<0199-b@acme.example.com>", "<0199-a@acme.example.com>"]
    assert mail.html is not None
    assert "gmail_quote" not in mail.html
    assert mail_named("outlook_html_only").from_name == "Dias, Bruno"
    assert mail_named("yahoo_reply").from_name == "Carla Araújo"


def test_a_mail_with_everything_and_much_of_it_wrong() -> None:
    mail = mail_named("everything_mixed")
    assert mail.from_address == "ana@example.com"
    assert mail.reply_to == "vendas@example.org"
    assert mail.to_addresses == ["rui@example.org", "carla@example.org"]
    assert (mail.subject, mail.sent_at) == ("Olá mundo again", None)
    assert mail.text == "Hello world"
    assert mail.html == "<p>Hello world</p>"
    assert [(part.name, part.media_type) for part in mail.parts] == [
        ("logo.png", "image/png"),
        ("message.eml", "message/rfc822"),
        ("attachment.ics", "text/calendar"),
        ("winmail.dat", "application/ms-tnef"),
    ]
    assert mail.parts[0].content == b"\x89PNG\r\n\x1a\n"
    assert b"inner text" in mail.parts[1].content


def test_an_attachments_name_in_pieces() -> None:
    assert [(part.name, part.content) for part in mail_named("apple_reply_en").parts] == [
        ("orçamento final.pdf", b"%PDF-1.4\n")
    ]


@pytest.mark.parametrize(
    ("declared", "content"),
    [
        ("utf-8", "Olá — ação".encode()),
        ("iso-8859-1", "Olá — ação".encode("cp1252")),
        ("utf-8", "Olá — ação".encode("cp1252")),
        ("us-ascii", "Olá — ação".encode()),
        ("iso-8859-1", "Olá — ação".encode()),
        ("x-unknown", "Olá — ação".encode()),
        ("utf-16", "Olá — ação".encode("utf-16")),
        ("utf-16le", "Olá — ação".encode("utf-16-le")),
        ('"', "Olá — ação".encode("utf-8-sig")),
        ("windows-1252\x00", "Olá — ação".encode("cp1252")),
    ],
)
def test_charsets_that_are_wrong_or_unknown(declared: str, content: bytes) -> None:
    assert read_mail(with_body(content, f"text/plain; charset={declared}")).text == "Olá — ação"


@pytest.mark.parametrize(
    ("charset", "codec", "text"),
    [
        ("iso-2022-jp", "iso2022_jp", "お問い合わせ"),
        ("gb2312", "gb18030", "您好，镕基€"),
        ("koi8-r", "koi8-r", "Привет"),
        ("shift_jis", "cp932", "①お世話"),
        ("windows-1251", "cp1251", "Привет"),
        ("euc-kr", "cp949", "안녕하세요"),
    ],
)
def test_other_scripts(charset: str, codec: str, text: str) -> None:
    raw = with_body(text.encode(codec), f"text/plain; charset={charset}")
    assert read_mail(raw).text == text


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ('filename="../../etc/passwd"', "passwd"),
        (r'filename="C:\Users\ana\plano.doc"', "plano.doc"),
        ("filename==?utf-8?B?b2zDoS5wZGY=?=", "olá.pdf"),
        ("filename*=iso-8859-1'pt'ol%E1.pdf", "olá.pdf"),
        ("filename=olá com espaço.pdf", "olá com espaço.pdf"),
        ('filename="nota\u202efdp.exe"', "notafdp.exe"),
        ('filename="..."', "attachment.pdf"),
        ('filename="' + "a" * 300 + '.pdf"', "a" * 146 + ".pdf"),
        ("filename*99999999999999999999*=x", "attachment.pdf"),
    ],
)
def test_names_of_files(written: str, name: str) -> None:
    raw = with_body(b"%PDF", "application/pdf", extra=f"Content-Disposition: attachment; {written}\r\n")
    assert [part.name for part in read_mail(raw).parts] == [name]


@pytest.mark.parametrize(
    ("header", "address", "name"),
    [
        ("Ana <ana@Example.org>", "ana@example.org", "Ana"),
        ('"ana@example.org" <ana@example.org>', "ana@example.org", None),
        ("ana@example.org (Ana)", "ana@example.org", None),
        ("Ana ana@example.org", "ana@example.org", "Ana"),
        ("=?utf-8?q?evil=40example.net=2C?= <ana@example.org>", "ana@example.org", "evil@example.net,"),
        ("ana@localhost", "ana@localhost", None),
        ("Ação <ana@ação.example.org>", "ana@ação.example.org", "Ação"),
        ('"Ana <ana@example.org>', "ana@example.org", "Ana"),
        ("Ana\u202e <<ana@example.org>>", "ana@example.org", "Ana"),
        ("nobody", None, None),
        ("", None, None),
    ],
)
def test_senders(header: str, address: str | None, name: str | None) -> None:
    mail = read_mail(f"From: {header}\r\n\r\nhi".encode())
    assert (mail.from_address, mail.from_name) == (address, name)


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_line_ends(end: str) -> None:
    raw = end.join(["From: a@example.org", "Subject: one", " two", "", "first", "", "second"])
    mail = read_mail(raw.encode())
    assert (mail.from_address, mail.subject, mail.text) == ("a@example.org", "one two", "first\n\nsecond")


def test_the_same_mail_by_another_way_has_the_same_identity() -> None:
    near = read_mail(b"Message-ID: <1@x>\r\nFrom: a@example.org\r\n\r\n" + "Olá\r\nvocê".encode())
    far = read_mail(
        b"Received: by x\nReturn-Path: <a@example.org>\nFrom: a@example.org\nMessage-ID: <1@x>\n"
        b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nOl=C3=A1\nvoc=C3=AA\n"
    )
    forged = read_mail(b"Message-ID: <1@x>\r\nFrom: a@example.org\r\n\r\nother")
    assert near.identity == far.identity
    assert near.identity != forged.identity
    assert near.identity.startswith("<1@x>:")


def test_ids_in_bad_shape() -> None:
    raw = b"Message-ID:\r\n\t<a@\r\n b>\r\nReferences: <1@x><2@x>\r\n\t<1@x>, <3@x>\r\nIn-Reply-To: bare@x\r\n\r\nhi"
    mail = read_mail(raw)
    assert mail.references == ["<1@x>", "<2@x>", "<3@x>"]
    assert mail.in_reply_to == "<bare@x>"
    many = read_mail(b"References: " + b"".join(b"<%d@x>" % n for n in range(500)) + b"\r\n\r\n").references
    assert (len(many), many[0], many[-1]) == (100, "<0@x>", "<499@x>")
    assert read_mail(b"Message-ID: <" + b"a" * 2000 + b"@x>\r\n\r\n").message_id is None
