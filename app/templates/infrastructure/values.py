"""The values of a lead for its variables, as SQL and as Python: what is missing by the one is missing by the other.

The fragments stand where `l` is the lead, `a` the channel account, `w` the workspace; `VALUE_JOINS` brings its stage
and its owner.
"""

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Reads
from app.templates.domain.variables import INVISIBLE, SPACES, VARIABLES, first_name, last_name, value


class Row(Protocol):
    """As `asyncpg.Record` and dicts are."""

    def __getitem__(self, name: str, /) -> Any: ...


VALUE_JOINS = """
    LEFT JOIN stage value_stage ON (value_stage.workspace_id, value_stage.id) = (l.workspace_id, l.stage_id)
    LEFT JOIN app_user value_owner ON value_owner.id = l.owner_id
"""
COLUMNS: Mapping[str, str] = {
    "value_name": "l.name",
    "value_company": "l.company",
    "value_title": "l.title",
    "value_email": "l.email",
    "value_phone": "l.phone",
    "value_stage": "value_stage.name",
    "value_owner": "value_owner.name",
    "value_account": "a.name",
    "value_address": "a.address",
    "value_workspace": "w.name",
}
VALUE_COLUMNS = ", ".join(f"{column} AS {name}" for name, column in COLUMNS.items())


def _literal(characters: str) -> str:
    """In ASCII, without quotes, colons or backslashes of its own."""
    return "E'" + "".join(f"\\u{ord(one):04x}" for one in characters) + "'"


def _visible(column: str) -> str:
    return f"btrim(translate({column}, {_literal(INVISIBLE)}, ''), {_literal(SPACES)})"


def _is_blank(column: str) -> str:
    """What has a letter of ASCII is not: that is seen sooner than all that is invisible is taken away."""
    return f"({column} IS NULL OR ({column} !~ '[!-~]' AND {_visible(column)} = ''))"


def _no_first_name(column: str) -> str:
    return f"({_is_blank(column)} OR strpos({column}, '@') > 0)"


def _no_last_name(column: str) -> str:
    seen = _visible(column)
    one_word = f"translate({seen}, {_literal(SPACES)}, '') = {seen}"
    return f"({_no_first_name(column)} OR ({column} !~ '[!-~] [!-~]' AND {one_word}))"


MISSING: Mapping[str, str] = {
    "lead.name": _is_blank("l.name"),
    "lead.first_name": _no_first_name("l.name"),
    "lead.last_name": _no_last_name("l.name"),
    "lead.company": _is_blank("l.company"),
    "lead.title": _is_blank("l.title"),
    "lead.email": _is_blank("l.email"),
    "lead.phone": _is_blank("l.phone"),
    "lead.stage": _is_blank("value_stage.name"),
    "owner.name": _is_blank("value_owner.name"),
    "owner.first_name": _no_first_name("value_owner.name"),
    "account.name": _is_blank("a.name"),
    "account.address": _is_blank("a.address"),
    "workspace.name": _is_blank("w.name"),
}
"""By variable, a condition: the lead has no value for it, and what requires one is not sent."""
assert MISSING.keys() == VARIABLES.keys()


def values_of(row: Row) -> dict[str, str | None]:
    """By variable, of a row of `VALUE_COLUMNS`; None: missing."""
    return {
        "lead.name": value(row["value_name"]),
        "lead.first_name": first_name(row["value_name"]),
        "lead.last_name": last_name(row["value_name"]),
        "lead.company": value(row["value_company"]),
        "lead.title": value(row["value_title"]),
        "lead.email": value(row["value_email"]),
        "lead.phone": value(row["value_phone"]),
        "lead.stage": value(row["value_stage"]),
        "owner.name": value(row["value_owner"]),
        "owner.first_name": first_name(row["value_owner"]),
        "account.name": value(row["value_account"]),
        "account.address": value(row["value_address"]),
        "workspace.name": value(row["value_workspace"]),
    }


OF_LEAD = """
    SELECT {columns}
    FROM lead l
        JOIN workspace w ON w.id = l.workspace_id
        LEFT JOIN channel_account a ON a.workspace_id = l.workspace_id
            AND a.id = coalesce(cast(:account_id as uuid), (
                SELECT first.id FROM channel_account first
                WHERE first.workspace_id = l.workspace_id AND first.status <> 'DISCONNECTED'
                ORDER BY first.created_at, first.id LIMIT 1
            ))
        {joins}
    WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = cast(:lead_id as uuid) AND l.deleted_at IS NULL
"""
VALUES = Statement(text(OF_LEAD.format(columns=VALUE_COLUMNS, joins=VALUE_JOINS)))


async def lead_values(
    reads: Reads, workspace_id: UUID, *, lead_id: UUID, account_id: UUID | None = None
) -> dict[str, str | None] | None:
    """Of a live lead, sent to from an account (None: the first that is connected); None: no such lead."""
    row = await reads.fetch_one(VALUES, workspace_id=workspace_id, lead_id=lead_id, account_id=account_id)
    return values_of(row) if row is not None else None
