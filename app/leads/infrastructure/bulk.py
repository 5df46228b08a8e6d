"""Set-based writing of leads for other modules: imports at the speed of COPY.

Rows are staged (`staging.py`), matched with the workspace's identities (`matching.py`), and written by a fixed number
of statements whatever their number; those that find nothing to do are not sent. Identities are inserted in the order of
their key, so two imports of the same people wait for each other and never deadlock; the lead is inserted in the same
statement, so neither can exist without the other (delivery.md 0.10).
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.domain import EVENT_IDS_MAX
from app.common.work import Work
from app.leads.domain.staged import ImportPolicy, LeadDefaults, StagedLead, WrittenLead
from app.leads.domain.timeline import notes_added
from app.leads.infrastructure.known_leads import ADD_NOTES, ADD_TAGS, ADDABLE, UPDATE_KNOWN
from app.leads.infrastructure.matching import LostTheRace, Settle, hold_known, mark_taken, match
from app.leads.infrastructure.staged_tags import stage_tags
from app.leads.infrastructure.staging import finish, make_stage, stage
from app.tags.domain import made
from app.tags.wiring import hold_tags, make_tags

MATCH_ATTEMPTS = 5


def _write(*, is_known: str, is_primary: str, addable: str, key: str = "") -> str:
    """New leads, and the identities of new and known ones: those that went in.

    A first score asks what is there, not what it says: the rules are asked once for all that have the same.
    """
    return f"""
        WITH added AS (
            INSERT INTO lead_identity (workspace_id, lead_id, kind, value, is_primary)
            SELECT cast(:workspace_id as uuid), s.lead_id, t.kind, t.value, {is_primary}
            FROM pg_temp.stage_identity t JOIN pg_temp.stage_lead s USING (n)
            WHERE s.outcome IS NULL{addable}
            ORDER BY t.kind, t.value, t.n
            ON CONFLICT {key} DO NOTHING
            RETURNING lead_id, kind, value
        ), scores AS MATERIALIZED (
            SELECT email IS NULL AS no_email, phone IS NULL AS no_phone, company IS NULL AS no_company,
                title IS NULL AS no_title, first_score(
                    cast(:workspace_id as uuid), any_value(email), any_value(phone), any_value(company),
                    any_value(title), cast(:source as text)
                ) AS score
            FROM pg_temp.stage_lead GROUP BY no_email, no_phone, no_company, no_title
        ), created AS (
            INSERT INTO lead
                (workspace_id, id, name, company, title, avatar_url, email, phone, stage_id, rank, owner_id, source,
                 metadata, created_by, basis, handles, score)
            SELECT cast(:workspace_id as uuid), s.lead_id, coalesce(s.name, s.fallback_name), s.company, s.title,
                s.avatar_url, s.email, s.phone, cast(:stage_id as uuid),
                replace(s.lead_id::text, '-', '') || 'i', cast(:owner_id as uuid),
                cast(:source as text), coalesce(s.metadata, '{{}}'), cast(:created_by as uuid),
                cast(:basis as text), s.handles, (
                    SELECT score FROM scores
                    WHERE (no_email, no_phone, no_company, no_title)
                        = (s.email IS NULL, s.phone IS NULL, s.company IS NULL, s.title IS NULL)
                )
            FROM pg_temp.stage_lead s WHERE s.outcome IS NULL{is_known}
        )
    """  # noqa: S608 - constants of ours


COUNTED = """
    SELECT (SELECT count(*) FROM added) AS added, count(*) AS wanted
    FROM pg_temp.stage_identity t JOIN pg_temp.stage_lead s USING (n) WHERE s.outcome IS NULL
"""
COUNTED_AND_KEPT = """, theirs AS (
        UPDATE pg_temp.stage_lead s SET added = a.added
        FROM (
            SELECT lead_id, jsonb_agg(jsonb_build_array(kind, value) ORDER BY kind, value) AS added
            FROM added GROUP BY lead_id
        ) a
        WHERE a.lead_id = s.lead_id AND s.outcome IS NULL
        RETURNING s.known, jsonb_array_length(s.added) AS size
    )
    SELECT (SELECT coalesce(sum(size), 0) FROM theirs WHERE NOT known) AS added, count(*) AS wanted
    FROM pg_temp.stage_identity t JOIN pg_temp.stage_lead s USING (n) WHERE s.outcome IS NULL AND NOT s.known
"""
IS_PRIMARY = """t.is_first AND NOT (s.known AND EXISTS (
    SELECT FROM lead_identity i WHERE i.workspace_id = cast(:workspace_id as uuid)
        AND i.lead_id = s.lead_id AND i.kind = t.kind OFFSET 0
))"""
# The one key that two can want of new leads' identities: PostgreSQL asks the others no more before it inserts.
LIVE_KEY = "(workspace_id, kind, value) WHERE released_at IS NULL"
WRITE_NEW = Statement(text(_write(is_known="", is_primary="t.is_first", addable="", key=LIVE_KEY) + COUNTED))
_ADDED = _write(
    is_known=" AND NOT s.known", is_primary=IS_PRIMARY, addable=f" AND (NOT s.known OR ({ADDABLE}))"
)
WRITE = Statement(text(_ADDED + COUNTED_AND_KEPT))


async def upsert_leads(
    work: Work,
    workspace_id: UUID,
    staged: Sequence[StagedLead],
    policy: ImportPolicy,
    defaults: LeadDefaults,
    *,
    settle: Settle,
) -> list[WrittenLead]:
    """Writes leads whose identities do not repeat among them, their tags and their notes; the caller announces the
    leads that were written, this the tags and notes that were made.

    Afterwards `pg_temp.stage_lead` has for each row what became of it, and what takes it back (`undo`).
    """
    await make_stage(work)
    # Before any is made: who gives one of them a name that is being made would hold it, and wait for this.
    tag_ids = await hold_tags(work, workspace_id, defaults.tag_ids) if defaults.tag_ids else set()
    has_known, tags = await _match_and_write(work, workspace_id, staged, policy, defaults, settle)
    if tags:
        work.announce(made(tags))
    if tag_ids or any(row.tags for row in staged):
        await work.fetch(ADD_TAGS, workspace_id=workspace_id, tag_ids=list(tag_ids))
    if any(row.note for row in staged):
        await _add_notes(work, workspace_id, defaults)
    if has_known:
        fill = policy is ImportPolicy.FILL_EMPTY
        await work.fetch(UPDATE_KNOWN, workspace_id=workspace_id, fill=fill, owner_id=defaults.owner_id)
    return await finish(work)


async def _match_and_write(
    work: Work,
    workspace_id: UUID,
    staged: Sequence[StagedLead],
    policy: ImportPolicy,
    defaults: LeadDefaults,
    settle: Settle,
) -> tuple[bool, Sequence[UUID]]:
    """New leads and identities. Whether anybody was known, and the tags that were made. Raises LostTheRace at last."""
    for attempt in range(MATCH_ATTEMPTS):
        try:
            async with work.savepoint():
                await stage(work, staged)
                has_known = await match(work, workspace_id, staged, policy, settle)
                tags = await stage_tags(work, workspace_id, staged, make_tags)
                if has_known:
                    await hold_known(work, workspace_id)
                await _write_new(work, workspace_id, policy, defaults, has_known=has_known)
                await mark_taken(work, workspace_id, has_known=has_known)
                return has_known, tags
        except LostTheRace:
            if attempt == MATCH_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


async def _write_new(
    work: Work, workspace_id: UUID, policy: ImportPolicy, defaults: LeadDefaults, *, has_known: bool
) -> None:
    """Raises LostTheRace where an identity of a new lead was taken meanwhile."""
    row = await work.fetch_one(
        WRITE if has_known else WRITE_NEW,
        workspace_id=workspace_id,
        policy=policy,
        stage_id=defaults.stage_id,
        owner_id=defaults.owner_id,
        source=defaults.source,
        created_by=defaults.created_by,
        basis=defaults.basis,
    )
    if row is None or row["added"] != row["wanted"]:
        raise LostTheRace


async def _add_notes(work: Work, workspace_id: UUID, defaults: LeadDefaults) -> None:
    rows = await work.fetch(ADD_NOTES, workspace_id=workspace_id, created_by=defaults.created_by)
    noted = {row["lead_id"]: row["note_id"] for row in rows}
    for start in range(0, len(noted), EVENT_IDS_MAX):
        work.announce(notes_added(list(noted)[start : start + EVENT_IDS_MAX]))
