"""Implements the ports `Moves` and `Uploads`: what members do with the row of an import, and the end of those that
nobody comes back to.

A move takes the token away: a worker that has it in hand writes nothing more (LostLease).
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import text

from app.common.database import Statement
from app.common.domain import Actor
from app.common.work import Work
from app.files.domain.uploads import StoredFile
from app.files.wiring import let_go, read_upload, take_upload
from app.imports.domain.errors import UNDO_DAYS
from app.imports.domain.failing import Failure, why
from app.imports.domain.imports import ImportStatus, Phase, progressed, shown_status
from app.imports.domain.mapping import ColumnMapping, LeadField
from app.imports.domain.starting import FileRequest, HeldImport
from app.imports.infrastructure.mappings import remember_mapping
from app.imports.infrastructure.rows import drop_waiting
from app.leads.domain.lead import LeadSource
from app.leads.wiring import LeadRepository
from app.settings import Settings

WHERE_GIVEN = "uploadToken"
ADD = Statement(
    text(
        """
        INSERT INTO import_job
            (workspace_id, id, status, phase, source, file_id, file_name, mapping, policy, owner_id, tag_ids,
             created_by, basis, is_dry_run)
        VALUES (cast(:workspace_id as uuid), cast(:id as uuid), 'QUEUED', 'ANALYZE', :source, cast(:file_id as uuid),
            cast(:file_name as text), cast(:mapping as jsonb), :policy, cast(:owner_id as uuid),
            cast(:tag_ids as uuid[]), cast(:created_by as uuid), cast(:basis as text), cast(:is_dry_run as boolean))
        """
    )
)
HELD = """
    SELECT id, status, phase, file_id, columns, suggested::text AS suggested, mapping::text AS mapping,
        processed_rows, counts::text AS counts,
        coalesce(ran_until > now() - cast(:undo_days as float) * interval '1 day', false) AS is_fresh
    FROM import_job WHERE workspace_id = cast(:workspace_id as uuid) AND {} = cast(:key as uuid)
    FOR NO KEY UPDATE
    """
HOLD, HOLD_OF_FILE = Statement(text(HELD.format("id"))), Statement(text(HELD.format("file_id")))


MOVE = """
    UPDATE import_job SET <changes>
    WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
    """


def _move(changes: str) -> Statement:
    return Statement(text(MOVE.replace("<changes>", changes)))


FREE = "token = NULL, lease_until = NULL"
AGAIN = f"status = 'QUEUED', run_at = now(), attempt = 0, error = NULL, {FREE}"
GO_ON = _move(
    f"""
    {AGAIN}, phase = cast(:phase as text), mapping = cast(:mapping as jsonb), policy = cast(:policy as text),
    owner_id = cast(:owner_id as uuid), tag_ids = cast(:tag_ids as uuid[]), basis = cast(:basis as text),
    is_dry_run = cast(:is_dry_run as boolean), next_row = 1,
    next_offset = cast(dialect->>'data_offset' as bigint), processed_rows = 0, counts = '{{}}',
    started_at = NULL, progress_at = NULL,
    dry_run_counts = CASE WHEN cast(:is_dry_run as boolean) THEN NULL ELSE dry_run_counts END
    """
)
PAUSE = _move(f"status = 'PAUSED', paused_at = now(), {FREE}")
# Its speed is that of the time in which it ran.
RESUME = _move(f"{AGAIN}, started_at = started_at + (now() - paused_at), paused_at = NULL")
# A pause before it is none either; and only what wrote something can be undone.
ENDED = f"""
    finished_at = now(), preview = NULL, file_id = NULL, paused_at = NULL, {FREE},
    started_at = started_at + (now() - coalesce(paused_at, now())),
    ran_until = coalesce(ran_until, CASE WHEN phase = 'RUN' AND processed_rows > 0 THEN now() END)
"""
CANCEL = _move(f"status = 'CANCELED', error = NULL, {ENDED}")
# One that failed half-way goes on where it was: what was taken back is so.
UNDO = _move(f"{AGAIN}, phase = 'UNDO', kept_on_undo = coalesce(kept_on_undo, 0), finished_at = NULL")
PAUSED_DAYS = 7
EXPIRE = Statement(
    text(
        f"""
        WITH held AS MATERIALIZED (
            SELECT workspace_id, id FROM import_job
            WHERE (status = 'NEEDS_MAPPING' AND run_at < now() - cast(:ttl_s as float) * interval '1 second')
                OR (status = 'PAUSED' AND paused_at < now() - cast(:paused_days as float) * interval '1 day')
            ORDER BY id LIMIT cast(:limit as bigint) FOR UPDATE SKIP LOCKED
        )
        UPDATE import_job j SET status = CASE WHEN j.status = 'PAUSED' THEN 'CANCELED' ELSE 'FAILED' END,
            error = CASE WHEN j.status = 'PAUSED' THEN NULL ELSE cast(:error as text) END, {ENDED}
        FROM held WHERE j.workspace_id = held.workspace_id AND j.id = held.id
        RETURNING j.workspace_id, j.id, j.status, j.processed_rows, old.file_id
        """  # noqa: S608 - a constant of ours
    )
)
FORGET = Statement(
    text(
        """
        WITH gone AS (
            DELETE FROM import_seen s USING (
                SELECT x.workspace_id, x.import_id, x.key FROM import_seen x
                JOIN import_job j ON j.workspace_id = x.workspace_id AND j.id = x.import_id
                WHERE j.phase <> 'DRY_RUN' OR j.status NOT IN ('QUEUED', 'RUNNING', 'PAUSED')
                LIMIT cast(:limit as bigint)
            ) o
            WHERE s.workspace_id = o.workspace_id AND s.import_id = o.import_id AND s.key = o.key
            RETURNING 1
        )
        SELECT count(*) AS rows FROM gone
        """
    )
)


# A day later than the last moment to ask for an undo: none of them has a worker. As `ran_until` goes, it is not looked
# through again, unless an erase holds a row of it: that goes on to the import.
FORGET_UNDOS = Statement(
    text(
        """
        WITH due AS MATERIALIZED (
            SELECT workspace_id, id FROM import_job
            WHERE ran_until < now() - (cast(:undo_days as float) + 1) * interval '1 day'
                AND status NOT IN ('QUEUED', 'RUNNING')
            ORDER BY workspace_id, id LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED
        ), kept AS MATERIALIZED (
            SELECT r.workspace_id, r.import_id, r.row
            FROM due CROSS JOIN LATERAL (
                SELECT r.workspace_id, r.import_id, r.row FROM import_row r
                WHERE r.workspace_id = due.workspace_id AND r.import_id = due.id AND r.undo IS NOT NULL
                FOR NO KEY UPDATE SKIP LOCKED
            ) r
            LIMIT cast(:limit as bigint)
        ), emptied AS (
            UPDATE import_row r SET undo = NULL FROM kept
            WHERE r.workspace_id = kept.workspace_id AND r.import_id = kept.import_id AND r.row = kept.row
        ), done AS (
            UPDATE import_job j SET ran_until = NULL FROM due
            WHERE j.workspace_id = due.workspace_id AND j.id = due.id
                AND (SELECT count(*) FROM kept) < cast(:limit as bigint)
                AND (SELECT count(*) FROM kept WHERE kept.import_id = j.id) = (
                    SELECT count(*) FROM import_row r
                    WHERE r.workspace_id = j.workspace_id AND r.import_id = j.id AND r.undo IS NOT NULL
                )
        )
        SELECT count(*) AS rows FROM kept
        """
    )
)


class ImportMoves:
    def __init__(self, work: Work) -> None:
        self._work = work
        leads = LeadRepository(work)
        self.check_owner, self.check_tags = leads.check_owner, leads.check_tags

    async def add(
        self, workspace_id: UUID, id: UUID, request: FileRequest, file: StoredFile, *, created_by: UUID
    ) -> None:
        given = (
            None
            if request.mapping is None
            else orjson.dumps([{"column": column, "field": field} for column, field in request.mapping])
        )
        await self._work.fetch(
            ADD,
            workspace_id=workspace_id,
            id=id,
            source=LeadSource.CSV,
            file_id=file.id,
            file_name=file.name,
            mapping=given.decode() if given else None,
            created_by=created_by,
            **_asked(request),
        )

    async def hold(self, workspace_id: UUID, id: UUID) -> HeldImport | None:
        return await self._held(HOLD, workspace_id, id)

    async def hold_of_file(self, workspace_id: UUID, file_id: UUID) -> HeldImport | None:
        return await self._held(HOLD_OF_FILE, workspace_id, file_id)

    async def go_on(
        self, workspace_id: UUID, id: UUID, request: FileRequest, mapping: Sequence[ColumnMapping]
    ) -> None:
        phase = Phase.DRY_RUN if request.is_dry_run else Phase.RUN
        stored = [{"column": one.column, "field": one.field, "confidence": one.confidence} for one in mapping]
        await self._work.fetch(
            GO_ON,
            workspace_id=workspace_id,
            id=id,
            phase=phase.value,
            mapping=orjson.dumps(stored).decode(),
            **_asked(request),
        )

    async def remember(
        self, workspace_id: UUID, columns: Sequence[str], mapping: Sequence[ColumnMapping]
    ) -> None:
        await remember_mapping(self._work, workspace_id, columns, mapping)

    async def pause(self, workspace_id: UUID, id: UUID) -> None:
        await self._work.fetch(PAUSE, workspace_id=workspace_id, id=id)

    async def resume(self, workspace_id: UUID, id: UUID) -> None:
        await self._work.fetch(RESUME, workspace_id=workspace_id, id=id)

    async def cancel(self, workspace_id: UUID, id: UUID) -> None:
        await self._work.fetch(CANCEL, workspace_id=workspace_id, id=id)
        await drop_waiting(self._work, workspace_id, id)

    async def undo(self, workspace_id: UUID, id: UUID) -> None:
        await self._work.fetch(UNDO, workspace_id=workspace_id, id=id)

    async def _held(self, statement: Statement, workspace_id: UUID, key: UUID) -> HeldImport | None:
        row = await self._work.fetch_one(statement, workspace_id=workspace_id, key=key, undo_days=UNDO_DAYS)
        return _held_import(row) if row else None


class PersonsUploads:
    def __init__(self, work: Work, actor: Actor, settings: Settings) -> None:
        self._work, self._settings = work, settings
        self._workspace_id, self._user_id = actor.workspace_id, actor.user_id

    def read(self, token: str) -> UUID:
        return read_upload(self._workspace_id, self._user_id, token, self._settings, WHERE_GIVEN)

    async def take(self, token: str) -> StoredFile:
        return await take_upload(
            self._work, self._workspace_id, self._user_id, token, self._settings, WHERE_GIVEN
        )

    async def let_go(self, id: UUID) -> None:
        await let_go(self._work, self._workspace_id, [id])


async def expire(system: Work, *, ttl_s: float, limit: int) -> int:
    """Imports that nobody came back to end; how many did."""
    rows = await system.fetch(
        EXPIRE, ttl_s=ttl_s, paused_days=PAUSED_DAYS, limit=limit, error=why(Failure.NOT_MAPPED)
    )
    for row in rows:
        await drop_waiting(system, row["workspace_id"], row["id"])
        if row["file_id"] is not None:
            await let_go(system, row["workspace_id"], [row["file_id"]])
        ended = ImportStatus(row["status"])
        system.announce_in(row["workspace_id"], progressed(row["id"], ended, row["processed_rows"]))
    return len(rows)


async def forget_undos(system: Work, *, limit: int) -> int:
    """What would take imports back that can be undone no more: it holds what people were before. How many rows."""
    row = await system.fetch_one(FORGET_UNDOS, limit=limit, undo_days=UNDO_DAYS)
    assert row is not None
    return int(row["rows"])


async def forget_seen(system: Work, *, limit: int) -> int:
    """What dry runs that ended before their time leave behind; how many rows it was."""
    row = await system.fetch_one(FORGET, limit=limit)
    assert row is not None
    return int(row["rows"])


def column_mappings(stored: str | None) -> list[ColumnMapping]:
    """As a column of jsonb holds them."""
    return [
        ColumnMapping(one["column"], LeadField(one["field"]), one.get("confidence", 1.0))
        for one in (orjson.loads(stored) if stored else ())
    ]


def _asked(request: FileRequest) -> Mapping[str, object]:
    return {
        "policy": request.policy,
        "owner_id": request.owner_id,
        "tag_ids": list(request.tag_ids),
        "basis": request.basis,
        "is_dry_run": request.is_dry_run,
    }


def _held_import(row: asyncpg.Record) -> HeldImport:
    return HeldImport(
        id=row["id"],
        status=shown_status(row["status"], row["phase"]),
        file_id=row["file_id"],
        columns=row["columns"],
        suggested=column_mappings(row["suggested"]),
        mapping=column_mappings(row["mapping"]),
        processed=row["processed_rows"],
        counts=orjson.loads(row["counts"]),
        is_fresh=row["is_fresh"],
    )
