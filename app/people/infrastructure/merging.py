"""Implements the port `Merges`: asks each module in turn, and keeps the journal of what they touched.

Locks are taken in one order, which all who write about leads keep: bulk sends that still look for somebody, live runs
of automations, the leads by id, their conversations by id, the rest. Whoever else writes about one of the leads waits
for its row, and finds it merged; a bulk send takes leads in without, and of one origin the ledger has a lead once.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import text

from app.automations.wiring import give_back_runs, hold_runs, reassign_runs
from app.common.database import Statement
from app.common.domain import EVENT_IDS_MAX, ActorKind
from app.common.repointing import Reassignment, Touched
from app.common.work import Work
from app.conversations.domain.events import ConversationUpdated
from app.conversations.wiring import give_back_conversations, reassign_conversations
from app.imports.wiring import give_back_imports, reassign_imports
from app.leads.domain.timeline import Entry, InteractionType
from app.leads.wiring import follow_conversations, give_back_leads, hold_leads, reassign_leads, timeline
from app.outreach.wiring import hold_bulk_sends
from app.people.domain.merge import AskedMerge, Merge, cause_of

ADD = Statement(
    text(
        """
        INSERT INTO merge (workspace_id, id, kept_id, merged_ids, created_by)
        VALUES (cast(:workspace_id as uuid), cast(:id as uuid), cast(:kept_id as uuid),
            cast(:merged_ids as uuid[]), cast(:created_by as uuid))
        """
    )
)
KEEP_JOURNAL = Statement(
    text(
        """
        INSERT INTO merge_journal (workspace_id, merge_id, n, table_name, before, key)
        SELECT cast(:workspace_id as uuid), cast(:merge_id as uuid), t.n, t.table_name, cast(t.before as jsonb),
            cast(t.key as jsonb)
        FROM unnest(cast(:tables as text[]), cast(:befores as text[]), cast(:keys as text[]))
            WITH ORDINALITY AS t(table_name, before, key, n)
        """
    )
)
LEADS_OF = Statement(
    text(
        """
        SELECT kept_id, merged_ids FROM merge
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
        """
    )
)
# What came after it: of the kept lead itself, or the merge that took it away, which is the newest of that lead's.
HOLD = Statement(
    text(
        """
        SELECT m.kept_id, m.merged_ids, m.created_at, m.undone_at IS NOT NULL AS is_undone, (
            SELECT later.id FROM merge later
            WHERE later.workspace_id = m.workspace_id AND later.undone_at IS NULL AND later.id > m.id
                AND later.kept_id IN (m.kept_id, cast(:into_id as uuid))
                AND (later.kept_id = m.kept_id OR m.kept_id = ANY (later.merged_ids))
            ORDER BY (later.kept_id = m.kept_id), later.id DESC LIMIT 1
        ) AS next_id
        FROM merge m
        WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = cast(:id as uuid)
        FOR NO KEY UPDATE OF m
        """
    )
)
JOURNAL = Statement(
    text(
        """
        SELECT table_name, cast(before as text) AS before, cast(key as text) AS key FROM merge_journal
        WHERE workspace_id = cast(:workspace_id as uuid) AND merge_id = cast(:merge_id as uuid) ORDER BY n DESC
        """
    )
)
END = Statement(
    text(
        """
        WITH ended AS (
            UPDATE merge SET undone_at = now()
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:merge_id as uuid)
            RETURNING created_at
        ), forgotten AS (
            DELETE FROM merge_journal
            WHERE workspace_id = cast(:workspace_id as uuid) AND merge_id = cast(:merge_id as uuid)
        )
        SELECT created_at FROM ended
        """
    )
)


class MergeRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def hold_live(self, workspace_id: UUID, lead_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        await hold_bulk_sends(self._work, workspace_id)
        await hold_runs(self._work, workspace_id, lead_ids)
        held = await hold_leads(self._work, workspace_id, lead_ids)
        return {id: lead.name for id, lead in held.items() if lead.is_live}

    async def merge(
        self, workspace_id: UUID, merge_id: UUID, asked: AskedMerge, *, user_id: UUID
    ) -> Sequence[str]:
        merge = Reassignment(workspace_id=workspace_id, from_ids=asked.merge_ids, to_id=asked.keep_id)
        conversations, moved = await reassign_conversations(self._work, merge)
        leads, filled = await reassign_leads(self._work, merge)
        await self._work.fetch(
            ADD,
            workspace_id=workspace_id,
            id=merge_id,
            kept_id=asked.keep_id,
            merged_ids=list(asked.merge_ids),
            created_by=user_id,
        )
        imports = await reassign_imports(self._work, merge)
        runs = await reassign_runs(self._work, merge)
        await self._keep_journal(workspace_id, merge_id, [*conversations, *leads, *imports, *runs])
        self._tell(moved, asked.keep_id)
        return filled

    async def _keep_journal(self, workspace_id: UUID, merge_id: UUID, touched: Sequence[Touched]) -> None:
        await self._work.fetch(
            KEEP_JOURNAL,
            workspace_id=workspace_id,
            merge_id=merge_id,
            tables=[one.table for one in touched],
            befores=[one.before for one in touched],
            keys=[one.key for one in touched],
        )

    async def record(
        self, workspace_id: UUID, merge_id: UUID, kept_id: UUID, names: Sequence[str], *, user_id: UUID
    ) -> None:
        entries = [
            Entry(
                lead_id=kept_id,
                type=InteractionType.MERGED,
                actor_kind=ActorKind.HUMAN,
                actor_id=user_id,
                content=name,
                cause=cause_of(merge_id),
            )
            for name in names
        ]
        await timeline(self._work, workspace_id).record(entries)

    async def hold_merge(
        self, workspace_id: UUID, merge_id: UUID
    ) -> tuple[Merge, Mapping[UUID, bool]] | None:
        """The runs and the leads first, as everybody does: which leads they are never changes."""
        found = await self._work.fetch_one(LEADS_OF, workspace_id=workspace_id, id=merge_id)
        if found is None:
            return None
        lead_ids = [found["kept_id"], *found["merged_ids"]]
        await hold_runs(self._work, workspace_id, lead_ids)
        leads = await hold_leads(self._work, workspace_id, lead_ids)
        kept = leads.get(found["kept_id"])
        row = await self._work.fetch_one(
            HOLD, workspace_id=workspace_id, id=merge_id, into_id=kept.merged_into_id if kept else None
        )
        if row is None:
            return None
        merge = Merge(
            id=merge_id,
            kept_id=row["kept_id"],
            merged_ids=row["merged_ids"],
            is_undone=row["is_undone"],
            next_id=row["next_id"],
        )
        return merge, {id: lead.is_live for id, lead in leads.items()}

    async def undo(self, workspace_id: UUID, merge: Merge) -> None:
        rows = await self._work.fetch(JOURNAL, workspace_id=workspace_id, merge_id=merge.id)
        touched = [Touched(row["table_name"], row["key"], row["before"]) for row in rows]
        ended = await self._work.fetch_one(END, workspace_id=workspace_id, merge_id=merge.id)
        assert ended is not None, "the merge is locked"
        back = Reassignment(workspace_id=workspace_id, from_ids=merge.merged_ids, to_id=merge.kept_id)
        # An identity goes back first: a conversation that was started since goes where its address is.
        await give_back_leads(self._work, back, touched, cause=cause_of(merge.id))
        moved = await give_back_conversations(self._work, back, touched, since=ended["created_at"])
        await follow_conversations(self._work, back, moved, since=ended["created_at"])
        await give_back_imports(self._work, back, touched)
        await give_back_runs(self._work, back, touched, since=ended["created_at"])
        for lead_id in merge.merged_ids:
            self._tell([id for id, of in moved.items() if of == lead_id], lead_id)

    def _tell(self, conversation_ids: Sequence[UUID], lead_id: UUID) -> None:
        for start in range(0, len(conversation_ids), EVENT_IDS_MAX):
            self._work.announce(
                ConversationUpdated(
                    entity_ids=conversation_ids[start : start + EVENT_IDS_MAX],
                    changed=["lead"],
                    after={"leadId": str(lead_id)},
                )
            )
