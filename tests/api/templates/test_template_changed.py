"""The feed tells of templates and snippets, without a word of them."""

from sqlalchemy import text

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.templates import (
    create_snippet,
    delete_snippet,
    delete_template,
    template,
    update_snippet,
    update_template,
)

EVENTS = text(
    "SELECT kind, entity_ids, changed, before::text AS before, after::text AS after FROM feed_event "
    "WHERE workspace_id = :workspace_id ORDER BY seq"
)


async def test_every_change_is_told_once(ana: Person, doors: Doors) -> None:
    made = await template(ana, name="Secret", body="Secret")
    await update_template(ana, id=made["id"], version=1, name="Secret")
    await update_template(ana, id=made["id"], version=1, body="Secrets", subject="Secret")
    await update_template(ana, id=made["id"], version=1, body="Stale")
    await delete_template(ana, made["id"])
    oi = (await create_snippet(ana, shortcut="secret"))["snippet"]["id"]
    await update_snippet(ana, id=oi, version=1, body="Secret")
    await delete_snippet(ana, oi)
    async with doors.open_work(ana.workspace_id) as work:
        rows = list(await work.execute(EVENTS, {"workspace_id": ana.workspace_id}))
    assert [(row.kind, [str(id) for id in row.entity_ids], row.changed) for row in rows] == [
        ("template.changed", [made["id"]], ["created"]),
        ("template.changed", [made["id"]], ["subject", "body"]),
        ("template.changed", [made["id"]], ["deleted"]),
        ("template.changed", [oi], ["snippet", "created"]),
        ("template.changed", [oi], ["snippet", "body"]),
        ("template.changed", [oi], ["snippet", "deleted"]),
    ]
    assert "ecret" not in str(rows)
