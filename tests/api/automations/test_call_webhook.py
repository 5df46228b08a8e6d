"""A rule that calls a webhook, through the API: who is called can verify it with the secret that admins read."""

from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.common.domain import Role
from app.settings import Settings
from tests.factories.accounts import Person, add_member, sign_up
from tests.factories.leads import new_lead
from tests.fixtures.databases import own_database
from tests.fixtures.processes import eventually
from tests.fixtures.receivers import Receiver, status

CREATE = """
mutation ($input: CreateAutomationInput!) {
  createAutomation(input: $input) { automation { id } errors { code path } }
}
"""
RUNS = """
query ($id: ID!) {
  automation(id: $id) {
    actions { ... on CallWebhookAction { url secret } }
    runs { edges { node { status reason lead { id } steps { position action result } } } }
  }
}
"""


async def create(person: Person, url: str) -> dict[str, Any]:
    given = {
        "name": "Avisar o ERP",
        "trigger": "LEAD_CREATED",
        "enabled": True,
        "actions": [{"callWebhook": url}, {"addNote": "O ERP sabe"}],
    }
    return (await person.run(CREATE, {"input": given}))["createAutomation"]  # type: ignore[no-any-return]


async def the_runs(person: Person, id: str) -> list[dict[str, Any]]:
    shown = (await person.run(RUNS, {"id": id}))["automation"]
    return [edge["node"] for edge in shown["runs"]["edges"]]


async def test_who_is_called_can_tell_that_it_was_us(settings: Settings) -> None:
    async with (
        own_database(settings, SALESPAD_WEBHOOK_NETWORKS="127.0.0.0/8") as own,
        Receiver.started(status(503), status(200)) as receiver,
    ):
        ana = await sign_up(own.http)
        made = await create(ana, receiver.url)
        assert made["errors"] == []
        id = made["automation"]["id"]
        lead_id = (await new_lead(ana, name="Bia"))["id"]

        async def is_over() -> bool:
            return [one["status"] for one in await the_runs(ana, id)] == ["SUCCEEDED"]

        await eventually(is_over, what="the end of the run")
        (action, _) = (await ana.run(RUNS, {"id": id}))["automation"]["actions"]
        first, second = receiver.called
        for called in (first, second):
            assert Webhook(action["secret"]).verify(called.body, dict(called.headers)) == orjson.loads(
                called.body
            )
            with pytest.raises(WebhookVerificationError):
                Webhook(action["secret"]).verify(called.body + b" ", dict(called.headers))
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        said = orjson.loads(second.body)["data"]
        assert (said["automation"]["id"], said["lead"]["id"], said["lead"]["name"]) == (id, lead_id, "Bia")
        (run,) = await the_runs(ana, id)
        assert (run["reason"], run["lead"]) == (None, {"id": lead_id})
        assert [(one["action"], one["result"]) for one in run["steps"]] == [
            ("CALL_WEBHOOK", "CALLED"),
            ("ADD_NOTE", "DONE"),
        ]
        bob = await add_member(own.doors, ana, role=Role.MEMBER)
        (seen, _) = (await bob.run(RUNS, {"id": id}))["automation"]["actions"]
        assert seen == {"url": receiver.url, "secret": None}


async def test_nobody_in_our_network_is_called_or_even_named(ana: Person) -> None:
    """By an API and a worker that were told of no networks."""
    async with Receiver.started() as receiver:
        for url in (
            receiver.url,
            "https://127.0.0.1/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::1]/",
        ):
            made = await create(ana, url)
            assert made["automation"] is None
            assert made["errors"] == [{"code": "INVALID", "path": ["actions", "0", "callWebhook"]}]
    assert receiver.connections == 0
