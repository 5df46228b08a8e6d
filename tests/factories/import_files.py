"""Imports of uploaded files, through the API and behind it."""

import json
import secrets
from typing import Any

from sqlalchemy import text

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.files import uploaded

FIELDS = """
    id status source fileName totalRows processedRows rowsPerSecond finishAt keptOnUndo failure createdAt finishedAt
    columns suggestedMapping { column field confidence } preview errorReportUrl
    counts { outcome count } dryRunCounts { outcome count } rowErrors { row code field message }
"""
START = f"""
mutation ($input: StartCsvImportInput!) {{
  startCsvImport(input: $input) {{ leadImport {{ {FIELDS} }} errors {{ code message path }} }}
}}
"""
STEER = """
mutation ($input: ImportIdInput!) {
  <name>(input: $input) { leadImport { <fields> } errors { code message path } }
}
""".replace("<fields>", FIELDS)
SHOW = f"query ($id: ID!) {{ leadImport(id: $id) {{ {FIELDS} }} }}"
FILE_ID = text(
    "SELECT id FROM file WHERE workspace_id = :workspace_id ORDER BY created_at DESC, id DESC LIMIT 1"
)
USE = text("UPDATE file SET used_at = now() WHERE workspace_id = :workspace_id AND id = :file_id")
ADD = text(
    """
    INSERT INTO import_job (workspace_id, id, status, phase, source, policy, tag_ids, created_by, file_id, file_name,
        columns, dialect, suggested, mapping, preview, total_rows, processed_rows, counts, dry_run_counts, started_at,
        paused_at, ran_until, finished_at, error)
    VALUES (:workspace_id, uuidv7(), :status, :phase, 'CSV', 'UPSERT', '{}', :user_id, :file_id, 'leads.csv',
        :columns, cast(:dialect as jsonb), cast(:suggested as jsonb), cast(:mapping as jsonb), cast(:preview as jsonb),
        :total_rows, :processed_rows, cast(:counts as jsonb), cast(:dry_run_counts as jsonb), now(),
        CASE WHEN :status = 'PAUSED' THEN now() END, now() - cast(:ended_days_ago as float) * interval '1 day',
        CASE WHEN cast(:ended_days_ago as float) IS NOT NULL THEN now() END, :error)
    RETURNING id
    """
)
CONTENT = b"Nome;E-mail;Contato\nBia;bia@example.com;+55 11 98765-4321\n"
COLUMNS = ["Nome", "E-mail", "Contato"]
SUGGESTED = [
    {"column": "Nome", "field": "NAME", "confidence": 1.0},
    {"column": "E-mail", "field": "EMAIL", "confidence": 1.0},
    {"column": "Contato", "field": "PHONE", "confidence": 0.5},
]
DIALECT = {"encoding": "utf-8", "delimiter": ";", "data_offset": 20, "is_error_report": False}


async def upload_table(person: Person, content: bytes = CONTENT, **options: Any) -> str:
    """The token."""
    given = {"media_type": "text/csv", "name": "leads.csv", **options}
    return str((await uploaded(person, content, **given))["uploadToken"])


async def start(person: Person, token: str, **fields: Any) -> dict[str, Any]:
    """The payload."""
    sent = {"uploadToken": token, "idempotencyKey": secrets.token_hex(8), **fields}
    payload: dict[str, Any] = (await person.run(START, {"input": sent}))["startCsvImport"]
    return payload


async def steer(person: Person, name: str, import_id: str) -> dict[str, Any]:
    """`name`: pauseImport, resumeImport, cancelImport, undoImport. The payload."""
    answer = await person.run(STEER.replace("<name>", name), {"input": {"id": import_id}})
    payload: dict[str, Any] = answer[name]
    return payload


async def shown(person: Person, import_id: str) -> Any:
    return (await person.run(SHOW, {"id": import_id}))["leadImport"]


async def resting(
    doors: Doors,
    person: Person,
    status: str,
    *,
    phase: str = "RUN",
    ended_days_ago: float | None = None,
    has_file: bool = False,
    **fields: Any,
) -> str:
    """The id of an import in a state in which no worker touches it. `has_file`: of the workspace's newest upload."""
    own = {"workspace_id": person.workspace_id}
    given: dict[str, Any] = {
        "columns": COLUMNS,
        "total_rows": 3,
        "processed_rows": 2,
        "error": None,
        "mapping": None,
        "counts": {"CREATED": 2},
        "dry_run_counts": None,
        "preview": [["Bia", "b@example.com", ""]],
        "suggested": SUGGESTED,
        "dialect": DIALECT,
        **fields,
    }
    for name in ("counts", "dry_run_counts", "suggested", "mapping", "preview", "dialect"):
        given[name] = json.dumps(given[name]) if given[name] is not None else None
    async with doors.open_work(person.workspace_id) as work:
        file_id = (await work.execute(FILE_ID, own)).scalar_one() if has_file else None
        if has_file:
            await work.execute(USE, {**own, "file_id": file_id})
        values = {**own, "user_id": person.user_id, "file_id": file_id, "status": status, "phase": phase}
        made = await work.execute(ADD, {**values, **given, "ended_days_ago": ended_days_ago})
        return str(made.scalar_one())
