"""dryRunAutomation over a long history: a part of `python -m bench automations`. The goal: 100,000 events in 10 s."""

import time
from statistics import median
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.leads.domain.lead import LeadSource, created, tagged
from bench.bare_copy import analyse
from bench.bulk_sends import rss_mb
from bench.cpu import cpu_s
from tests.factories.accounts import Person
from tests.factories.bulk_sends import template
from tests.factories.conversations import open_account
from tests.factories.dry_runs import pass_time
from tests.factories.leads import new_tag
from tests.fixtures.batch_rows import add_leads
from tests.fixtures.installation import Installation

ROUNDS = 3
TOLD_AT_ONCE = 1_000
DRY_RUN = """mutation ($input: DryRunAutomationInput!) { dryRunAutomation(input: $input) {
  dryRun { wouldFire leads sends blocked { reason count } } errors { code message path } } }"""
LEADS = text("SELECT id FROM lead WHERE workspace_id = :id ORDER BY id")
TAGGED = text(
    "INSERT INTO lead_tag (workspace_id, lead_id, tag_id) SELECT workspace_id, id, :tag_id FROM lead "
    "WHERE workspace_id = :id"
)


async def run(installation: Installation, *, events: int) -> None:
    async with installation.new_person() as person:
        tag_id = await fill(installation, person, events=events)
        await measure(installation, person, tag_id, events=events)


async def fill(installation: Installation, person: Person, *, events: int) -> str:
    """Half of the events are new leads, the other half a tag that each of them got later; the tag."""
    tag_id = await new_tag(person, "Cliente")
    async with installation.doors() as doors:
        await add_leads(doors, person.workspace_id, count=events // 2, domain="past.example")
        async with doors.open_work(person.workspace_id) as work:
            found = await work.execute(LEADS, {"id": person.workspace_id})
            ids = list(found.scalars())
            await work.execute(TAGGED, {"id": person.workspace_id, "tag_id": tag_id})
        for start in range(0, len(ids), TOLD_AT_ONCE):
            async with doors.open_work(person.workspace_id) as work:
                for id in ids[start : start + TOLD_AT_ONCE]:
                    work.announce(created([id], LeadSource.MANUAL))
        await pass_time(person, doors, 3600)
        for start in range(0, len(ids), TOLD_AT_ONCE):
            async with doors.open_work(person.workspace_id) as work:
                for id in ids[start : start + TOLD_AT_ONCE]:
                    work.announce(tagged([id], add=[UUID(tag_id)], remove=[]))
    await analyse(installation)
    return tag_id


async def measure(installation: Installation, person: Person, tag_id: str, *, events: int) -> None:
    letter = await template(person, "Oi {{ lead.first_name }}")
    async with installation.doors() as doors:
        account = str(await open_account(person, doors))
    has_tag = {"field": "TAG_ID", "op": "EQ", "value": tag_id}
    rules: dict[str, dict[str, Any]] = {
        f"{events // 2:,} events: tagged, a note": {
            "trigger": "TAG_ADDED",
            "conditions": [has_tag],
            "actions": [{"addNote": "Oi"}],
        },
        f"{events:,} events: new, without tags then, a mail": {
            "trigger": "LEAD_CREATED",
            "conditions": [{**has_tag, "op": "NOT_EXISTS", "value": None}],
            "actions": [{"sendTemplate": {"templateId": letter, "accountId": account}}],
        },
    }
    (api,) = installation.apis
    assert api.process is not None
    assert installation.postgres is not None
    print(f"{'a dry run, through the API':<52} seconds   CPU s: API, PostgreSQL   API MB")
    for name, rule in rules.items():
        took, cpus = [], [cpu_s(api.process.pid), cpu_s(installation.postgres.pid)]
        for _ in range(ROUNDS):
            took.append(await once(person, rule, fires=events // 2))  # noqa: PERF401 - one after the other
        spent = [
            (cpu_s(pid) - before) / ROUNDS
            for pid, before in zip((api.process.pid, installation.postgres.pid), cpus, strict=True)
        ]
        print(
            f"{name:<52} {median(took):7.2f}   {spent[0]:9.2f} {spent[1]:11.2f} {rss_mb(api.process.pid):8.1f}"
            f"{'   goal 10 s' if name.startswith(f'{events:,}') else ''}",
            flush=True,
        )


async def once(person: Person, rule: dict[str, Any], *, fires: int) -> float:
    started = time.perf_counter()
    given = {"automation": {"name": "Bench", **rule}, "days": 30}
    answer = (await person.run(DRY_RUN, {"input": given}))["dryRunAutomation"]
    took_s = time.perf_counter() - started
    assert answer["errors"] == [], answer
    assert answer["dryRun"]["wouldFire"] == fires, answer
    return took_s
