"""Implements the port Automations."""

from uuid import UUID

import orjson
from sqlalchemy import func, insert, select, text, update

from app.automations.domain.automation import Automation
from app.automations.domain.errors import AutomationNotFound, TooManyAutomations
from app.automations.domain.rule import MAX_AUTOMATIONS, rule_of
from app.automations.infrastructure.secrets import sealed_secret
from app.automations.infrastructure.tables import automation as table
from app.automations.infrastructure.tables import automation_version
from app.common.database import Statement
from app.common.work import Work
from app.settings import Settings

# Two statements: one that waited for another's edit sees that one's automation, and no version's row of its own. With
# the lock that runs' foreign keys pass by; who acts by the rule (FOR SHARE) waits.
HOLD = Statement(
    text(
        """
        SELECT id FROM automation
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND deleted_at IS NULL
        FOR NO KEY UPDATE
        """
    )
)
HELD = Statement(
    text(
        """
        SELECT a.name, a.enabled, a.version, v.rule::text AS rule
        FROM automation a
            JOIN automation_version v ON (v.workspace_id, v.automation_id, v.number) = (a.workspace_id, a.id, a.version)
        WHERE a.workspace_id = cast(:workspace_id as uuid) AND a.id = cast(:id as uuid)
        """
    )
)
# By the clock of this moment, after the wait for the lock: what began before it is told apart from what comes after.
NOW = func.clock_timestamp()


class AutomationRepository:
    def __init__(self, work: Work, settings: Settings) -> None:
        self._work = work
        self._settings = settings

    async def add(self, workspace_id: UUID, automation: Automation, *, user_id: UUID) -> None:
        # Counted before, not under a lock: of several at once a few may pass. It bounds a list, it guards nothing.
        counted = (
            select(func.count())
            .select_from(table)
            .where(table.c.workspace_id == workspace_id, table.c.deleted_at.is_(None))
        )
        if (await self._work.execute(counted)).scalar_one() >= MAX_AUTOMATIONS:
            raise TooManyAutomations
        await self._work.execute(
            insert(table).values(
                workspace_id=workspace_id,
                id=automation.id,
                name=automation.name,
                enabled=automation.enabled,
                enabled_at=NOW if automation.enabled else None,
                created_by=user_id,
            )
        )
        await self._add_version(workspace_id, automation, user_id)

    async def _add_version(self, workspace_id: UUID, automation: Automation, user_id: UUID) -> None:
        await self._work.execute(
            insert(automation_version).values(
                workspace_id=workspace_id,
                automation_id=automation.id,
                number=automation.version,
                rule=automation.rule.stored,
                created_by=user_id,
            )
        )
        if automation.calls:
            await self._work.execute(
                update(table)
                .where(
                    table.c.workspace_id == workspace_id,
                    table.c.id == automation.id,
                    table.c.webhook_secret.is_(None),
                )
                .values(webhook_secret=sealed_secret(self._settings, workspace_id))
            )

    async def get(self, workspace_id: UUID, id: UUID) -> Automation:
        if not await self._work.fetch(HOLD, workspace_id=workspace_id, id=id):
            raise AutomationNotFound
        row = await self._work.fetch_one(HELD, workspace_id=workspace_id, id=id)
        assert row is not None, "it is locked, so it is there"
        return Automation(
            id=id,
            name=row["name"],
            enabled=row["enabled"],
            version=row["version"],
            rule=rule_of(orjson.loads(row["rule"])),
        )

    async def save(self, workspace_id: UUID, automation: Automation, *, user_id: UUID, is_anew: bool) -> None:
        since = {"enabled_at": NOW} if is_anew and automation.enabled else {}
        await self._set(
            workspace_id, automation.id, name=automation.name, version=automation.version, **since
        )
        await self._add_version(workspace_id, automation, user_id)

    async def switch(self, workspace_id: UUID, id: UUID, *, enabled: bool) -> None:
        await self._set(workspace_id, id, enabled=enabled, **{"enabled_at" if enabled else "stopped_at": NOW})

    async def remove(self, workspace_id: UUID, id: UUID) -> None:
        await self._set(workspace_id, id, enabled=False, stopped_at=NOW, deleted_at=NOW)

    async def _set(self, workspace_id: UUID, id: UUID, **changes: object) -> None:
        saved = await self._work.execute(
            update(table)
            .where(table.c.workspace_id == workspace_id, table.c.id == id)
            .values(updated_at=func.now(), **changes)
        )
        assert saved.rowcount == 1, "it is locked, so it is there"
