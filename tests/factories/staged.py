"""Leads as an import hands them to the door of leads."""

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Doors, Work
from app.leads.domain.identity import Identity, IdentityKind
from app.leads.domain.staged import ImportPolicy, LeadDefaults, StagedLead, WrittenLead
from app.leads.wiring import LeadRepository, forecast_leads, upsert_leads
from tests.factories.accounts import Person

UNDO = Statement(text("SELECT n, lead_id, outcome, undo::text AS undo FROM pg_temp.stage_lead ORDER BY n"))


class Settling(Protocol):
    def __call__(
        self,
        work: Work,
        workspace_id: UUID,
        staged: Sequence[StagedLead],
        policy: ImportPolicy,
        defaults: LeadDefaults,
        *,
        settle: Callable[[], Awaitable[object]],
    ) -> Awaitable[list[WrittenLead]]: ...


async def nothing() -> None:
    """Settles no row."""


def row(n: int, **given: Any) -> StagedLead:
    """With identities by the names of their kinds: `email="bia@example.com"`."""
    kinds = {kind: given.pop(kind.lower()) for kind in IdentityKind if kind.lower() in given}
    return StagedLead(
        n=n,
        name=given.pop("name", None),
        fallback_name="Somebody",
        company=given.pop("company", None),
        title=given.pop("title", None),
        avatar_url=given.pop("avatar_url", None),
        metadata=given.pop("metadata", None),
        identities=[Identity(kind, value) for kind, value in kinds.items()],
        tags=given.pop("tags", ()),
        note=given.pop("note", None),
    )


async def defaults_of(work: Work, person: Person, **given: Any) -> LeadDefaults:
    stage_id = await LeadRepository(work).stage(person.workspace_id, None)
    given = {"owner_id": None, "tag_ids": (), "created_by": person.user_id, **given}
    return LeadDefaults(source="CSV", stage_id=stage_id, **given)


async def settled(
    doors: Doors,
    person: Person,
    rows: Sequence[StagedLead],
    policy: ImportPolicy = ImportPolicy.UPSERT,
    *,
    by: Settling = upsert_leads,
    **defaults: Any,
) -> tuple[list[WrittenLead], list[Any]]:
    """What became of the rows, and the stage as it is left to the import."""
    async with doors.open_work(person.workspace_id) as work:
        given = await defaults_of(work, person, **defaults)
        written = await by(work, person.workspace_id, rows, policy, given, settle=nothing)
        return written, await work.fetch(UNDO)


async def forecast(
    doors: Doors, person: Person, rows: Sequence[StagedLead], policy: ImportPolicy, **defaults: Any
) -> list[WrittenLead]:
    return (await settled(doors, person, rows, policy, by=forecast_leads, **defaults))[0]


def random_rows(dice: random.Random, count: int) -> list[StagedLead]:
    """Of few people, so that many are known; no identity is there twice."""
    pools = {
        "email": [f"p{number}@example.com" for number in range(12)],
        "phone": [f"+55119876540{number:02}" for number in range(12)],
        "linkedin": [f"p{number}" for number in range(12)],
    }
    for pool in pools.values():
        dice.shuffle(pool)
    rows = []
    for n in range(1, count + 1):
        kinds = dice.sample(sorted(pools), dice.randint(1, 3))
        given: dict[str, Any] = {kind: pools[kind].pop() for kind in kinds}
        given["name"] = dice.choice([None, "Bia", "Caio"])
        given["company"], given["title"] = dice.choice([None, "Acme"]), dice.choice([None, "CEO", "CTO"])
        given["metadata"] = dice.choice([None, None, {"a": dice.randint(1, 2)}])
        given["tags"] = dice.sample(["VIP", "vip", "Feira", "São Paulo"], dice.choice([0, 0, 1, 2]))
        given["note"] = dice.choice([None, None, "Call her", "Met in May"])
        rows.append(row(n, **given))
    return rows
