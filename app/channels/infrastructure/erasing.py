"""Mails as they came in, gone: those that became messages of a person, and those that name one of their addresses."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work

SEARCHED_BYTES = 1_000_000
"""Of each mail: its headers, what it says, and what it quotes."""

DROP = Statement(
    text(
        """
        DELETE FROM inbound_event WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
        """
    )
)
# What no message was made of: waiting mails, bounces, doubles. One in a worker's hands is decided by the keyed hashes.
DROP_NAMING = Statement(
    text(
        f"""
        WITH found AS MATERIALIZED (
            SELECT id FROM inbound_event
            WHERE workspace_id = cast(:workspace_id as uuid)
                AND (status <> 'done' OR error IS NOT NULL)
                AND lower(encode(substring(raw FOR {SEARCHED_BYTES}), 'escape')) LIKE ANY (cast(:patterns as text[]))
            ORDER BY id FOR UPDATE SKIP LOCKED
        )
        DELETE FROM inbound_event e USING found f
        WHERE e.workspace_id = cast(:workspace_id as uuid) AND e.id = f.id
        """  # noqa: S608 - a constant of ours
    )
)
EMPTY = Statement(
    text(
        """
        UPDATE inbound_event SET raw = ''
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
        """
    )
)


async def erase_mails(
    work: Work, workspace_id: UUID, event_ids: Sequence[UUID], addresses: Sequence[str]
) -> None:
    if event_ids:
        await work.fetch(DROP, workspace_id=workspace_id, ids=list(event_ids))
    patterns = [f"%{_escaped(address)}%" for address in addresses]
    if patterns:
        await work.fetch(DROP_NAMING, workspace_id=workspace_id, patterns=patterns)


async def empty_mail(work: Work, workspace_id: UUID, event_id: UUID) -> None:
    """What it said is gone; that it came is known, so that it does not come again."""
    await work.fetch(EMPTY, workspace_id=workspace_id, id=event_id)


def _escaped(text: str) -> str:
    """As a pattern that stands for itself."""
    return text.lower().replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
