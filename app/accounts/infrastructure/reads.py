"""What screens and other modules read of accounts."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Text, Uuid, any_, bindparam, cast, func, select

from app.accounts.infrastructure.tables import app_user, member, session, workspace
from app.common.database import Statement
from app.common.work import Doors, Reads, Work

WORKSPACE_FIELDS = (
    cast(workspace.c.id, Text).label("workspace_id"),
    workspace.c.name.label("workspace_name"),
    workspace.c.locale,
    workspace.c.time_zone,
    workspace.c.phone_region,
    workspace.c.quiet_from,
    workspace.c.quiet_to,
    workspace.c.quiet_weekdays,
)
MEMBERSHIPS = Statement(
    select(
        cast(app_user.c.id, Text).label("user_id"),
        app_user.c.name.label("user_name"),
        app_user.c.email,
        app_user.c.locale.label("user_locale"),
        *WORKSPACE_FIELDS,
        member.c.role,
    )
    .join_from(member, app_user, member.c.user_id == app_user.c.id)
    .join(workspace, member.c.workspace_id == workspace.c.id)
    .where(member.c.user_id == bindparam("user_id"))
    .order_by(workspace.c.name, workspace.c.id)
    .limit(1000)
)

SESSIONS = Statement(
    select(
        cast(session.c.id, Text).label("id"),
        session.c.client,
        session.c.user_agent,
        session.c.ip_prefix,
        session.c.created_at,
        session.c.last_used_at,
        *WORKSPACE_FIELDS,
    )
    .join_from(session, workspace, session.c.workspace_id == workspace.c.id)
    .where(
        session.c.user_id == bindparam("user_id"),
        session.c.revoked_at.is_(None),
        session.c.expires_at > func.now(),
    )
    .order_by(session.c.last_used_at.desc(), session.c.id.desc())
    .limit(100)
)
WORKSPACE = Statement(select(*WORKSPACE_FIELDS).where(workspace.c.id == bindparam("workspace_id")))

HOLD_MEMBER = Statement(
    select(member.c.user_id)
    .where(member.c.workspace_id == bindparam("workspace_id"), member.c.user_id == bindparam("user_id"))
    .with_for_update(key_share=True, read=True)
)
HOLD_MEMBERS = Statement(
    select(member.c.user_id)
    .where(
        member.c.workspace_id == bindparam("workspace_id"),
        member.c.user_id == any_(bindparam("user_ids", type_=ARRAY(Uuid))),
    )
    .order_by(member.c.user_id)
    .with_for_update(key_share=True, read=True)
)
OF_WORKSPACE = (
    select(
        cast(app_user.c.id, Text).label("id"),
        app_user.c.name,
        app_user.c.email,
        app_user.c.locale,
        member.c.role,
        member.c.joined_at,
    )
    .join_from(member, app_user, member.c.user_id == app_user.c.id)
    .where(member.c.workspace_id == bindparam("workspace_id"))
)
MEMBER = Statement(OF_WORKSPACE.where(member.c.user_id == bindparam("user_id")))
MEMBERS = Statement(OF_WORKSPACE.order_by(app_user.c.name, app_user.c.id).limit(1000))
HOLD_NAME = Statement(
    select(app_user.c.name)
    .join_from(member, app_user, member.c.user_id == app_user.c.id)
    .where(member.c.workspace_id == bindparam("workspace_id"), member.c.user_id == bindparam("user_id"))
    .with_for_update(key_share=True, read=True, of=member)
)
PHONE_REGION = Statement(select(workspace.c.phone_region).where(workspace.c.id == bindparam("workspace_id")))


async def read_memberships(doors: Doors, user_id: UUID) -> list[asyncpg.Record]:
    """Somebody's workspaces, themselves in each row. By the system door: a tenant's own shows only its
    workspace.
    """
    async with doors.open_system() as system:
        return await system.fetch(MEMBERSHIPS, user_id=user_id)


async def read_sessions(doors: Doors, user_id: UUID) -> list[asyncpg.Record]:
    """Somebody's live sessions in all their workspaces, the one used last first."""
    async with doors.open_system() as system:
        return await system.fetch(SESSIONS, user_id=user_id)


async def read_workspace(doors: Doors, workspace_id: UUID) -> asyncpg.Record | None:
    async with doors.open_reads(workspace_id) as reads:
        return await reads.fetch_one(WORKSPACE, workspace_id=workspace_id)


async def hold_member(work: Work, workspace_id: UUID, user_id: UUID) -> bool:
    """Whether they belong to the workspace; if so, they do until the commit."""
    return bool(await work.fetch(HOLD_MEMBER, workspace_id=workspace_id, user_id=user_id))


async def hold_members(work: Work, workspace_id: UUID, user_ids: Sequence[UUID]) -> set[UUID]:
    """Those of them who belong to the workspace; they do until the commit."""
    rows = await work.fetch(HOLD_MEMBERS, workspace_id=workspace_id, user_ids=list(user_ids))
    return {row["user_id"] for row in rows}


async def held_member_name(work: Work, workspace_id: UUID, user_id: UUID) -> str | None:
    """As `hold_member`, with what colleagues call them; None for somebody who is no member."""
    row = await work.fetch_one(HOLD_NAME, workspace_id=workspace_id, user_id=user_id)
    return str(row["name"]) if row else None


async def list_members(reads: Reads, workspace_id: UUID) -> list[asyncpg.Record]:
    """By name."""
    return await reads.fetch(MEMBERS, workspace_id=workspace_id)


async def phone_region(reads: Reads, workspace_id: UUID) -> str:
    """The country of phone numbers without a prefix."""
    row = await reads.fetch_one(PHONE_REGION, workspace_id=workspace_id)
    assert row is not None
    return str(row["phone_region"])


async def member_by_id(reads: Reads, workspace_id: UUID, user_id: UUID) -> asyncpg.Record | None:
    """The person, as long as they belong to the workspace."""
    return await reads.fetch_one(MEMBER, workspace_id=workspace_id, user_id=user_id)
