"""What screens read of leads: one statement a root field, rows out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Select,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    exists,
    false,
    func,
    literal_column,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import array

from app.accounts.infrastructure.tables import app_user
from app.common.database import Statement
from app.common.feed_log import feed_head
from app.common.paging import Keyset, Page
from app.common.work import Reads
from app.leads.infrastructure.tables import LAST_TOUCH as LAST_TOUCH_KEY
from app.leads.infrastructure.tables import lead, lead_identity, lead_tag, stage

COUNT_MAX = 10_000
PLAIN = (
    *("name", "email", "phone", "company", "title", "avatar_url", "rank", "source", "engagement", "score"),
    *("metadata", "version", "created_at", "updated_at", "deleted_at"),
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


LAST_TOUCH: ColumnElement[datetime] = literal_column(
    LAST_TOUCH_KEY.replace("last_touch_at", "lead.last_touch_at"), DateTime(timezone=True)
)
LEAD_QUERY = func.lead_query(bindparam("workspace_id", type_=Uuid), bindparam("terms", type_=ARRAY(Text)))
CONDITIONS: dict[str, ColumnElement[bool]] = {
    "tag_ids": exists().where(
        lead_tag.c.workspace_id == lead.c.workspace_id,
        lead_tag.c.lead_id == lead.c.id,
        lead_tag.c.tag_id == any_(bindparam("tag_ids", type_=ARRAY(Uuid))),
    ),
    "stage_ids": lead.c.stage_id == any_(bindparam("stage_ids", type_=ARRAY(Uuid))),
    "owner_ids": lead.c.owner_id == any_(bindparam("owner_ids", type_=ARRAY(Uuid))),
    "sources": lead.c.source == any_(bindparam("sources", type_=ARRAY(Text))),
    "min_score": lead.c.score >= bindparam("min_score", type_=Integer),
    "has_email": lead.c.email.is_not(None) == bindparam("has_email", type_=Boolean),
    "has_phone": lead.c.phone.is_not(None) == bindparam("has_phone", type_=Boolean),
    "created_after": lead.c.created_at >= bindparam("created_after", type_=DateTime(timezone=True)),
    "created_before": lead.c.created_at < bindparam("created_before", type_=DateTime(timezone=True)),
    "touched_before": bindparam("touched_before", type_=DateTime(timezone=True)) > LAST_TOUCH,
    "terms": func.coalesce(func.ts_match_vq(lead.c.lexemes, LEAD_QUERY), false()),
}


def where(used: frozenset[str]) -> list[ColumnElement[bool]]:
    """Deleted ones only where asked for, and never those that a merge took away."""
    is_live = lead.c.deleted_at.is_(None)
    is_deleted = and_(lead.c.deleted_at.is_not(None), lead.c.merged_into_id.is_(None))
    return [
        is_deleted if "deleted" in used else is_live,
        *(CONDITIONS[name] for name in sorted(used - {"deleted"})),
    ]


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


def _lead_columns(*, with_identities: bool) -> Select[Any]:
    return (
        select(*lead_fields(with_identities=with_identities))
        .select_from(join_lead(lead))
        .where(lead.c.workspace_id == bindparam("workspace_id"))
    )


@cache
def _list_statement(used: frozenset[str], has_after: bool, with_identities: bool) -> Statement:
    """The page and the feed's position in one snapshot: the head's row is there even when the page is empty."""
    newest_first: list[ColumnElement[Any]] = [lead.c.created_at.desc(), lead.c.id.desc()]
    page = _lead_columns(with_identities=with_identities).where(*where(used))
    if has_after:
        after = tuple_(
            bindparam("after_at", type_=DateTime(timezone=True)), bindparam("after_id", type_=Uuid)
        )
        page = page.where(tuple_(lead.c.created_at, lead.c.id) < after)
    rows = page.order_by(*newest_first).limit(bindparam("limit", type_=BigInteger)).subquery("page").lateral()
    return Statement(
        select(feed_head.c.seq.label("feed_seq"), *rows.c)
        .select_from(feed_head)
        .outerjoin(rows, true())
        .where(feed_head.c.workspace_id == bindparam("workspace_id"))
        .order_by(rows.c.created_at.desc(), rows.c.key.desc())
    )


@cache
def _count_statement(used: frozenset[str]) -> Statement:
    matching = (
        select(literal_column("1"))
        .select_from(lead)
        .where(
            lead.c.workspace_id == bindparam("workspace_id"),
            *where(used),
        )
        .limit(literal_column(str(COUNT_MAX + 1)))
        .subquery()
    )
    return Statement(select(func.count().label("count")).select_from(matching))


BY_IDS = Statement(
    _lead_columns(with_identities=True).where(lead.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
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


@dataclass(frozen=True)
class LeadPage:
    page: Page[asyncpg.Record]
    feed_seq: int
    """The feed's position of the same snapshot."""


async def list_leads(
    reads: Reads,
    workspace_id: UUID,
    conditions: LeadConditions,
    *,
    first: int,
    after: Keyset | None,
    with_identities: bool,
) -> LeadPage:
    """Live leads, newest first."""
    position = {"after_at": after.at, "after_id": after.id} if after else {}
    rows = await reads.fetch(
        _list_statement(conditions.used, after is not None, with_identities),
        workspace_id=workspace_id,
        limit=first + 1,
        **conditions.values,
        **position,
    )
    assert rows, "the workspace has no feed head"
    return LeadPage(Page.of([row for row in rows if row["id"] is not None], first), rows[0]["feed_seq"])


async def count_leads(reads: Reads, workspace_id: UUID, conditions: LeadConditions) -> int | None:
    """None beyond `COUNT_MAX`."""
    row = await reads.fetch_one(
        _count_statement(conditions.used), workspace_id=workspace_id, **conditions.values
    )
    assert row is not None
    return int(row["count"]) if row["count"] <= COUNT_MAX else None


async def leads_by_id(reads: Reads, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    """Deleted ones too: whoever shows them decides."""
    rows = await reads.fetch(BY_IDS, workspace_id=workspace_id, ids=list(ids))
    return {row["key"]: row for row in rows}
