"""What a batch's recipients would be sent, read for many at once and rendered in Python, before any lock is taken."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Uuid, bindparam, text

from app.common.database import Statement
from app.common.work import Reads
from app.conversations.domain.batch_turn import Draft
from app.conversations.domain.message import MAX_BODY
from app.conversations.domain.search import search_text
from app.conversations.domain.sending import CONTROLS, MAX_REPLY_SUBJECT
from app.templates.wiring import (
    VALUE_COLUMNS,
    VALUE_JOINS,
    TemplateVersion,
    rendered,
    values_of,
    version_by_id,
)

VERSIONS_MAX = 1000
READ = Statement(
    text(
        f"""
        SELECT d.id, d.send_batch_id, d.account_id, d.lead_id, d.message_id, b.template_version_id,
            l.version, l.name, l.email, {VALUE_COLUMNS}
        FROM delivery d
            JOIN send_batch b ON (b.workspace_id, b.id) = (d.workspace_id, d.send_batch_id)
            JOIN channel_account a ON (a.workspace_id, a.id) = (d.workspace_id, d.account_id)
            JOIN lead l ON (l.workspace_id, l.id) = (d.workspace_id, d.lead_id)
            JOIN workspace w ON w.id = d.workspace_id
            {VALUE_JOINS}
        WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = ANY (:ids)
        """  # noqa: S608 - constants of ours
    ).bindparams(bindparam("ids", type_=ARRAY(Uuid)))
)


class Renderer:
    """One a worker process: a template's version never changes."""

    def __init__(self) -> None:
        self._versions: dict[tuple[UUID, UUID], TemplateVersion] = {}

    async def drafts(
        self, reads: Reads, workspace_id: UUID, ids: Sequence[UUID]
    ) -> Mapping[UUID, "Draft | Exception"]:
        """By delivery; an erased one is not there. What cannot be rendered is that recipient's own failure."""
        rows = await reads.fetch(READ, workspace_id=workspace_id, ids=list(ids))
        for version_id in {row["template_version_id"] for row in rows}:
            await self._version(reads, workspace_id, version_id)
        return {row["id"]: self._draft(workspace_id, row) for row in rows}

    async def _version(self, reads: Reads, workspace_id: UUID, id: UUID) -> None:
        if (workspace_id, id) in self._versions:
            return
        version = await version_by_id(reads, workspace_id, id)
        assert version is not None, "a batch's foreign key keeps its version"
        if len(self._versions) >= VERSIONS_MAX:
            self._versions.clear()
        self._versions[workspace_id, id] = version

    def _draft(self, workspace_id: UUID, row: asyncpg.Record) -> "Draft | Exception":
        try:
            return draft_of(self._versions[workspace_id, row["template_version_id"]], row)
        except Exception as error:  # noqa: BLE001 - one recipient's values keep no other waiting
            return error


def draft_of(version: TemplateVersion, row: asyncpg.Record) -> Draft:
    text = rendered(version, values_of(row))
    subject = None if text.subject is None else " ".join(CONTROLS.sub(" ", text.subject).split())
    subject = subject if subject is None else subject[:MAX_REPLY_SUBJECT]
    body = text.body.replace("\x00", "")[:MAX_BODY]
    return Draft(
        batch_id=row["send_batch_id"],
        account_id=row["account_id"],
        lead_id=row["lead_id"],
        lead_version=row["version"],
        address=row["email"],
        has_message=row["message_id"] is not None,
        subject=subject,
        body=body,
        search_text=search_text(
            body=body, subject=subject, contact_name=row["name"], contact_address=row["email"]
        ),
        is_missing=bool(text.missing),
    )
