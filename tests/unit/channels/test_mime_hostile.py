"""Whatever comes in, reading it ends soon and never fails. Times are of the processor, generous for busy machines."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.channels.domain.mail import Mail
from app.channels.infrastructure import mime
from app.channels.infrastructure.mime import read_mail

MAILS = sorted((Path(__file__).parents[2] / "fixtures" / "mails").glob("*.eml"))
HEAD = b"From: Ana <ana@example.org>\r\nSubject: x\r\n"
HTML = HEAD + b"Content-Type: text/html\r\n\r\n"
MB = 1_000_000


def nested(levels: int) -> bytes:
    heads = (b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(levels))
    return HEAD + b"".join(heads) + b"\r\ndeep"


def flat(parts: int) -> bytes:
    part = b"--b\r\nContent-Type: text/plain; name=x\r\n\r\nhi\r\n"
    return HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * parts


def read_soon(raw: bytes, *, seconds: float = 10) -> Mail:
    """By the way that raises: what `read_mail` catches is for what nobody thought of."""
    begun = time.process_time()
    mail = mime._read(raw)
    assert time.process_time() - begun < seconds
    check(mail)
    return mail


def check(mail: Mail) -> None:
    texts = [mail.subject or "", mail.text, mail.quoted_text or "", mail.html or "", mail.from_name or ""]
    for text in texts:
        assert "\x00" not in text
        text.encode()
    assert len(mail.text) <= 100_000
    assert len(mail.quoted_text or "") <= 100_000
    assert len(mail.parts) <= 230
    assert len(mail.to_addresses) <= 100
    assert len(mail.references) <= 100
    assert len(mail.identity.encode()) < 1100
    assert "\n" not in (mail.subject or "") + (mail.from_name or "")
    assert all(part.name and "/" not in part.name and len(part.name) <= 150 for part in mail.parts)


def test_ten_thousand_recipients() -> None:
    people = b",\r\n ".join(b'"R, %d" <r%d@example.org>' % (n, n) for n in range(10_000))
    mail = read_soon(HEAD + b"To: " + people + b"\r\n\r\nhi")
    assert (len(mail.to_addresses), mail.to_addresses[1], mail.text) == (100, "r1@example.org", "hi")


def test_a_thousand_nested_parts() -> None:
    mail = read_soon(nested(1000))
    assert [part.name for part in mail.parts] == ["rest-of-message.eml"]
    assert mail.parts[0].content.endswith(b"deep")
    assert read_soon(nested(40)).text == "deep"


def test_a_thousand_parts_side_by_side() -> None:
    parts = read_soon(flat(1000)).parts
    assert len(parts) == 201
    assert parts[-1].content.count(b"--b\r\n") == 799


def test_a_body_of_30_mb() -> None:
    line = b"Hello, this is a line of the text of a long mail.\r\n"
    raw = HEAD + b"\r\n" + line * (30 * MB // len(line))
    mail = read_soon(raw)
    assert len(mail.text) == 100_000
    assert [(part.name, len(part.content)) for part in mail.parts] == [
        ("message.txt", len(raw) - len(HEAD) - 2)
    ]


HOSTILE: dict[str, Callable[[], bytes]] = {
    "30 MB in one line": lambda: HEAD + b"\r\n" + b"x" * (30 * MB),
    "30 MB of newlines": lambda: HEAD + b"\r\n" + b"\n" * (30 * MB),
    "30 MB of quotes": lambda: HEAD + b"\r\n" + b">\n" * (15 * MB),
    "30 MB under 60 levels": lambda: nested(60) + b"x" * (30 * MB),
    "30 MB of HTML": lambda: HTML + b"<p>Hello <b>there</b></p>\n" * MB,
    "a header of 3 MB": lambda: b"X-A: " + b"a" * (3 * MB) + b"\r\n" + HEAD + b"\r\nhi",
    "100,000 headers": lambda: b"a: b\r\n" * 100_000 + HEAD + b"\r\nhi",
    "encoded words": lambda: b"Subject: " + b"=?utf-8?B?QQ==?= " * 60_000 + b"\r\nFrom: " + b"=?a?q?" * 100_000,
    "brackets": lambda: b"From: " + b"(" * 60_000 + b"\r\nTo: " + b'"\\' * 30_000 + b"\r\nCc: " + b"<" * 60_000,
    "addresses": lambda: b"From: " + b"a" * 60_000 + b"\r\nTo: " + b"a@" * 30_000 + b"\r\nCc: " + b":;" * 30_000,
    "ids": lambda: b"References: " + b"<a@b>" * 99_999 + b"\r\nMessage-ID: " + b"a" * 60_000,
    "parameters": lambda: b"Content-Type: text/plain; a=\"" + b';\\"' * 20_000 + b"\r\n\r\nhi",
    "On … wrote": lambda: HEAD + b"\r\n" + b"On 3 10:00 a@b\n" * 60_000,
    "From:": lambda: HEAD + b"\r\n" + b"From: x\n" * 120_000,
    "spaces": lambda: HEAD + b"\r\n" + b" " * MB,
    "accents on accents": lambda: HEAD + b"\r\n" + ("a" + "\u0301\u0323" * 250_000).encode(),
    "a slow codec": lambda: HEAD + b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a" * 30_000 + b"-zz",
    "deep HTML": lambda: HTML + b"<ul><li>" * 60_000,
    "deep formatting": lambda: HTML + b"<font color=a><b><p>" * 24_000,
    "ampersands": lambda: HTML + b"&" * 49_999,
    "less-thans": lambda: HTML + b"<" * 490_000,
    "unclosed quotes": lambda: HTML + b"<a b=\">\"" * 60_000,
    "unclosed elements": lambda: HTML + b"<title></titl>" * 30_000,
    "attributes": lambda: HTML + b"<a " + b" ".join(b"x%d=1" % n for n in range(50_000)) + b">x",
    "recipients of a report": lambda: (
        HEAD + b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        + b"Final-Recipient: rfc822; a@b.com\nAction: failed\nStatus: 5.1.1\n\n" * 50_000
    ),
    "a daemon's addresses": lambda: b"From: mailer-daemon@x\r\nSubject: failure notice\r\n\r\n" + b"aaaa@" * 200_000,
    "NULs": lambda: b"\0" * (5 * MB),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_reading_ends_soon(name: str) -> None:
    read_soon(HOSTILE[name]())


@given(st.binary(max_size=2000))
@settings(max_examples=300, deadline=None)
def test_any_bytes(raw: bytes) -> None:
    check(mime._read(raw))


PIECES = st.sampled_from(
    [b"From:", b"Content-Type: multipart/mixed; boundary=", b"b", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"--b", b"--",
     b"=?utf-8?q?", b"?=", b"<", b">", b'"', b"@", b"(", b";", b"charset=utf-7", b"charset*0*=", b"'", b"%ff", b"=",
     b"Content-Transfer-Encoding: base64", b"Content-Type: text/html", b"\x00", b"\xff\xfe", b"\x1b$B", b"Date: ",
     b"Content-Disposition: attachment; filename*=", b"Content-Type: message/delivery-status", b"Status: 5.1.1",
     b"Action: failed", b"Final-Recipient: ", b"&#x110000;", b"<blockquote>", b"On 10:00 a@b wrote:", b"> ", b" "]
)  # fmt: skip


@given(st.lists(PIECES | st.binary(max_size=8), max_size=60).map(b"".join))
@settings(max_examples=400, deadline=None)
def test_what_looks_like_a_mail(raw: bytes) -> None:
    check(mime._read(raw))


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_broken_copies_of_real_shapes(path: Path) -> None:
    chance = random.Random(path.stem)
    original = path.read_bytes()
    for _ in range(150):
        raw = bytearray(original)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(raw) + 1)
            match chance.randrange(4):
                case 0:
                    raw[at : at + 1] = bytes([chance.randrange(256)])
                case 1:
                    del raw[at : at + chance.randrange(40)]
                case 2:
                    raw[at:at] = raw[chance.randrange(len(raw) + 1) :][: chance.randrange(200)]
                case _:
                    del raw[at + len(raw) // 2 :]
        check(mime._read(bytes(raw)))


def test_what_nobody_thought_of_is_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(raw: bytes) -> Mail:
        raise RuntimeError

    monkeypatch.setattr(mime, "_read", fails)
    mail = read_mail(b"From: a@example.org\r\n\r\nhi")
    assert [(part.name, part.content) for part in mail.parts] == [
        ("message.eml", b"From: a@example.org\r\n\r\nhi")
    ]
    assert mail.identity
