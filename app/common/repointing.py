"""Giving a lead's rows to another lead, and exactly back: what each module with a `lead_id` does for a merge.

Whoever reassigns tells what it touched as `Touched`: rows of one table that were changed alike, however many, are one.
A lead of 100,000 entries costs one UPDATE and one line of the journal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work


@dataclass(frozen=True, slots=True)
class Touched:
    """Rows of a table that a merge changed alike; JSON as text, so that nothing is lost on the way back."""

    table: str
    key: str
    """What names the rows: for each key column the list of its values."""
    before: str | None
    """What they were; None: the merge made them."""

    @classmethod
    def of(cls, table: str, rows: Sequence[asyncpg.Record]) -> "list[Touched]":
        """From rows with `key` and `before`."""
        return [cls(table, row["key"], row["before"]) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassignment:
    """One merge as the modules see it; all its leads are locked, in the order of their ids."""

    workspace_id: UUID
    from_ids: Sequence[UUID]
    """In the order in which they fill what the kept lead lacks."""
    to_id: UUID


class Repointed:
    """The rows of a table whose `lead_id` a merge changes, and nothing else of them."""

    def __init__(
        self, table: str, keys: Sequence[tuple[str, str]] = (("id", "uuid"),), *, where: str = ""
    ) -> None:
        """`keys`: the columns that name a row, with their types; `where`: which rows `t` may move."""
        self.table = table
        self._move = Statement(text(_move(table, keys, where)))
        self._give_back = Statement(text(_give_back(table, keys)))

    async def move(self, work: Work, merge: Reassignment) -> list[Touched]:
        rows = await work.fetch(
            self._move, workspace_id=merge.workspace_id, from_ids=list(merge.from_ids), to_id=merge.to_id
        )
        return Touched.of(self.table, rows)

    async def give_back(self, work: Work, merge: Reassignment, touched: Sequence[Touched]) -> None:
        """Those that the kept lead still has."""
        for one in touched:
            if one.table == self.table:
                await work.fetch(
                    self._give_back,
                    workspace_id=merge.workspace_id,
                    to_id=merge.to_id,
                    key=one.key,
                    before=one.before,
                )


def _move(table: str, keys: Sequence[tuple[str, str]], where: str) -> str:
    return f"""
        WITH moved AS (
            UPDATE {table} t SET lead_id = cast(:to_id as uuid)
            WHERE t.workspace_id = cast(:workspace_id as uuid) AND t.lead_id = ANY (cast(:from_ids as uuid[])) {where}
            RETURNING old.lead_id AS lead_id, {", ".join(f"t.{name}" for name, _ in keys)}
        )
        SELECT cast(jsonb_build_object({", ".join(f"'{name}', jsonb_agg({name})" for name, _ in keys)}) as text) AS key,
            cast(jsonb_build_object('lead_id', lead_id) as text) AS before
        FROM moved GROUP BY lead_id ORDER BY lead_id
    """  # noqa: S608 - names of ours


def _give_back(table: str, keys: Sequence[tuple[str, str]]) -> str:
    lists = ", ".join(f"jsonb_array_elements_text(cast(:key as jsonb) -> '{name}')" for name, _ in keys)
    return f"""
        UPDATE {table} t SET lead_id = cast(cast(:before as jsonb) ->> 'lead_id' as uuid)
        FROM ROWS FROM ({lists}) AS k({", ".join(name for name, _ in keys)})
        WHERE t.workspace_id = cast(:workspace_id as uuid) AND t.lead_id = cast(:to_id as uuid)
            AND {" AND ".join(f"t.{name} = cast(k.{name} as {type_})" for name, type_ in keys)}
    """  # noqa: S608 - names of ours
