"""sendMessage with a template: what fills what, what is refused, and what arrives."""

import secrets

from tests.factories.accounts import Person
from tests.factories.conversations import Opened, make_lead
from tests.factories.sending import Outlet, accepted, codes, messages, send, until_status
from tests.factories.templates import delete_template, template, update_template


async def with_lead(outlet: Outlet, name: str) -> Opened:
    """A conversation with a lead of this name."""
    return await outlet.conversation(lead_id=await make_lead(outlet.person, name=name))


async def test_the_lead_gets_the_template_with_its_values(outlet: Outlet) -> None:
    opened = await with_lead(outlet, "Bia Lima")
    made = await template(
        outlet.person,
        channel="EMAIL",
        subject='{{ lead.first_name }}, uma ideia para {{ lead.company | fallback: "vocês" }}',
        body="Oi, {{ lead.first_name | upcase }}!\n\n{{ account.name }}",
    )
    message = await accepted(outlet.person, opened.id, body=None, subject=None, templateId=made["id"])
    assert (message["subject"], message["body"]) == ("Bia, uma ideia para vocês", "Oi, BIA!\n\nSales")
    await until_status(outlet.person, message, "SENT")
    (mail,) = await outlet.mails(opened)
    assert mail["Subject"] == "Bia, uma ideia para vocês"
    assert mail.get_body(("plain",)).get_content().split() == ["Oi,", "BIA!", "Sales"]


async def test_a_value_brings_no_header_and_is_never_read_again(outlet: Outlet) -> None:
    """Down to the mail that the provider gets."""
    name = "Bia {{ lead.email }}\r\nBcc: eve@example.com\u2028X-Evil: 1\x0bX-More: 2"
    opened = await with_lead(outlet, name)
    made = await template(outlet.person, subject="Oi {{ lead.name }}", body="Oi {{ lead.name }}")
    await accepted(outlet.person, opened.id, body=None, subject=None, templateId=made["id"])
    (mail,) = await outlet.mails(opened)
    assert mail["Subject"] == "Oi Bia {{ lead.email }} Bcc: eve@example.com X-Evil: 1 X-More: 2"
    assert "{{ lead.email }}" in mail.get_body(("plain",)).get_content()
    (caught,) = outlet.arrived(opened)
    head = caught.content.split(b"\r\n\r\n")[0].lower()
    assert [line for line in head.splitlines() if line.startswith((b"bcc", b"x-evil", b"x-more"))] == []


async def test_what_is_given_wins_over_the_template(outlet: Outlet) -> None:
    opened = await with_lead(outlet, "Bia Lima")
    made = await template(outlet.person, subject="Template's", body="{{ lead.company }}")
    first = await accepted(outlet.person, opened.id, body="Mine", subject=None, templateId=made["id"])
    assert (first["subject"], first["body"]) == ("Template's", "Mine")
    second = await accepted(outlet.person, opened.id, body="Mine", subject="Mine too", templateId=made["id"])
    assert (second["subject"], second["body"]) == ("Mine too", "Mine")
    plain = await template(outlet.person, body="No subject")
    third = await accepted(outlet.person, opened.id, body=None, subject=None, templateId=plain["id"])
    assert (third["subject"], third["body"]) == ("Re: Mine too", "No subject")


async def test_a_required_value_that_is_missing_refuses_the_message(outlet: Outlet) -> None:
    opened = await with_lead(outlet, "Bia")
    made = await template(
        outlet.person, subject="{{ lead.title }}", body="{{ lead.company }}, {{ lead.last_name }}"
    )
    refused = await send(outlet.person, opened.id, body=None, subject=None, templateId=made["id"])
    assert codes(refused) == [("INVALID", ["templateId"])]
    assert "no lead.title, lead.company, lead.last_name," in refused["errors"][0]["message"]
    of_subject = await send(outlet.person, opened.id, body="Mine", subject=None, templateId=made["id"])
    assert "no lead.title," in of_subject["errors"][0]["message"]
    assert await messages(outlet.person, opened.id) == {}
    await accepted(outlet.person, opened.id, body="Mine", subject="Mine", templateId=made["id"])


async def test_a_template_that_is_not_there_is_refused(outlet: Outlet, eve: Person) -> None:
    opened = await outlet.conversation()
    theirs, deleted = await template(eve), await template(outlet.person)
    await delete_template(outlet.person, deleted["id"])
    for id in (theirs["id"], deleted["id"], "nonsense"):
        for body in (None, "Mine"):
            refused = await send(outlet.person, opened.id, body=body, templateId=id)
            assert codes(refused) == [("NOT_FOUND", ["templateId"])], id
    assert await messages(outlet.person, opened.id) == {}


async def test_a_key_stands_for_its_template(outlet: Outlet) -> None:
    opened, key = await with_lead(outlet, "Bia"), secrets.token_hex(8)
    one, other = await template(outlet.person, body="One"), await template(outlet.person, body="Other")
    given = {"body": None, "subject": "S", "idempotencyKey": key}
    first = await accepted(outlet.person, opened.id, **given, templateId=one["id"])
    await update_template(outlet.person, id=one["id"], version=1, body="Changed")
    await delete_template(outlet.person, one["id"])
    again = await accepted(outlet.person, opened.id, **given, templateId=one["id"])
    assert (again["id"], again["body"]) == (first["id"], "One")
    assert codes(await send(outlet.person, opened.id, **given, templateId=other["id"])) == [
        ("CONFLICT", ["idempotencyKey"])
    ]


async def test_a_body_is_needed_where_there_is_no_template(outlet: Outlet) -> None:
    opened, made = await outlet.conversation(), await template(outlet.person)
    assert codes(await send(outlet.person, opened.id, body=None)) == [("INVALID", ["body"])]
    blank = await send(outlet.person, opened.id, body="", templateId=made["id"])
    assert codes(blank) == [("INVALID", ["body"])]
