"""GraphQL types and inputs of imports."""

from datetime import datetime, timedelta

import asyncpg
import orjson
import strawberry

from app.accounts.presentation.types import User
from app.common.graphql import First, Info, PageInfo, Payload, enum_type, handed_as_sent, nested, page_size
from app.common.scalars import JSON
from app.common.sharing import VIEWERS_OWN
from app.imports.domain.dialect import FileProblem
from app.imports.domain.failing import Failure
from app.imports.domain.imports import ImportStatus, Phase, shown_status
from app.imports.domain.outcomes import RowOutcome
from app.imports.presentation.exports import error_report_url
from app.imports.presentation.starting import ColumnMapping
from app.imports.wiring import column_mappings
from app.leads.domain.lead import LeadSource
from app.leads.domain.staged import ImportPolicy

enum_type(
    ImportStatus,
    "Where an import stands.",
    ANALYZING="Its file is being read; a dry run counts what would become of its rows. Nothing is written.",
    NEEDS_MAPPING="It waits to be told which column is which: `startCsvImport` again with the token and a mapping.",
    QUEUED="Accepted and stored; a worker takes it up next.",
    RUNNING="Being written, chunk by chunk.",
    PAUSED="Stopped for now: what is in stays. `resumeImport` goes on where it stopped.",
    COMPLETED="Every row has landed or needed nothing.",
    COMPLETED_WITH_ERRORS="Every row has its outcome, and some were rejected: see `rowErrors`.",
    FAILED="It could not be run to its end: see `failure`. Rows that had landed stay.",
    CANCELED="Stopped for good: what is in stays, and can be undone.",
    UNDOING="Being taken back, chunk by chunk.",
    UNDONE="Taken back, but for what people or automations have touched since: `keptOnUndo` counts it.",
)
enum_type(
    RowOutcome,
    "What became of a row: exactly one of these.",
    CREATED="A new lead.",
    UPDATED="A known lead got something new.",
    UNCHANGED="A known lead had all of it already.",
    DUPLICATE_IN_FILE="The same person came in an earlier row of this import.",
    SKIPPED_EXISTING="The policy leaves it out.",
    SUPPRESSED="Nothing is sent to this person on any channel, or they were erased: `rowErrors` says which.",
    REJECTED="Something in it is wrong: see `rowErrors`.",
)
enum_type(
    ImportPolicy,
    "What to do with people the workspace knows, and with those it does not.",
    CREATE_ONLY="Known people are skipped.",
    UPDATE_ONLY="Unknown people are skipped.",
    UPSERT="Known people are updated, unknown ones are created.",
    FILL_EMPTY="As UPSERT, but what a known lead has is never overwritten.",
)


@strawberry.type(description="How many rows had an outcome.")
class OutcomeCount:
    outcome: RowOutcome = strawberry.field(description="The outcome.")
    count: int = strawberry.field(description="The rows.")


@strawberry.type(description="What was wrong with a row, or could not be done of it.")
class RowError:
    row: int = strawberry.field(
        description="1 is the first row of the batch, or the first below the headers of the file."
    )
    code: str = strawberry.field(description="What kind of problem it is.")
    field: str | None = strawberry.field(description="The field of the row, or the column of the file.")
    message: str = strawberry.field(description="What to do, for a person.")


FAILURES = ", ".join(one.value for of in (FileProblem, Failure) for one in of)


@strawberry.type(description="Leads coming in: a batch, or a file.")
class LeadImport:
    id: strawberry.ID = strawberry.field(description="Its id.")
    status: ImportStatus = strawberry.field(description="Where it stands.")
    source: LeadSource = strawberry.field(description="Where its leads come from.")
    file_name: str | None = strawberry.field(description="The file's name; null for a batch.")
    total_rows: int | None = strawberry.field(description="The rows it has; null until they are counted.")
    processed_rows: int = strawberry.field(description="The rows that have an outcome.")
    counts: list[OutcomeCount] = strawberry.field(
        description="Rows by outcome; they add up to `processedRows`."
    )
    dry_run_counts: list[OutcomeCount] | None = strawberry.field(
        description="What the last dry run counted; null when there was none."
    )
    rows_per_second: float | None = strawberry.field(
        description="Its speed so far; null before it began, and where it took no time to speak of."
    )
    finish_at: datetime | None = strawberry.field(
        description="When it should be done at this speed; null unless it is under way."
    )
    kept_on_undo: int | None = strawberry.field(
        description="Leads that an undo left as they are, for people or automations had touched them."
    )
    created_at: datetime = strawberry.field(description="When it was accepted.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")
    failed_for: strawberry.Private[str | None]
    has_rejected: strawberry.Private[bool]

    @nested(description="The file's headers, each one once; none until it is read, and for a batch.")
    async def columns(self, info: Info) -> list[str]:
        row = await info.context.loader("import_tables").load((self.id, False))
        return list(row["columns"])

    @nested(description="Which column seems to be which; none until the file is read, and for a batch.")
    async def suggested_mapping(self, info: Info) -> list[ColumnMapping]:
        row = await info.context.loader("import_tables").load((self.id, False))
        return [ColumnMapping.of(one) for one in column_mappings(row["suggested"])]

    @nested(description="The first 20 rows, as read; none once the import has ended.")
    async def preview(self, info: Info) -> list[list[str]]:
        row = await info.context.loader("import_tables").load((self.id, True))
        return orjson.loads(row["preview"]) if row["preview"] else []

    @nested(
        description="The first rows with a problem, in their order, in the viewer's language; after a dry run "
        "those that it found.",
        metadata=VIEWERS_OWN,
    )
    async def row_errors(self, info: Info, first: First = 100) -> list[RowError]:
        found = await info.context.loader("row_problems").load((self.id, page_size(first)))
        return [RowError(**one) for one in found]

    @nested(
        description=f"Why it FAILED: a code, a colon, and what to do, in the viewer's language. Codes: {FAILURES}.",
        metadata=VIEWERS_OWN,
    )
    async def failure(self, info: Info) -> str | None:
        if self.failed_for is None:
            return None
        found: str = await info.context.loader("import_failures").load(self.failed_for)
        return found

    @nested(
        description="Where its rejected rows can be fetched as CSV, for five minutes, by whoever has the link: the "
        "columns they had, then row, code and message. Corrected, the same file is uploaded again. Null when none was "
        "rejected, or where the role MEMBER and the web app are needed.",
        metadata=VIEWERS_OWN,
    )
    def error_report_url(self, info: Info) -> str | None:
        if not self.has_rejected:
            return None
        return error_report_url(info.context.settings, info.context.signed_in, str(self.id))

    @classmethod
    def of(cls, row: asyncpg.Record) -> "LeadImport":
        status = shown_status(row["status"], row["phase"])
        rate = float(row["rows_per_second"]) if row["rows_per_second"] else None
        left = (row["total_rows"] or 0) - row["processed_rows"]
        # A dry run's rows are there until the run that follows begins.
        found = row["dry_run_counts"] if row["phase"] == Phase.DRY_RUN else None
        is_under_way = status in (ImportStatus.QUEUED, ImportStatus.RUNNING)
        return cls(
            id=row["id"],
            status=status,
            source=LeadSource(row["source"]),
            file_name=row["file_name"],
            total_rows=row["total_rows"],
            processed_rows=row["processed_rows"],
            counts=_counts(row["counts"]),
            dry_run_counts=_counts(row["dry_run_counts"]) if row["dry_run_counts"] else None,
            rows_per_second=round(rate, 1) if rate is not None else None,
            finish_at=row["now"] + timedelta(seconds=left / rate) if rate and is_under_way else None,
            kept_on_undo=row["kept_on_undo"],
            failed_for=(row["error"] or "") if status is ImportStatus.FAILED else None,
            has_rejected=any(orjson.loads(one).get("REJECTED") for one in (row["counts"], found) if one),
            created_at=row["created_at"],
            finished_at=row["finished_at"],
        )


def _counts(stored: str) -> list[OutcomeCount]:
    counts = orjson.loads(stored)
    return [OutcomeCount(outcome=one, count=counts.get(one.value, 0)) for one in RowOutcome]


@strawberry.type(description="One way a lead came in or was changed by an import.")
class Provenance:
    source: LeadSource = strawberry.field(description="Where from.")
    actor: User | None = strawberry.field(description="Who made it or started the import.")
    lead_import: LeadImport | None = strawberry.field(description="The import; null for a lead made by hand.")
    row: int | None = strawberry.field(description="The import's row, from 1.")
    page_url: str | None = strawberry.field(description="The page the extension read.")
    basis: str | None = strawberry.field(description="The lawful basis, where one was given.")
    at: datetime = strawberry.field(description="When.")


@strawberry.type(description="An import in a list.")
class LeadImportEdge:
    cursor: str = strawberry.field(description="Its position: give it as `after`.")
    node: LeadImport = strawberry.field(description="The import.")


@strawberry.type(description="A page of imports.")
class LeadImportConnection:
    edges: list[LeadImportEdge] = strawberry.field(description="The page's imports.")
    page_info: PageInfo = strawberry.field(description="Where the page stands.")


@handed_as_sent
@strawberry.input(description="One person, as read from a page.")
class ImportedLeadInput:
    name: str | None = strawberry.field(
        description="The name shown; left out, the username stands in.", default=None
    )
    username: str | None = strawberry.field(description="The network's handle, as shown.", default=None)
    profile_url: str = strawberry.field(
        description="The profile's address: what the person is recognised by."
    )
    avatar_url: str | None = strawberry.field(description="A picture's https:// address.", default=None)
    headline: str | None = strawberry.field(description="Becomes the lead's title.", default=None)
    company: str | None = strawberry.field(description="The company.", default=None)
    email: str | None = strawberry.field(description="An e-mail address.", default=None)
    phone: str | None = strawberry.field(
        description="A phone number; without a country code it is read in the workspace's region.",
        default=None,
    )
    metadata: JSON | None = strawberry.field(description="What else the page tells.", default=None)


@strawberry.input(description="A batch of people read from a page: up to 1,000.")
class ImportLeadsInput:
    platform: LeadSource = strawberry.field(description="INSTAGRAM, FACEBOOK, LINKEDIN or API.")
    leads: list[ImportedLeadInput] = strawberry.field(description="1 to 1,000 rows.")
    idempotency_key: strawberry.ID = strawberry.field(
        description="Made by the client for this batch: sending it again gives the same import."
    )
    page_url: str | None = strawberry.field(description="The page they were read from.", default=None)
    tag_ids: list[strawberry.ID] | None = strawberry.field(
        description="Tags every lead of the batch gets, at most 100.", default=None
    )
    owner_id: strawberry.ID | None = strawberry.field(
        description="The member who gets the leads that have no owner.", default=None
    )
    policy: ImportPolicy = strawberry.field(
        description="What to do with people already known.", default=ImportPolicy.UPSERT
    )
    basis: str | None = strawberry.field(
        description="The lawful basis under which they are kept, at most 200 characters; it shows in `provenance`.",
        default=None,
    )


@strawberry.type(description="The import as it is now.")
class LeadImportPayload(Payload):
    lead_import: LeadImport | None = strawberry.field(description="Null when it was refused.", default=None)
