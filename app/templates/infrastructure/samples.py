"""The leads on which a template shows its worst: long values, missing ones, letters beyond ASCII.

Looked for among the newest leads only: one walk along their index, however many a workspace has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ARRAY, Text, bindparam, text

from app.common.database import Statement
from app.common.work import Reads
from app.templates.domain.samples import SampleKind
from app.templates.infrastructure.values import COLUMNS, MISSING, VALUE_COLUMNS, VALUE_JOINS, values_of

NEWEST = 5_000
SOURCES: Mapping[str, str] = {
    "lead.name": "value_name",
    "lead.first_name": "value_name",
    "lead.last_name": "value_name",
    "lead.company": "value_company",
    "lead.title": "value_title",
    "lead.email": "value_email",
    "lead.phone": "value_phone",
    "lead.stage": "value_stage",
    "owner.name": "value_owner",
    "owner.first_name": "value_owner",
}
"""The variables that differ from lead to lead, with the column each comes of."""


def _sum(terms: Mapping[str, str]) -> str:
    """Of those that the template names."""
    return " + ".join(
        f"CASE WHEN '{variable}' = ANY (:variables) THEN {term} ELSE 0 END"
        for variable, term in terms.items()
    )


LENGTHS = _sum({name: f"coalesce(char_length({COLUMNS[column]}), 0)" for name, column in SOURCES.items()})
ABSENT = _sum({name: f"({MISSING[name]})::integer" for name in SOURCES})
ACCENTS = _sum(
    {
        name: f"coalesce(octet_length({COLUMNS[column]}) - char_length({COLUMNS[column]}), 0)"
        for name, column in SOURCES.items()
    }
)
FIND = """
    WITH newest AS MATERIALIZED (
        SELECT workspace_id, id, stage_id, owner_id, name, company, title, email, phone FROM lead
        WHERE workspace_id = cast(:workspace_id as uuid) AND deleted_at IS NULL
        ORDER BY created_at DESC, id DESC LIMIT {newest}
    ), seen AS MATERIALIZED (
        SELECT l.id, {lengths} AS length, {absent} AS absent, {accents} AS accents
        FROM newest l {joins}
    ), found AS (
        (SELECT 'LONGEST' AS kind, id FROM seen WHERE length > 0 ORDER BY length DESC, id LIMIT 1)
        UNION ALL
        (SELECT 'MISSING', id FROM seen WHERE absent > 0 ORDER BY absent DESC, id LIMIT 1)
        UNION ALL
        (SELECT 'ACCENTS', id FROM seen WHERE accents > 0 ORDER BY accents DESC, id LIMIT 1)
    )
    SELECT found.kind, found.id, {columns}
    FROM found
        JOIN lead l ON l.workspace_id = cast(:workspace_id as uuid) AND l.id = found.id
        JOIN workspace w ON w.id = l.workspace_id
        LEFT JOIN channel_account a ON a.workspace_id = l.workspace_id AND a.id = (
            SELECT first.id FROM channel_account first
            WHERE first.workspace_id = l.workspace_id AND first.status <> 'DISCONNECTED'
            ORDER BY first.created_at, first.id LIMIT 1
        )
        {joins}
"""
STATEMENT = Statement(
    text(
        FIND.format(
            newest=NEWEST,
            lengths=LENGTHS,
            absent=ABSENT,
            accents=ACCENTS,
            joins=VALUE_JOINS,
            columns=VALUE_COLUMNS,
        )
    ).bindparams(bindparam("variables", type_=ARRAY(Text)))
)


@dataclass(frozen=True, slots=True)
class Sample:
    kind: SampleKind
    lead_id: UUID
    values: Mapping[str, str | None]


async def find_samples(reads: Reads, workspace_id: UUID, variables: Sequence[str]) -> list[Sample]:
    """One of each kind at most; none where there is no such lead."""
    rows = await reads.fetch(STATEMENT, workspace_id=workspace_id, variables=list(variables))
    found = {row["kind"]: Sample(SampleKind(row["kind"]), row["id"], values_of(row)) for row in rows}
    return [found[kind] for kind in SampleKind if kind in found]
