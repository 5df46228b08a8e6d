"""Writing the identities of leads: several per kind, exactly one of each kind primary, and what a lead repeats of them.

Whoever calls holds the lead's row lock (`FOR NO KEY UPDATE`), and calls `refresh_contacts` once all is written. New
rows go in by (kind, value): those who want the same ones wait for each other and never deadlock.

A number is one person's, by telephone and on WhatsApp. One lead may have it as both, so no key can say so: a WhatsApp
number is written as a phone number too, for a moment, so that the key of phone numbers makes all who write this number
wait for each other; whoever comes after sees the other's in the next statement (decision 0024).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work
from app.leads.domain.errors import IdentityTaken
from app.leads.domain.identity import Identity, IdentityKind
from app.leads.infrastructure.erased import refuse_erased

ATTEMPTS = 5

ADD = Statement(
    text(
        """
        INSERT INTO lead_identity (workspace_id, lead_id, kind, value, is_primary)
        SELECT cast(:workspace_id as uuid), cast(:lead_id as uuid), kind, value, false
        FROM (
            SELECT * FROM unnest(cast(:kinds as text[]), cast(:values as text[])) AS i(kind, value)
            UNION
            SELECT 'PHONE', value FROM unnest(cast(:kinds as text[]), cast(:values as text[])) AS i(kind, value)
            WHERE kind = 'WHATSAPP'
        ) wanted
        ORDER BY kind, value
        ON CONFLICT DO NOTHING
        RETURNING id, kind, value
        """
    )
)
HOLDERS = Statement(
    text(
        """
        SELECT i.lead_id, w.kind, w.value
        FROM unnest(cast(:kinds as text[]), cast(:values as text[])) WITH ORDINALITY AS w(kind, value, n)
        CROSS JOIN LATERAL (
            SELECT w.kind UNION ALL SELECT 'WHATSAPP' WHERE w.kind = 'PHONE'
            UNION ALL SELECT 'PHONE' WHERE w.kind = 'WHATSAPP'
        ) AS k(kind)
        JOIN lead_identity i ON i.workspace_id = cast(:workspace_id as uuid) AND i.kind = k.kind AND i.value = w.value
        WHERE i.released_at IS NULL
        ORDER BY w.n, i.kind = w.kind DESC
        """
    )
)
DEMOTE = Statement(
    text(
        """
        UPDATE lead_identity i SET is_primary = false
        FROM unnest(cast(:kinds as text[]), cast(:values as text[])) AS w(kind, value)
        WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = cast(:lead_id as uuid)
            AND i.kind = w.kind AND i.value <> w.value AND i.is_primary
        """
    )
)
PROMOTE = Statement(
    text(
        """
        UPDATE lead_identity i SET is_primary = true
        FROM unnest(cast(:kinds as text[]), cast(:values as text[])) AS w(kind, value)
        WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = cast(:lead_id as uuid)
            AND i.kind = w.kind AND i.value = w.value AND NOT i.is_primary
        """
    )
)
REMOVE = Statement(
    text(
        """
        DELETE FROM lead_identity
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = cast(:lead_id as uuid)
            AND id = ANY (cast(:ids as uuid[]))
        RETURNING kind, value
        """
    )
)
ELECT = Statement(
    text(
        """
        UPDATE lead_identity SET is_primary = true
        WHERE workspace_id = cast(:workspace_id as uuid) AND id IN (
            SELECT DISTINCT ON (i.lead_id, i.kind) i.id
            FROM lead_identity i
            WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = ANY (cast(:lead_ids as uuid[]))
                AND NOT EXISTS (
                    SELECT FROM lead_identity p
                    WHERE p.workspace_id = i.workspace_id AND p.lead_id = i.lead_id AND p.kind = i.kind AND p.is_primary
                )
            ORDER BY i.lead_id, i.kind, i.created_at, i.id
        )
        """
    )
)
REFRESH = Statement(
    text(
        """
        UPDATE lead l SET email = w.email, phone = w.phone, handles = w.handles
        FROM (
            SELECT o.id,
                max(i.value) FILTER (WHERE i.kind = 'EMAIL' AND i.is_primary) AS email,
                max(i.value) FILTER (WHERE i.kind = 'PHONE' AND i.is_primary) AS phone,
                coalesce(
                    array_agg(i.value ORDER BY i.kind, i.value) FILTER (WHERE i.value IS NOT NULL), '{}'
                ) AS handles
            FROM unnest(cast(:lead_ids as uuid[])) AS o(id)
            LEFT JOIN lead_identity i ON i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = o.id
            GROUP BY o.id
        ) w
        WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = w.id
            AND (l.email, l.phone, l.handles) IS DISTINCT FROM (w.email, w.phone, w.handles)
        """
    )
)
RELEASE = Statement(
    text(
        """
        UPDATE lead_identity SET released_at = now()
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:lead_ids as uuid[]))
            AND released_at IS NULL
        """
    )
)
# A released row taken back goes into the index of live ones in the order in which all others do: by key.
RECLAIM = Statement(
    text(
        """
        WITH released AS (
            DELETE FROM lead_identity
            WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:lead_ids as uuid[]))
                AND released_at IS NOT NULL
            RETURNING *
        ), wanted AS (
            SELECT lead_id, kind, value FROM released
        ), live AS (
            INSERT INTO lead_identity (workspace_id, id, created_at, lead_id, kind, value, is_primary)
            SELECT workspace_id, id, created_at, lead_id, kind, value, is_primary FROM released
            UNION ALL
            SELECT workspace_id, uuidv7(), now(), lead_id, 'PHONE', value, false FROM released w
            WHERE kind = 'WHATSAPP' AND NOT EXISTS (
                SELECT FROM released p WHERE p.lead_id = w.lead_id AND p.kind = 'PHONE' AND p.value = w.value
            )
            ORDER BY kind, value
            ON CONFLICT DO NOTHING RETURNING id, lead_id, kind, value
        )
        (SELECT cast(NULL as uuid) AS id, lead_id, kind, value FROM wanted
            EXCEPT SELECT NULL, lead_id, kind, value FROM live)
        UNION ALL
        SELECT id, lead_id, kind, value FROM live
        WHERE (lead_id, kind, value) NOT IN (SELECT lead_id, kind, value FROM wanted)
        """
    )
)
FORGET = Statement(
    text(
        """
        DELETE FROM lead_identity
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
        """
    )
)
SAME_NUMBERS = Statement(
    text(
        """
        SELECT i.lead_id, i.kind, i.value
        FROM lead_identity i JOIN lead_identity o
            ON o.workspace_id = i.workspace_id AND o.kind IN ('PHONE', 'WHATSAPP') AND o.value = i.value
                AND o.released_at IS NULL AND o.lead_id <> i.lead_id
        WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = ANY (cast(:lead_ids as uuid[]))
            AND i.kind IN ('PHONE', 'WHATSAPP') AND i.released_at IS NULL
        """
    )
)


@dataclass(frozen=True, slots=True)
class Holder:
    """A live lead and an identity of those asked for that it has, or has as the other kind of number."""

    lead_id: UUID
    identity: Identity


async def find_holders(work: Work, workspace_id: UUID, wanted: Sequence[Identity]) -> list[Holder]:
    """The live leads that have any of these, or their number as the other kind, in the order of `wanted`."""
    rows = await work.fetch(HOLDERS, workspace_id=workspace_id, **_columns(wanted))
    return [Holder(row["lead_id"], _identity(row)) for row in rows]


async def add_identities(
    work: Work, workspace_id: UUID, lead_id: UUID, given: Mapping[str, Identity], *, primary: bool = False
) -> None:
    """Gives a live lead identities, by the input field each came from; those it has already stay.

    `primary`: each becomes the primary one of its kind (give one a kind); else only where the lead has none.
    Raises Erased; or IdentityTaken, at the field of the first that another lead has: then roll back.
    """
    wanted = list(given.values())
    if not wanted:
        return
    await _insert(work, workspace_id, lead_id, given)
    if primary:
        await work.fetch(DEMOTE, workspace_id=workspace_id, lead_id=lead_id, **_columns(wanted))
        await work.fetch(PROMOTE, workspace_id=workspace_id, lead_id=lead_id, **_columns(wanted))
    await elect_primaries(work, workspace_id, [lead_id])


async def _insert(work: Work, workspace_id: UUID, lead_id: UUID, given: Mapping[str, Identity]) -> None:
    """Once more where whoever had one gave it up between two statements. Raises IdentityTaken, Erased."""
    fields = {identity: key for key, identity in given.items()}
    for _ in range(ATTEMPTS):
        rows = await work.fetch(ADD, workspace_id=workspace_id, lead_id=lead_id, **_columns(list(fields)))
        added = {_identity(row): row["id"] for row in rows}
        await _forget(work, workspace_id, [id for identity, id in added.items() if identity not in fields])
        if await refuse_taken(work, workspace_id, lead_id, given) == fields.keys():
            await refuse_erased(work, workspace_id, given)
            return
    raise RuntimeError("An identity is taken, and nobody has it.")


async def refuse_taken(
    work: Work, workspace_id: UUID, lead_id: UUID, given: Mapping[str, Identity]
) -> set[Identity]:
    """Asked after they were written; those that this lead has. Raises IdentityTaken."""
    fields = {identity: key for key, identity in given.items()}
    holders = await find_holders(work, workspace_id, list(fields))
    for holder in holders:
        if holder.lead_id != lead_id:
            raise IdentityTaken(holder.lead_id, fields[holder.identity])
    return {holder.identity for holder in holders}


async def _forget(work: Work, workspace_id: UUID, ids: Sequence[UUID]) -> None:
    """The phone numbers that stood for WhatsApp ones: whoever wants them waits for this transaction still."""
    if ids:
        await work.fetch(FORGET, workspace_id=workspace_id, ids=list(ids))


async def remove_identities(
    work: Work, workspace_id: UUID, lead_id: UUID, ids: Sequence[UUID]
) -> list[Identity]:
    """What was removed; where it was a primary one, the oldest other of its kind takes its place."""
    rows = await work.fetch(REMOVE, workspace_id=workspace_id, lead_id=lead_id, ids=list(ids))
    await elect_primaries(work, workspace_id, [lead_id])
    return [_identity(row) for row in rows]


async def elect_primaries(work: Work, workspace_id: UUID, lead_ids: Sequence[UUID]) -> None:
    """Of each kind of which a lead has identities but no primary one, the oldest becomes it."""
    await work.fetch(ELECT, workspace_id=workspace_id, lead_ids=list(lead_ids))


async def release_identities(work: Work, workspace_id: UUID, lead_ids: Sequence[UUID]) -> None:
    """The leads are being deleted: others may have their identities from now on."""
    await work.fetch(RELEASE, workspace_id=workspace_id, lead_ids=list(lead_ids))


async def reclaim_identities(
    work: Work, workspace_id: UUID, lead_ids: Sequence[UUID]
) -> list[tuple[UUID, Identity]]:
    """The leads are coming back, with their identities; those that others have by now, with who wants them: if there
    are any, roll back."""
    rows = await work.fetch(RECLAIM, workspace_id=workspace_id, lead_ids=list(lead_ids))
    await _forget(work, workspace_id, [row["id"] for row in rows if row["id"]])
    same = await work.fetch(SAME_NUMBERS, workspace_id=workspace_id, lead_ids=list(lead_ids))
    return [(row["lead_id"], _identity(row)) for row in [*rows, *same] if not row.get("id")]


async def refresh_contacts(work: Work, workspace_id: UUID, lead_ids: Sequence[UUID]) -> None:
    """What leads, deleted ones too, repeat of their identities: e-mail, phone and handles. No version is bumped."""
    await work.fetch(REFRESH, workspace_id=workspace_id, lead_ids=list(lead_ids))


def _columns(identities: Sequence[Identity]) -> dict[str, object]:
    return {
        "kinds": [one.kind.value for one in identities],
        "values": [one.value for one in identities],
    }


def _identity(row: asyncpg.Record) -> Identity:
    return Identity(IdentityKind(row["kind"]), row["value"])
