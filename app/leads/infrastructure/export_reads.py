"""What an export reads of leads: pages by keyset, each in a short transaction of its own."""

from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import BigInteger, ColumnElement, DateTime, Text, Uuid, bindparam, cast, func, select, tuple_
from sqlalchemy.dialects.postgresql import array

from app.accounts.infrastructure.tables import app_user, member, workspace
from app.common.database import Statement
from app.common.domain import Role
from app.common.paging import Keyset
from app.common.work import Reads
from app.leads.infrastructure.reads import LeadConditions, join_lead, where
from app.leads.infrastructure.tables import lead, lead_identity, lead_tag, stage
from app.tags.infrastructure.tables import tag

LOCALE = Statement(select(workspace.c.locale).where(workspace.c.id == bindparam("workspace_id")))
PLAIN = (
    *("name", "email", "phone", "company", "title", "source", "engagement", "score"),
    *("created_at", "updated_at", "last_touch_at"),
)


MEMBER = Statement(
    select(member.c.role).where(
        member.c.workspace_id == bindparam("workspace_id"), member.c.user_id == bindparam("user_id")
    )
)


@cache
def _page_statement(used: frozenset[str], has_after: bool) -> Statement:
    moment = _moment(used)
    page = (
        select(
            lead.c.id,
            moment.label("moment"),
            *(lead.c[name] for name in PLAIN),
            cast(lead.c.metadata, Text).label("metadata"),
            stage.c.name.label("stage"),
            app_user.c.name.label("owner"),
            app_user.c.email.label("owner_email"),
            _identities().label("identities"),
            _tags().label("tags"),
        )
        .select_from(join_lead(lead))
        .where(lead.c.workspace_id == bindparam("workspace_id"), *where(used))
    )
    if has_after:
        after = tuple_(
            bindparam("after_at", type_=DateTime(timezone=True)), bindparam("after_id", type_=Uuid)
        )
        page = page.where(tuple_(moment, lead.c.id) < after)
    return Statement(
        page.order_by(moment.desc(), lead.c.id.desc()).limit(bindparam("limit", type_=BigInteger))
    )


def _moment(used: frozenset[str]) -> ColumnElement[Any]:
    """By what the order goes: of deleted leads by when they were deleted, which is what their index has."""
    return lead.c.deleted_at if "deleted" in used else lead.c.created_at


def _identities() -> ColumnElement[Any]:
    found = (
        select(array([lead_identity.c.kind, lead_identity.c.value, cast(lead_identity.c.is_primary, Text)]))
        .where(lead_identity.c.workspace_id == lead.c.workspace_id, lead_identity.c.lead_id == lead.c.id)
        .order_by(lead_identity.c.kind, lead_identity.c.is_primary.desc(), lead_identity.c.value)
        .scalar_subquery()
    )
    return func.array(found)


def _tags() -> ColumnElement[Any]:
    found = (
        select(tag.c.name)
        .join_from(
            lead_tag, tag, (tag.c.workspace_id == lead_tag.c.workspace_id) & (tag.c.id == lead_tag.c.tag_id)
        )
        .where(lead_tag.c.workspace_id == lead.c.workspace_id, lead_tag.c.lead_id == lead.c.id)
        .order_by(tag.c.name, tag.c.id)
        .scalar_subquery()
    )
    return func.array(found)


async def export_page(
    reads: Reads, workspace_id: UUID, conditions: LeadConditions, *, limit: int, after: Keyset | None
) -> list[asyncpg.Record]:
    """Newest first. The next page follows the last row's `moment` and `id`."""
    position = {"after_at": after.at, "after_id": after.id} if after else {}
    return await reads.fetch(
        _page_statement(conditions.used, after is not None),
        workspace_id=workspace_id,
        limit=limit,
        **conditions.values,
        **position,
    )


async def export_locale(reads: Reads, workspace_id: UUID) -> str:
    row = await reads.fetch_one(LOCALE, workspace_id=workspace_id)
    assert row is not None
    return str(row["locale"])


async def role_now(reads: Reads, workspace_id: UUID, user_id: UUID) -> Role | None:
    """None for who is no member any more."""
    row = await reads.fetch_one(MEMBER, workspace_id=workspace_id, user_id=user_id)
    return Role(row["role"]) if row else None
