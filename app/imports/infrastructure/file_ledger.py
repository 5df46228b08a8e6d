"""Implements the ports `FileLedger` and `AnalysisLedger`: what an import of a file has besides a batch's."""

from collections.abc import Collection, Mapping, Sequence

import orjson
from sqlalchemy import text

from app.common.database import Statement
from app.common.leases import LostLease
from app.imports.domain.chunks import Chunk, Position, Refused
from app.imports.domain.dialect import Analysis
from app.imports.domain.imports import ImportStatus, Phase, TableFile
from app.imports.domain.lead_field import LeadField
from app.imports.domain.mapping import ColumnMapping
from app.imports.domain.outcomes import RowCode, RowOutcome, RowProblem, RowResult
from app.imports.infrastructure.ledger import ImportLedger
from app.imports.infrastructure.mappings import remember_mapping, remembered_mapping
from app.imports.infrastructure.rows import add_others, add_staged, clear_rows
from app.imports.infrastructure.turns import import_jobs
from app.leads.domain.identity import Identity
from app.leads.domain.staged import ImportPolicy, LeadDefaults, StagedLead, WrittenLead
from app.leads.wiring import erased_among, forecast_leads, held_among

ANALYSED = Statement(
    text(
        """
        UPDATE import_job SET dialect = cast(:dialect as jsonb), columns = cast(:columns as text[]),
            preview = cast(:preview as jsonb), suggested = cast(:suggested as jsonb),
            mapping = cast(:mapping as jsonb), total_rows = cast(:total_rows as int), attempt = 0, error = NULL,
            next_row = 1, next_offset = cast(:data_offset as bigint)
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND token = cast(:token as uuid)
        RETURNING id
        """
    )
)
# What is counted from here on is the run's: its time begins with its first chunk.
GO_ON = Statement(
    text(
        """
        UPDATE import_job SET phase = cast(:phase as text), started_at = NULL, progress_at = NULL
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND token = cast(:token as uuid)
        RETURNING id
        """
    )
)
DRY_PROGRESS = Statement(
    text(
        """
        UPDATE import_job SET dry_run_counts = cast(:counts as jsonb), attempt = 0, error = NULL,
            next_row = cast(:next_row as bigint), next_offset = cast(:next_offset as bigint),
            progress_at = CASE WHEN cast(:is_told as boolean) THEN now() ELSE progress_at END
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND token = cast(:token as uuid)
        RETURNING id
        """
    )
)
END_DRY_RUN = Statement(
    text(
        """
        UPDATE import_job SET next_row = 1, next_offset = cast(dialect ->> 'data_offset' as bigint), started_at = NULL,
            progress_at = NULL
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND token = cast(:token as uuid)
        RETURNING id
        """
    )
)
IDENTITY_KEY = "hashtextextended(t.kind || '|' || t.value, 0)"
LEAD_KEY = "hashtextextended(s.lead_id::text, 1)"
# Row by row through the indexes, each look-up a plain equality: of temporary tables PostgreSQL knows nothing, and of a
# workspace that has just begun as little.
IS_SEEN = """
    (SELECT true FROM import_seen x WHERE x.workspace_id = cast(:workspace_id as uuid)
        AND x.import_id = cast(:import_id as uuid) AND x.key = {} LIMIT 1)
"""
IS_THEIRS = """
    (SELECT true FROM (VALUES (t.kind), (CASE t.kind WHEN 'PHONE' THEN 'WHATSAPP' END)) AS k(kind)
    CROSS JOIN LATERAL (
        SELECT FROM lead_identity i WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.kind = k.kind
            AND i.value = t.value AND i.released_at IS NULL{} OFFSET 0
    ) AS held LIMIT 1)
"""
# A row of which an earlier one would have made the lead, by an identity that is stronger than the one by which somebody
# is known; or one of a lead that an earlier row is about.
SEEN_EARLIER = Statement(
    text(
        f"""
        WITH seen AS MATERIALIZED (
            SELECT t.n, min(t.strength) AS strength FROM pg_temp.stage_identity t
            WHERE {IS_SEEN.format(IDENTITY_KEY)} GROUP BY t.n
        ), known AS MATERIALIZED (
            SELECT t.n, min(t.strength) AS strength
            FROM pg_temp.stage_lead s JOIN pg_temp.stage_identity t USING (n)
            WHERE s.known AND {IS_THEIRS.format(" AND i.lead_id = s.lead_id")} GROUP BY t.n
        ), doubles AS MATERIALIZED (
            SELECT n FROM seen LEFT JOIN known USING (n) WHERE known.n IS NULL OR seen.strength < known.strength
            UNION
            SELECT s.n FROM pg_temp.stage_lead s WHERE s.known AND {IS_SEEN.format(LEAD_KEY)}
        )
        UPDATE pg_temp.stage_lead s SET outcome = 'DUPLICATE_IN_FILE'
        FROM doubles WHERE doubles.n = s.n AND s.outcome IS NULL
        """  # noqa: S608 - constants of ours
    )
)
# What a known lead would not get, for an earlier row of the file would have it by then.
TAKEN_EARLIER = Statement(
    text(
        f"""
        DELETE FROM pg_temp.stage_identity WHERE ctid = ANY (ARRAY(
            SELECT t.id FROM (
                SELECT t.ctid AS id, t.kind, t.value, s.known,
                    row_number() OVER (PARTITION BY t.kind, t.value ORDER BY t.n) AS place
                FROM pg_temp.stage_identity t JOIN pg_temp.stage_lead s USING (n)
                WHERE s.outcome IS NULL AND (s.known OR cast(:policy as text) <> 'UPDATE_ONLY')
            ) t
            WHERE t.known AND (t.place > 1 OR {IS_SEEN.format(IDENTITY_KEY)}) AND {IS_THEIRS.format("")} IS NULL
        ))
        """  # noqa: S608 - constants of ours
    )
)
# Who would be in the workspace after this chunk by a row of this file: new people by all their identities, known ones
# by their lead, and by what they would get that is nobody's.
REMEMBER_SEEN = Statement(
    text(
        f"""
        INSERT INTO import_seen (workspace_id, import_id, key)
        SELECT DISTINCT cast(:workspace_id as uuid), cast(:import_id as uuid), k.key FROM (
            SELECT {LEAD_KEY} AS key FROM pg_temp.stage_lead s
            WHERE s.known AND s.lead_id IS NOT NULL
            UNION ALL
            SELECT {IDENTITY_KEY} FROM pg_temp.stage_lead s JOIN pg_temp.stage_identity t USING (n)
            WHERE s.outcome = 'CREATED' OR (
                s.outcome = 'UPDATED' AND s.added IS NOT NULL AND {IS_THEIRS.format("")} IS NULL
                AND (cast(:policy as text) <> 'FILL_EMPTY' OR (
                    SELECT true FROM lead_identity i WHERE i.workspace_id = cast(:workspace_id as uuid)
                        AND i.lead_id = s.lead_id AND i.kind = t.kind LIMIT 1
                ) IS NULL)
            )
        ) k
        ON CONFLICT DO NOTHING
        """  # noqa: S608 - constants of ours
    )
)
FORGET_SEEN = Statement(
    text(
        """
        WITH gone AS (
            DELETE FROM import_seen
            WHERE workspace_id = cast(:workspace_id as uuid) AND import_id = cast(:import_id as uuid)
                AND key = ANY (ARRAY(
                    SELECT key FROM import_seen
                    WHERE workspace_id = cast(:workspace_id as uuid) AND import_id = cast(:import_id as uuid)
                    LIMIT cast(:limit as bigint)
                ))
            RETURNING 1
        )
        SELECT count(*) AS rows FROM gone
        """
    )
)
# As after a chunk: the turns that clearing takes are no attempts that failed.
CLEARED = Statement(
    text(
        """
        UPDATE import_job SET attempt = 0
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND token = cast(:token as uuid)
        RETURNING id
        """
    )
)


class FileImportLedger(ImportLedger):
    async def refuse(self, refused: Sequence[Refused]) -> list[RowResult]:
        named = {one for row in refused for one in row.named}
        erased = await erased_among(self._work, self._claim.workspace_id, named)
        problem = RowProblem(RowCode.ERASED, None)
        return [
            RowResult(row.row, RowOutcome.REJECTED, problem=row.problem)
            if erased.isdisjoint(row.named)
            else RowResult(row.row, RowOutcome.SUPPRESSED, problem=problem)
            for row in refused
        ]

    async def add_rows(
        self, file: TableFile, others: Sequence[RowResult], chunk: Chunk, *, only_problems: bool
    ) -> int:
        workspace_id, id = self._claim.workspace_id, self._claim.id
        written = 0
        if chunk.staged:
            columns = _columns_of_kinds(file.mapping)
            written = await add_staged(self._work, workspace_id, id, columns, only_problems=only_problems)
        kept = [one for one in others if one.problem is not None] if only_problems else others
        if kept:
            written += await add_others(self._work, workspace_id, id, kept, chunk.refused)
        return written

    async def clear_rows(self, *, limit: int) -> int:
        """What an earlier dry run left, some of it; how many there were."""
        return await self._cleared(
            await clear_rows(self._work, self._claim.workspace_id, self._claim.id, limit=limit)
        )

    async def forecast(
        self, staged: Sequence[StagedLead], policy: ImportPolicy, defaults: LeadDefaults
    ) -> Sequence[WrittenLead]:
        written = await forecast_leads(
            self._work,
            self._claim.workspace_id,
            staged,
            policy,
            defaults,
            settle=lambda: self._settle_forecast(policy),
        )
        await self._work.fetch(REMEMBER_SEEN, **self._of, policy=policy)
        return written

    async def _settle_forecast(self, policy: ImportPolicy) -> None:
        await self._work.fetch(SEEN_EARLIER, **self._of)
        await self._work.fetch(TAKEN_EARLIER, **self._of, policy=policy)

    async def held(self, identities: Collection[Identity]) -> set[Identity]:
        return await held_among(self._work, self._claim.workspace_id, identities)

    async def advance_dry_run(
        self, counts: Mapping[str, int], to: Position, *, is_progress_told: bool
    ) -> None:
        await self._mine_only(
            DRY_PROGRESS,
            counts=orjson.dumps(counts).decode(),
            next_row=to.row,
            next_offset=to.offset,
            is_told=is_progress_told,
        )

    async def forget_seen(self, *, limit: int) -> int:
        row = await self._work.fetch_one(FORGET_SEEN, **self._of, limit=limit)
        assert row is not None
        return await self._cleared(int(row["rows"]))

    async def end_dry_run(self) -> None:
        await self._mine_only(END_DRY_RUN)
        await self.rest(ImportStatus.NEEDS_MAPPING)

    async def remembered(self, columns: Sequence[str]) -> Mapping[str, LeadField] | None:
        return await remembered_mapping(self._work, self._claim.workspace_id, columns)

    async def remember(self, columns: Sequence[str], mapping: Sequence[ColumnMapping]) -> None:
        await remember_mapping(self._work, self._claim.workspace_id, columns, mapping)

    async def analysed(
        self, analysis: Analysis, suggested: Sequence[ColumnMapping], mapping: Sequence[ColumnMapping] | None
    ) -> None:
        await self._mine_only(
            ANALYSED,
            dialect=orjson.dumps(analysis.dialect.as_json()).decode(),
            columns=list(analysis.columns),
            preview=orjson.dumps([list(row) for row in analysis.preview]).decode(),
            suggested=_as_json(suggested),
            mapping=None if mapping is None else _as_json(mapping),
            total_rows=analysis.total_rows,
            data_offset=analysis.dialect.data_offset,
        )

    async def go_on(self, phase: Phase) -> None:
        await self._mine_only(GO_ON, phase=phase.value)

    async def rest(self, status: ImportStatus) -> None:
        """Until somebody says how it goes on."""
        await import_jobs.finish(self._work, self._claim, status=status)

    async def _cleared(self, rows: int) -> int:
        if rows:
            await self._mine_only(CLEARED)
        return rows

    async def _mine_only(self, statement: Statement, **values: object) -> None:
        if not await self._work.fetch(statement, **self._mine, **values):
            raise LostLease


def _as_json(mapping: Sequence[ColumnMapping]) -> str:
    return orjson.dumps(
        [{"column": one.column, "field": one.field.value, "confidence": one.confidence} for one in mapping]
    ).decode()


def _columns_of_kinds(mapping: Sequence[ColumnMapping]) -> dict[str, str]:
    """The first column of each field: where a problem that is no cell's is shown."""
    found: dict[str, str] = {}
    for one in mapping:
        found.setdefault(one.field.value, one.column)
    return found
