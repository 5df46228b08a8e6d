"""saveScoreRules, scoreRules, scoreReasons through HTTP, and what a running worker makes of them."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member, audited, sign_up
from tests.factories.board import refusals, stage_ids
from tests.factories.conversations import make_lead
from tests.factories.inbound import letter, receive
from tests.factories.leads import new_tag
from tests.factories.mail import add_mailbox
from tests.factories.merging import merged, run_sql
from tests.fixtures.processes import Api, Worker, eventually
from tests.fixtures.reacted import until_reacted

SAVE = """mutation ($rules: [ScoreRuleInput!]!) { saveScoreRules(input: {rules: $rules}) {
  rules { event value points halfLifeDays } errors { code message path } } }"""
RULES = "{ scoreRules { event value points halfLifeDays } }"
REASONS = "query ($id: ID!) { scoreReasons(leadId: $id) { text points } }"
LEAD = "query ($id: ID!) { lead(id: $id) { score version timeline(first: 20) { edges { node { type content } } } } }"
SWEEP = "SELECT after_id IS NULL AS is_over FROM score_sweep WHERE workspace_id = :workspace_id"
BEST = "{ leads(sort: SCORE, filter: {minScore: 30}) { edges { node { id score } } } }"
TAG_LEAD = """mutation ($ids: [ID!]!, $tag: ID!) {
  tagLeads(input: {leadIds: $ids, addTagIds: [$tag]}) { errors { code } } }"""
NOBODY = "01890000-0000-7000-8000-000000000000"
DEFAULTS = [
    {"event": "MESSAGE_RECEIVED", "value": None, "points": 20, "halfLifeDays": 14},
    *(
        {"event": f"HAS_{name}", "value": None, "points": 5, "halfLifeDays": None}
        for name in ("EMAIL", "PHONE", "COMPANY", "TITLE")
    ),
]


@pytest.fixture(scope="module")
async def http(servers: None) -> AsyncIterator[httpx.AsyncClient]:
    """Of an API whose workspaces begin with rules, as they do by default."""
    async with (
        Api.started(SALESPAD_DEFAULT_SCORE_RULES="true") as api,
        httpx.AsyncClient(base_url=api.url, timeout=30, trust_env=False) as client,
    ):
        yield client


async def save(person: Person, *rules: dict[str, Any]) -> dict[str, Any]:
    payload: dict[str, Any] = (await person.run(SAVE, {"rules": list(rules)}))["saveScoreRules"]
    return payload


async def rules_of(person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await person.run(RULES))["scoreRules"]
    return found


async def reasons(person: Person, id: object) -> list[tuple[str, int]]:
    found = (await person.run(REASONS, {"id": str(id)}))["scoreReasons"]
    return [(one["text"], one["points"]) for one in found]


async def until_score(person: Person, id: object, score: int) -> dict[str, Any]:
    async def lead() -> dict[str, Any] | None:
        found: dict[str, Any] = (await person.run(LEAD, {"id": str(id)}))["lead"]
        return found if found["score"] == score else None

    found = await eventually(lead, what=f"a score of {score}")
    assert found is not None
    return found


async def test_a_workspace_begins_with_rules_of_ours(ana: Person, doors: Doors) -> None:
    assert await rules_of(ana) == DEFAULTS
    assert await rules_of(await add_member(doors, ana, role=Role.VIEWER)) == DEFAULTS


async def test_rules_are_saved_all_at_once_and_audited(ana: Person, doors: Doors) -> None:
    tag, (stage, *_) = await new_tag(ana, "Um"), await stage_ids(ana)
    before = len(await audited(doors, ana.workspace_id))
    wanted = [
        {"event": "TAG_ADDED", "value": str(tag), "points": -1000, "halfLifeDays": 1},
        {"event": "TAG_ADDED", "value": None, "points": 1000, "halfLifeDays": 3650},
        {"event": "STAGE_CHANGED", "value": stage, "points": 3, "halfLifeDays": None},
        {"event": "IMPORTED", "value": "LINKEDIN", "points": 4, "halfLifeDays": 2},
        {"event": "MESSAGE_SENT", "value": "EMAIL", "points": -1, "halfLifeDays": 7},
    ]
    assert await save(ana, *wanted) == {"rules": wanted, "errors": []}
    assert await rules_of(ana) == wanted
    assert await save(ana) == {"rules": [], "errors": []}
    told = (await audited(doors, ana.workspace_id))[before:]
    assert [one.action for one in told] == ["score_rules.saved"] * 2
    assert told[0].after["rules"][0] == ["TAG_ADDED", str(tag), -1000, 1]


async def test_who_may_save(ana: Person, doors: Doors) -> None:
    for role in (Role.VIEWER, Role.MEMBER):
        payload = await save(await add_member(doors, ana, role=role))
        assert refusals(payload) == [("FORBIDDEN", [])]
    assert await rules_of(ana) == DEFAULTS
    assert (await save(await add_member(doors, ana, role=Role.ADMIN)))["errors"] == []


async def test_what_is_refused_is_told_where_it_stands(ana: Person, http: httpx.AsyncClient) -> None:
    """Rules stay as they were."""
    theirs = await new_tag(await sign_up(http), "Um")
    payload = await save(
        ana,
        {"event": "HAS_EMAIL", "points": 1},
        {"event": "HAS_PHONE", "points": 0},
        {"event": "HAS_TITLE", "points": 1001, "halfLifeDays": 3},
        {"event": "MESSAGE_SENT", "value": "FAX", "points": 1, "halfLifeDays": 0},
        {"event": "TAG_ADDED", "value": "vip", "points": 1},
        {"event": "HAS_EMAIL", "points": 2},
    )
    assert payload["rules"] == []
    assert refusals(payload) == [
        ("INVALID", ["rules", "1", "points"]),
        ("INVALID", ["rules", "2", "points"]),
        ("INVALID", ["rules", "2", "halfLifeDays"]),
        ("INVALID", ["rules", "3", "halfLifeDays"]),
        ("INVALID", ["rules", "3", "value"]),
        ("NOT_FOUND", ["rules", "4", "value"]),
        ("INVALID", ["rules", "5", "event"]),
    ]
    gone = [
        {"event": event, "value": value, "points": 1}
        for event in ("STAGE_CHANGED", "TAG_ADDED")
        for value in (NOBODY, str(theirs), str(uuid4()))
    ]
    payload = await save(ana, *gone)
    assert refusals(payload) == [("NOT_FOUND", ["rules", str(n), "value"]) for n in range(6)]
    assert await rules_of(ana) == DEFAULTS


async def test_a_hundred_rules_and_no_more(ana: Person) -> None:
    tags = [await new_tag(ana, name) for name in "abc"]
    assert refusals(
        await save(ana, *({"event": "TAG_ADDED", "value": one, "points": 1} for one in tags * 34))
    ) == [("INVALID", ["rules"])]


async def test_a_reply_raises_the_score_and_says_why(ana: Person, doors: Doors, worker: Worker) -> None:
    mailbox = await add_mailbox(doors, ana)
    bia = await make_lead(ana, email="bia@example.org")
    await receive(ana, doors, mailbox, *(letter(mailbox.address, sender="bia@example.org") for _ in range(3)))
    lead = await until_score(ana, bia, 65)
    assert lead["version"] == 1, "somebody who edits it meanwhile meets no conflict"
    entries = [one["node"] for one in lead["timeline"]["edges"]]
    assert [one["content"] for one in entries if one["type"] == "SCORE"] == ["+50"]
    assert await reasons(ana, bia) == [("Respondeu 3 vezes, a última hoje", 60), ("Tem e-mail", 5)]
    english = await add_member(doors, ana, role=Role.VIEWER)
    await english.run('mutation { updateProfile(input: {locale: "en"}) { errors { code } } }')
    assert await reasons(english, bia) == [("Replied 3 times, last today", 60), ("Has an e-mail address", 5)]


async def test_rules_change_and_lists_follow(ana: Person, worker: Worker) -> None:
    tag = await new_tag(ana, "VIP")
    bia, eva, rui = [await make_lead(ana, name=name) for name in ("Bia", "Eva", "Rui")]
    await ana.run(TAG_LEAD, {"ids": [str(eva), str(rui)], "tag": str(tag)})
    await save(
        ana, {"event": "TAG_ADDED", "value": str(tag), "points": 30}, {"event": "HAS_EMAIL", "points": 1}
    )
    await until_score(ana, eva, 31)
    await until_score(ana, rui, 31)
    await ana.run(
        'mutation ($id: ID!) { updateLead(input: {id: $id, version: 2, title: "CEO"}) { errors { code } } }',
        {"id": str(rui)},
    )
    await save(
        ana, {"event": "TAG_ADDED", "value": str(tag), "points": 30}, {"event": "HAS_TITLE", "points": 40}
    )
    await until_score(ana, rui, 70)
    await until_score(ana, eva, 30)
    await until_score(ana, bia, 0)
    found = [one["node"]["id"] for one in (await ana.run(BEST))["leads"]["edges"]]
    assert found == [str(rui), str(eva)]
    assert await reasons(ana, eva) == [("Recebeu a etiqueta “VIP” hoje", 30)]


@pytest.mark.parametrize("id", [NOBODY, "x", ""])
async def test_reasons_of_nobody(ana: Person, id: str) -> None:
    assert await reasons(ana, id) == []


async def test_a_merge_gives_the_kept_lead_its_score_and_tells_of_no_threshold(
    ana: Person, doors: Doors, worker: Worker
) -> None:
    answer = await save(ana, {"event": "HAS_EMAIL", "points": 30}, {"event": "HAS_PHONE", "points": 30})
    assert answer["errors"] == []
    keep = await make_lead(ana, email="bia@example.org", phone=None)
    away = await make_lead(ana, email=None, phone="+5511987654321")
    for id in (keep, away):
        await until_score(ana, id, 30)

    async def is_swept() -> bool:  # what new rules give is told neither
        return bool((await run_sql(ana, doors, SWEEP))[0].is_over)

    await eventually(is_swept)
    await merged(ana, keep, away)
    await until_reacted(doors, ana.workspace_id, "scoring")
    told = [one["node"]["type"] for one in (await until_score(ana, keep, 60))["timeline"]["edges"]]
    assert told == ["MERGED", "CREATED"]
