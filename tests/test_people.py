"""A person over all modules: the rows of every table that has any follow a lead into another, are exported, are erased.

A new table fails here until its module says what becomes of a person in it.
"""

from dataclasses import dataclass

from sqlalchemy import text

import app.main
import app.people.infrastructure.tables  # noqa: F401 - with app.main, all tables
from app.automations.infrastructure import exporting as automations
from app.common.database import metadata
from app.common.work import Doors
from app.conversations.infrastructure import exporting as conversations
from app.leads.infrastructure import exporting as leads
from app.people.wiring import REASSIGNED

OF_LEADS = text(
    """
    SELECT c.relname AS name, a.attname AS column_name
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND (
        a.attname = 'lead_id' OR EXISTS (
            SELECT FROM pg_constraint k
            WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.confrelid = 'public.lead'::regclass
                AND a.attnum = ANY (k.conkey) AND a.attname <> 'workspace_id'
        )
    )
    """
)
WRITTEN_BY_MERGES = {
    ("lead", "merged_into_id"): "which lead it was merged into",
    ("merge", "kept_id"): "which lead was kept: an unmerge asks whether it was merged further",
}


async def test_every_row_of_a_lead_follows_it_into_another(doors: Doors) -> None:
    async with doors.open_system() as system:
        found = {(row.name, row.column_name) for row in await system.execute(OF_LEADS)}
    assert {"lead_identity", "conversation", "import_row"} <= {name for name, _ in found}
    reassigned = {(name, "lead_id") for name in REASSIGNED}
    assert found - reassigned == set(WRITTEN_BY_MERGES), "say in its module's infrastructure/merging.py"
    assert reassigned <= found


# ── exported and erased ───────────────────────────────────────────────────────────────────────────────────────────────
EXPORTED = {*leads.SECTIONS, *conversations.SECTIONS, *automations.SECTIONS, "imports", "merges"}


@dataclass(frozen=True)
class Line:
    """The section of the export, None: the section of its thing shows it, or nothing of it is the person's; and what
    deletes the rows."""

    export: str | None
    erase: str


OF_PEOPLE = {
    "lead": Line("leads", "leads.erase_leads"),
    "lead_identity": Line("identities", "its lead's key"),
    "lead_tag": Line("tags", "its lead's key"),
    "interaction": Line("timeline", "its lead's key"),
    "score_event": Line("scoreEvents", "its lead's key"),
    "stage_change": Line("stageHistory", "its lead's key"),
    "suppression": Line("suppressions", "its lead's key; by value, leads.erase_leads"),
    "erased_identity": Line(None, "hashes under a key: what an erase leaves"),
    "bulk_change": Line(None, "the filter may hold a search: leads.erase_leads, and at its end"),
    "bulk_send": Line(
        None, "the filter may hold a search: outreach.end_bulk_sends, and once all are taken in"
    ),
    "merge": Line("merges", "people, by kept and merged leads"),
    "merge_journal": Line("merges", "its merge's key"),
    "conversation": Line("conversations", "conversations.erase_conversations"),
    "conversation_read": Line(None, "its conversation's key"),
    "draft": Line("drafts", "its conversation's key"),
    "message": Line("messages", "its conversation's key"),
    "attachment": Line("attachments", "its message's key"),
    "delivery": Line("deliveries", "conversations.erase_conversations"),
    "delivery_attempt": Line("deliveries", "its delivery's key"),
    "file": Line("attachments", "files.let_go, files.remove_files"),
    "inbound_event": Line(None, "channels.erase_mails; the message shows what it said"),
    "automation_run": Line("automationRuns", "its lead's key"),
    "automation_step": Line("automationRuns", "its run's key"),
    "import_job": Line("imports", "imports.erase_imports: the page, the file's name, headers and preview"),
    "import_row": Line("imports", "imports.erase_imports: what was sent, and what takes it back"),
}
OF_NOBODY = {
    "stage": "of the workspace",
    "score_rule": "of the workspace",
    "score_sweep": "of the workspace",
    "tag": "of the workspace",
    "template": "of the workspace",
    "template_version": "of the workspace: variables, no values",
    "snippet": "of the workspace",
    "automation": "of the workspace",
    "automation_version": "of the workspace: what its rules say",
    "automation_hour": "of the workspace",
    "channel_account": "of the workspace",
    "imap_mailbox": "of the workspace",
    "sending_domain": "of the workspace",
    "send_batch": "of the workspace",
    "send_pace": "of the workspace",
    "workspace": "of the workspace",
    "audit_event": "ids only",
    "feed_head": "ids only",
    "feed_event": "ids only",
    "feed_consumer": "ids only",
    "reaction_failure": "ids only",
    "idempotency": "digests only",
    "import_mapping": "a hash of headers, and the fields of their columns",
    "import_seen": "hashes, gone when their dry run ends",
    "app_user": "users",
    "member": "users",
    "invitation": "users",
    "session": "users",
    "revocation": "users",
    "api_key": "users",
    "login_attempt": "users",
    "system_mail": "users",
}


def test_every_table_says_what_becomes_of_a_person() -> None:
    assert OF_PEOPLE.keys().isdisjoint(OF_NOBODY)
    assert set(metadata.tables) == OF_PEOPLE.keys() | OF_NOBODY.keys()


def test_what_belongs_to_a_lead_is_of_people() -> None:
    """By its columns, and by its keys."""
    bound = {
        name
        for name, table in metadata.tables.items()
        if any("lead_id" in column.name for column in table.columns)
        or any(key.column.table.name == "lead" for key in table.foreign_keys)
    }
    assert {"interaction", "delivery", "import_row", "merge"} <= bound <= OF_PEOPLE.keys()


def test_what_an_export_is_said_to_show_it_shows() -> None:
    assert {line.export for line in OF_PEOPLE.values() if line.export} == EXPORTED
