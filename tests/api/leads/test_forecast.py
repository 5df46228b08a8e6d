"""A dry run tells what the run then does: random rows over random leads, under every policy."""

import random

import pytest
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Doors
from app.leads.domain.identity import Identity, IdentityKind
from app.leads.domain.staged import ImportPolicy, StagedLead
from app.leads.infrastructure.erased import remember_erased
from tests.factories.accounts import Person
from tests.factories.leads import new_tag
from tests.factories.staged import forecast, random_rows, settled

SUPPRESS = Statement(
    text(
        """
        INSERT INTO suppression (workspace_id, value, reason)
        VALUES (cast(:workspace_id as uuid), 'p1@example.com', 'MANUAL')
        """
    )
)
MOVE_TO_WHATSAPP = Statement(
    text(
        """
        UPDATE lead_identity SET kind = 'WHATSAPP'
        WHERE workspace_id = cast(:workspace_id as uuid) AND kind = 'PHONE' AND value ~ '[0-4]$'
        """
    )
)
KEPT = Statement(
    text(
        """
        SELECT (SELECT coalesce(jsonb_agg(to_jsonb(l) ORDER BY l.id), '[]') FROM lead l)::text AS leads,
            (SELECT coalesce(jsonb_agg(to_jsonb(i) ORDER BY i.id), '[]') FROM lead_identity i)::text AS identities,
            (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.id), '[]') FROM tag t)::text AS tags,
            (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY lead_id, tag_id), '[]') FROM lead_tag t)::text AS tagged,
            (SELECT count(*) FROM interaction) AS entries, (SELECT seq FROM feed_head) AS seq
        """
    )
)


async def kept(doors: Doors, person: Person) -> list[object]:
    """All that an import may write to, of this workspace."""
    async with doors.open_reads(person.workspace_id) as reads:
        return [tuple(row) for row in await reads.fetch(KEPT)]


async def make_hard(doors: Doors, person: Person) -> None:
    """Somebody has numbers on WhatsApp alone, somebody is suppressed, somebody was erased."""
    async with doors.open_work(person.workspace_id) as work:
        await work.fetch(SUPPRESS, workspace_id=person.workspace_id)
        await work.fetch(MOVE_TO_WHATSAPP, workspace_id=person.workspace_id)
        await remember_erased(work, person.workspace_id, [Identity(IdentityKind.LINKEDIN, "p2")])


async def the_same_told_and_done(
    doors: Doors, person: Person, rows: list[StagedLead], policy: ImportPolicy, tags: list[str]
) -> set[str]:
    before = await kept(doors, person)
    told = await forecast(doors, person, rows, policy, tag_ids=tags)
    assert await kept(doors, person) == before
    done, stage = await settled(doors, person, rows, policy, tag_ids=tags)
    assert [(one.n, one.outcome, one.identity_taken, one.are_tags_left_out) for one in told] == [
        (one.n, one.outcome, one.identity_taken, one.are_tags_left_out) for one in done
    ]
    assert [one["n"] for one in stage if one["undo"] and one["outcome"] != "CREATED"] == [
        one.n for one in done if one.outcome == "UPDATED"
    ]
    return {one.outcome for one in done} | ({"TAKEN"} if any(one.identity_taken for one in done) else set())


@pytest.mark.parametrize("seed", range(3))
async def test_a_forecast_is_what_the_run_then_does(ana: Person, doors: Doors, seed: int) -> None:
    dice = random.Random(seed)
    tags = [await new_tag(ana, "Import")]
    seen: set[str] = set()
    await settled(doors, ana, random_rows(dice, 4))
    await make_hard(doors, ana)
    for _ in range(12):
        rows, policy = random_rows(dice, dice.randint(1, 7)), dice.choice(list(ImportPolicy))
        seen |= await the_same_told_and_done(doors, ana, rows, policy, dice.choice([[], tags]))
    assert seen >= {
        "CREATED",
        "UPDATED",
        "UNCHANGED",
        "DUPLICATE_IN_FILE",
        "SKIPPED_EXISTING",
        "ERASED",
        "TAKEN",
    }
