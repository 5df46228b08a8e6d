"""planBulkSend: whom it would be sent to, who is left out and why, when it would end, how it would read at its worst.

What it says is what is taken in and what the ledger holds, whatever the audience: a property test.
"""

import asyncio
import secrets
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Doors
from app.conversations.domain.audience import ExclusionReason
from app.outreach.domain.plan import QuietHours
from tests.factories.accounts import Person
from tests.factories.audiences import Crowd
from tests.factories.bulk_sends import template
from tests.factories.channels import connected
from tests.factories.quiet_hours import midday

PLAN = """mutation ($input: PlanBulkSendInput!) { planBulkSend(input: $input) {
  plan { eligible finishAt exclusions { reason count } days { date messages }
    samples { subject body missing } }
  errors { code message path } } }"""
BODY = "Oi {{ lead.first_name }}, tudo bem na {{ lead.company | fallback: 'sua empresa' }}?"
QUIET = Statement(
    text(
        """
        SELECT quiet_until(cast(:moment as timestamptz), cast(:zone as text), cast(:start as time),
            cast(:until as time), cast(:weekdays as integer[])) AS until
        """
    )
)

AHEAD = """
INSERT INTO delivery (workspace_id, status, account_id, lead_id, origin_kind, origin_id, step, send_batch_id)
SELECT workspace_id, 'queued', :account_id, id, 'BULK_SEND', :batch_id, n, :batch_id
FROM lead, generate_series(1, 2) AS n WHERE workspace_id = :workspace_id
"""
LATER = (datetime.now(UTC) + timedelta(days=1)).isoformat()


async def planned(person: Person, **input: Any) -> dict[str, Any]:
    """The payload."""
    given = {
        "templateId": input.get("templateId") or await template(person, BODY),
        "accountId": input.get("accountId") or (await connected(person))["id"],
        "filter": {},
        **input,
    }
    return (await person.run(PLAN, {"input": given}))["planBulkSend"]  # type: ignore[no-any-return]


async def plan(person: Person, **input: Any) -> dict[str, Any]:
    answer = await planned(person, **input)
    assert answer["errors"] == [], answer
    return answer["plan"]  # type: ignore[no-any-return]


@pytest.fixture
async def crowd(ana: Person, doors: Doors) -> Crowd:
    return await Crowd.gathered(doors, ana.workspace_id)


async def test_whom_it_would_be_sent_to_and_who_is_left_out(ana: Person, crowd: Crowd) -> None:
    for _ in range(3):
        await crowd.add_lead()
    await crowd.add_lead(email=None)
    await crowd.add_lead(name="someone@lead.example")
    await crowd.add_lead(is_deleted=True)
    await crowd.add_lead(email="rui@gone.example")
    await crowd.suppress("@gone.example")
    found = await plan(ana, accountId=str(crowd.account_id), ratePerMinute=60, burst=1)
    assert found["eligible"] == 3
    assert found["exclusions"] == [
        {"reason": "NO_ADDRESS", "count": 1},
        {"reason": "SUPPRESSED", "count": 1},
        {"reason": "MISSING_VARIABLE", "count": 1},
    ]
    assert sum(day["messages"] for day in found["days"]) == 3
    left = datetime.fromisoformat(found["finishAt"]) - datetime.now(UTC)
    assert left <= timedelta(seconds=2)


async def test_samples_are_its_worst_cases(ana: Person, crowd: Crowd) -> None:
    long = "Maximiliana " + "Xavier " * 20
    await crowd.add_lead(name=long, company="Companhia das Companhias do Brasil")
    await crowd.add_lead(name="Zé", company=None)
    await crowd.add_lead(name="Ágatha Ção", company="Ação")
    await crowd.add_lead(name="Bo", company="B")
    await crowd.add_lead(name="Excluída de Todas as Listas " * 10, email=None)
    texts = [sample["body"] for sample in (await plan(ana, accountId=str(crowd.account_id)))["samples"]]
    assert texts == [
        "Oi Maximiliana, tudo bem na Companhia das Companhias do Brasil?",
        "Oi Zé, tudo bem na sua empresa?",
        "Oi Ágatha, tudo bem na Ação?",
    ]


async def test_what_the_account_still_has_to_send_goes_first(ana: Person, crowd: Crowd) -> None:
    async def seconds() -> float:
        finish = (await plan(ana, accountId=str(crowd.account_id)))["finishAt"]
        return (datetime.fromisoformat(finish) - datetime.now(UTC)).total_seconds()

    for _ in range(60):
        await crowd.add_lead()
    await crowd.sql(
        "UPDATE channel_account SET rate_per_minute = 60, burst = 1 WHERE workspace_id = :workspace_id"
    )
    alone = await seconds()
    assert 30 < alone <= 60
    batch_id = await crowd.batch(await crowd.template("Hello"))
    await crowd.sql("UPDATE send_batch SET status = 'RUNNING' WHERE workspace_id = :workspace_id")
    await crowd.sql(AHEAD, batch_id=batch_id, account_id=crowd.account_id)
    assert 90 < await seconds() - alone < 150
    tomorrow = await plan(ana, accountId=str(crowd.account_id), startAt=LATER)
    assert datetime.fromisoformat(tomorrow["finishAt"]) <= datetime.fromisoformat(LATER) + timedelta(
        minutes=1
    )
    await crowd.sql("UPDATE channel_account SET daily_limit = 100 WHERE workspace_id = :workspace_id")
    days = (await plan(ana, accountId=str(crowd.account_id)))["days"]
    assert sum(day["messages"] for day in days) == 60
    await crowd.sql("UPDATE channel_account SET daily_limit = 0 WHERE workspace_id = :workspace_id")
    assert (await plan(ana, accountId=str(crowd.account_id)))["finishAt"] is None
    await crowd.sql(
        "UPDATE channel_account SET daily_limit = NULL WHERE workspace_id = :workspace_id AND id = :id",
        id=crowd.account_id,
    )
    await crowd.sql("UPDATE send_batch SET status = 'PAUSED' WHERE workspace_id = :workspace_id")
    assert await seconds() <= 60


async def test_a_mail_needs_a_subject(ana: Person, crowd: Crowd) -> None:
    await crowd.add_lead()
    answer = await planned(ana, templateId=await template(ana, subject=None))
    assert (answer["plan"], answer["errors"][0]["path"]) == (None, ["templateId"])


async def test_nothing_is_written(ana: Person, crowd: Crowd) -> None:
    await crowd.add_lead()
    before = await crowd.sql("SELECT count(*) FROM feed_event WHERE workspace_id = :workspace_id")
    await plan(ana, templateId=await template(ana, BODY), accountId=str(crowd.account_id))
    after = await crowd.sql("SELECT count(*) FROM feed_event WHERE workspace_id = :workspace_id")
    assert after - before == 1, "the template's event alone"
    assert await crowd.sql("SELECT count(*) FROM delivery WHERE workspace_id = :workspace_id") == 0


async def test_all_limits_count(ana: Person, crowd: Crowd) -> None:
    """A day's limit of the account, less what a worker has used up of it."""
    await midday(ana)
    await crowd.add_many(100)  # 90 of them have an address
    await crowd.sql(
        "UPDATE channel_account SET daily_limit = 40 WHERE workspace_id = :workspace_id AND id = :id",
        id=crowd.account_id,
    )
    await crowd.sql(
        "INSERT INTO send_pace (workspace_id, kind, key, day, day_count) SELECT id, 'ACCOUNT', :key,"
        " (now() AT TIME ZONE time_zone)::date, 15 FROM workspace WHERE id = :workspace_id",
        key=str(crowd.account_id),
    )
    found = await plan(ana, accountId=str(crowd.account_id), ratePerMinute=60_000)
    assert [day["messages"] for day in found["days"]] == [25, 40, 25]
    await crowd.sql(
        "UPDATE channel_account SET daily_limit = 0 WHERE workspace_id = :workspace_id AND id = :id",
        id=crowd.account_id,
    )
    never = await plan(ana, accountId=str(crowd.account_id))
    assert (never["finishAt"], never["days"], never["eligible"]) == (None, [], 90)


async def test_quiet_hours_are_of_the_leads_zones(ana: Person, crowd: Crowd) -> None:
    """An hour that is quiet in Tokyo and not here: those there are put off, whether somebody said where they are or
    their number does."""
    await crowd.add_lead(time_zone="Asia/Tokyo")
    await crowd.add_lead(phone="+81312345678")
    await crowd.add_lead()
    tokyo = datetime.now(ZoneInfo("Asia/Tokyo"))
    begun, ends = tokyo - timedelta(hours=1), tokyo + timedelta(hours=1)
    await crowd.sql("UPDATE workspace SET time_zone = 'UTC' WHERE id = :workspace_id")
    await crowd.sql(
        "UPDATE workspace SET quiet_from = :start, quiet_to = :until WHERE id = :workspace_id",
        start=begun.time().replace(tzinfo=None),
        until=ends.time().replace(tzinfo=None),
    )
    found = await plan(ana, accountId=str(crowd.account_id), ratePerMinute=600, burst=10)
    finish = datetime.fromisoformat(found["finishAt"])
    assert abs(finish - ends) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("input", "expected"),
    [
        ({"templateId": "01a204f2-515e-7fd1-92eb-3404665b964c"}, ("NOT_FOUND", ["templateId"])),
        ({"templateId": "x"}, ("NOT_FOUND", ["templateId"])),
        ({"accountId": "01a204f2-515e-7fd1-92eb-3404665b964c"}, ("NOT_FOUND", ["accountId"])),
        ({"ratePerMinute": 0}, ("INVALID", ["ratePerMinute"])),
        ({"burst": 5}, ("INVALID", ["burst"])),
        ({"startAt": "2020-01-01T00:00:00Z"}, ("INVALID", ["startAt"])),
        ({"filter": {"deleted": True}}, ("INVALID", ["filter", "deleted"])),
    ],
    ids=["template", "no id", "account", "rate", "burst alone", "the past", "deleted"],
)
async def test_what_is_refused(ana: Person, input: dict[str, Any], expected: tuple[str, list[str]]) -> None:
    answer = await planned(ana, **input)
    assert answer["plan"] is None
    assert [(error["code"], error["path"]) for error in answer["errors"]] == [expected]


async def test_of_another_workspace_nothing_is_known(ana: Person, eve: Person, crowd: Crowd) -> None:
    await crowd.add_lead()
    for mine in ({"accountId": str(crowd.account_id)}, {"templateId": await template(ana, BODY)}):
        answer = await planned(eve, **mine)
        assert [error["code"] for error in answer["errors"]] == ["NOT_FOUND"]
    assert (await plan(eve))["eligible"] == 0


async def test_a_lead_that_somebody_is_changing_is_taken_in_meanwhile(crowd: Crowd) -> None:
    """Only an erase is waited for: the intent asks everything again."""
    lead_id = await crowd.add_lead()
    batch_id = await crowd.batch(await crowd.template(BODY))
    async with crowd.doors.open_work(crowd.workspace_id) as other:
        await other.execute(
            text("SELECT FROM lead WHERE workspace_id = :ws AND id = :id FOR NO KEY UPDATE"),
            {"ws": crowd.workspace_id, "id": lead_id},
        )
        async with asyncio.timeout(10):
            assert (await crowd.add(batch_id, [lead_id])).count == 1


async def test_once_more_adds_nobody_twice(crowd: Crowd) -> None:
    ids = [await crowd.add_lead() for _ in range(3)] + [await crowd.add_lead(email=None)]
    batch_id = await crowd.batch(await crowd.template(BODY))
    added = await asyncio.gather(*(crowd.add(batch_id, ids) for _ in range(5)))
    assert sorted(one.count for one in added) == [0, 0, 0, 0, 3]
    assert all(one.exclusions == {ExclusionReason.NO_ADDRESS: 1} for one in added)
    assert (await crowd.tally(batch_id)).eligible == 3


async def test_a_recipient_has_the_zone_of_its_lead_or_its_number(crowd: Crowd) -> None:
    told = await crowd.add_lead(time_zone="Europe/Lisbon", phone="+5511987654321")
    number = await crowd.add_lead(phone="+5568999991234")
    neither = await crowd.add_lead(phone="+12")
    batch_id = await crowd.batch(await crowd.template(BODY))
    await crowd.add(batch_id, [told, number, neither])
    zones = {
        id: await crowd.sql(
            "SELECT time_zone FROM delivery WHERE workspace_id = :workspace_id AND lead_id = :id", id=id
        )
        for id in (told, number, neither)
    }
    assert zones == {told: "Europe/Lisbon", number: "America/Rio_Branco", neither: None}


async def random_audience(crowd: Crowd, random: Random) -> list[UUID]:
    ids = []
    domain = f"{secrets.token_hex(4)}.example"
    for _ in range(random.randint(0, 25)):
        host = random.choice([domain, "lead.example"])
        fields = {
            "name": random.choice(["Bia Souza", "Bia", "\u200b", "bia@lead.example", "Ágatha Ção"]),
            "email": random.choice([None, *[f"{secrets.token_hex(6)}@{host}"] * 5]),
            "phone": random.choice([None, "+5511987654321", "+12125550123", "+12"]),
            "company": random.choice([None, " ", "Acme"]),
            "time_zone": random.choice([None, None, "Asia/Tokyo"]),
            "is_deleted": random.random() < 0.15,
        }
        ids.append(await crowd.add_lead(**fields))
        what = random.choice(["", "", "", "address", "lead", "elsewhere", "channel"])
        if what in ("address", "channel") and fields["email"]:
            await crowd.suppress(fields["email"], channel="EMAIL" if what == "channel" else None)
        elif what == "lead":
            await crowd.suppress(f"{secrets.token_hex(6)}@other.example", lead_id=ids[-1])
        elif what == "elsewhere" and fields["email"]:
            await crowd.suppress(fields["email"], channel="WHATSAPP")
    if random.random() < 0.3:
        await crowd.suppress(f"@{domain}")
    for id in random.sample(ids, min(2, len(ids))) if random.random() < 0.5 else []:
        await crowd.sql(
            "UPDATE lead SET deleted_at = now(), merged_into_id = :into "
            "WHERE workspace_id = :workspace_id AND id = :id AND id <> :into",
            id=id,
            into=ids[0],
        )
    return ids


BODIES = (
    "Hello",
    "Oi {{ lead.first_name }}",
    "Oi {{ lead.first_name | fallback: 'você' }}",
    "Oi {{ lead.last_name }} da {{ lead.company }}",
    "{{ owner.first_name }} escreve",
    "De {{ account.name }} e {{ workspace.name }} sobre {{ lead.stage }}",
)


async def agrees(crowd: Crowd, random: Random) -> None:
    """The plan, what is taken in by chunks of any size, and the ledger."""
    ids = sorted(await random_audience(crowd, random))
    body = random.choice(BODIES)
    audience = await crowd.plan(body)
    batch_id = await crowd.batch(await crowd.template(body))
    count, exclusions, size = 0, Counter[ExclusionReason](), random.randint(1, 8)
    for start in range(0, len(ids), size):
        added = await crowd.add(batch_id, ids[start : start + size])
        count += added.count
        exclusions.update(added.exclusions)
    assert count == audience.eligible
    assert exclusions == audience.exclusions
    tally = await crowd.tally(batch_id)
    assert tally.eligible == tally.queued == count
    zones = Counter()
    async with crowd.doors.open_reads(crowd.workspace_id) as reads:
        for row in await reads.fetch(LEDGER, workspace_id=crowd.workspace_id, batch_id=batch_id):
            zones[row["time_zone"]] += 1
    assert zones == audience.zones
    assert bool(audience.examples) == bool(count)


LEDGER = Statement(
    text(
        "SELECT time_zone FROM delivery WHERE workspace_id = cast(:workspace_id as uuid)"
        " AND send_batch_id = cast(:batch_id as uuid)"
    )
)


@pytest.mark.parametrize("seed", range(12))
async def test_what_is_planned_is_what_is_taken_in(doors: Doors, seed: int) -> None:
    await agrees(await Crowd.gathered(doors), Random(seed))


@pytest.mark.full
@pytest.mark.parametrize("seed", range(100, 250))
async def test_what_is_planned_is_what_is_taken_in_at_length(doors: Doors, seed: int) -> None:
    await agrees(await Crowd.gathered(doors), Random(seed))


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Asia/Tokyo", "Asia/Kathmandu", "UTC"])
async def test_quiet_hours_are_those_of_the_database(doors: Doors, zone: str) -> None:
    random = Random(zone)
    async with doors.open_reads(UUID(int=0)) as reads:
        for _ in range(60):
            start, until = (time(random.randrange(24), random.choice([0, 30])) for _ in range(2))
            weekdays = random.choice([None, sorted(random.sample(range(1, 8), random.randint(1, 7)))])
            moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=random.randrange(10**6))
            row = await reads.fetch_one(
                QUIET, moment=moment, zone=zone, start=start, until=until, weekdays=weekdays
            )
            assert row is not None
            hours = QuietHours(start, until, None if weekdays is None else frozenset(weekdays))
            is_quiet, ends = hours.changes_at(moment.timestamp(), ZoneInfo(zone))
            said = datetime.fromtimestamp(ends, UTC) if is_quiet else None
            assert said == row["until"], (moment, start, until, weekdays)
