"""What the figures are made of, written by what really sends, receives and answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.factories.conversations import Opened
from tests.factories.figures import Past
from tests.factories.inbound import letter, worked_on
from tests.factories.sending import Outlet, accepted, cancel, resend, until_status
from tests.fixtures.processes import eventually
from tests.fixtures.smtp import DROP

DAY_S = 24 * 3600
TOKEN = "SELECT inbound_token FROM channel_account WHERE workspace_id = :workspace_id AND id = :id"
LONG_AGO = """
UPDATE conversation SET waiting_since = waiting_since - cast(:days as int) * interval '1 day'
WHERE workspace_id = :workspace_id AND id = :id AND waiting_since IS NOT NULL RETURNING 1
"""
WAITED = """
UPDATE message SET created_at = created_at - cast(:days as int) * interval '1 day'
WHERE workspace_id = :workspace_id AND conversation_id = :id AND direction = 'INBOUND'
"""


async def writes(outlet: Outlet, opened: Opened, *, days_ago: int) -> None:
    """The lead does, and has waited so many days."""
    url = f"/webhooks/email/{await outlet.sql(TOKEN, id=outlet.account_id)}"
    raw = letter("ours@ours.example", sender=f"Bia <{opened.address}>")
    assert (await outlet.person.http.post(url, content=raw)).status_code == 200
    await worked_on(outlet.doors, outlet.person.workspace_id)
    assert await outlet.sql(LONG_AGO, id=opened.id, days=days_ago) == 1
    await outlet.sql(WAITED, id=opened.id, days=days_ago)


async def today(outlet: Outlet) -> dict[str, Any]:
    now = datetime.now(UTC)
    return await Past(outlet.person, outlet.doors).dashboard(now - timedelta(days=1), now + timedelta(days=1))


async def test_messages_answers_and_replies_count_as_they_happen(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    await until_status(outlet.person, await accepted(outlet.person, opened.id), "SENT")
    told = await today(outlet)
    assert (told["sent"], told["replyRate"], told["medianFirstResponseSeconds"]) == (1, 0.0, None)

    await writes(outlet, opened, days_ago=10)
    await writes(outlet, opened, days_ago=0)
    for _ in range(2):
        await until_status(outlet.person, await accepted(outlet.person, opened.id), "SENT")
    told = await today(outlet)
    assert (told["sent"], told["replyRate"]) == (3, 1.0)
    assert told["medianFirstResponseSeconds"] // DAY_S == 10, "since the first of the two, once"


async def test_what_fails_counts_as_sent_once_it_was_sent_again(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    await writes(outlet, opened, days_ago=7)
    outlet.smtp.then("END", "554 5.7.1 Looks like spam")
    failed = await accepted(outlet.person, opened.id)
    await until_status(outlet.person, failed, "FAILED")
    outlet.smtp.then("END", DROP)
    unknown = await accepted(outlet.person, opened.id)
    await until_status(outlet.person, unknown, "UNKNOWN")
    told = await today(outlet)
    assert (told["sent"], told["failed"], told["unknown"]) == (0, 1, 1)
    assert told["medianFirstResponseSeconds"] is None

    for message in (failed, unknown):
        assert (await resend(outlet.person, message["id"]))["errors"] == []
        await until_status(outlet.person, message, "SENT")
    told = await today(outlet)
    assert (told["sent"], told["failed"], told["unknown"]) == (2, 0, 0)
    assert told["medianFirstResponseSeconds"] // DAY_S == 7


async def test_an_answer_that_was_canceled_answered_nobody(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    await writes(outlet, opened, days_ago=5)
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    canceled = await accepted(outlet.person, opened.id, notBefore=later)
    assert (await cancel(outlet.person, canceled["id"]))["errors"] == []
    await until_status(outlet.person, await accepted(outlet.person, opened.id), "SENT")

    async def counted() -> bool:
        return bool((await today(outlet))["sent"] == 1)

    await eventually(counted, what="one that was sent")
    assert (await today(outlet))["medianFirstResponseSeconds"] // DAY_S == 5
