"""createAutomation, updateAutomation, setAutomationEnabled, deleteAutomation and the list, through HTTP."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from app.common.work import Doors
from tests.factories.accounts import Person, audited
from tests.factories.automations import (
    CREATE,
    HOOK,
    NOTE,
    automation,
    automations,
    create_automation,
    delete_automation,
    switch,
    the_automation,
    update_automation,
)
from tests.factories.board import stage_ids
from tests.factories.channels import connected
from tests.factories.leads import new_tag
from tests.factories.sending import codes
from tests.factories.templates import template

STRANGE = ("nonsense", "01890000-0000-7000-8000-000000000000")


async def row(doors: Doors, person: Person, id: str) -> Any:
    async with doors.open_work(person.workspace_id) as work:
        found = await work.execute(
            text(
                "SELECT enabled, enabled_at, stopped_at, deleted_at, webhook_secret, "
                "(SELECT array_agg(v.number ORDER BY v.number) FROM automation_version v "
                "WHERE v.workspace_id = a.workspace_id AND v.automation_id = a.id) AS versions "
                "FROM automation a WHERE workspace_id = :workspace_id AND id = :id"
            ),
            {"workspace_id": person.workspace_id, "id": id},
        )
        return found.one()


async def changes(doors: Doors, person: Person) -> list[tuple[list[str], str]]:
    """`automation.changed`, oldest first: what, and the actor's kind."""
    async with doors.open_work(person.workspace_id) as work:
        found = await work.execute(
            text(
                "SELECT changed, actor_kind FROM feed_event "
                "WHERE workspace_id = :workspace_id AND kind = 'automation.changed' ORDER BY seq"
            ),
            {"workspace_id": person.workspace_id},
        )
        return [(list(one.changed), one.actor_kind) for one in found]


async def test_an_automation_is_made_with_every_kind_of_action(ana: Person) -> None:
    tag, (stage, *_) = await new_tag(ana, "VIP"), await stage_ids(ana)
    welcome, account = await template(ana, name="Boas-vindas"), await connected(ana)
    made = await automation(
        ana,
        name="  Primeiro contato ",
        trigger="NO_REPLY",
        noReplyAfterSeconds=86_400,
        match="ANY",
        conditions=[
            {"field": "TAG_ID", "op": "NE", "value": tag},
            {"field": "COMPANY", "op": "EXISTS"},
        ],
        actions=[
            {"addTag": tag},
            {"removeTag": tag},
            {"moveStage": stage},
            {"assign": str(ana.user_id)},
            {"sendTemplate": {"templateId": welcome["id"], "accountId": account["id"]}},
            {"waitSeconds": 3600},
            NOTE,
            HOOK,
        ],
    )
    secret = made["actions"][-1].pop("secret")
    assert secret.startswith("whsec_")
    assert len(secret) > 40
    vip = {"id": tag, "name": "VIP"}
    assert made["actions"] == [
        {"__typename": "AddTagAction", "tag": vip},
        {"__typename": "RemoveTagAction", "removed": vip},
        {"__typename": "MoveStageAction", "stage": {"id": stage, "name": "Novo"}},
        {"__typename": "AssignAction", "user": {"id": str(ana.user_id), "name": "Ana"}},
        {
            "__typename": "SendTemplateAction",
            "template": {"id": welcome["id"], "name": "Boas-vindas", "deletedAt": None},
            "account": {"id": account["id"], "status": "CONNECTED"},
        },
        {"__typename": "WaitAction", "seconds": 3600},
        {"__typename": "AddNoteAction", "body": NOTE["addNote"]},
        {"__typename": "CallWebhookAction", "url": HOOK["callWebhook"]},
    ]
    assert made["conditions"] == [
        {"field": "TAG_ID", "op": "NE", "value": tag},
        {"field": "COMPANY", "op": "EXISTS", "value": None},
    ]
    assert (made["name"], made["trigger"], made["noReplyAfterSeconds"]) == (
        "Primeiro contato",
        "NO_REPLY",
        86_400,
    )
    assert (made["match"], made["enabled"], made["oncePerLead"]) == ("ANY", False, False)
    assert (made["version"], made["warnings"]) == (1, [])
    found = await the_automation(ana, made["id"])
    assert found is not None
    assert found["actions"][-1].pop("secret") == secret
    assert found == made
    assert [one["id"] for one in await automations(ana)] == [made["id"]]


async def test_a_rule_for_new_leads_acts_once_a_lead_unless_it_is_said(ana: Person) -> None:
    assert (await automation(ana, trigger="LEAD_CREATED"))["oncePerLead"] is True
    assert (await automation(ana, trigger="LEAD_CREATED", oncePerLead=False))["oncePerLead"] is False
    assert (await automation(ana, trigger="TAG_ADDED", oncePerLead=None))["oncePerLead"] is False


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"name": " "}, ["name"]),
        ({"name": "x" * 201}, ["name"]),
        ({"actions": []}, ["actions"]),
        ({"actions": [NOTE] * 101}, ["actions"]),
        ({"actions": [NOTE, {"waitSeconds": 0}]}, ["actions", "1", "waitSeconds"]),
        ({"actions": [{"waitSeconds": 315_360_000}]}, ["actions", "0", "waitSeconds"]),
        ({"trigger": "NO_REPLY"}, ["noReplyAfterSeconds"]),
        ({"noReplyAfterSeconds": 60}, ["noReplyAfterSeconds"]),
        (
            {"conditions": [{"field": "SCORE", "op": "CONTAINS", "value": "1"}]},
            ["conditions", "0", "op"],
        ),
        (
            {"conditions": [{"field": "MESSAGE_BODY", "op": "CONTAINS", "value": "x"}]},
            ["conditions", "0", "field"],
        ),
        ({"conditions": [{"field": "SCORE", "op": "EQ", "value": "x"}]}, ["conditions", "0", "value"]),
        ({"conditions": [{"field": "SCORE", "op": "GT", "value": "1"}] * 51}, ["conditions"]),
    ],
)
async def test_what_makes_no_rule_is_refused_at_its_place(
    ana: Person, given: dict[str, Any], path: list[str]
) -> None:
    payload = await create_automation(ana, **given)
    assert payload["automation"] is None
    assert codes(payload) == [("INVALID", path)]
    assert await automations(ana) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "https://example.com:8443/hook",
        "https://localhost/hook",
        "https://127.0.0.1/hook",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://017700000001/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://[fd00:ec2::254]/latest/meta-data",
        "https://metadata.google.internal/computeMetadata/v1/",
        "https://10.0.0.7/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://ana:secret@example.com/",
        "gopher://example.com/",
    ],
)
async def test_a_webhook_leads_to_no_private_place(ana: Person, url: str) -> None:
    payload = await create_automation(ana, actions=[NOTE, {"callWebhook": url}])
    assert codes(payload) == [("INVALID", ["actions", "1", "callWebhook"])]


@pytest.mark.parametrize("action", [{}, {"addNote": "x", "waitSeconds": 1}, {"addTag": None}])
async def test_an_action_is_exactly_one_thing(ana: Person, action: dict[str, Any]) -> None:
    given = {"name": "x", "trigger": "TAG_ADDED", "actions": [action]}
    assert await ana.refused(CREATE, {"input": given}) in ("BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED")


async def test_what_is_not_there_or_anothers_is_not_found_at_its_place(ana: Person, eve: Person) -> None:
    theirs = await new_tag(eve, "Dela")
    (their_stage, *_), their_template = await stage_ids(eve), (await template(eve))["id"]
    their_account = (await connected(eve))["id"]
    for odd in STRANGE:
        payload = await create_automation(ana, actions=[{"addTag": odd}, {"removeTag": odd}])
        assert codes(payload) == [
            ("NOT_FOUND", ["actions", "0", "addTag"]),
            ("NOT_FOUND", ["actions", "1", "removeTag"]),
        ]
    payload = await create_automation(
        ana,
        conditions=[
            {"field": "TAG_ID", "op": "EQ", "value": theirs},
            {"field": "STAGE_ID", "op": "NE", "value": "Novo"},
        ],
        actions=[NOTE],
    )
    assert codes(payload) == [("NOT_FOUND", ["conditions", "1", "value"])]
    payload = await create_automation(
        ana,
        conditions=[{"field": "TAG_ID", "op": "EQ", "value": theirs}],
        actions=[
            {"moveStage": their_stage},
            {"assign": str(eve.user_id)},
            {"sendTemplate": {"templateId": their_template, "accountId": their_account}},
        ],
    )
    assert codes(payload) == [
        ("NOT_FOUND", ["conditions", "0", "value"]),
        ("NOT_FOUND", ["actions", "0", "moveStage"]),
        ("NOT_FOUND", ["actions", "1", "assign"]),
        ("NOT_FOUND", ["actions", "2", "sendTemplate", "templateId"]),
        ("NOT_FOUND", ["actions", "2", "sendTemplate", "accountId"]),
    ]


async def test_a_template_of_another_channel_than_its_account(ana: Person, doors: Doors) -> None:
    fits, other = await template(ana, channel="EMAIL"), await template(ana)
    account = (await connected(ana))["id"]
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(
            text("UPDATE template SET channel = 'WHATSAPP' WHERE id = :id"), {"id": other["id"]}
        )
    sends = [{"sendTemplate": {"templateId": one["id"], "accountId": account}} for one in (fits, other)]
    payload = await create_automation(ana, actions=sends)
    assert codes(payload) == [("INVALID", ["actions", "1", "sendTemplate", "templateId"])]


async def test_an_update_keeps_what_is_left_out_and_makes_a_version(ana: Person, doors: Doors) -> None:
    made = await automation(
        ana,
        trigger="NO_REPLY",
        noReplyAfterSeconds=60,
        conditions=[{"field": "SCORE", "op": "GT", "value": "5"}],
    )
    same = await update_automation(ana, id=made["id"], version=1, name="Regra", actions=[NOTE])
    assert (same["errors"], same["automation"]["version"]) == ([], 1)
    renamed = (await update_automation(ana, id=made["id"], version=1, name="Outra"))["automation"]
    assert renamed == {**made, "name": "Outra", "version": 2}
    # The time belongs to NO_REPLY: it goes with it.
    moved = await update_automation(ana, id=made["id"], version=2, trigger="TAG_ADDED", conditions=[])
    assert moved["errors"] == []
    assert (moved["automation"]["noReplyAfterSeconds"], moved["automation"]["conditions"]) == (None, [])
    assert (await row(doors, ana, made["id"])).versions == [1, 2, 3]
    assert await changes(doors, ana) == [
        (["created"], "HUMAN"),
        (["name"], "HUMAN"),
        (["rule"], "HUMAN"),
    ]


async def test_an_update_is_checked_as_a_new_rule_is(ana: Person) -> None:
    made = await automation(ana)
    refused = await update_automation(
        ana, id=made["id"], version=1, trigger="NO_REPLY", actions=[{"waitSeconds": 0}], name=""
    )
    assert codes(refused) == [
        ("INVALID", ["name"]),
        ("INVALID", ["noReplyAfterSeconds"]),
        ("INVALID", ["actions", "0", "waitSeconds"]),
    ]
    assert codes(await update_automation(ana, id=made["id"], version=1, actions=[])) == [
        ("INVALID", ["actions"])
    ]
    assert codes(await update_automation(ana, id=made["id"], version=1, conditions=None, name=None)) == [
        ("INVALID", ["name"])
    ]
    odd = await update_automation(ana, id=made["id"], version=1, actions=[{"addTag": STRANGE[1]}])
    assert codes(odd) == [("NOT_FOUND", ["actions", "0", "addTag"])]
    assert await the_automation(ana, made["id"]) == made


async def test_who_is_late_is_told_and_shown_what_there_is(ana: Person) -> None:
    made = await automation(ana)
    await update_automation(ana, id=made["id"], version=1, name="Primeira")
    late = await update_automation(ana, id=made["id"], version=1, name="Segunda")
    assert codes(late) == [("CONFLICT", ["version"])]
    assert (late["automation"]["name"], late["automation"]["version"]) == ("Primeira", 2)


async def test_of_two_updates_at_once_one_is_told_to_look_again(ana: Person, doors: Doors) -> None:
    made = await automation(ana)
    answers = await asyncio.gather(
        *(update_automation(ana, id=made["id"], version=1, name=f"Nome {n}") for n in range(4))
    )
    assert sorted(len(one["errors"]) for one in answers) == [0, 1, 1, 1]
    assert {error["code"] for one in answers for error in one["errors"]} == {"CONFLICT"}
    assert (await row(doors, ana, made["id"])).versions == [1, 2]


async def test_it_is_switched_on_and_off_and_deleted(ana: Person, doors: Doors) -> None:
    made = await automation(ana)
    assert (await row(doors, ana, made["id"])).enabled_at is None
    assert (await switch(ana, made["id"], enabled=True))["automation"]["enabled"] is True
    on = await row(doors, ana, made["id"])
    assert on.enabled_at is not None
    assert on.stopped_at is None
    await switch(ana, made["id"], enabled=True)
    assert await row(doors, ana, made["id"]) == on, "on already: nothing moves"
    assert (await switch(ana, made["id"], enabled=False))["automation"]["enabled"] is False
    off = await row(doors, ana, made["id"])
    assert off.stopped_at > on.enabled_at
    await switch(ana, made["id"], enabled=True)
    assert (await row(doors, ana, made["id"])).enabled_at > off.stopped_at
    assert await delete_automation(ana, made["id"]) == {"deletedIds": [made["id"]], "errors": []}
    gone = await row(doors, ana, made["id"])
    assert not gone.enabled
    assert gone.deleted_at is not None
    assert gone.stopped_at > off.stopped_at
    assert await automations(ana) == []
    assert await the_automation(ana, made["id"]) is None
    assert codes(await delete_automation(ana, made["id"])) == [("NOT_FOUND", ["id"])]
    assert codes(await switch(ana, made["id"], enabled=True)) == [("NOT_FOUND", ["id"])]
    assert codes(await update_automation(ana, id=made["id"], version=1)) == [("NOT_FOUND", ["id"])]
    assert [what for what, _ in await changes(doors, ana)] == [
        ["created"],
        ["enabled"],
        ["enabled"],
        ["enabled"],
        ["deleted"],
    ]
    assert [one.action for one in await audited(doors, ana.workspace_id) if "automation" in one.action] == [
        "automation.created",
        "automation.enabled",
        "automation.disabled",
        "automation.enabled",
        "automation.deleted",
    ]


async def test_one_that_is_made_switched_on_acts_from_then_on(ana: Person, doors: Doors) -> None:
    made = await automation(ana, enabled=True)
    assert made["enabled"] is True
    assert (await row(doors, ana, made["id"])).enabled_at is not None


async def test_the_audit_log_holds_no_text_of_a_rule(ana: Person, doors: Doors) -> None:
    made = await automation(ana, name="Segredo", actions=[{"addNote": "Segredo"}])
    await update_automation(ana, id=made["id"], version=1, actions=[{"addNote": "Segredo"}, NOTE])
    rows = [one for one in await audited(doors, ana.workspace_id) if "automation" in one.action]
    assert [(one.object_id, one.before, one.after) for one in rows] == [
        (rows[0].object_id, {}, {"enabled": False, "version": 1, "trigger": "STAGE_CHANGED", "actions": 1}),
        (
            rows[0].object_id,
            {"version": 1, "trigger": "STAGE_CHANGED", "actions": 1},
            {"version": 2, "trigger": "STAGE_CHANGED", "actions": 2},
        ),
    ]
    assert str(rows[0].object_id) == made["id"]


async def test_a_workspace_has_two_hundred_automations(ana: Person, doors: Doors) -> None:
    made = await automation(ana)
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(
            text(
                "WITH made AS (INSERT INTO automation (workspace_id, name) "
                "SELECT :workspace_id, 'Regra' FROM generate_series(1, 199) RETURNING id) "
                "INSERT INTO automation_version (workspace_id, automation_id, number, rule) "
                "SELECT :workspace_id, made.id, 1, v.rule FROM made, automation_version v "
                "WHERE v.workspace_id = :workspace_id AND v.automation_id = :id"
            ),
            {"workspace_id": ana.workspace_id, "id": made["id"]},
        )
    assert [error["code"] for error in (await create_automation(ana))["errors"]] == ["LIMIT_REACHED"]
    assert len(await automations(ana)) == 200
    await delete_automation(ana, made["id"])
    assert (await create_automation(ana))["errors"] == []
