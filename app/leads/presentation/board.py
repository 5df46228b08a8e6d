"""The board: its columns with a page each, moving a lead over it, and the way a lead took."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
import strawberry

from app.accounts.presentation.types import User
from app.common.domain import ActorKind, Role
from app.common.feed.cursor import encode_cursor
from app.common.graphql import (
    NO_ID,
    After,
    Context,
    First,
    Info,
    bad_user_input,
    mutation,
    nested,
    page_info,
    page_size,
    parse_id,
    query,
    selects,
    user_error,
)
from app.common.paging import Keyset
from app.leads.domain.board import AfterLeadElsewhere, AfterLeadNotFound
from app.leads.domain.errors import LeadStale
from app.leads.presentation.queries import load_leads
from app.leads.presentation.types import (
    Lead,
    LeadConnection,
    LeadEdge,
    LeadFilter,
    LeadPayload,
    Stage,
    lead_conditions,
)
from app.leads.wiring import (
    ColumnPage,
    LeadConditions,
    WantedColumn,
    board_use_cases,
    column_counts,
    column_pages,
    list_stages,
    stage_changes_of,
)
from app.tags.presentation.types import Tag, tag_map

BOARD = "board"
MAX_CARDS = 5_000
"""Of one answer's columns together."""
MAX_CHANGES = 10_000
"""Of one answer's leads together."""


@dataclass(frozen=True)
class Wanted:
    """What one column of one board asks for; the board's columns share its conditions."""

    conditions: LeadConditions
    column: WantedColumn


@strawberry.type(description="A stage's leads on the board.")
class BoardColumn:
    stage: Stage = strawberry.field(description="The stage.")
    conditions: strawberry.Private[LeadConditions]

    @nested(description="How many of them match; null beyond 10,000.")
    async def total_count(self, info: Info) -> int | None:
        key = self.conditions, UUID(self.stage.id)
        count: int | None = await info.context.loader("column_counts").load(key)
        return count

    @nested(
        description="Its leads from the top, a page at a time; for one column's next page filter by its stage."
    )
    async def leads(self, info: Info, first: First = 50, after: After = None) -> LeadConnection:
        start = Keyset.decode(BOARD, after, str) if after is not None else Keyset("", NO_ID)
        column = WantedColumn(
            UUID(self.stage.id),
            page_size(first),
            start.at,
            start.id,
            with_identities=selects(info, "edges", "node", "identities"),
        )
        found, tags = await info.context.loader("columns").load(Wanted(self.conditions, column))
        count = await BoardColumn.total_count(self, info) if selects(info, "totalCount") else None
        return _connection(info, found, tags, after=after, count=count)


def _connection(
    info: Info, found: ColumnPage, tags: dict[str, Tag], *, after: str | None, count: int | None
) -> LeadConnection:
    cursors = [Keyset(row["rank"], row["key"]).encode(BOARD) for row in found.page.rows]
    return LeadConnection(
        edges=[
            LeadEdge(cursor=cursor, node=Lead.of(row, tags))
            for cursor, row in zip(cursors, found.page.rows, strict=True)
        ],
        page_info=page_info(found.page, cursors, after=after),
        total_count=count,
        feed_cursor=encode_cursor(info.context.signed_in.workspace_id, found.feed_seq),
    )


async def load_columns(context: Context, keys: list[Wanted]) -> list[tuple[ColumnPage, dict[str, Tag]]]:
    """All columns of a board by one statement. Raises the top-level BAD_USER_INPUT for more than an answer holds."""
    if sum(one.column.first for one in keys) > MAX_CARDS:
        raise bad_user_input(
            f"This asks for more than {MAX_CARDS:,} leads at once: take less of each column."
        )
    workspace_id = context.signed_in.workspace_id
    pages: dict[int, ColumnPage] = {}
    async with context.doors.open_reads(workspace_id) as reads:
        for positions in _by_board([one.conditions for one in keys]):
            wanted = [keys[position].column for position in positions]
            found = await column_pages(reads, workspace_id, keys[positions[0]].conditions, wanted)
            pages |= dict(zip(positions, found, strict=True))
        rows = [row for page in pages.values() for row in page.page.rows]
        tags = await tag_map(reads, workspace_id, rows)
    return [(pages[position], tags) for position in range(len(keys))]


async def load_column_counts(context: Context, keys: list[tuple[LeadConditions, UUID]]) -> list[int | None]:
    """All columns of a board by one statement."""
    workspace_id = context.signed_in.workspace_id
    counts: dict[int, int | None] = {}
    async with context.doors.open_reads(workspace_id) as reads:
        for positions in _by_board([conditions for conditions, _ in keys]):
            stage_ids = [keys[position][1] for position in positions]
            found = await column_counts(reads, workspace_id, keys[positions[0]][0], stage_ids)
            counts |= dict(zip(positions, found, strict=True))
    return [counts[position] for position in range(len(keys))]


def _by_board(conditions: Sequence[LeadConditions]) -> list[list[int]]:
    """The positions of each board's columns: those that share one object of conditions."""
    boards: dict[int, list[int]] = {}
    for position, one in enumerate(conditions):
        boards.setdefault(id(one), []).append(position)
    return list(boards.values())


@strawberry.type(description="One move of a lead from a stage to another.")
class StageChange:
    id: strawberry.ID = strawberry.field(description="Its id.")
    from_stage_id: strawberry.ID = strawberry.field(description="The stage it left; deleted since, perhaps.")
    from_name: str = strawberry.field(description="What that was called then.")
    to_stage_id: strawberry.ID = strawberry.field(description="Where it went; deleted since, perhaps.")
    to_name: str = strawberry.field(description="What that was called then.")
    entered_at: datetime = strawberry.field(description="When it had come into the stage it left.")
    left_at: datetime = strawberry.field(description="When it left.")
    actor: User | None = strawberry.field(description="The member who moved it.")
    actor_kind: ActorKind = strawberry.field(description="Who moved it.")
    cause: str | None = strawberry.field(description="What else moved it.")
    lost_reason: str | None = strawberry.field(description="Why it was lost, if somebody said so.")

    @classmethod
    def of(cls, row: asyncpg.Record) -> "StageChange":
        plain = ("from_name", "to_name", "entered_at", "left_at", "cause", "lost_reason")
        actor = (
            User(
                id=row["actor_id"],
                name=row["actor_name"],
                email=row["actor_email"],
                locale=row["actor_locale"],
            )
            if row["actor_id"]
            else None
        )
        return cls(
            id=row["id"],
            from_stage_id=row["from_stage_id"],
            to_stage_id=row["to_stage_id"],
            actor=actor,
            actor_kind=ActorKind(row["actor_kind"]),
            **{name: row[name] for name in plain},
        )


async def load_stage_changes(context: Context, keys: list[tuple[UUID, int]]) -> list[list[StageChange]]:
    """Batches `Lead.stageChanges`. Raises the top-level BAD_USER_INPUT for more than one answer should hold."""
    if sum(first for _, first in keys) > MAX_CHANGES:
        raise bad_user_input(
            f"This asks for more than {MAX_CHANGES:,} stage changes at once: take less leads."
        )
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        found = await stage_changes_of(reads, workspace_id, keys)
    return [[StageChange.of(row) for row in rows] for rows in found]


@strawberry.type
class BoardQuery:
    @query(
        requires=Role.VIEWER,
        description="The board: a column for each stage (of the filter's, where it names "
        "some), in the stages' order.",
    )
    async def board(
        self,
        info: Info,
        filter: Annotated[
            LeadFilter | None, strawberry.argument(description="Which leads; null: all.")
        ] = None,
    ) -> list[BoardColumn]:
        workspace_id, conditions = info.context.signed_in.workspace_id, lead_conditions(filter)
        async with info.context.doors.open_reads(workspace_id) as reads:
            rows = await list_stages(reads, workspace_id)
        asked = conditions.stage_ids
        return [
            BoardColumn(stage=Stage.of(row), conditions=conditions)
            for row in rows
            if asked is None or UUID(row["id"]) in asked
        ]


@strawberry.input(description="Where to move a lead.")
class MoveLeadInput:
    id: strawberry.ID = strawberry.field(description="The lead.")
    stage_id: strawberry.ID = strawberry.field(description="Its stage from now on, or its own.")
    after_lead_id: strawberry.ID | None = strawberry.field(
        description="The lead of that stage to put it after; null: at the top.", default=None
    )
    version: int | None = strawberry.field(
        description="The version that the lead has on your screen: somebody else's change makes it a CONFLICT, with "
        "the lead as it is now. Left out: moved whatever it is now.",
        default=None,
    )
    lost_reason: str | None = strawberry.field(
        description="Why it is lost, up to 200 characters: goes with a stage of lost leads only.",
        default=None,
    )


@strawberry.type
class BoardMutation:
    @mutation(requires=Role.MEMBER, description="Moves a lead: to another stage, or within its own.")
    async def move_lead(self, info: Info, input: MoveLeadInput) -> LeadPayload:
        actor = info.context.signed_in
        after = input.after_lead_id
        try:
            async with info.context.doors.open_work(actor.workspace_id, actor) as work:
                lead_id = await board_use_cases(work, actor).move_lead(
                    parse_id(input.id) or NO_ID,
                    parse_id(input.stage_id) or NO_ID,
                    after_lead_id=(parse_id(after) or NO_ID) if after is not None else None,
                    version=input.version,
                    lost_reason=input.lost_reason,
                )
        except (LeadStale, AfterLeadElsewhere, AfterLeadNotFound) as refusal:
            fresh = await load_leads(info.context, [refusal.lead_id])
            return LeadPayload(lead=fresh[0], errors=[user_error(refusal)])
        return LeadPayload(lead=(await load_leads(info.context, [lead_id]))[0])
