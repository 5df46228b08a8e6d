"""Implements the port `Contacts`: each of its writes is one statement, so that any number may do it at once."""

from collections.abc import Mapping
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.common.database import Statement
from app.common.domain import Channel
from app.common.work import Reads, Work
from app.leads.domain.contact import SuppressionReason, suppressed_values
from app.leads.domain.identity import Identity, NotAnIdentity, email_identity
from app.leads.domain.lead import Engagement, LeadSource, rank_of
from app.leads.infrastructure.erased import erased_for_good

ATTEMPTS = 5

REACH_OR_ADD = Statement(
    text(
        """
        WITH held AS MATERIALIZED (
            SELECT id FROM stage
            WHERE workspace_id = cast(:workspace_id as uuid) AND NOT EXISTS (
                SELECT FROM lead_identity
                WHERE workspace_id = cast(:workspace_id as uuid) AND kind = 'EMAIL' AND value = :email
                    AND released_at IS NULL
            )
            ORDER BY (kind = 'OPEN') DESC, position, id LIMIT 1 FOR KEY SHARE
        ), fresh AS (
            INSERT INTO lead_identity (workspace_id, lead_id, kind, value, is_primary)
            SELECT cast(:workspace_id as uuid), cast(:lead_id as uuid), 'EMAIL', :email, true FROM held
            ON CONFLICT DO NOTHING RETURNING lead_id
        ), created AS (
            INSERT INTO lead (workspace_id, id, name, email, stage_id, rank, source, handles, score)
            SELECT cast(:workspace_id as uuid), fresh.lead_id, :name, :email, held.id, :rank, :source,
                array[cast(:email as text)], first_score(cast(:workspace_id as uuid), :email, NULL, NULL, NULL, :source)
            FROM fresh, held
            RETURNING id
        )
        SELECT id FROM created
        UNION ALL
        SELECT i.lead_id FROM lead_identity i
        WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.kind = 'EMAIL' AND i.value = :email
            AND i.released_at IS NULL
        """
    )
)
"""The identity decides who makes the lead; its foreign key to the lead is checked at the statement's end.

No row: another transaction won it after this one's snapshot, or deleted the first stage; the next statement sees that.
"""
HOLD_LIVE = Statement(
    text(
        """
        SELECT id FROM lead
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:lead_id as uuid) AND deleted_at IS NULL
        FOR NO KEY UPDATE
        """
    )
)
MERGED_INTO = Statement(
    text(
        """
        SELECT merged_into_id FROM lead
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:lead_id as uuid)
            AND merged_into_id IS NOT NULL
        """
    )
)
TOUCHED = """
UPDATE lead SET last_touch_at = greatest(last_touch_at, now()), engagement = coalesce((
        SELECT m.after FROM unnest(cast(:befores as text[]), cast(:afters as text[])) AS m(before, after)
        WHERE m.before = lead.engagement
    ), engagement)
WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:lead_id as uuid) AND merged_into_id IS NULL
RETURNING old.engagement AS before, new.engagement AS after"""
"""For a statement of another module too, which holds the lead; no row: it was merged away."""
TOUCH = Statement(text(TOUCHED))
IS_NEW_REASON = "excluded.reason <> ALL (string_to_array(s.reason, ', '))"
BOTH_REASONS = "s.reason || ', ' || excluded.reason"
"""Each stays beside those before it: who lifts a bounce reads that the person opted out as well."""
SUPPRESS = Statement(
    text(
        f"""
        INSERT INTO suppression AS s (workspace_id, value, channel, reason)
        VALUES (cast(:workspace_id as uuid), :value, cast(:channel as text), :reason)
        ON CONFLICT ON CONSTRAINT uq_suppression_workspace_id_value_channel
        DO UPDATE SET reason = {BOTH_REASONS} WHERE {IS_NEW_REASON}
        RETURNING id
        """  # noqa: S608 - constants of ours
    )
)
IS_SUPPRESSED = Statement(
    text(
        """
        SELECT EXISTS (
            SELECT FROM suppression
            WHERE workspace_id = cast(:workspace_id as uuid)
                AND (value = ANY (cast(:values as text[])) OR lead_id = cast(:lead_id as uuid))
                AND (channel IS NULL OR channel = cast(:channel as text))
        ) AS is_suppressed
        """
    )
)
# Only what the person's own link wrote, and nobody else has a reason for: what a member set, a bounce or a complaint
# stays.
TAKE_BACK_S = 3600
OWN_OPT_OUT = f"""
    FROM suppression
    WHERE workspace_id = cast(:workspace_id as uuid) AND value = cast(:value as text)
        AND channel = cast(:channel as text) AND lead_id IS NULL AND created_by IS NULL
        AND reason = '{SuppressionReason.OPT_OUT}' AND created_at > now() - interval '{TAKE_BACK_S} seconds'
"""
MAY_TAKE_BACK = Statement(text(f"SELECT EXISTS (SELECT {OWN_OPT_OUT}) AS may"))
TAKE_BACK = Statement(text(f"DELETE {OWN_OPT_OUT} RETURNING id"))


class ContactRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def reach_or_add(
        self, workspace_id: UUID, new_id: UUID, *, email: str, name: str, source: LeadSource
    ) -> UUID:
        for _ in range(ATTEMPTS):
            row = await self._work.fetch_one(
                REACH_OR_ADD,
                workspace_id=workspace_id,
                lead_id=new_id,
                email=email,
                name=name,
                rank=rank_of(new_id),
                source=source.value,
            )
            if row is not None and (row["id"] == new_id or await self._hold(workspace_id, row["id"])):
                lead_id: UUID = row["id"]
                return lead_id
        raise RuntimeError("An identity is taken, and nobody has it; or there is no stage.")

    async def _hold(self, workspace_id: UUID, lead_id: UUID) -> bool:
        """Until the commit; False: it was deleted or merged away since it was found."""
        return bool(await self._work.fetch(HOLD_LIVE, workspace_id=workspace_id, lead_id=lead_id))

    async def touch(
        self, workspace_id: UUID, lead_id: UUID, moves: Mapping[Engagement, Engagement]
    ) -> tuple[UUID, Engagement, Engagement] | None:
        row = await self._touch(workspace_id, lead_id, moves)
        while row is None:
            merged = await self._work.fetch_one(MERGED_INTO, workspace_id=workspace_id, lead_id=lead_id)
            if merged is None:
                return None
            lead_id = merged["merged_into_id"]
            row = await self._touch(workspace_id, lead_id, moves)
        if row["before"] == row["after"]:
            return None
        return lead_id, Engagement(row["before"]), Engagement(row["after"])

    async def _touch(
        self, workspace_id: UUID, lead_id: UUID, moves: Mapping[Engagement, Engagement]
    ) -> asyncpg.Record | None:
        return await self._work.fetch_one(
            TOUCH,
            workspace_id=workspace_id,
            lead_id=lead_id,
            befores=[one.value for one in moves],
            afters=[one.value for one in moves.values()],
        )

    async def suppress(
        self, workspace_id: UUID, *, value: str, channel: Channel | None, reason: SuppressionReason
    ) -> bool:
        identity = _email(value)
        if identity is not None and await erased_for_good(self._work, workspace_id, identity):
            return False
        rows = await self._work.fetch(
            SUPPRESS, workspace_id=workspace_id, value=value, channel=channel, reason=reason.value
        )
        return bool(rows)


def _email(value: str) -> Identity | None:
    """None: it is a domain."""
    try:
        return email_identity(value)
    except NotAnIdentity:
        return None


async def is_suppressed(
    reads: Reads, workspace_id: UUID, address: str, channel: Channel, *, lead_id: UUID | None = None
) -> bool:
    """Whether nothing is to be sent there: the address, its domain (a parent domain says nothing of it) or the person,
    on this channel or on all."""
    row = await reads.fetch_one(
        IS_SUPPRESSED,
        workspace_id=workspace_id,
        values=list(suppressed_values(address)),
        lead_id=lead_id,
        channel=channel,
    )
    return bool(row and row["is_suppressed"])


async def may_take_back(reads: Reads, workspace_id: UUID, address: str, channel: Channel) -> bool:
    """Whether the person opted out by a link of theirs, within the last hour."""
    row = await reads.fetch_one(MAY_TAKE_BACK, workspace_id=workspace_id, value=address, channel=channel)
    return bool(row and row["may"])


async def take_back_opt_out(work: Work, workspace_id: UUID, address: str, channel: Channel) -> bool:
    """It was a mistake, says who did it; False: there is nothing to take back."""
    return bool(await work.fetch(TAKE_BACK, workspace_id=workspace_id, value=address, channel=channel))
