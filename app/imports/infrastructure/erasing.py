"""What imports keep of a person: rows that were rejected or still wait, what takes a row back, the page or the file
they came from, its headers and its first rows."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work
from app.imports.domain.outcomes import RowCode, RowOutcome, RowProblem, RowResult
from app.imports.domain.rows import Payload, named_in
from app.leads.domain.lead import LeadSource
from app.leads.wiring import erased_among

HOLD = Statement(
    text(
        """
        SELECT id FROM import_job
        WHERE workspace_id = cast(:workspace_id as uuid)
            AND (finished_at IS NULL OR finished_at > now() - interval '8 days')
        ORDER BY id FOR NO KEY UPDATE
        """
    )
)
# A waiting row keeps its place, and is refused as its turn comes. Of a file's rows only those are here that had theirs:
# whoever is named further on in it is refused by the keyed hashes.
EMPTY = """
        UPDATE import_row r
        SET payload = CASE WHEN outcome IS NULL THEN '{"erased": true}'::jsonb END, lead_id = NULL, undo = NULL
        FROM held
        WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.import_id = held.import_id AND r.row = held.row
"""
EMPTY_THEIRS = Statement(
    text(
        f"""
        WITH held AS MATERIALIZED (
            SELECT import_id, row FROM import_row
            WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:lead_ids as uuid[]))
            ORDER BY import_id, row FOR NO KEY UPDATE
        )
        {EMPTY}
        """  # noqa: S608 - a constant of ours
    )
)


def _is_told(told: str) -> str:
    """A text holds an address or a handle of theirs, as it was sent."""
    return f"EXISTS (SELECT FROM unnest(cast(:values as text[])) AS v WHERE position(v IN lower({told})) > 0)"


def _is_dialled(told: str) -> str:
    return f"""EXISTS (
        SELECT FROM unnest(cast(:numbers as text[])) AS n
        WHERE position(n IN regexp_replace({told}, '\\D', '', 'g')) > 0
    )"""


def _is_in_cells(cells: str) -> str:
    """An array of a row's cells has a number or a name of theirs; a name may stand in two cells side by side."""
    return f"""EXISTS (
        SELECT FROM (
            SELECT c.told, c.told || ' ' || lead(c.told) OVER (ORDER BY c.n) AS whole
            FROM jsonb_array_elements_text({cells}) WITH ORDINALITY AS c(told, n)
        ) cell
        WHERE {_is_dialled("cell.told")} OR folded(cell.told) = ANY (cast(:names as text[]))
            OR folded(cell.whole) = ANY (cast(:names as text[]))
    )"""  # noqa: S608 - names of columns


EMPTY_NAMING = Statement(
    text(
        f"""
        WITH held AS MATERIALIZED (
            SELECT import_id, row FROM import_row
            WHERE workspace_id = cast(:workspace_id as uuid) AND payload IS NOT NULL AND (
                {_is_told("payload::text")} OR {_is_dialled("payload ->> 'phone'")}
                OR (outcome IS NOT NULL AND folded(payload ->> 'name') = ANY (cast(:names as text[])))
                OR {_is_in_cells("payload -> 'cells'")}
            )
            ORDER BY import_id, row FOR NO KEY UPDATE
        )
        {EMPTY}
        """  # noqa: S608 - constants of ours
    )
)
# What another lead was before an import may be what is theirs now: an address that was entered with the wrong one. That
# row cannot be taken back any more.
FORGET_UNDO = Statement(
    text(
        f"""
        WITH held AS MATERIALIZED (
            SELECT import_id, row FROM import_row
            WHERE workspace_id = cast(:workspace_id as uuid) AND undo IS NOT NULL AND (
                {_is_told("undo::text")} OR {_is_dialled("(undo -> 'identities')::text")}
            )
            ORDER BY import_id, row FOR NO KEY UPDATE
        )
        UPDATE import_row r SET undo = NULL FROM held
        WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.import_id = held.import_id AND r.row = held.row
        """  # noqa: S608 - constants of ours
    )
)
NAMED_BY_FILE = "' ' || regexp_replace(folded(file_name), '[\\W_]+', ' ', 'g') || ' '"
"""A file's name in words."""
# Imports that were accepted since the others were held are none of these: their workers may be waiting for the leads.
EMPTY_JOBS = Statement(
    text(
        f"""
        WITH held AS MATERIALIZED (
            SELECT id, {_is_told("page_url")} AS is_page, {_is_told("file_name")} OR EXISTS (
                    SELECT FROM unnest(cast(:names as text[])) AS name
                    WHERE position(' ' || regexp_replace(name, '[\\W_]+', ' ', 'g') || ' ' IN {NAMED_BY_FILE}) > 0
                ) AS is_file
            FROM import_job
            WHERE workspace_id = cast(:workspace_id as uuid)
                AND (finished_at IS NOT NULL OR id = ANY (cast(:held_ids as uuid[])))
                AND (page_url IS NOT NULL OR file_name IS NOT NULL OR preview IS NOT NULL)
            ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE import_job j SET page_url = CASE WHEN NOT held.is_page THEN page_url END,
            file_name = CASE WHEN NOT held.is_file THEN file_name END,
            preview = CASE WHEN preview IS NOT NULL THEN (
                SELECT coalesce(jsonb_agg(p.cells ORDER BY p.n) FILTER (
                    WHERE NOT {_is_told("p.cells::text")} AND NOT {_is_in_cells("p.cells")}
                ), '[]') FROM jsonb_array_elements(j.preview) WITH ORDINALITY AS p(cells, n)
            ) END
        FROM held
        WHERE j.workspace_id = cast(:workspace_id as uuid) AND j.id = held.id
            AND (held.is_page OR held.is_file OR j.preview IS NOT NULL)
        """  # noqa: S608 - constants of ours
    )
)


def _renamed(mapping: str) -> str:
    return f"""CASE WHEN {mapping} IS NOT NULL THEN (
        SELECT coalesce(jsonb_agg(jsonb_set(
            m.one, '{{column}}', to_jsonb(coalesce('#' || array_position(j.columns, m.one ->> 'column'), ''))
        ) ORDER BY m.n), '[]')
        FROM jsonb_array_elements({mapping}) WITH ORDINALITY AS m(one, n)
    ) END"""  # noqa: S608 - a column's name


# A file without headers has a person for them.
RENAME_COLUMNS = Statement(
    text(
        f"""
        WITH named AS MATERIALIZED (
            SELECT id, columns FROM import_job
            WHERE workspace_id = cast(:workspace_id as uuid)
                AND (finished_at IS NOT NULL OR id = ANY (cast(:held_ids as uuid[]))) AND columns <> '{{}}'
                AND ({_is_told("array_to_string(columns, ' ')")} OR {_is_in_cells("to_jsonb(columns)")})
            ORDER BY id FOR NO KEY UPDATE
        ), problems AS (
            UPDATE import_row r SET field = '#' || array_position(named.columns, r.field)
            FROM named
            WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.import_id = named.id
                AND r.field = ANY (named.columns)
        )
        UPDATE import_job j SET columns = ARRAY(
                SELECT '#' || n FROM generate_subscripts(j.columns, 1) AS n ORDER BY n
            ), mapping = {_renamed("j.mapping")}, suggested = {_renamed("j.suggested")}
        FROM named
        WHERE j.workspace_id = cast(:workspace_id as uuid) AND j.id = named.id
        """  # noqa: S608 - constants of ours
    )
)
SHORTEST = 3
"""What is shorter stands in anything."""


async def hold_imports(work: Work, workspace_id: UUID) -> list[UUID]:
    """Imports that are under way, or may be again for an undo: their workers are between two chunks until then."""
    return [row["id"] for row in await work.fetch(HOLD, workspace_id=workspace_id)]


async def erase_imports(
    work: Work,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    *,
    values: Sequence[str],
    numbers: Sequence[str],
    names: Sequence[str],
    held_ids: Sequence[UUID],
) -> None:
    """`values` are addresses and handles, `numbers` digits without a country, `names` folded; none at all: only the
    leads' own rows, by their index. The file of an import that waits has them still, until it ends."""
    await work.fetch(EMPTY_THEIRS, workspace_id=workspace_id, lead_ids=list(lead_ids))
    if not (values or numbers or names):
        return
    values = [value for value in values if len(value) >= SHORTEST]
    given = {"workspace_id": workspace_id, "values": values, "numbers": list(numbers), "names": list(names)}
    for statement in (EMPTY_NAMING, FORGET_UNDO):
        await work.fetch(statement, **given)
    for statement in (EMPTY_JOBS, RENAME_COLUMNS):
        await work.fetch(statement, **given, held_ids=list(held_ids))


async def without_erased(
    work: Work,
    workspace_id: UUID,
    rows: Sequence[tuple[int, Payload]],
    results: Sequence[RowResult],
    source: LeadSource,
    region: str,
) -> list[RowResult]:
    """Rejected rows that name somebody who was erased are refused for that: so nothing is kept of them."""
    rejected = {one.row for one in results if one.outcome is RowOutcome.REJECTED}
    named = {row: named_in(payload, source=source, region=region) for row, payload in rows if row in rejected}
    erased = await erased_among(work, workspace_id, {one for found in named.values() for one in found})
    problem = RowProblem(RowCode.ERASED, None)
    return [
        one
        if erased.isdisjoint(named.get(one.row, ()))
        else RowResult(one.row, RowOutcome.SUPPRESSED, problem=problem)
        for one in results
    ]
