"""What `errors.csv` reads: how the file was, and its rejected rows page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import text

from app.common.database import Statement
from app.common.links import ActorLinks
from app.common.work import Reads
from app.imports.domain.dialect import Dialect
from app.imports.domain.mapping import ERROR_COLUMNS
from app.imports.domain.reports import BATCH_COLUMNS
from app.settings import Settings

PAGE_ROWS = 500
PAGE_BYTES = 4 * 1024 * 1024
"""Of a page's rows, but for the first: what is in memory at once is bounded however wide they are."""
FILE = Statement(
    text(
        """
        SELECT columns, dialect::text AS dialect, file_name FROM import_job
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
        """
    )
)
PAGE = Statement(
    text(
        """
        SELECT row, code, field, payload FROM (
            SELECT row, code, field, payload, sum(octet_length(payload)) OVER w AS bytes, row_number() OVER w AS n
            FROM (
                SELECT row, code, field, payload::text AS payload FROM import_row
                WHERE workspace_id = cast(:workspace_id as uuid) AND import_id = cast(:id as uuid)
                    AND row > cast(:after as bigint) AND code IS NOT NULL AND outcome = 'REJECTED'
                ORDER BY row LIMIT cast(:limit as bigint)
            ) page WINDOW w AS (ORDER BY row)
        ) measured WHERE n = 1 OR bytes <= cast(:bytes as bigint) OR bytes IS NULL ORDER BY row
        """
    )
)


@dataclass(frozen=True, slots=True)
class ReportedFile:
    columns: Sequence[str]
    """The file's own: a report that is reported again has those of its file."""
    delimiter: str
    """Its own; empty: it has none."""
    name: str


def report_links(settings: Settings) -> ActorLinks:
    return ActorLinks(settings, "salespad.import-errors")


async def reported_file(reads: Reads, workspace_id: UUID, import_id: UUID) -> ReportedFile | None:
    """None: there is no such import."""
    row = await reads.fetch_one(FILE, workspace_id=workspace_id, id=import_id)
    if row is None:
        return None
    dialect = Dialect(**orjson.loads(row["dialect"])) if row["dialect"] else None
    columns: Sequence[str] = row["columns"] if dialect else BATCH_COLUMNS
    if dialect and dialect.is_error_report:
        columns = columns[: -len(ERROR_COLUMNS)]
    return ReportedFile(columns, dialect.delimiter if dialect else "", row["file_name"] or "")


async def rejected_page(
    reads: Reads, workspace_id: UUID, import_id: UUID, *, after: int
) -> list[asyncpg.Record]:
    """The next ones after a row, as many as fit; none: there are no more."""
    return await reads.fetch(
        PAGE, workspace_id=workspace_id, id=import_id, after=after, limit=PAGE_ROWS, bytes=PAGE_BYTES
    )
