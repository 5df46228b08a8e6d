"""The demo workspace: believable, the same every time, made once, and nobody in it can be reached."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import phonenumbers
import pytest

from app.automations.domain.automation import Automation
from app.automations.domain.checking import Draft
from app.automations.domain.rule import ActionKind, Trigger
from app.common.migrations import upgrade
from app.demo.automations import ENGLISH, PORTUGUESE, REFERRAL, Things, Words, sending, sorting
from app.demo.crowd import CROWD_MAX, FIRST_PHONE, CrowdLead, crowd_lead
from app.demo.mails import THREADS
from app.demo.people import LEADS, LOGINS, STAGES, TAGS, demo_leads
from app.demo.seeding import seed_demo
from app.embedded.backup import query
from app.embedded.config import ROOT, Config
from app.leads.domain.lead import new_lead
from tests.fixtures.graphql import post
from tests.run.conftest import Launcher, wait_until
from tests.run.test_backup import database_of, empty_database, product_on

SIGN_IN = """
mutation ($input: SignInInput!) {
  signIn(input: $input) { session { accessToken viewer { role workspace { name } } } errors { code } }
}
"""
OVERVIEW = """
{ tags { name color } stages { id name } leads(first: 100) { totalCount edges { node { createdAt owner { name } } } } }
"""
COUNT = "query ($id: ID!) { leads(filter: {stageIds: [$id]}) { totalCount } }"
CREATE_TAG = 'mutation { createTag(input: {name: "Nova"}) { tag { id } errors { code } } }'
ROWS_SQL = (
    "SELECT (SELECT count(*) FROM lead) + (SELECT count(*) FROM tag) + (SELECT count(*) FROM member)"
    " + (SELECT count(*) FROM conversation) + (SELECT count(*) FROM message);"
)
CONVERSATIONS = """
{
  conversations(first: 30) {
    edges { node {
      status unreadCount lastMessageAt assignee { name } lead { createdAt }
      messages(last: 6) { edges { node { status createdAt htmlBody attachments { fileName } } } }
    } }
  }
}
"""
NOTES = "SELECT count(*) FROM interaction WHERE type = 'NOTE';"
OPEN_DELIVERIES = "SELECT count(*) FROM delivery WHERE status NOT IN ('sent', 'failed');"
OPEN_EVENTS = "SELECT count(*) FROM inbound_event WHERE status <> 'done';"
STATE = """
SELECT json_build_object(
    'leads', count(*), 'versions', sum(version), 'tags', (SELECT count(*) FROM lead_tag),
    'announced', (SELECT sum(cardinality(entity_ids)) FROM feed_event WHERE kind = 'lead.created'),
    'wrong', count(*) FILTER (
        WHERE handles <> array(SELECT value FROM lead_identity i WHERE i.lead_id = lead.id ORDER BY kind, value)
            OR email IS DISTINCT FROM (
                SELECT value FROM lead_identity i WHERE i.lead_id = lead.id AND kind = 'EMAIL' AND is_primary
            )
            OR phone IS DISTINCT FROM (
                SELECT value FROM lead_identity i WHERE i.lead_id = lead.id AND kind = 'PHONE' AND is_primary
            )
            OR (lost_reason IS NOT NULL AND (SELECT kind FROM stage WHERE stage.id = stage_id) <> 'LOST')
            OR created_at > now()
    )
) FROM lead;
"""
TAKE = """
INSERT INTO lead_identity (workspace_id, lead_id, kind, value, is_primary)
SELECT workspace_id, id, '{kind}', '{value}', NOT EXISTS (
    SELECT FROM lead_identity WHERE lead_id = lead.id AND kind = '{kind}'
) FROM lead WHERE id = '{id}';
UPDATE lead SET handles = array(SELECT value FROM lead_identity WHERE lead_id = lead.id ORDER BY kind, value),
    email = coalesce(email, CASE WHEN '{kind}' = 'EMAIL' THEN '{value}' END),
    phone = coalesce(phone, CASE WHEN '{kind}' = 'PHONE' THEN '{value}' END)
WHERE id = '{id}';
"""
DELETE = """
UPDATE lead SET deleted_at = now() WHERE id = '{id}';
UPDATE lead_identity SET released_at = now() WHERE lead_id = '{id}';
"""
RULES = "SELECT json_agg(json_build_array(name, enabled) ORDER BY id) FROM automation;"
IN_ENGLISH = "DELETE FROM automation; UPDATE workspace SET locale = 'en';"
RENAMED = f"DELETE FROM automation; UPDATE tag SET name = 'Outra' WHERE name = '{REFERRAL}';"
NOW = datetime(2026, 1, 5, 3, tzinfo=UTC)


def password_in(report: str) -> str:
    found = re.search(r"^  password  (\S+)$", report, re.MULTILINE)
    assert found, report
    return found[1]


def test_the_same_people_every_time() -> None:
    once, again = (demo_leads(NOW + timedelta(days=days)) for days in (0, 90))
    assert sorted(lead.given["name"] or "" for lead in once) == sorted(
        lead.given["name"] or "" for lead in again
    )
    assert len({lead.given["name"] for lead in once}) == LEADS == len(once)


@pytest.mark.parametrize("hour", range(0, 24, 3))
@pytest.mark.parametrize("day", range(7))
def test_they_came_within_60_days_and_never_in_the_future(day: int, hour: int) -> None:
    now = NOW + timedelta(days=day, hours=hour)
    dates = [lead.created_at for lead in demo_leads(now)]
    assert max(dates) <= now
    assert min(dates) > now - timedelta(days=64)  # the weekend before
    assert {date.weekday() for date in dates} <= set(range(5))


def test_everything_in_them_is_acceptable_and_reaches_nobody() -> None:
    for lead in demo_leads(NOW):
        accepted = new_lead(lead.given, metadata=lead.metadata, region="BR")
        assert accepted.name == lead.given["name"]
        if phone := lead.given.get("phone"):
            assert phonenumbers.is_valid_number(phonenumbers.parse(phone))
            assert re.fullmatch(r"\+55\d\d90000\d{4}", phone)
        if email := lead.given.get("email"):
            assert email.endswith(".example")
        assert set(lead.tags) <= TAGS.keys()


def test_made_once_and_shown_through_the_api(servers: None) -> None:
    with empty_database() as config:
        environment = os.environ | {"SALESPAD_DATABASE_URL": config.database_url or ""}
        command = [sys.executable, "-m", "app"]
        subprocess.run([*command, "migrate"], cwd=ROOT, env=environment, check=True)
        racing = [
            subprocess.Popen(
                [*command, "seed-demo"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        reports = [process.communicate(timeout=60)[0] for process in racing]
        assert [process.returncode for process in racing] == [0, 0], reports
        password = next(password_in(report) for report in reports if "not kept here" not in report)
        rows = query(database_of(config), f"SET ROLE sp_system; {ROWS_SQL}")
        assert "nothing was made" in seed_demo(config)
        assert query(database_of(config), f"SET ROLE sp_system; {ROWS_SQL}") == rows
        for nothing in (OPEN_DELIVERIES, OPEN_EVENTS):
            assert query(database_of(config), f"SET ROLE sp_system; {nothing}").strip() == "0"
        assert query(database_of(config), f"SET ROLE sp_system; {NOTES}").strip() == "2"
        with product_on(config) as url:
            asyncio.run(look_around(url, password))
            asyncio.run(look_at_the_inbox(url, password))


async def look_around(url: str, password: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
        tokens = []
        for login in LOGINS:
            given = {"email": login.email, "password": password}
            signed_in = (await post(http, SIGN_IN, {"input": given})).json()["data"]["signIn"]
            assert signed_in["errors"] == []
            assert signed_in["session"]["viewer"]["role"] == login.role.value
            tokens.append(signed_in["session"]["accessToken"])
        seen: dict[str, Any] = (await post(http, OVERVIEW, token=tokens[2])).json()["data"]
        assert seen["leads"]["totalCount"] == LEADS
        assert len(seen["tags"]) == len(TAGS)
        assert seen["stages"][0]["name"] == "Novo"
        assert {
            edge["node"]["owner"] and edge["node"]["owner"]["name"] for edge in seen["leads"]["edges"]
        } == {
            LOGINS[0].name,
            LOGINS[1].name,
            None,
        }
        counts = [
            (await post(http, COUNT, {"id": stage["id"]}, tokens[2])).json()["data"]["leads"]["totalCount"]
            for stage in seen["stages"]
        ]
        assert counts == [count for count, *_ in STAGES]
        refused = (await post(http, CREATE_TAG, token=tokens[2])).json()
        assert "FORBIDDEN" in str(refused)


async def look_at_the_inbox(url: str, password: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
        given = {"email": LOGINS[0].email, "password": password}
        session = (await post(http, SIGN_IN, {"input": given})).json()["data"]["signIn"]["session"]
        answer = (await post(http, CONVERSATIONS, token=session["accessToken"])).json()
        assert "data" in answer, answer
        seen = [edge["node"] for edge in answer["data"]["conversations"]["edges"]]
    assert [one["status"] for one in seen].count("SNOOZED") == 1
    assert {one["status"] for one in seen} == {"OPEN", "SNOOZED", "CLOSED"}
    assert sum(one["unreadCount"] > 0 for one in seen) == sum(thread.is_unread for thread in THREADS)
    assert {one["assignee"]["name"] for one in seen if one["assignee"]} == {login.name for login in LOGINS}
    messages = [[edge["node"] for edge in one["messages"]["edges"]] for one in seen]
    assert {one["status"] for thread in messages for one in thread} == {
        "RECEIVED",
        "SENT",
        "FAILED",
        "BOUNCED",
    }
    assert [
        one["fileName"] for thread in messages for message in thread for one in message["attachments"]
    ] == ["preços.csv"]
    assert any("<table>" in (one["htmlBody"] or "") for thread in messages for one in thread)
    for one, thread in zip(seen, messages, strict=True):
        dates = sorted(message["createdAt"] for message in thread)
        assert one["lead"]["createdAt"] < dates[0]
        assert dates[-1] == one["lastMessageAt"] < datetime.now(UTC).isoformat()


CROWD = [crowd_lead(number, 2000, NOW) for number in (*range(1, 2001), CROWD_MAX)]


def test_the_crowd_is_the_same_whatever_its_size_and_no_two_share_an_identity() -> None:
    larger = [crowd_lead(number, 9000, NOW + timedelta(days=90)) for number in (*range(1, 2001), CROWD_MAX)]
    for once, again in zip(CROWD, larger, strict=True):
        assert (once.id, once.name, once.identities) == (again.id, again.name, again.identities)
    values = [(kind, value) for lead in CROWD for kind, value in lead.identities.items()]
    assert len(set(values)) == len(values)
    assert len({lead.id for lead in CROWD}) == len(CROWD)
    assert [lead.id for lead in CROWD] == sorted(lead.id for lead in CROWD)


def test_the_crowd_is_acceptable_as_it_is_and_reaches_nobody() -> None:
    for lead in CROWD:
        given = {kind.lower(): value for kind, value in lead.identities.items()}
        for profile, site in (("linkedin", "linkedin.com/in"), ("instagram", "instagram.com")):
            if profile in given:
                given[profile] = f"https://www.{site}/{given[profile]}"
        texts = {"name": lead.name, "company": lead.company, "title": lead.title}
        accepted = new_lead(given | texts, metadata=lead.metadata, region="BR")
        assert (accepted.name, accepted.company, accepted.title) == tuple(texts.values())
        assert {one.kind: one.value for one in accepted.identities.values()} == lead.identities
        assert lead.identities.get("EMAIL", ".example").endswith(".example")
        if phone := lead.identities.get("PHONE"):
            assert phonenumbers.is_valid_number(phonenumbers.parse(phone))
            assert re.fullmatch(r"\+55\d\d900\d{6}", phone)
            assert int(phone[-6:]) >= FIRST_PHONE
        assert set(lead.tags) <= TAGS.keys()
        for moment in (lead.created_at, lead.stage_entered_at, lead.last_touch_at):
            assert moment is None or NOW - timedelta(days=731) < moment <= NOW


def test_further_leads_are_added_once_and_what_became_of_them_is_left_alone(servers: None) -> None:
    with empty_database() as config:
        upgrade(database_of(config).url)
        told: list[int] = []
        assert "120 further leads were added" in seed_demo(config, more_leads=120, progress=told.append)
        assert told == [120]
        rows = ask(config, STATE)
        assert json.loads(rows)["leads"] == LEADS + 120
        assert json.loads(rows)["announced"] == LEADS + 120
        assert json.loads(rows)["wrong"] == 0

        taken, gone = crowd_lead(121, 130, NOW), crowd_lead(5, 130, NOW)
        ask(config, TAKE.format(id=crowd_lead(1, 1, NOW).id, **taken_identity(taken)))
        ask(config, f"DELETE FROM lead_tag WHERE lead_id = '{gone.id}'; {DELETE.format(id=gone.id)}")
        rows = ask(config, STATE)
        assert "nothing was made." in seed_demo(config, more_leads=120)
        assert ask(config, STATE) == rows

        assert "9 further leads were added" in seed_demo(config, more_leads=130)
        after = json.loads(ask(config, STATE))
        assert (after["leads"], after["wrong"]) == (LEADS + 129, 0)


def rules(words: Words) -> list[list[tuple[str, Draft]]]:
    """Those that are on, and those that are off."""
    names = ("Quente", "Indicação", "Retornar", "Primeiro contato", "Retomada")
    ids = {name: uuid4() for name in names}
    things = Things(uuid4(), [uuid4() for _ in range(7)], ids, ids, uuid4())
    return [list(sorting(words, things)), list(sending(words, things))]


@pytest.mark.parametrize("words", [PORTUGUESE, ENGLISH], ids=["pt-BR", "en"])
def test_the_rules_are_whole_and_what_writes_to_people_is_off(words: Words) -> None:
    on, off = rules(words)
    for name, draft in (*on, *off):
        assert Automation.create(uuid4(), name=name, draft=draft, enabled=False)[0].name == name
    assert not any(is_sending(draft) for _, draft in on)
    assert all(is_sending(draft) for _, draft in off)
    assert {draft.trigger for _, draft in (*on, *off)} == set(Trigger) - {Trigger.LEAD_UPDATED}


def is_sending(draft: Draft) -> bool:
    return any(action.kind is ActionKind.SEND_TEMPLATE for action in draft.actions)


def test_the_rules_speak_the_workspaces_language_and_are_made_once(servers: None) -> None:
    with empty_database() as config:
        upgrade(database_of(config).url)
        assert "conversations." in seed_demo(config)
        for words, change in ((PORTUGUESE, "SELECT;"), (ENGLISH, IN_ENGLISH)):
            ask(config, change)
            told = seed_demo(config)
            assert ("automations were added" in told) == (words is ENGLISH), told
            on, off = rules(words)
            expected = [[name, True] for name, _ in on] + [[name, False] for name, _ in off]
            assert json.loads(ask(config, RULES)) == expected
        ask(config, RENAMED)
        assert "nothing was made" in seed_demo(config), "what they speak of is gone"


def taken_identity(lead: CrowdLead) -> dict[str, str]:
    kind, value = next(iter(lead.identities.items()))
    return {"kind": kind, "value": value}


def ask(config: Config, sql: str) -> str:
    return query(database_of(config), f"SET ROLE sp_system; {sql}")


@pytest.mark.parametrize("count", ["-1", "500001", "many"])
def test_a_silly_number_of_leads_is_refused(tmp_path: Path, count: str) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "app", "seed-demo", "--leads", count],
        cwd=ROOT,
        env=os.environ | {"SALESPAD_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "--leads" in refused.stderr
    assert not (tmp_path / "home").exists()


def test_production_is_asked_twice(tmp_path: Path) -> None:
    environment = os.environ | {"SALESPAD_ENV": "production", "SALESPAD_HOME": str(tmp_path / "home")}
    refused = subprocess.run(
        [sys.executable, "-m", "app", "seed-demo"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    assert not (tmp_path / "home").exists()


def test_on_a_running_and_on_a_resting_installation(launcher: Launcher) -> None:
    process = launcher.start_ready()
    assert "Demo" not in launcher.text
    config = Config(home=launcher.home)
    password = password_in(seed_demo(config))
    process.terminate()
    process.wait(30)

    again = seed_demo(config)
    assert "nothing was made" in again
    assert password_in(again) == password

    launcher.start_ready()
    wait_until(lambda: "Demo" in launcher.text, what="the login in the block")
    assert f"{LOGINS[0].email}  {password}" in launcher.text
    assert (launcher.home / "demo.json").stat().st_mode & 0o077 == 0
    assert (
        Counter(line.split()[0] for line in launcher.text.splitlines() if line.startswith("  "))["Demo"] == 1
    )


def test_a_password_that_nobody_has_is_neither_kept_nor_shown(launcher: Launcher) -> None:
    launcher.start_ready().terminate()
    launcher.processes[-1].wait(30)
    config, kept = Config(home=launcher.home), launcher.home / "demo.json"
    seed_demo(config)

    kept.unlink()  # as after reset and restore
    again = seed_demo(config)
    assert "not kept here" in again
    assert "seed-demo --reset-password" in again
    assert not kept.exists()

    password = password_in(seed_demo(config, should_reset_password=True))
    assert json.loads(kept.read_text()) == {
        "email": LOGINS[0].email,
        "password": password,
        "is_seeded": True,
    }
    assert password_in(seed_demo(config)) == password

    kept.write_text(json.dumps({"email": LOGINS[0].email, "password": "another", "is_seeded": True}))
    assert "not kept here" in seed_demo(config)
    assert not kept.exists()
