"""Imports of files without an API: rows in a database that only the test's own engine works on."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import text

from app.common.domain import Actor, ClientKind, Role
from app.common.leases import Claim
from app.common.work import Doors
from app.files.wiring import file_store
from app.imports.wiring import Engine, file_import_use_cases, import_jobs
from app.settings import Settings
from tests.fixtures.doors import new_workspace

STAGE = text(
    "INSERT INTO stage (workspace_id, name, kind, position) VALUES (:workspace_id, 'New', 'OPEN', 0) RETURNING id"
)
FILE = text(
    "INSERT INTO file (workspace_id, id, name, stored_at, used_at) VALUES (:workspace_id, :id, 'a.csv', now(), now())"
)
JOB = text(
    """
    INSERT INTO import_job (workspace_id, id, status, phase, source, policy, tag_ids, file_id, file_name, mapping,
        is_dry_run)
    VALUES (:workspace_id, :id, 'QUEUED', 'ANALYZE', 'CSV', :policy, '{}', :file_id, 'a.csv',
        cast(:mapping as jsonb), :is_dry_run)
    """
)
WAITING = text(
    """
    INSERT INTO import_job (workspace_id, id, status, phase, source, policy, tag_ids)
    VALUES (:workspace_id, :id, 'QUEUED', 'RUN', 'CSV', 'UPSERT', '{}')
    """
)
NOT_WAITING = text("DELETE FROM import_job WHERE id = :id")
STATE = text("SELECT * FROM import_job WHERE id = :id")
ROWS = text(
    "SELECT row, outcome, code, field, lead_id, payload FROM import_row WHERE import_id = :id ORDER BY row"
)


@dataclass
class ImportDesk:
    doors: Doors
    settings: Settings
    workspace_id: UUID
    engine: Engine = field(default_factory=Engine)

    @classmethod
    async def open(cls, doors: Doors, settings: Settings) -> "ImportDesk":
        workspace_id = await new_workspace(doors)
        desk = cls(doors, settings, workspace_id)
        await desk.execute(STAGE, workspace_id=workspace_id)
        return desk

    async def execute(self, statement: Any, **values: object) -> Any:
        async with self.doors.open_system() as system:
            found = await system.execute(statement, values)
            return found.mappings().all() if found.returns_rows else None

    async def start(
        self,
        content: bytes,
        *,
        policy: str = "UPSERT",
        mapping: Sequence[tuple[str, str]] | None = None,
        is_dry_run: bool = False,
    ) -> UUID:
        """As `startCsvImport` leaves it."""
        id, file_id = uuid4(), uuid4()
        file_store(self.settings).write(self.workspace_id, file_id, content)
        given = [{"column": column, "field": name} for column, name in mapping or ()]
        await self.execute(FILE, workspace_id=self.workspace_id, id=file_id)
        await self.execute(
            JOB,
            workspace_id=self.workspace_id,
            id=id,
            file_id=file_id,
            policy=policy,
            mapping=orjson.dumps(given).decode() if given else None,
            is_dry_run=is_dry_run,
        )
        return id

    async def claim(self) -> Claim | None:
        async with self.doors.open_system() as system:
            claims = await import_jobs.claim(system, lease_s=self.settings.import_lease_s)
        return claims[0] if claims else None

    async def turn(self, is_stopping: Callable[[], bool] = lambda: False) -> UUID | None:
        """One turn of whichever import is next; None: none is due."""
        claim = await self.claim()
        if claim is None:
            return None
        if not await self.run(claim, is_stopping):
            async with self.doors.open_system() as system:
                await import_jobs.retry_later(system, claim, error="", wait_s=0)
        return claim.id

    async def run(self, claim: Claim, is_stopping: Callable[[], bool] = lambda: False) -> bool:
        """One turn, with another import waiting for its end."""
        other = uuid4()
        await self.execute(WAITING, workspace_id=self.workspace_id, id=other)
        try:
            return await self.engine.run(self.doors, self.settings, claim, is_stopping)
        finally:
            await self.execute(NOT_WAITING, id=other)

    async def finish(self) -> list[UUID]:
        """Until nothing is due; whose turns they were."""
        turns = []
        while id := await self.turn():
            turns.append(id)
        return turns

    async def steer(self, move: str, id: UUID) -> Any:
        """pause, resume, cancel or undo, as a member does; of cancel the file that was let go of."""
        actor = Actor(self.workspace_id, id, Role.MEMBER, ClientKind.WEB, id, 0.0)
        async with self.doors.open_work(self.workspace_id) as work:
            hands = file_import_use_cases(work, actor, self.settings)
            return await getattr(hands, f"{move}_import")(id)

    async def state(self, id: UUID) -> Any:
        """The row; what is JSON is read."""
        (row,) = await self.execute(STATE, id=id)
        return {
            name: orjson.loads(orjson.dumps(value)) if isinstance(value, orjson.Fragment) else value
            for name, value in row.items()
        }

    async def rows(self, id: UUID) -> Any:
        return [
            {**row, "payload": orjson.loads(orjson.dumps(row["payload"])) if row["payload"] else None}
            for row in await self.execute(ROWS, id=id)
        ]

    async def count(self, table: str) -> int:
        found = await self.execute(
            text(f"SELECT count(*) AS n FROM {table} WHERE workspace_id = :workspace_id"),
            workspace_id=self.workspace_id,
        )
        return int(found[0]["n"])

    async def check(self, id: UUID) -> Counter[str]:
        """Each row has one outcome, and all of them add up."""
        state, rows = await self.state(id), await self.rows(id)
        counts = Counter(row["outcome"] for row in rows)
        assert [row["row"] for row in rows] == list(range(1, len(rows) + 1))
        assert {name: n for name, n in state["counts"].items() if n} == counts
        assert state["processed_rows"] == len(rows)
        return counts

    def path(self, file_id: UUID) -> Any:
        return file_store(self.settings).path(self.workspace_id, file_id)
