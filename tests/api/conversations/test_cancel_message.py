"""cancelMessage: it wins or loses against the worker's intent, and says which."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.factories.accounts import Person
from tests.factories.conversations import inbound, open_conversation, outbound
from tests.factories.sending import Outlet, accepted, cancel, codes, messages, until_status
from tests.fixtures.feed import feed_cursor
from tests.fixtures.smtp import Hold

WAITING = "SELECT waiting_since FROM conversation WHERE workspace_id = :workspace_id AND id = :id"


def tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()


async def test_a_scheduled_message_is_called_back(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    message = await accepted(outlet.person, opened.id, notBefore=tomorrow())
    answer = await cancel(outlet.person, message["id"])
    assert (answer["errors"], answer["message"]["status"]) == ([], "CANCELED")
    assert answer["message"]["error"] == "CANCELED_BY_USER"
    before = await feed_cursor(outlet.person)
    again = await cancel(outlet.person, message["id"])
    assert (again["errors"], again["message"]["status"]) == ([], "CANCELED")
    assert await feed_cursor(outlet.person) == before, "nothing happened the second time"
    await outlet.sql(
        "UPDATE delivery SET run_at = now() WHERE workspace_id = :workspace_id AND message_id = :id",
        id=message["id"],
    )
    other = await accepted(outlet.person, opened.id, body="after")
    await until_status(outlet.person, other, "SENT")
    assert len(outlet.arrived(opened)) == 1


async def test_who_waited_for_an_answer_waits_again(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    await inbound(outlet.person, outlet.doors, opened.id)
    message = await accepted(outlet.person, opened.id, notBefore=tomorrow())
    assert await outlet.sql(WAITING, id=opened.id) is None
    await cancel(outlet.person, message["id"])
    assert await outlet.sql(WAITING, id=opened.id) is not None


async def test_what_is_being_sent_or_was_cannot_be_called_back(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    hold: Hold = outlet.smtp.then("END", Hold())
    message = await accepted(outlet.person, opened.id)
    assert await asyncio.to_thread(hold.reached.wait, 20)
    answer = await cancel(outlet.person, message["id"])
    assert codes(answer) == [("CONFLICT", ["id"])]
    assert answer["message"]["status"] == "SENDING", "the payload shows the message as it is"
    hold.release()
    await until_status(outlet.person, message, "SENT")
    answer = await cancel(outlet.person, message["id"])
    assert codes(answer) == [("CONFLICT", ["id"])]
    assert answer["message"]["status"] == "SENT"


async def test_cancel_and_worker_race_and_one_of_them_wins(outlet: Outlet) -> None:
    """Each message is either called back or sent, whatever the answer's timing."""

    async def race(n: int) -> tuple[dict[str, Any], dict[str, Any]]:
        opened = await outlet.conversation()
        message = await accepted(outlet.person, opened.id)
        for _ in range(n):  # each takes a few milliseconds
            await feed_cursor(outlet.person)
        answer = await cancel(outlet.person, message["id"])
        end = await until_status(outlet.person, message, "SENT", "CANCELED")
        assert (end["status"] == "CANCELED") == (answer["errors"] == [])
        assert len(outlet.arrived(opened)) == (end["status"] == "SENT")
        return message, end

    ends = [(await race(n))[1]["status"] for n in range(10)]
    print(
        f"cancel against the worker: {ends.count('CANCELED')} called back, {ends.count('SENT')} sent, 0 both"
    )


async def test_unknown_foreign_and_inbound_messages_are_not_found(outlet: Outlet, eve: Person) -> None:
    theirs = await open_conversation(eve, outlet.doors)
    own = await outlet.conversation()
    ids = [
        await outbound(eve, outlet.doors, theirs.id),
        await inbound(outlet.person, outlet.doors, own.id),
        own.id,
        "nonsense",
    ]
    for id in ids:
        answer = await cancel(outlet.person, str(id))
        assert (codes(answer), answer["message"]) == ([("NOT_FOUND", ["id"])], None)
    assert {one["status"] for one in (await messages(eve, theirs.id)).values()} == {"SENT"}


@pytest.mark.parametrize("is_scheduled", [True, False])
async def test_the_feed_tells_of_it(outlet: Outlet, is_scheduled: bool) -> None:
    opened = await outlet.conversation()
    fields = {"notBefore": tomorrow()} if is_scheduled else {}
    message = await accepted(outlet.person, opened.id, **fields)
    await cancel(outlet.person, message["id"])
    end = await until_status(outlet.person, message, "CANCELED", "SENT")
    last = await outlet.sql(
        "SELECT after ->> 'status' FROM feed_event WHERE workspace_id = :workspace_id "
        "AND kind = 'message.updated' AND entity_ids = ARRAY[cast(:id as uuid)] ORDER BY seq DESC LIMIT 1",
        id=message["id"],
    )
    assert last == end["status"]
