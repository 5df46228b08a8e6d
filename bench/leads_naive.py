"""The newcomer beside `bench leads`: stock Strawberry over SQLAlchemy's ORM, three dataloaders, one session a load.

No sign-in, no limits, no wall between tenants; a search is ILIKE over five columns.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy import DateTime, ForeignKey, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader

WORKSPACE = UUID(os.environ["BENCH_WORKSPACE"])
engine = create_async_engine(
    os.environ["SALESPAD_DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"),
    pool_size=30,
    max_overflow=0,
    connect_args={"server_settings": {"role": "sp_system"}},
)
open_session = async_sessionmaker(engine, class_=AsyncSession)


class Base(DeclarativeBase):
    pass


class StageRow(Base):
    __tablename__ = "stage"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID]
    name: Mapped[str]
    position: Mapped[int]


class UserRow(Base):
    __tablename__ = "app_user"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]


class TagRow(Base):
    __tablename__ = "tag"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID]
    name: Mapped[str]
    color: Mapped[str]


class LeadTagRow(Base):
    __tablename__ = "lead_tag"
    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    lead_id: Mapped[UUID] = mapped_column(primary_key=True)
    tag_id: Mapped[UUID] = mapped_column(ForeignKey("tag.id"), primary_key=True)


class LeadRow(Base):
    __tablename__ = "lead"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID]
    name: Mapped[str]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    company: Mapped[str | None]
    title: Mapped[str | None]
    source: Mapped[str]
    engagement: Mapped[str]
    score: Mapped[int]
    version: Mapped[int]
    rank: Mapped[str]
    stage_id: Mapped[UUID]
    owner_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


async def load_stages(ids: list[UUID]) -> list[StageRow]:
    async with open_session() as session:
        found = await session.scalars(
            select(StageRow).where(StageRow.workspace_id == WORKSPACE, StageRow.id.in_(ids))
        )
        rows = {row.id: row for row in found}
    return [rows[id] for id in ids]


async def load_users(ids: list[UUID]) -> list[UserRow]:
    async with open_session() as session:
        rows = {row.id: row for row in await session.scalars(select(UserRow).where(UserRow.id.in_(ids)))}
    return [rows[id] for id in ids]


async def load_tags(lead_ids: list[UUID]) -> list[list[TagRow]]:
    tags: dict[UUID, list[TagRow]] = {id: [] for id in lead_ids}
    wanted = (
        select(LeadTagRow.lead_id, TagRow)
        .join(TagRow, TagRow.id == LeadTagRow.tag_id)
        .where(LeadTagRow.workspace_id == WORKSPACE, LeadTagRow.lead_id.in_(lead_ids))
        .order_by(TagRow.name)
    )
    async with open_session() as session:
        for lead_id, tag in await session.execute(wanted):
            tags[lead_id].append(tag)
    return list(tags.values())


@strawberry.type
class Named:
    id: strawberry.ID
    name: str


@strawberry.type
class Tag(Named):
    color: str


@strawberry.type
class Lead:
    row: strawberry.Private[LeadRow]
    id: strawberry.ID
    name: str
    email: str | None
    phone: str | None
    company: str | None
    title: str | None
    source: str
    engagement: str
    score: int
    version: int
    created_at: datetime

    @classmethod
    def of(cls, row: LeadRow) -> "Lead":
        plain = ("name", "email", "phone", "company", "title", "source", "engagement", "score", "version")
        return cls(
            row=row,
            id=strawberry.ID(str(row.id)),
            created_at=row.created_at,
            **{name: getattr(row, name) for name in plain},
        )

    @strawberry.field
    async def stage(self, info: strawberry.Info) -> Named:
        row = await info.context["stages"].load(self.row.stage_id)
        return Named(id=strawberry.ID(str(row.id)), name=row.name)

    @strawberry.field
    async def owner(self, info: strawberry.Info) -> Named | None:
        if self.row.owner_id is None:
            return None
        row = await info.context["users"].load(self.row.owner_id)
        return Named(id=strawberry.ID(str(row.id)), name=row.name)

    @strawberry.field
    async def tags(self, info: strawberry.Info) -> list[Tag]:
        rows = await info.context["tags"].load(self.row.id)
        return [Tag(id=strawberry.ID(str(row.id)), name=row.name, color=row.color) for row in rows]


async def find_leads(*conditions: Any, order: Sequence[Any] = (), limit: int) -> list[Lead]:
    newest = (LeadRow.created_at.desc(), LeadRow.id.desc())
    wanted = (
        select(LeadRow)
        .where(LeadRow.workspace_id == WORKSPACE, LeadRow.deleted_at.is_(None), *conditions)
        .order_by(*(order or newest))
        .limit(limit)
    )
    async with open_session() as session:
        return [Lead.of(row) for row in await session.scalars(wanted)]


@strawberry.type
class Column:
    stage: Named

    @strawberry.field
    async def leads(self, first: int) -> list[Lead]:
        in_stage = LeadRow.stage_id == UUID(str(self.stage.id))
        return await find_leads(in_stage, order=(LeadRow.rank, LeadRow.id), limit=first)


@strawberry.type
class Query:
    @strawberry.field
    async def leads(
        self,
        first: int,
        search: str | None = None,
        before: datetime | None = None,
        before_id: strawberry.ID | None = None,
    ) -> list[Lead]:
        conditions: list[Any] = []
        if before and before_id:
            conditions.append(tuple_(LeadRow.created_at, LeadRow.id) < (before, UUID(str(before_id))))
        columns = (LeadRow.name, LeadRow.company, LeadRow.title, LeadRow.email, LeadRow.phone)
        conditions += [
            or_(*(column.ilike(f"%{word}%") for column in columns)) for word in (search or "").split()
        ]
        return await find_leads(*conditions, limit=first)

    @strawberry.field
    async def lead(self, id: strawberry.ID) -> Lead | None:
        found = await find_leads(LeadRow.id == UUID(str(id)), limit=1)
        return found[0] if found else None

    @strawberry.field
    async def board(self) -> list[Column]:
        async with open_session() as session:
            rows = await session.scalars(
                select(StageRow).where(StageRow.workspace_id == WORKSPACE).order_by(StageRow.position)
            )
            return [Column(stage=Named(id=strawberry.ID(str(row.id)), name=row.name)) for row in rows]


class View(GraphQL[Any, Any]):
    async def get_context(self, request: Any, response: Any) -> dict[str, Any]:
        return {
            "stages": DataLoader(load_stages),
            "users": DataLoader(load_users),
            "tags": DataLoader(load_tags),
        }


def ready(_: Request) -> PlainTextResponse:
    return PlainTextResponse("")


app = Starlette(
    routes=[Route("/health/ready", ready), Mount("/graphql", View(strawberry.Schema(query=Query)))]
)
