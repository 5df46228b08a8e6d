"""bulkSendRecipients: where each stands and why, a page at a time, the last one as fast as the first."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest

from app.common.database import Statement
from app.common.work import Doors
from app.conversations.domain.audience import READABLE, Aftermath, Waiting
from app.conversations.domain.delivery import Reason
from app.conversations.infrastructure.audience import TALLIES
from app.conversations.infrastructure.recipient_reads import PAGE
from app.settings import Settings
from tests.factories.accounts import Person
from tests.factories.audiences import Crowd
from tests.factories.bulk_sends import drafted, template
from tests.factories.quiet_hours import midday

LIST = """query ($id: ID!, $status: RecipientStatus, $first: Int! = 20, $after: String) {
  bulkSendRecipients(id: $id, status: $status, first: $first, after: $after) {
    edges { cursor node { status reason at lead { id name deletedAt } message { id status body } } }
    pageInfo { hasNextPage hasPreviousPage endCursor } } }"""
USED_UP = (
    "INSERT INTO send_pace (workspace_id, kind, key, day, day_count)"
    " SELECT id, 'ACCOUNT', cast(:account_id as uuid)::text, (now() AT TIME ZONE time_zone)::date, 1 FROM workspace"
    " WHERE id = :workspace_id"
    " ON CONFLICT (workspace_id, kind, key) DO UPDATE SET day = excluded.day, day_count = 1"
)
ERASE = "mutation ($input: EraseLeadInput!) { eraseLead(input: $input) { errors { message } } }"

SPEAK = "mutation ($locale: String) { updateProfile(input: {locale: $locale}) { errors { message } } }"


class Sent:
    """A bulk send of Ana's with recipients in whatever state; no worker knows of it."""

    def __init__(self, crowd: Crowd, id: str, batch_id: UUID) -> None:
        self.crowd, self.id, self.batch_id = crowd, id, batch_id

    async def add(self, *lead_ids: UUID) -> None:
        await self.crowd.add(self.batch_id, lead_ids)

    async def put(self, lead_id: UUID, status: str, **fields: Any) -> None:
        sets = ", ".join(f"{name} = :{name}" for name in ("status", *fields))
        await self.crowd.sql(
            f"UPDATE delivery SET {sets} WHERE workspace_id = :workspace_id AND lead_id = :lead_id",
            lead_id=lead_id,
            status=status,
            **fields,
        )


@pytest.fixture
async def sent(ana: Person, doors: Doors) -> Sent:
    crowd = await Crowd.gathered(doors, ana.workspace_id)
    draft = await drafted(ana, templateId=await template(ana), accountId=str(crowd.account_id))
    batch_id = await crowd.batch(await crowd.template("Oi"))
    await crowd.sql(
        "UPDATE bulk_send SET state = 'PAUSED', status = 'idle', send_batch_id = :batch_id"
        " WHERE workspace_id = :workspace_id AND id = :id",
        batch_id=batch_id,
        id=UUID(draft["id"]),
    )
    return Sent(crowd, draft["id"], batch_id)


async def page(person: Person, id: str, **variables: Any) -> dict[str, Any]:
    return (await person.run(LIST, {"id": id, **variables}))["bulkSendRecipients"]  # type: ignore[no-any-return]


async def all_pages(person: Person, id: str, first: int, **variables: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = None
    while True:
        one = await page(person, id, first=first, after=after, **variables)
        assert one["pageInfo"]["hasPreviousPage"] == (after is not None)
        found += [edge["node"] for edge in one["edges"]]
        if not one["pageInfo"]["hasNextPage"]:
            return found
        assert len(one["edges"]) == first
        after = one["pageInfo"]["endCursor"]


async def test_where_each_stands_and_why(ana: Person, sent: Sent) -> None:
    states: dict[str, tuple[str, dict[str, Any], str, str | None]] = {
        "waits": ("queued", {}, "QUEUED", None),
        "tried": ("queued", {"error": "451: try later"}, "QUEUED", "451: try later"),
        "claimed": ("claimed", {}, "QUEUED", None),
        "leaving": ("sending", {}, "SENDING", None),
        "sent": ("sent", {}, "SENT", None),
        "bounced": ("sent", {"has_bounced": True}, "SENT", "HARD_BOUNCE: "),
        "complained": ("sent", {"has_complained": True}, "SENT", "COMPLAINT: "),
        "failed": ("failed", {"error": "550: no such user"}, "FAILED", "550: no such user"),
        "unknown": ("unknown", {"error": "NO_ANSWER"}, "UNKNOWN", "NO_ANSWER: "),
        "suppressed": ("canceled", {"error": "SUPPRESSED"}, "CANCELED", "SUPPRESSED: "),
        "replied": ("canceled", {"error": "REPLIED"}, "CANCELED", "REPLIED: "),
    }
    ids = {name: await sent.crowd.add_lead(name=name) for name in states}
    await sent.add(*ids.values())
    for name, (status, fields, _, _) in states.items():
        await sent.put(ids[name], status, **fields)
    found = {one["lead"]["name"]: one for one in await all_pages(ana, sent.id, 4)}
    assert found.keys() == states.keys()
    for name, (_, _, status, reason) in states.items():
        assert found[name]["status"] == status
        told = found[name]["reason"]
        assert told == reason if reason is None or not reason.endswith(": ") else told.startswith(reason), (
            name
        )
        assert found[name]["message"] is None
    for status in ("QUEUED", "SENDING", "SENT", "FAILED", "UNKNOWN", "CANCELED"):
        names = [one["lead"]["name"] for one in await all_pages(ana, sent.id, 2, status=status)]
        assert names == [name for name in states if states[name][2] == status]


async def test_what_waits_says_for_what(ana: Person, sent: Sent) -> None:
    lead_id = await sent.crowd.add_lead()
    await sent.add(lead_id)
    await sent.crowd.sql("UPDATE send_batch SET status = 'RUNNING' WHERE workspace_id = :workspace_id")
    await sent.put(lead_id, "queued", run_at=datetime.now(UTC) + timedelta(hours=3))
    (asleep,) = await all_pages(ana, sent.id, 10)
    assert asleep["reason"].startswith("QUIET_HOURS: ")
    await sent.put(lead_id, "queued", run_at=datetime.now(UTC))
    await sent.crowd.sql("UPDATE bulk_send SET state = 'RUNNING' WHERE workspace_id = :workspace_id")
    await sent.crowd.sql(
        "UPDATE channel_account SET daily_limit = 1 WHERE workspace_id = :workspace_id AND id = :account_id",
        account_id=sent.crowd.account_id,
    )
    assert (await all_pages(ana, sent.id, 10))[0]["reason"] is None
    await midday(ana)
    await sent.crowd.sql(USED_UP, account_id=sent.crowd.account_id)
    (held,) = await all_pages(ana, sent.id, 10)
    assert held["reason"].startswith("DAILY_LIMIT: ")
    assert datetime.fromisoformat(held["at"]) > datetime.now(UTC)


def test_every_code_of_ours_is_explained() -> None:
    assert set(READABLE) == {"en", "pt-BR"}
    assert all(texts.keys() == {*Reason, *Waiting, *Aftermath} for texts in READABLE.values())


async def test_pages_hold_each_once_while_they_move(ana: Person, sent: Sent) -> None:
    ids = [await sent.crowd.add_lead() for _ in range(9)]
    await sent.add(*ids)
    first = await page(ana, sent.id, first=4)
    for id in ids[2:6]:
        await sent.put(id, "sent")
    rest = await page(ana, sent.id, first=100, after=first["pageInfo"]["endCursor"])
    seen = [edge["node"]["lead"]["id"] for edge in first["edges"] + rest["edges"]]
    assert seen == [str(id) for id in ids]


async def test_a_deleted_lead_is_still_shown_and_an_erased_one_is_gone(ana: Person, sent: Sent) -> None:
    deleted, erased = await sent.crowd.add_lead(), await sent.crowd.add_lead(name="Rui")
    await sent.add(deleted, erased)
    await sent.crowd.sql(
        "UPDATE lead SET deleted_at = now() WHERE workspace_id = :workspace_id AND id = :id", id=deleted
    )
    answer = await ana.run(ERASE, {"input": {"id": str(erased), "confirmEmailOrName": "Rui"}})
    assert answer["eraseLead"]["errors"] == []
    (only,) = await all_pages(ana, sent.id, 10)
    assert only["lead"]["id"] == str(deleted)
    assert only["lead"]["deletedAt"] is not None


async def test_the_message_once_there_is_one(ana: Person, sent: Sent) -> None:
    lead_id = await sent.crowd.add_lead()
    await sent.add(lead_id)
    conversation_id = await sent.crowd.sql(
        "INSERT INTO conversation (workspace_id, lead_id, account_id, channel, contact_address)"
        " VALUES (:workspace_id, :lead_id, :account_id, 'EMAIL', 'bia@lead.example') RETURNING id",
        lead_id=lead_id,
        account_id=sent.crowd.account_id,
    )
    message_id = await sent.crowd.sql(
        "INSERT INTO message (workspace_id, conversation_id, position, account_id, direction, author_kind, body,"
        " status, error) VALUES (:workspace_id, :conversation_id, 1, :account_id, 'OUTBOUND', 'HUMAN', 'Oi',"
        " 'BOUNCED', '550: gone') RETURNING id",
        conversation_id=conversation_id,
        account_id=sent.crowd.account_id,
    )
    await sent.put(lead_id, "sent", message_id=message_id, conversation_id=conversation_id)
    (only,) = await all_pages(ana, sent.id, 10)
    assert only["message"] == {"id": str(message_id), "status": "BOUNCED", "body": "Oi"}
    assert (only["status"], only["reason"]) == ("SENT", "HARD_BOUNCE: 550: gone")


async def test_what_came_back_says_for_how_long_in_the_viewers_language(ana: Person, sent: Sent) -> None:
    lead_id = await sent.crowd.add_lead()
    await sent.add(lead_id)
    for locale, soft, hard in (
        (
            "pt-BR",
            "SOFT_BOUNCE: Voltou desta vez",
            "HARD_BOUNCE: Voltou: o endereço não recebe e-mails. 5.1.1",
        ),
        (
            "en",
            "SOFT_BOUNCE: It came back this time",
            "HARD_BOUNCE: It came back: the address does not take mail.",
        ),
    ):
        await ana.run(SPEAK, {"locale": locale})
        await sent.put(lead_id, "sent", has_bounced=True, error="SOFT_BOUNCE 5.2.2")
        assert (await all_pages(ana, sent.id, 10))[0]["reason"].startswith(soft)
        await sent.put(lead_id, "sent", error="HARD_BOUNCE 5.1.1")
        assert (await all_pages(ana, sent.id, 10))[0]["reason"].startswith(hard)


async def test_a_draft_has_none(ana: Person, eve: Person, sent: Sent) -> None:
    await sent.add(await sent.crowd.add_lead())
    draft = await drafted(ana)
    for person, id in ((ana, draft["id"]), (ana, str(uuid4())), (ana, "x"), (eve, sent.id)):
        assert await page(person, id) == {
            "edges": [],
            "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "endCursor": None},
        }


async def test_foreign_and_garbage_cursors_are_refused(ana: Person, sent: Sent) -> None:
    await sent.add(await sent.crowd.add_lead(), await sent.crowd.add_lead())
    cursor = (await page(ana, sent.id, first=1))["pageInfo"]["endCursor"]
    other = await drafted(ana)
    for id, after in ((other["id"], cursor), (sent.id, "x"), (sent.id, "é"), (sent.id, ""), (sent.id, "AA")):
        assert await ana.refused(LIST, {"id": id, "after": after}) == "BAD_USER_INPUT", after
    for first in (0, 101, -1):
        assert await ana.refused(LIST, {"id": sent.id, "first": first}) == "BAD_USER_INPUT", first


MANY = """
    INSERT INTO delivery (workspace_id, status, run_at, origin_kind, origin_id, send_batch_id, account_id, lead_id)
    SELECT :workspace_id, (ARRAY['queued', 'sent', 'sent', 'failed', 'canceled'])[1 + n % 5], now(), 'BULK_SEND',
        :batch_id, :batch_id, :account_id, l.id
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM lead WHERE workspace_id = :workspace_id) l
"""


async def test_no_row_before_the_cursor_is_read_and_the_index_alone_counts(
    sent: Sent, settings: Settings
) -> None:
    await sent.crowd.add_many(20_000)
    version_id = await sent.crowd.template("Oi")
    for batch_id in (sent.batch_id, *[await sent.crowd.batch(version_id) for _ in range(3)]):
        await sent.crowd.sql(MANY, batch_id=batch_id, account_id=sent.crowd.account_id)
    assert settings.database_url is not None
    owner = await asyncpg.connect(settings.database_url)
    await owner.execute("VACUUM ANALYZE delivery")
    await owner.close()
    of = {"workspace_id": sent.crowd.workspace_id}
    after = await sent.crowd.sql(
        "SELECT id FROM delivery WHERE workspace_id = :workspace_id AND send_batch_id = :batch_id"
        " ORDER BY id OFFSET 18000 LIMIT 1",
        batch_id=sent.batch_id,
    )
    statuses = ["queued", "claimed", "sending", "sent", "failed", "unknown", "canceled"]
    page = await explained(
        sent,
        PAGE,
        **of,
        batch_id=sent.batch_id,
        statuses=statuses,
        after=after,
        limit=21,
        soon=timedelta(seconds=10),
    )
    (walked,) = [node for node in page if node.get("Index Name") == "ix_delivery_batch"]
    assert [part for part in ("(status = ", "(id > ") if part not in walked["Index Cond"]] == []
    assert walked["Actual Rows"] * walked["Actual Loops"] <= len(statuses) * 21
    assert walked.get("Rows Removed by Filter", 0) == 0
    counts = await explained(sent, TALLIES, **of, batch_ids=[sent.batch_id])
    assert [node["Node Type"] for node in counts if "Index Name" in node] == ["Index Only Scan"]


async def explained(sent: Sent, statement: Statement, **values: object) -> list[dict[str, Any]]:
    """The nodes of the plan that it was run by; of a table this small all may be read as well."""
    async with sent.crowd.doors.open_reads(sent.crowd.workspace_id) as reads:
        await reads._driver.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        told = await reads._driver.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", *statement.arguments(values)
        )
    found: list[dict[str, Any]] = [orjson.loads(orjson.dumps(told))[0]["Plan"]]
    for node in found:
        found += node.get("Plans", [])
    return found
