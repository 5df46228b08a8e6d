"""Values of leads that try to be more than values, down to the bytes of a bulk send's mails."""

import email.policy
from email.parser import BytesHeaderParser
from typing import Any

from tests.factories.bulk_sends import template
from tests.factories.channels import update
from tests.factories.mailings import Mailing, people
from tests.factories.sending import Outlet

EVIL = "evil@attacker.example"
NAMES = [
    f"Bia\r\nBcc: {EVIL}",
    f"Bia\nBcc: {EVIL}",
    f"Bia\rBcc: {EVIL}",
    f"Bia\r\n\r\n<h1>another body</h1>\r\nBcc: {EVIL}",
    f"Bia\u2028Bcc: {EVIL}\u2029X: y\x85Z: w\x0bV: u\x0cT: s",
    f"=?utf-8?Q?Bia=0D=0ABcc:_{EVIL}?=",
    f"=?utf-8?B?QmlhDQpCY2M6IGV2aWxAYXR0YWNrZXIuZXhhbXBsZQ==?= {EVIL}",
    f'Bia" <{EVIL}>, "X',
    f"Bia <{EVIL}>, {EVIL}",
    "\r\n.\r\nMAIL FROM:<evil@attacker.example>\r\nRCPT TO:<evil@attacker.example>\r\nDATA",
    "é" * 190 + f"\r\n Bcc: {EVIL}",
    "{{ lead.email }}{% raw %}{{ 31337 * 3 }}",
]
HEADERS = [
    *("From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post"),
    *("MIME-Version", "Content-Type"),
]
NAME = "UPDATE lead SET name = :name, version = version + 1 WHERE workspace_id = :workspace_id AND id = :id"
BODY = "Oi {{ lead.name }},\n{{ lead.company | fallback: 'x' }}"


def raw_headers(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Line by line, not as a lenient parser reads them: (name, value with its folds)."""
    head, blank, _ = raw.partition(b"\r\n\r\n")
    assert blank
    lines = head.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    found: list[tuple[bytes, bytes]] = []
    for line in lines:
        if line[:1] in b" \t":
            found[-1] = (found[-1][0], found[-1][1] + line)
        else:
            name, colon, value = line.partition(b":")
            assert colon
            found.append((name, value))
    return found


def addresses(mail: Any, name: str) -> list[str]:
    return [one.addr_spec for one in mail[name].addresses]


async def test_no_value_becomes_a_header_a_recipient_or_a_template(outlet: Outlet) -> None:
    """The API refuses some of these names; here they stand in the rows all the same."""
    leads = await people(outlet, len(NAMES))
    for name, id in zip(NAMES, leads.values(), strict=True):
        await outlet.sql(NAME, name=name, id=id)
    renamed = await update(outlet.person, id=str(outlet.account_id), name=f"Ana =?utf-8?Q?=0ABcc:_{EVIL}?=")
    assert renamed["errors"] == [], renamed
    template_id = await template(outlet.person, BODY, subject="For {{ lead.name }}")
    mailing = await Mailing.launched(outlet, leads, templateId=template_id)
    await mailing.ended(sent=len(NAMES))
    of_account = "FROM channel_account WHERE workspace_id = :workspace_id AND id = :id"
    sender = await outlet.sql(f"SELECT address {of_account}", id=outlet.account_id)
    assert [one.rcpt_tos for one in outlet.smtp.mails if EVIL in one.rcpt_tos] == []
    for address, name in zip(leads, NAMES, strict=True):
        raw = mailing.raw(address)
        assert [one.decode() for one, _ in raw_headers(raw)] == HEADERS, name
        (mail,) = mailing.mails(address)
        assert addresses(mail, "To") == [address]
        assert addresses(mail, "From") == [sender]
        assert mail["Bcc"] is None
        assert not mail.defects
        strict = BytesHeaderParser(policy=email.policy.SMTP).parsebytes(raw)
        shown = str(strict["Subject"]).removesuffix("…")
        assert shown == f"For {' '.join(name.split())}"[: len(shown)], "shown as it is, in one line"
        text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
        assert "31337 * 3" in text if "31337 * 3" in name else "94011" not in text
        html = mail.get_body(("html",)).get_content()
        assert "<h1>" not in html
