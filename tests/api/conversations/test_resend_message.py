"""What becomes of a message by the provider's answer, and resendMessage: only what failed, or nobody can say of."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.factories.accounts import Person
from tests.factories.conversations import open_conversation, outbound
from tests.factories.inbound import letter, worked_on
from tests.factories.sending import (
    Outlet,
    accepted,
    codes,
    messages,
    resend,
    send,
    smtp_account,
    until_status,
)
from tests.fixtures.processes import eventually
from tests.fixtures.smtp import DROP, ScriptedSmtp

ATTEMPTS = """
SELECT string_agg(t.n || ' ' || t.resend || ' ' || coalesce(t.outcome, 'none'), ', ' ORDER BY t.n)
FROM delivery_attempt t JOIN delivery d ON (d.workspace_id, d.id) = (t.workspace_id, t.delivery_id)
WHERE t.workspace_id = :workspace_id AND d.message_id = :id
"""


async def test_what_was_refused_fails_and_can_be_sent_again(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    outlet.smtp.then("END", "554 5.7.1 Looks like spam")
    message = await accepted(outlet.person, opened.id)
    failed = await until_status(outlet.person, message, "FAILED")
    assert "Looks like spam" in failed["error"]
    assert failed["sentAt"] is None
    answer = await resend(outlet.person, message["id"])
    assert (answer["errors"], answer["message"]["error"]) == ([], None)
    await until_status(outlet.person, message, "SENT")
    (mail,) = await outlet.mails(opened)
    assert mail["Message-ID"].partition("@")[0].endswith("-1"), "another key than the first time"
    assert await outlet.sql(ATTEMPTS, id=message["id"]) == "1 0 REJECTED, 2 1 ACCEPTED"


async def test_what_may_have_gone_out_is_unknown_and_stays_so(outlet: Outlet) -> None:
    """The server has the mail and cuts the connection before it says so."""
    opened = await outlet.conversation()
    outlet.smtp.then("END", DROP)
    message = await accepted(outlet.person, opened.id)
    unknown = await until_status(outlet.person, message, "UNKNOWN")
    assert unknown["error"]
    await accepted(outlet.person, opened.id, body="the next one")
    await outlet.mails(opened, 2)
    assert (await messages(outlet.person, opened.id))[message["id"]]["status"] == "UNKNOWN"
    assert len(outlet.arrived(opened)) == 2, "it is not sent again by itself"
    await resend(outlet.person, message["id"])
    await until_status(outlet.person, message, "SENT")
    assert len(outlet.arrived(opened)) == 3


async def test_an_answer_to_either_copy_belongs_to_its_conversation(outlet: Outlet) -> None:
    """Colleagues of the lead's answer, whose addresses say nothing: one the first copy, one the second."""
    opened = await outlet.conversation()
    outlet.smtp.then("END", DROP)
    message = await accepted(outlet.person, opened.id)
    await until_status(outlet.person, message, "UNKNOWN")
    await resend(outlet.person, message["id"])
    await until_status(outlet.person, message, "SENT")
    token = "SELECT inbound_token FROM channel_account WHERE workspace_id = :workspace_id AND id = :id"
    url = f"/webhooks/email/{await outlet.sql(token, id=outlet.account_id)}"
    for number, mail in enumerate(await outlet.mails(opened, 2)):
        raw = letter("ours@ours.example", sender=f"c{number}@theirs.example", In_Reply_To=mail["Message-ID"])
        assert (await outlet.person.http.post(url, content=raw)).status_code == 200
    await worked_on(outlet.doors, outlet.person.workspace_id)
    found = (await messages(outlet.person, opened.id)).values()
    assert [one["direction"] for one in found] == ["OUTBOUND", "INBOUND", "INBOUND"]


async def test_what_was_put_off_is_tried_again_under_the_same_key(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    outlet.smtp.then("RCPT", "450 4.2.0 Greylisted")
    message = await accepted(outlet.person, opened.id)
    waiting = await accepted(outlet.person, opened.id, body="behind it")
    await until_status(outlet.person, message, "SENT")
    await until_status(outlet.person, waiting, "SENT")
    first, second = await outlet.mails(opened, 2)
    assert "-" not in first["Message-ID"].partition("@")[0][37:]
    assert second.get_body(("plain",)).get_content().strip() == "behind it", "it waited for its turn"
    assert await outlet.sql(ATTEMPTS, id=message["id"]) == "1 0 RETRY, 2 0 ACCEPTED"


async def test_an_address_that_does_not_exist_is_not_written_to_again(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    outlet.smtp.then("RCPT", "550 5.1.1 No such user")
    message = await accepted(outlet.person, opened.id)
    await until_status(outlet.person, message, "FAILED")
    assert codes(await send(outlet.person, opened.id)) == [("CONFLICT", ["conversationId"])]
    assert codes(await resend(outlet.person, message["id"])) == [("CONFLICT", ["id"])]


async def test_what_is_sent_or_under_way_is_not_sent_again(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    message = await accepted(outlet.person, opened.id)
    await until_status(outlet.person, message, "SENT")
    answer = await resend(outlet.person, message["id"])
    assert codes(answer) == [("CONFLICT", ["id"])]
    assert answer["message"]["status"] == "SENT", "the payload shows the message as it is"


async def test_send_again_pressed_ten_times_at_once_sends_once(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    outlet.smtp.then("END", "554 5.7.1 Not now")
    message = await accepted(outlet.person, opened.id)
    await until_status(outlet.person, message, "FAILED")
    answers = await asyncio.gather(*(resend(outlet.person, message["id"]) for _ in range(10)))
    done: list[dict[str, Any]] = [answer for answer in answers if not answer["errors"]]
    assert len(done) == 1
    await until_status(outlet.person, message, "SENT")
    assert len(outlet.arrived(opened)) == 1


async def test_unknown_and_foreign_messages_are_not_found(outlet: Outlet, eve: Person) -> None:
    theirs = await open_conversation(eve, outlet.doors)
    for id in (await outbound(eve, outlet.doors, theirs.id), theirs.id, "nonsense"):
        answer = await resend(outlet.person, str(id))
        assert (codes(answer), answer["message"]) == ([("NOT_FOUND", ["id"])], None)


async def test_an_account_that_cannot_log_in_says_so_until_it_can(outlet: Outlet) -> None:
    status = "SELECT status FROM channel_account WHERE workspace_id = :workspace_id AND id = :id"
    with ScriptedSmtp.started(users={"ana": "right"}) as server:
        account_id = await smtp_account(
            outlet.person, outlet.doors, outlet.settings, server.url_as("ana", "wrong")
        )
        opened = await open_conversation(outlet.person, outlet.doors, account_id=account_id)
        other = await open_conversation(outlet.person, outlet.doors, account_id=account_id)
        at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        next_one = await accepted(outlet.person, other.id, notBefore=at)
        message = await accepted(outlet.person, opened.id)
        await until_status(outlet.person, message, "FAILED")
        assert await outlet.sql(status, id=account_id) == "NEEDS_REAUTH"
        assert server.refused_logins == 1, "a wrong password is not tried again by itself"
        refused = await send(outlet.person, other.id)
        assert codes(refused) == [("CONFLICT", ["conversationId"])], "nobody waits for what will not leave"
        due = "UPDATE delivery SET run_at = now() WHERE workspace_id = :workspace_id AND message_id = :id"
        await outlet.sql(due, id=next_one["id"])
        assert (await until_status(outlet.person, next_one, "FAILED"))["error"] == "ACCOUNT_NEEDS_REAUTH"
        assert server.refused_logins == 1, "nor by the next message: the provider would lock the account"
        server.users["ana"] = "wrong"
        assert (await resend(outlet.person, message["id"]))["errors"] == []
        await until_status(outlet.person, message, "SENT")
        assert await outlet.sql(status, id=account_id) == "CONNECTED"


async def test_what_must_not_be_sent_any_more_when_its_time_comes_is_not(outlet: Outlet) -> None:
    """Scheduled, then the account is disconnected, the lead deleted or the address suppressed: each says which."""
    gone = await outlet.conversation()
    stopped = await outlet.conversation(address=f"{secrets.token_hex(6)}@stopped.example")
    cut = await open_conversation(outlet.person, outlet.doors)
    at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    waiting = [await accepted(outlet.person, opened.id, notBefore=at) for opened in (cut, gone, stopped)]
    await outlet.sql(
        "UPDATE channel_account SET status = 'DISCONNECTED' WHERE workspace_id = :workspace_id AND id = :id",
        id=cut.account_id,
    )
    await outlet.sql(
        "UPDATE lead SET deleted_at = now() WHERE workspace_id = :workspace_id AND id = :id", id=gone.lead_id
    )
    await outlet.sql(
        "INSERT INTO suppression (workspace_id, value, reason) VALUES (:workspace_id, :value, 'OPT_OUT')",
        value="@stopped.example",
    )
    await outlet.sql("UPDATE delivery SET run_at = now() WHERE workspace_id = :workspace_id")
    state = "SELECT status || ' ' || error FROM message WHERE workspace_id = :workspace_id AND id = :id"
    found = []
    for message in waiting:
        await eventually(
            lambda message=message: outlet.sql(state, id=message["id"])  # type: ignore[misc]
        )
        found.append(await outlet.sql(state, id=message["id"]))
    assert found == ["FAILED ACCOUNT_DISCONNECTED", "CANCELED LEAD_DELETED", "CANCELED SUPPRESSED"]
    assert not any(outlet.arrived(opened) for opened in (cut, gone, stopped))
    assert codes(await resend(outlet.person, waiting[0]["id"])) == [("CONFLICT", ["id"])]


async def test_what_is_sent_again_is_to_the_lead_that_has_the_conversation_now(outlet: Outlet) -> None:
    """Its address was given to another lead, and the one before has been deleted."""
    opened = await outlet.conversation()
    outlet.smtp.then("END", "554 5.7.1 Looks like spam")
    message = await accepted(outlet.person, opened.id)
    await until_status(outlet.person, message, "FAILED")
    other = await outlet.conversation()
    await outlet.sql("UPDATE lead SET deleted_at = now() WHERE id = :id", id=opened.lead_id)
    await outlet.sql(
        "UPDATE conversation SET lead_id = :lead WHERE id = :id", lead=other.lead_id, id=opened.id
    )
    assert (await resend(outlet.person, message["id"]))["errors"] == []
    sent = await until_status(outlet.person, message, "SENT", "CANCELED")
    assert sent["status"] == "SENT", sent["error"]
    engagement = "SELECT engagement FROM lead WHERE id = :id"
    assert await outlet.sql(engagement, id=other.lead_id) == "CONTACTED"
