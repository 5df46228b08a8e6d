"""Versions as sending reads them."""

from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.common.database import Statement
from app.common.domain import Channel
from app.common.work import Reads
from app.templates.domain.template import TemplateVersion

VERSION = """
    SELECT v.id, v.template_id, v.number, t.channel, v.subject, v.body, v.variables, v.required
    FROM template_version v JOIN template t ON (t.workspace_id, t.id) = (v.workspace_id, v.template_id)
    WHERE v.workspace_id = cast(:workspace_id as uuid) AND {condition}
"""
CURRENT = Statement(
    text(
        VERSION.format(condition="t.id = cast(:id as uuid) AND t.deleted_at IS NULL AND v.number = t.version")
    )
)
BY_ID = Statement(text(VERSION.format(condition="v.id = cast(:id as uuid)")))


async def current_version(reads: Reads, workspace_id: UUID, template_id: UUID) -> TemplateVersion | None:
    """The newest one of a template; None where it is unknown or deleted."""
    return _version(await reads.fetch_one(CURRENT, workspace_id=workspace_id, id=template_id))


async def version_by_id(reads: Reads, workspace_id: UUID, id: UUID) -> TemplateVersion | None:
    """Of a deleted template too: what was accepted with it goes on."""
    return _version(await reads.fetch_one(BY_ID, workspace_id=workspace_id, id=id))


def _version(row: asyncpg.Record | None) -> TemplateVersion | None:
    if row is None:
        return None
    return TemplateVersion(
        id=row["id"],
        template_id=row["template_id"],
        number=row["number"],
        channel=Channel(row["channel"]) if row["channel"] else None,
        subject=row["subject"],
        body=row["body"],
        variables=tuple(row["variables"]),
        required=tuple(row["required"]),
    )
