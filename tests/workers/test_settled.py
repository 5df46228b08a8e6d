"""When a batch's message came to its end is written by whoever ends it; what it answers, never: nobody wrote it."""

from app.channels.domain.ports import Rejected, Retry, Unknown
from tests.fixtures.batches import BatchDesk, says
from tests.fixtures.replies import reply

SETTLED = """
SELECT string_agg(status || CASE WHEN settled_at IS NULL THEN '' ELSE ' settled' END, ', ' ORDER BY id) FROM delivery
WHERE workspace_id = :workspace_id
"""
ANSWERS = "SELECT count(answers_since) FROM delivery WHERE workspace_id = :workspace_id"


async def test_what_was_sent_refused_or_left_open_has_ended(desk: BatchDesk) -> None:
    says(desk, Rejected("5.1.1", "No such user", is_address_bad=True), Unknown("NO_ANSWER", "Lost"))
    await desk.deliver()
    assert await desk.sql(SETTLED) == "failed settled, unknown settled, sent settled"


async def test_what_is_tried_again_or_canceled_has_not(desk: BatchDesk) -> None:
    says(desk, Retry("4.2.0", "Greylisted"))
    await desk.suppress((await desk.rows())[1].email)
    await desk.deliver()
    assert await desk.sql(SETTLED) == "queued, canceled, sent settled"


async def test_a_call_that_nobody_outlived_has_ended_when_it_is_given_up(desk: BatchDesk) -> None:
    await desk.deliver()
    await desk.sql(
        "UPDATE delivery SET status = 'sending', settled_at = NULL, lease_until = now() "
        "WHERE workspace_id = :workspace_id"
    )
    await desk.sql("UPDATE message SET status = 'SENDING' WHERE workspace_id = :workspace_id")
    assert await desk.reaped(desk.courier()) == 3
    assert await desk.sql(SETTLED) == "unknown settled, unknown settled, unknown settled"


async def test_a_batch_answers_nobody(desk: BatchDesk) -> None:
    """Who wrote before it was launched waits for a person all the same."""
    await reply(desk, "Ana <ana@example.com>")
    lead_id = await desk.sql("SELECT id FROM lead WHERE email = 'ana@example.com'")
    desk.batch_id = await desk.new_batch()
    await desk.add(lead_id)
    await desk.start()
    await desk.deliver()
    assert [(row.status, row.settled_at is None) for row in await desk.rows()] == [("sent", False)]
    assert await desk.sql(ANSWERS) == 0
    waiting = (
        "SELECT count(*) FROM conversation WHERE workspace_id = :workspace_id AND waiting_since IS NOT NULL"
    )
    assert await desk.sql(waiting) == 1
