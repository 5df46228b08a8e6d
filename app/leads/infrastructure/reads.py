"""What screens read of leads: one statement a root field, rows out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import array

from app.accounts.infrastructure.tables import app_user
from app.common.database import Statement
from app.common.work import Reads
from app.leads.infrastructure.tables import NEVER, lead, lead_identity, lead_tag, stage

PLAIN = (
    *("name", "email", "phone", "company", "title", "avatar_url", "rank", "source", "engagement", "score"),
    *("metadata", "version", "created_at", "updated_at", "deleted_at", "lost_reason", "time_zone"),
)

STAGES = Statement(
    select(cast(stage.c.id, Text).label("id"), stage.c.name, stage.c.kind, stage.c.position)
    .where(stage.c.workspace_id == bindparam("workspace_id"))
    .order_by(stage.c.position, stage.c.id)
)


@dataclass(frozen=True)
class LeadConditions:
    """OR inside a list, AND across; None: not filtered by."""

    tag_ids: Sequence[UUID] | None = None
    stage_ids: Sequence[UUID] | None = None
    owner_ids: Sequence[UUID] | None = None
    sources: Sequence[str] | None = None
    min_score: int | None = None
    has_email: bool | None = None
    has_phone: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    touched_before: datetime | None = None
    """Never touched ones too."""
    deleted: bool | None = None
    """True: deleted leads instead of the live ones."""
    terms: Sequence[str] | None = None
    """The words of a search (`domain/search.py`); none at all match nothing."""

    @property
    def used(self) -> frozenset[str]:
        return frozenset(self.values)

    def where(self) -> list[ColumnElement[bool]]:
        """What holds for the leads meant, of the table `lead`; its parameters are `values`."""
        return where(self.used)

    @property
    def values(self) -> dict[str, object]:
        given = {name: value for name, value in vars(self).items() if value is not None}
        return given if self.deleted else {name: value for name, value in given.items() if name != "deleted"}


LEAD_QUERY = func.lead_query(bindparam("workspace_id", type_=Uuid), bindparam("terms", type_=ARRAY(Text)))
QUERY_ONCE = select(LEAD_QUERY).scalar_subquery()
"""Worked out once a statement, not once a lead."""


def last_touch(leads: FromClause) -> ColumnElement[datetime]:
    """As the index has it: those never touched come last."""
    never = literal_column(NEVER, DateTime(timezone=True))
    return case((leads.c.last_touch_at.is_(None), never), else_=leads.c.last_touch_at)


def _conditions(leads: FromClause) -> dict[str, ColumnElement[bool]]:
    return {
        "tag_ids": exists().where(
            lead_tag.c.workspace_id == leads.c.workspace_id,
            lead_tag.c.lead_id == leads.c.id,
            lead_tag.c.tag_id == any_(bindparam("tag_ids", type_=ARRAY(Uuid))),
        ),
        "stage_ids": leads.c.stage_id == any_(bindparam("stage_ids", type_=ARRAY(Uuid))),
        "owner_ids": leads.c.owner_id == any_(bindparam("owner_ids", type_=ARRAY(Uuid))),
        "sources": leads.c.source == any_(bindparam("sources", type_=ARRAY(Text))),
        "min_score": leads.c.score >= bindparam("min_score", type_=Integer),
        "has_email": leads.c.email.is_not(None) == bindparam("has_email", type_=Boolean),
        "has_phone": leads.c.phone.is_not(None) == bindparam("has_phone", type_=Boolean),
        "created_after": leads.c.created_at >= bindparam("created_after", type_=DateTime(timezone=True)),
        "created_before": leads.c.created_at < bindparam("created_before", type_=DateTime(timezone=True)),
        "touched_before": last_touch(leads) < bindparam("touched_before", type_=DateTime(timezone=True)),
        "terms": func.ts_match_vq(leads.c.lexemes, QUERY_ONCE),
    }


def matches(used: frozenset[str], leads: FromClause = lead) -> list[ColumnElement[bool]]:
    """All conditions but which state a lead is in. As a function `@@` is no business of the index."""
    conditions = _conditions(leads)
    return [conditions[name] for name in sorted(used - {"deleted"})]


def state(used: frozenset[str], leads: FromClause = lead) -> ColumnElement[bool]:
    """Deleted ones only where asked for, and never those that a merge took away."""
    if "deleted" in used:
        return and_(leads.c.deleted_at.is_not(None), leads.c.merged_into_id.is_(None))
    return leads.c.deleted_at.is_(None)


def where(used: frozenset[str]) -> list[ColumnElement[bool]]:
    return [state(used), *matches(used)]


def _identities() -> ColumnElement[Any]:
    """A lead's identities as rows of texts."""
    row = array(
        [
            cast(lead_identity.c.id, Text),
            lead_identity.c.kind,
            lead_identity.c.value,
            cast(lead_identity.c.is_primary, Text),
        ]
    )
    found = (
        select(row)
        .where(lead_identity.c.workspace_id == lead.c.workspace_id, lead_identity.c.lead_id == lead.c.id)
        .order_by(lead_identity.c.kind, lead_identity.c.is_primary.desc(), lead_identity.c.value)
        .scalar_subquery()
    )
    return func.array(found)


def lead_fields(prefix: str = "", *, with_identities: bool) -> list[ColumnElement[Any]]:
    """A lead as lists show it, for a statement that joins `join_lead`: stage and owner as columns, tags as ids,
    identities only where asked for. Upper modules' lists show leads too, under a prefix."""
    tags = (
        select(cast(lead_tag.c.tag_id, Text))
        .where(lead_tag.c.workspace_id == lead.c.workspace_id, lead_tag.c.lead_id == lead.c.id)
        .scalar_subquery()
    )
    columns: dict[str, ColumnElement[Any]] = {
        "id": cast(lead.c.id, Text),
        "key": lead.c.id,
        **{name: lead.c[name] for name in PLAIN},
        "stage_entered_at": func.coalesce(lead.c.stage_entered_at, lead.c.created_at),
        "stage_id": cast(lead.c.stage_id, Text),
        "stage_name": stage.c.name,
        "stage_kind": stage.c.kind,
        "stage_position": stage.c.position,
        "owner_id": cast(app_user.c.id, Text),
        "owner_name": app_user.c.name,
        "owner_email": app_user.c.email,
        "owner_locale": app_user.c.locale,
        "tag_ids": func.array(tags),
    }
    if with_identities:
        columns["identities"] = _identities()
    return [column.label(f"{prefix}{name}") for name, column in columns.items()]


def join_lead(source: FromClause) -> FromClause:
    """Stage and owner beside the leads that stand in `source`."""
    return source.join(
        stage, (stage.c.workspace_id == lead.c.workspace_id) & (stage.c.id == lead.c.stage_id)
    ).outerjoin(app_user, app_user.c.id == lead.c.owner_id)


BY_IDS = Statement(
    select(*lead_fields(with_identities=True))
    .select_from(join_lead(lead))
    .where(
        lead.c.workspace_id == bindparam("workspace_id"),
        lead.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))),
    )
)


INTERACTION = Statement(
    text(
        """
        SELECT i.id::text, i.type, i.channel, i.direction, i.content, i.actor_kind, i.cause, i.created_at,
            i.conversation_id::text, i.message_id::text,
            u.id::text AS actor_id, u.name AS actor_name, u.email AS actor_email, u.locale AS actor_locale,
            array(
                SELECT ARRAY[p.id::text, p.name, p.email, p.locale]
                FROM unnest(i.mentions) WITH ORDINALITY AS m(id, n) JOIN app_user p ON p.id = m.id ORDER BY m.n
            ) AS mentioned
        FROM interaction i LEFT JOIN app_user u ON u.id = i.actor_id
        WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.id = cast(:id as uuid)
        """
    )
)


async def read_interaction(reads: Reads, workspace_id: UUID, id: UUID) -> asyncpg.Record | None:
    return await reads.fetch_one(INTERACTION, workspace_id=workspace_id, id=id)


async def list_stages(reads: Reads, workspace_id: UUID) -> list[asyncpg.Record]:
    return await reads.fetch(STAGES, workspace_id=workspace_id)


async def leads_by_id(reads: Reads, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    """Deleted ones too: whoever shows them decides."""
    rows = await reads.fetch(BY_IDS, workspace_id=workspace_id, ids=list(ids))
    return {row["key"]: row for row in rows}
