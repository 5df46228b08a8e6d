"""A batch's recipients as rows of the ledger: who may be one, taken in by chunks, and counted."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Text, Uuid, bindparam, text

from app.common.database import Statement
from app.common.domain import Channel
from app.common.work import Reads, Work
from app.conversations.domain.audience import BULK_SEND, Added, ExclusionReason, Tally
from app.conversations.infrastructure.policy import REFUSAL
from app.leads.wiring import zone_of_phone
from app.templates.wiring import MISSING, VALUE_JOINS

TURN = 100
ADDRESSES = {Channel.EMAIL: "l.email"}
"""Where the lead `l` is reached, by the account's channel."""
ADDRESS = (
    "CASE a.channel " + " ".join(f"WHEN '{channel}' THEN {of}" for channel, of in ADDRESSES.items()) + " END"
)
LACKS = " OR ".join(f"('{name}' = ANY (:required) AND {lacks})" for name, lacks in MISSING.items())
EXCLUDED = f"""
CASE
    WHEN {ADDRESS} IS NULL THEN '{ExclusionReason.NO_ADDRESS}'
    WHEN ({REFUSAL.format(c_address=ADDRESS)}) NOT LIKE 'ACCOUNT%' THEN '{ExclusionReason.SUPPRESSED}'
    WHEN {LACKS} THEN '{ExclusionReason.MISSING_VARIABLE}'
END"""
"""Why a live lead is no recipient; NULL: it is one. Of the policy only what is about the person counts: an account's
trouble passes, and the batch waits for that."""
AROUND = f"""
    JOIN channel_account a ON a.workspace_id = l.workspace_id AND a.id = cast(:account_id as uuid)
    JOIN workspace w ON w.id = l.workspace_id
    {VALUE_JOINS}
"""
BATCH = Statement(
    text(
        """
        SELECT b.account_id, v.required
        FROM send_batch b JOIN template_version v ON (v.workspace_id, v.id) = (b.workspace_id, b.template_version_id)
        WHERE b.workspace_id = cast(:workspace_id as uuid) AND b.id = cast(:id as uuid)
        """
    )
)
# As the ledger's foreign key does, it only keeps them from being erased meanwhile: who changes a lead goes on, and what
# is changed so is seen by the intent, which asks everything again.
JUDGE = Statement(
    text(
        f"""
        SELECT l.id, l.time_zone, l.phone, {EXCLUDED} AS excluded
        FROM lead l {AROUND}
        WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = ANY (:lead_ids) AND l.deleted_at IS NULL
        ORDER BY l.id
        FOR KEY SHARE OF l
        """  # noqa: S608 - constants of ours
    ).bindparams(bindparam("lead_ids", type_=ARRAY(Uuid)), bindparam("required", type_=ARRAY(Text)))
)
ADD = Statement(
    text(
        """
        INSERT INTO delivery (workspace_id, status, run_at, origin_kind, origin_id, send_batch_id, account_id, lead_id,
            time_zone)
        SELECT cast(:workspace_id as uuid), 'queued', now(), cast(:origin_kind as text), cast(:origin_id as uuid),
            cast(:batch_id as uuid), cast(:account_id as uuid), r.lead_id, r.time_zone
        FROM unnest(cast(:lead_ids as uuid[]), cast(:zones as text[])) WITH ORDINALITY AS r(lead_id, time_zone, n)
        ORDER BY r.n
        ON CONFLICT ON CONSTRAINT uq_delivery_origin DO NOTHING
        RETURNING id
        """
    )
)
TALLIES = Statement(
    text(
        """
        SELECT send_batch_id,
            count(*) FILTER (WHERE status IN ('queued', 'claimed', 'sending')) AS queued,
            count(*) FILTER (WHERE status = 'sent') AS sent,
            count(*) FILTER (WHERE status = 'failed') AS failed,
            count(*) FILTER (WHERE status = 'unknown') AS unknown,
            count(*) FILTER (WHERE status = 'canceled') AS canceled,
            count(*) FILTER (WHERE has_replied) AS replied,
            count(*) FILTER (WHERE has_bounced) AS bounced,
            count(*) FILTER (WHERE has_complained) AS complained
        FROM delivery
        WHERE workspace_id = cast(:workspace_id as uuid) AND send_batch_id = ANY (:batch_ids)
            AND send_batch_id IS NOT NULL -- as the index says: of a list that might be empty nothing follows
        GROUP BY send_batch_id
        """
    ).bindparams(bindparam("batch_ids", type_=ARRAY(Uuid)))
)


async def add_recipients(
    work: Work, workspace_id: UUID, batch_id: UUID, lead_ids: Sequence[UUID], *, origin_id: UUID
) -> Added:
    """Of these leads, those that may be written to become the batch's recipients; `origin_id` is the bulk send's.

    Deleted ones are none of its audience. Once more changes nothing, and counts those that were left out again.
    """
    batch = await work.fetch_one(BATCH, workspace_id=workspace_id, id=batch_id)
    assert batch is not None
    judged = await work.fetch(
        JUDGE,
        workspace_id=workspace_id,
        account_id=batch["account_id"],
        required=batch["required"],
        lead_ids=list(lead_ids),
    )
    eligible = [row for row in judged if row["excluded"] is None]
    added = await work.fetch(
        ADD,
        workspace_id=workspace_id,
        origin_kind=BULK_SEND,
        origin_id=origin_id,
        batch_id=batch_id,
        account_id=batch["account_id"],
        lead_ids=[row["id"] for row in eligible],
        zones=await _zones(eligible),
    )
    excluded = Counter(ExclusionReason(row["excluded"]) for row in judged if row["excluded"] is not None)
    return Added(len(added), excluded)


async def _zones(leads: Sequence[asyncpg.Record]) -> list[str | None]:
    """As the policy asks for each; thousands take a while, in which others have their turn."""
    zones = []
    for n, row in enumerate(leads):
        zones.append(row["time_zone"] or zone_of_phone(row["phone"]))
        if n % TURN == 0:
            await asyncio.sleep(0)
    return zones


async def tallies(reads: Reads, workspace_id: UUID, batch_ids: Sequence[UUID]) -> dict[UUID, Tally]:
    """Of many batches, in one statement; one that nobody is in yet has an empty one."""
    rows = await reads.fetch(TALLIES, workspace_id=workspace_id, batch_ids=list(batch_ids))
    found = {row["send_batch_id"]: Tally(**dict(list(row.items())[1:])) for row in rows}
    return {id: found.get(id) or Tally() for id in batch_ids}
