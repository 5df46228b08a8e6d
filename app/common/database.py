"""Tables, engines and compiled statements: what the doors of `work.py` and every module's SQL are made of.

One engine per database role. SQLAlchemy opens no transaction of its own (AUTOCOMMIT): BEGIN, COMMIT and ROLLBACK are
sent by `work.py` alone, on the driver's connection, so that the tenant rides in the same round trip as BEGIN.
"""

import os
import socket
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import Column as SqlColumn
from sqlalchemy import (
    DateTime,
    ForeignKeyConstraint,
    MetaData,
    Named,
    TypedColumns,
    Uuid,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeDecorator

from app.settings import Settings

DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
PROCESS = f"{socket.gethostname()[:30]}:{os.getpid()}"
"""By which `doctor` counts processes in pg_stat_activity."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class JsonObject(TypeDecorator[Mapping[str, object]]):
    """A jsonb column. The driver hands out `orjson.Fragment` (the text, unparsed, for answers); Core gets a dict."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, object] | None, dialect: object) -> Any:
        return value

    def process_result_value(self, value: Any, dialect: object) -> Mapping[str, object] | None:
        fragment: Mapping[str, object] | None = (
            orjson.loads(orjson.dumps(value)) if value is not None else None
        )
        return fragment


class ThingColumns(TypedColumns):
    """What every table of things has."""

    workspace_id: Named[UUID] = SqlColumn(Uuid, primary_key=True)
    id: Named[UUID] = SqlColumn(Uuid, primary_key=True, server_default=text("uuidv7()"))
    created_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())


class EditedColumns(ThingColumns):
    """What people edit: `version` is the optimistic lock."""

    updated_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())
    version: Named[int] = SqlColumn(server_default=text("1"))


def tenant_key(column: str, table: str, *, ondelete: str | None = None) -> ForeignKeyConstraint:
    """A foreign key that cannot cross workspaces: `(workspace_id, column)` to `(workspace_id, id)` of `table`."""
    return ForeignKeyConstraint(
        ["workspace_id", column], [f"{table}.workspace_id", f"{table}.id"], ondelete=ondelete
    )


def workspace_key() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["workspace_id"], ["workspace.id"], ondelete="CASCADE")


class Joined:
    """Those columns of a row whose names begin with a prefix, by the rest of their names: one screen's statement joins
    several things, and each is read by its own type."""

    __slots__ = ("_prefix", "_row")

    def __init__(self, row: "asyncpg.Record | Joined", prefix: str) -> None:
        self._row, self._prefix = row, prefix

    def __getitem__(self, name: str) -> Any:
        return self._row[self._prefix + name]

    def get(self, name: str) -> Any:
        """None for a column that the statement left out."""
        return self._row.get(self._prefix + name)


class Statement:
    """A clause compiled once to the driver's SQL: the hot path (0.11 ms a read against 0.35 as Core built per call).

    Parameters are passed by name and sent in the driver's types: uuid.UUID or its text, JSON as text, lists for
    `any_(bindparam(type_=ARRAY(…)))`. A clause whose SQL depends on its values (`in_`) is refused here, at import time.
    """

    __slots__ = ("defaults", "names", "sql")

    def __init__(self, clause: ClauseElement) -> None:
        compiled = clause.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": False})
        self.sql = str(compiled)
        if "POSTCOMPILE" in self.sql:
            raise TypeError("A Statement cannot expand a list: use any_(bindparam(type_=ARRAY(…))).")
        self.names: tuple[str, ...] = tuple(getattr(compiled, "positiontup", None) or ())
        required = {name for name, bind in compiled.binds.items() if bind.required}  # type: ignore[attr-defined]
        self.defaults: dict[str, object] = {
            name: value for name, value in compiled.params.items() if name not in required
        }

    def arguments(self, values: Mapping[str, object]) -> list[object]:
        """The values in the statement's order. Raises KeyError for one that is missing."""
        return [values[name] if name in values else self.defaults[name] for name in self.names]


def asyncpg_url(url: str) -> str:
    """`postgresql://…`, as people write it, in SQLAlchemy's form."""
    scheme, _, rest = url.partition("://")
    if scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise SystemExit("SALESPAD_DATABASE_URL must begin with postgresql://")
    return f"postgresql+asyncpg://{rest}"


def create_role_engine(settings: Settings, role: str, pool_size: int) -> AsyncEngine:
    """A pool whose connections are `role` (sp_app, sp_system) from their first byte on."""
    assert settings.database_url is not None
    engine = create_async_engine(
        asyncpg_url(settings.database_url),
        isolation_level="AUTOCOMMIT",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=settings.pool_wait_s,
        pool_reset_on_return=None,
        hide_parameters=True,
        json_deserializer=orjson.Fragment,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        connect_args={
            "timeout": 5,
            "server_settings": {
                "role": role,
                "application_name": f"salespad/{role} {PROCESS}",
                "statement_timeout": str(int(settings.statement_timeout_s * 1000)),
                "idle_in_transaction_session_timeout": "60000",
                "timezone": "UTC",
                "jit": "off",
            },
        },
    )
    event.listen(engine.sync_engine, "checkout", _replace_closed)
    event.listen(engine.sync_engine, "reset", _drop_unfinished)
    return engine


def _replace_closed(adapted: Any, record: Any, proxy: Any) -> None:
    if adapted.driver_connection.is_closed():
        raise DisconnectionError("the connection was closed")


def _drop_unfinished(adapted: Any, record: Any, reset_state: Any) -> None:
    """A connection that comes back inside a transaction holds a tenant: it is thrown away, never handed on."""
    driver: asyncpg.Connection[Any] = adapted.driver_connection
    if not driver.is_closed() and driver.is_in_transaction():
        driver.terminate()
