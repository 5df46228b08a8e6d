"""Leads, through the public door and behind it."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Doors
from tests.factories.accounts import Person

FIELDS = """id name email phone company title version metadata deletedAt owner { email } tags { name }
  identities { id kind value isPrimary }"""
CREATE = f"""mutation ($input: CreateLeadInput!) {{
  createLead(input: $input) {{ lead {{ {FIELDS} }} errors {{ code path }} }} }}"""
ONE = f"query ($id: ID!) {{ lead(id: $id) {{ {FIELDS} }} }}"
# What leads repeat of their identities, beside what the identities say.
STRAY = Statement(
    text(
        """
        SELECT l.id::text || ': ' || to_json(array[l.email, l.phone])::text || ' ' || to_json(l.handles)::text AS stray
        FROM lead l CROSS JOIN LATERAL (
            SELECT max(i.value) FILTER (WHERE i.kind = 'EMAIL' AND i.is_primary) AS email,
                max(i.value) FILTER (WHERE i.kind = 'PHONE' AND i.is_primary) AS phone,
                coalesce(array_agg(i.value ORDER BY i.kind, i.value), '{}') AS handles
            FROM lead_identity i WHERE i.workspace_id = l.workspace_id AND i.lead_id = l.id
        ) said
        WHERE l.workspace_id = cast(:workspace_id as uuid)
            AND (l.email, l.phone, l.handles) IS DISTINCT FROM (said.email, said.phone, said.handles)
        UNION ALL
        SELECT lead_id::text || ': ' || kind || ' has ' || count(*) FILTER (WHERE is_primary) || ' primary ones'
        FROM lead_identity WHERE workspace_id = cast(:workspace_id as uuid)
        GROUP BY lead_id, kind HAVING count(*) FILTER (WHERE is_primary) <> 1
        UNION ALL
        SELECT i.lead_id::text || ': ' || kind || ' is released and live'
        FROM lead_identity i JOIN lead l ON l.workspace_id = i.workspace_id AND l.id = i.lead_id
        WHERE i.workspace_id = cast(:workspace_id as uuid)
            AND (i.released_at IS NULL) <> (l.deleted_at IS NULL)
        """
    )
)
EVENTS = Statement(
    text(
        """
        SELECT kind, entity_ids, changed, before::text AS before, after::text AS after FROM feed_event
        WHERE workspace_id = cast(:workspace_id as uuid) AND kind LIKE 'lead.%' ORDER BY seq
        """
    )
)
ENTRIES = Statement(
    text(
        """
        SELECT type, content, actor_kind, actor_id FROM interaction
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = cast(:lead_id as uuid) ORDER BY created_at, id
        """
    )
)


async def new_lead(person: Person, **input: Any) -> dict[str, Any]:
    payload = (await person.run(CREATE, {"input": {"name": "Bia", **input}}))["createLead"]
    assert payload["errors"] == []
    return payload["lead"]  # type: ignore[no-any-return]


async def the_lead(person: Person, id: str) -> dict[str, Any] | None:
    return (await person.run(ONE, {"id": id}))["lead"]  # type: ignore[no-any-return]


async def new_tag(person: Person, name: str) -> str:
    made = await person.run(
        "mutation ($name: String!) { createTag(input: {name: $name}) { tag { id } } }", {"name": name}
    )
    return str(made["createTag"]["tag"]["id"])


def refusals(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


async def stray_contacts(doors: Doors, person: Person) -> list[str]:
    """Leads that do not repeat what their identities say, or have not one primary of each kind."""
    async with doors.open_reads(person.workspace_id) as reads:
        rows = await reads.fetch(STRAY, workspace_id=person.workspace_id)
    return [row["stray"] for row in rows]


async def lead_events(doors: Doors, person: Person) -> list[dict[str, Any]]:
    """The workspace's, oldest first."""
    async with doors.open_reads(person.workspace_id) as reads:
        return [dict(row) for row in await reads.fetch(EVENTS, workspace_id=person.workspace_id)]


async def entries(doors: Doors, person: Person, lead_id: str) -> list[tuple[str, str, str, UUID | None]]:
    """Of the lead's timeline, oldest first."""
    async with doors.open_reads(person.workspace_id) as reads:
        rows = await reads.fetch(ENTRIES, workspace_id=person.workspace_id, lead_id=UUID(lead_id))
    return [tuple(row) for row in rows]
