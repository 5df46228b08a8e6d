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

import httpx
import phonenumbers
import pytest

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
