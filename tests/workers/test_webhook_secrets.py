"""Secrets of rules' calls are sealed anew when a new key comes first; each opens in its own workspace alone."""

from uuid import UUID, uuid4

import pytest

from app.automations.domain.rule import Action, ActionKind, Match, Rule, Trigger
from app.automations.infrastructure.secrets import opened_secret, renew_secrets, sealed_secret
from app.automations.wiring import seal_webhook_secrets_anew
from app.common.crypto import BadSecret
from app.common.work import Doors
from app.settings import Settings
from tests.fixtures.run_desk import RunDesk

NEW = "a new key, of more than thirty-two bytes"
LOST = "a key that nobody has any more, of 32 bytes"
RULE = Rule(
    trigger=Trigger.LEAD_CREATED,
    no_reply_after_s=None,
    once_per_lead=False,
    match=Match.ALL,
    conditions=(),
    actions=[Action(ActionKind.CALL_WEBHOOK, text="https://hooks.example.com/")],
)
SET = "UPDATE automation SET webhook_secret = :secret WHERE workspace_id = :workspace_id AND id = :id"
SECRET = "SELECT webhook_secret FROM automation WHERE workspace_id = :workspace_id AND id = :id"


def with_keys(settings: Settings, *keys: str) -> Settings:
    return settings.model_copy(update={"credential_keys": keys})


async def rule_with(desk: RunDesk, sealed: bytes | None) -> UUID:
    id = await desk.add_rule(RULE)
    await desk.sql(SET, id=id, secret=sealed)
    return id


@pytest.mark.parametrize("limit", [1, 500])
async def test_the_old_key_can_be_dropped_afterwards(own: tuple[Settings, Doors], limit: int) -> None:
    settings, doors = own
    old, new = settings.credential_keys, with_keys(settings, NEW)
    desks = [await RunDesk.with_leads(doors, settings, count=0) for _ in range(2)]
    rules = [(desk, await rule_with(desk, sealed_secret(settings, desk.workspace_id))) for desk in desks]
    lost = sealed_secret(with_keys(settings, LOST), desks[0].workspace_id)
    unreadable, without = await rule_with(desks[0], lost), await rule_with(desks[0], None)
    shown = [opened_secret(settings, desk.workspace_id, await desk.sql(SECRET, id=id)) for desk, id in rules]

    both = with_keys(settings, NEW, *old)
    await seal_webhook_secrets_anew(doors, both, limit=limit)

    for (desk, id), secret in zip(rules, shown, strict=True):
        sealed = await desk.sql(SECRET, id=id)
        assert opened_secret(new, desk.workspace_id, sealed) == secret
        with pytest.raises(BadSecret):
            opened_secret(settings, desk.workspace_id, sealed)
        with pytest.raises(BadSecret):
            opened_secret(new, uuid4(), sealed)
    assert await desks[0].sql(SECRET, id=unreadable) == lost
    assert await desks[0].sql(SECRET, id=without) is None
    async with doors.open_system() as system:
        rows, _ = await renew_secrets(system, both, limit=500, after=UUID(int=0))
    assert rows == 1, "only what no key opens is found again"
    await desks[0].sql("DELETE FROM automation")
