"""Webhooks that rules call: what they say, how often they are tried, what each comes to, and who is never called."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID

import orjson
import pytest

from app.automations.domain.rule import Action, ActionKind, Match, Rule, Trigger
from app.automations.infrastructure.calling import Caller
from app.automations.infrastructure.canceling import cancel_stopped
from app.automations.infrastructure.runs import RunTurns
from app.automations.infrastructure.secrets import opened_secret, sealed_secret
from app.common.crypto import BadSecret
from app.common.egress import Egress
from app.common.leases import BACKOFF_S, LostLease
from app.common.webhooks import signed_headers
from app.common.work import Doors
from app.settings import Settings
from tests.fixtures.processes import eventually
from tests.fixtures.receivers import HOST, LOOPBACK, PUBLIC, Answer, Called, Receiver, hang, status
from tests.fixtures.run_desk import RunDesk

NOTE = Action(ActionKind.ADD_NOTE, text="Chamado")
SET_SECRET = "UPDATE automation SET webhook_secret = :secret WHERE workspace_id = :workspace_id AND id = :id"
STEPS = """
SELECT position, action, result, detail::text AS detail FROM automation_step
WHERE workspace_id = :workspace_id AND run_id = :run_id ORDER BY position
"""


@pytest.fixture
async def desk(own: tuple[Settings, Doors]) -> AsyncIterator[RunDesk]:
    settings, doors = own
    desk = await RunDesk.with_leads(doors, settings, count=1)
    yield desk
    await desk.sql("DELETE FROM automation_run WHERE workspace_id = :workspace_id")


def rule_of(url: str, *others: Action) -> Rule:
    call = Action(ActionKind.CALL_WEBHOOK, text=url)
    return Rule(
        trigger=Trigger.LEAD_CREATED,
        no_reply_after_s=None,
        once_per_lead=False,
        match=Match.ALL,
        conditions=(),
        actions=(call, *others),
    )


# As if it acted on a silence, of which there is no message any more.
OF_A_SILENCE = """
UPDATE automation_version SET rule = jsonb_set(rule, '{trigger}', '"NO_REPLY"') WHERE workspace_id = :workspace_id
"""


async def started(desk: RunDesk, url: str, *others: Action) -> tuple[UUID, UUID]:
    """A rule that calls, and a run of it that is to call next."""
    rule_id = await desk.add_rule(rule_of(url, *others))
    await desk.sql(SET_SECRET, id=rule_id, secret=sealed_secret(desk.settings, desk.workspace_id))
    (run_id,) = await desk.start(rule_id)
    await desk.turn()
    return rule_id, run_id


def caller_of(desk: RunDesk, egress: Egress | None = None, *, timeout_s: float = 60) -> Caller:
    own = replace_lease(desk.settings)
    return Caller(own, egress=egress or Egress(True, networks=LOOPBACK), timeout_s=timeout_s)


def replace_lease(settings: Settings) -> Settings:
    """Longer than a test takes."""
    return settings.model_copy(update={"webhook_lease_s": 600.0})


async def call(desk: RunDesk, caller: Caller) -> int:
    """What is due is claimed, and called as by a worker's lane; how many runs it were."""
    claims = await desk.claim_runs(is_call=True)
    for claim in claims:
        assert await caller.call(desk.doors, desk.settings, claim, lambda: False)
    return len(claims)


async def call_again(desk: RunDesk, caller: Caller) -> int:
    """As if the wait were over."""
    await desk.sql("UPDATE automation_run SET run_at = now() WHERE workspace_id = :workspace_id")
    return await call(desk, caller)


async def steps(desk: RunDesk, run_id: UUID) -> list[tuple[int, str, str, dict[str, object]]]:
    rows = await desk.rows(STEPS, run_id=run_id)
    return [(row.position, row.action, row.result, orjson.loads(row.detail)) for row in rows]


async def end_of(desk: RunDesk) -> tuple[str, str | None]:
    ((status, reason),) = await desk.ends()
    return status, reason


def ids(called: Sequence[Called]) -> list[str]:
    return [one.headers["webhook-id"] for one in called]


async def test_a_call_says_what_happened_to_whom_signed_and_the_run_goes_on(desk: RunDesk) -> None:
    tag_id = await desk.new_tag()
    (lead_id,) = desk.lead_ids
    await desk.sql(
        "INSERT INTO lead_tag (workspace_id, lead_id, tag_id) VALUES (:workspace_id, :lead_id, :tag_id)",
        lead_id=lead_id,
        tag_id=tag_id,
    )
    async with Receiver.started() as receiver:
        rule_id, run_id = await started(desk, receiver.url, NOTE)
        assert await call(desk, caller_of(desk)) == 1
    (called,) = receiver.called
    secret = opened_secret(
        desk.settings,
        desk.workspace_id,
        await desk.sql("SELECT webhook_secret FROM automation WHERE id = :id", id=rule_id),
    )
    id, timestamp = called.headers["webhook-id"], int(called.headers["webhook-timestamp"])
    signed = signed_headers(secret, id=id, timestamp=timestamp, body=called.body)
    assert called.headers["webhook-signature"] == signed["webhook-signature"]
    assert id == f"run_{run_id.hex}_0"
    said = orjson.loads(called.body)
    assert said["type"] == "automation.called"
    assert said["data"]["automation"] == {"id": str(rule_id), "name": "Boas-vindas", "version": 1}
    assert said["data"]["run"] == {"id": str(run_id), "position": 0, "trigger": "LEAD_CREATED"}
    lead = said["data"]["lead"]
    assert (lead["id"], lead["name"], lead["stage"]["name"]) == (str(lead_id), "Bia 0", "New")
    assert [tag["id"] for tag in lead["tags"]] == [str(tag_id)]
    assert (lead["owner"], lead["metadata"]) == (None, {})
    assert await steps(desk, run_id) == [(0, "CALL_WEBHOOK", "CALLED", {"status": 200, "attempts": 1})]
    await desk.turn()
    assert await end_of(desk) == ("SUCCEEDED", None)
    assert (await desk.steps(run_id))[-1] == (1, "ADD_NOTE", "DONE")


async def test_who_is_away_is_called_again_under_the_same_id(desk: RunDesk) -> None:
    async with Receiver.started(status(500), status(503), hang, b"", status(204)) as receiver:
        _, run_id = await started(desk, receiver.url)
        caller, hasty = caller_of(desk), caller_of(desk, timeout_s=3)
        waits: list[timedelta] = []
        for error in ("500", "503", "TIMEOUT", "PROTOCOL"):
            assert await call_again(desk, hasty if error == "TIMEOUT" else caller) == 1
            (row,) = await desk.runs()
            assert (row.status, row.error, row.is_call) == ("WAITING", error, True)
            waits.append(row.due_in)
        assert await call_again(desk, caller) == 1
    for waited, before, wait_s in zip(waits, (0, *BACKOFF_S), BACKOFF_S, strict=False):
        assert timedelta(seconds=before) < waited <= timedelta(seconds=wait_s)
    assert len(set(ids(receiver.called))) == 1
    assert await end_of(desk) == ("SUCCEEDED", None)
    assert await steps(desk, run_id) == [(0, "CALL_WEBHOOK", "CALLED", {"status": 204, "attempts": 5})]


async def test_who_stays_away_fails_the_run_and_nothing_is_done_after_it(desk: RunDesk) -> None:
    async with Receiver.started(status(502)) as receiver:
        _, run_id = await started(desk, receiver.url, NOTE)
        caller = caller_of(desk)
        for _ in range(len(BACKOFF_S)):
            await call_again(desk, caller)
            assert await end_of(desk) == ("WAITING", None)
        await call_again(desk, caller)
        assert await call_again(desk, caller) == 0
    assert len(receiver.called) == len(BACKOFF_S) + 1
    assert len(set(ids(receiver.called))) == 1
    assert await end_of(desk) == ("FAILED", "WEBHOOK_FAILED")
    detail = {"reason": "WEBHOOK_FAILED", "status": 502, "attempts": 6}
    assert await steps(desk, run_id) == [(0, "CALL_WEBHOOK", "FAILED", detail)]
    assert await desk.turn() == 0


@pytest.mark.parametrize("code", [301, 307, 400, 401, 404, 410, 422])
async def test_an_answer_that_will_not_change_is_the_last(desk: RunDesk, code: int) -> None:
    async with (
        Receiver.started() as inner,
        Receiver.started(status(code, f"Location: {inner.url}")) as receiver,
    ):
        _, run_id = await started(desk, receiver.url)
        await call(desk, caller_of(desk))
    assert (len(receiver.called), inner.connections) == (1, 0)
    assert await end_of(desk) == ("FAILED", "WEBHOOK_FAILED")
    detail = {"reason": "WEBHOOK_FAILED", "status": code, "attempts": 1}
    assert await steps(desk, run_id) == [(0, "CALL_WEBHOOK", "FAILED", detail)]


@pytest.mark.parametrize(
    ("said", "least_s", "most_s"),
    [("300", 200, 300), ("1", 0, 2), ("86400", 3000, 3600), ("soon", 0, 2)],
)
async def test_who_asks_for_time_gets_it(desk: RunDesk, said: str, least_s: int, most_s: int) -> None:
    async with Receiver.started(status(429, f"Retry-After: {said}")) as receiver:
        await started(desk, receiver.url)
        await call(desk, caller_of(desk))
    (row,) = await desk.runs()
    assert (row.status, row.error) == ("WAITING", "429")
    assert timedelta(seconds=least_s) < row.due_in <= timedelta(seconds=most_s)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "2130706433", "0x7f.1", "017700000001", "127.1", "[::1]", "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]", "169.254.169.254", "10.0.0.1",
    ],
)  # fmt: skip
async def test_private_addresses_are_refused_once_and_for_all(desk: RunDesk, host: str) -> None:
    """Outside of production too: as a worker calls that was told of no networks."""
    async with Receiver.started() as receiver:
        _, run_id = await started(desk, f"https://{host}/hook")
        await call(desk, caller_of(desk, Egress.to_public(desk.settings)))
        await started(desk, receiver.url)
        await call(desk, caller_of(desk, Egress.to_public(desk.settings)))
    assert receiver.connections == 0
    assert await end_of(desk) == ("FAILED", "WEBHOOK_REFUSED")
    detail = {"reason": "WEBHOOK_REFUSED", "problem": "PRIVATE_ADDRESS", "attempts": 1}
    assert await steps(desk, run_id) == [(0, "CALL_WEBHOOK", "FAILED", detail)]


async def test_a_name_that_rebinds_between_two_attempts_is_refused(desk: RunDesk) -> None:
    async with Receiver.started(status(503), name=HOST) as receiver:
        await started(desk, f"https://{HOST}/hook")
        egress = receiver.plays([PUBLIC], ["127.0.0.1"])
        caller = Caller(replace_lease(desk.settings), egress=egress, context=receiver.context)
        await call(desk, caller)
        assert (await desk.runs())[0].error == "503"
        await call_again(desk, caller)
    assert receiver.connections == 1
    assert await end_of(desk) == ("FAILED", "WEBHOOK_REFUSED")


async def test_a_name_that_is_nobodys_may_come_back(desk: RunDesk) -> None:
    def fail(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such host")

    _, run_id = await started(desk, f"https://{HOST}/hook")
    caller = caller_of(desk, Egress(True, resolver=fail))
    for _ in range(6):
        await call_again(desk, caller)
    assert await end_of(desk) == ("FAILED", "WEBHOOK_FAILED")
    assert (await steps(desk, run_id))[0][3]["problem"] == "HOST_NOT_FOUND"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE automation SET enabled = false, stopped_at = now() WHERE id = :rule_id", "DISABLED"),
        ("UPDATE automation SET stopped_at = now() WHERE id = :rule_id", "DISABLED"),
        ("UPDATE automation SET deleted_at = now() WHERE id = :rule_id", "DISABLED"),
        ("UPDATE lead SET deleted_at = now() WHERE workspace_id = :workspace_id", "LEAD_DELETED"),
        (OF_A_SILENCE, "EPISODE_ENDED"),
    ],
    ids=["switched off", "on again", "deleted", "lead deleted", "answered"],
)
async def test_what_was_ended_between_two_attempts_is_not_called_again(
    desk: RunDesk, change: str, reason: str
) -> None:
    async with Receiver.started(status(503)) as receiver:
        rule_id, run_id = await started(desk, receiver.url)
        caller = caller_of(desk)
        await call(desk, caller)
        await desk.sql(change, rule_id=rule_id)
        await call_again(desk, caller)
    assert len(receiver.called) == 1
    assert await end_of(desk) == ("CANCELED", reason)
    assert await steps(desk, run_id) == []


async def test_a_receipt_of_before_is_left_alone_and_the_run_goes_on(desk: RunDesk) -> None:
    """A merge ended it in the middle of this call, and was undone."""
    async with Receiver.started() as receiver:
        _, run_id = await started(desk, receiver.url)
        await desk.sql(
            "INSERT INTO automation_step (workspace_id, run_id, position, action, result) "
            "VALUES (:workspace_id, :run_id, 0, 'CALL_WEBHOOK', 'CALLED')",
            run_id=run_id,
        )
        assert await call(desk, caller_of(desk)) == 1
    assert await end_of(desk) == ("SUCCEEDED", None)
    assert await steps(desk, run_id) == [(0, "CALL_WEBHOOK", "CALLED", {})]


async def test_two_calls_of_one_rule_have_ids_of_their_own(desk: RunDesk) -> None:
    async with Receiver.started() as receiver:
        _, run_id = await started(desk, receiver.url, Action(ActionKind.CALL_WEBHOOK, text=receiver.url))
        assert await call(desk, caller_of(desk)) == 1
        assert await call(desk, caller_of(desk)) == 1
    assert ids(receiver.called) == [f"run_{run_id.hex}_0", f"run_{run_id.hex}_1"]
    assert await end_of(desk) == ("SUCCEEDED", None)


async def test_a_call_whose_run_is_in_other_hands_leaves_no_receipt(desk: RunDesk) -> None:
    """The lease ran out during the call: whoever has the run now calls again, and says what came of it."""

    async def meanwhile(_: object, writer: asyncio.StreamWriter) -> None:
        await desk.sql(
            "UPDATE automation_run SET token = gen_random_uuid() WHERE workspace_id = :workspace_id"
        )
        writer.write(status(200))

    answer: Answer = meanwhile
    async with Receiver.started(answer) as receiver:
        _, run_id = await started(desk, receiver.url)
        (claim,) = await desk.claim_runs(is_call=True)
        with pytest.raises(LostLease):
            await caller_of(desk).call(desk.doors, desk.settings, claim, lambda: False)
    assert await end_of(desk) == ("RUNNING", None)
    assert await steps(desk, run_id) == []


async def test_a_call_whose_rule_is_switched_off_meanwhile_is_told_and_the_last_thing_done(
    desk: RunDesk,
) -> None:
    async def meanwhile(_: object, writer: asyncio.StreamWriter) -> None:
        await desk.sql(
            "UPDATE automation SET enabled = false, stopped_at = now() WHERE workspace_id = :workspace_id"
        )
        async with desk.doors.open_work(desk.workspace_id) as work:
            assert await cancel_stopped(work, desk.workspace_id, [rule_id], limit=10) == 1
        writer.write(status(200))

    answer: Answer = meanwhile
    async with Receiver.started(answer) as receiver:
        rule_id, run_id = await started(desk, receiver.url, NOTE)
        (claim,) = await desk.claim_runs(is_call=True)
        with pytest.raises(LostLease):
            await caller_of(desk).call(desk.doors, desk.settings, claim, lambda: False)
    assert await end_of(desk) == ("CANCELED", "DISABLED")
    assert await steps(desk, run_id) == [(0, "CALL_WEBHOOK", "CALLED", {"status": 200, "attempts": 1})]


async def test_a_call_that_has_begun_is_brought_to_its_end(desk: RunDesk) -> None:
    """The worker is asked to stop while it waits for the answer."""
    go_on = asyncio.Event()

    async def answer(_: object, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(status(200))

    async with Receiver.started(answer) as receiver:
        _, run_id = await started(desk, receiver.url)
        caller = caller_of(desk)
        (claim,) = await desk.claim_runs(is_call=True)
        lane = asyncio.create_task(caller.call(desk.doors, desk.settings, claim, lambda: True))
        await eventually(lambda: receiver.called, what="the call")
        lane.cancel()
        closing = asyncio.create_task(caller.close())
        with pytest.raises(asyncio.CancelledError):
            await lane
        go_on.set()
        await closing
    assert await steps(desk, run_id) == [(0, "CALL_WEBHOOK", "CALLED", {"status": 200, "attempts": 1})]


async def test_a_secret_that_no_key_opens_calls_nobody(desk: RunDesk) -> None:
    async with Receiver.started() as receiver:
        rule_id, _ = await started(desk, receiver.url)
        await desk.sql(SET_SECRET, id=rule_id, secret=b"of another key")
        (claim,) = await desk.claim_runs(is_call=True)
        with pytest.raises(BadSecret):
            await caller_of(desk).call(desk.doors, desk.settings, claim, lambda: False)
    assert receiver.connections == 0


async def test_one_workspaces_calls_do_not_go_before_all_of_anothers(desk: RunDesk) -> None:
    """A lane claims one: after each it is another workspace's turn."""
    others = await RunDesk.with_leads(desk.doors, desk.settings, count=1)
    for _ in range(3):
        await started(desk, f"https://{HOST}/")
    await started(others, f"https://{HOST}/")
    turns, claimed = RunTurns(is_call=True), []
    for _ in range(4):
        async with desk.doors.open_system() as system:
            claimed += [one.workspace_id for one in await turns.claim(system, lease_s=60)]
    await others.sql("DELETE FROM automation_run WHERE workspace_id = :workspace_id")
    first, second = sorted((desk.workspace_id, others.workspace_id))
    assert claimed[:2] == [first, second]
    assert sorted(claimed) == sorted([desk.workspace_id] * 3 + [others.workspace_id])
