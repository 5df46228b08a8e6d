"""The rules that act now."""

from uuid import UUID

import orjson
from sqlalchemy import text

from app.automations.domain.rule import EnabledRule, rule_of
from app.common.database import Statement
from app.common.work import Reads

# Before they are read, by a statement of its own: who waited here for an edit would find the automation with its new
# version, and not the version's row, which came after this statement began.
HOLD = Statement(
    text(
        """
        SELECT id FROM automation
        WHERE workspace_id = cast(:workspace_id as uuid) AND enabled AND deleted_at IS NULL
        ORDER BY id FOR SHARE
        """
    )
)
ENABLED = Statement(
    text(
        """
        SELECT a.id, v.id AS version_id, a.name, a.enabled_at, v.rule::text AS rule
        FROM automation a
            JOIN automation_version v ON (v.workspace_id, v.automation_id, v.number) = (a.workspace_id, a.id, a.version)
        WHERE a.workspace_id = cast(:workspace_id as uuid) AND a.enabled AND a.deleted_at IS NULL
            AND (cast(:held as uuid[]) IS NULL OR a.id = ANY (cast(:held as uuid[])))
        ORDER BY a.id
        """
    )
)


async def enabled_rules(reads: Reads, workspace_id: UUID, *, held: bool = False) -> list[EnabledRule]:
    """By their ids. `held` (in a `Work`): until the commit nobody edits, switches off or deletes one of them."""
    ids = [row["id"] for row in await reads.fetch(HOLD, workspace_id=workspace_id)] if held else None
    return [
        EnabledRule(
            automation_id=row["id"],
            version_id=row["version_id"],
            name=row["name"],
            enabled_at=row["enabled_at"],
            rule=rule_of(orjson.loads(row["rule"])),
        )
        for row in await reads.fetch(ENABLED, workspace_id=workspace_id, held=ids)
    ]
