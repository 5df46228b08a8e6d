"""GraphQL types and inputs of imports of files."""

import strawberry

from app.common.graphql import enum_type
from app.imports.domain.mapping import ColumnMapping as Mapped
from app.imports.domain.mapping import LeadField
from app.leads.domain.staged import ImportPolicy

enum_type(
    LeadField,
    "What a column of a file is of a lead.",
    NAME="The whole name.",
    FIRST_NAME="The first name; with LAST_NAME it makes the name where there is no NAME.",
    LAST_NAME="The last name.",
    EMAIL="An e-mail address: people are recognised by it.",
    PHONE="A phone number: people are recognised by it.",
    COMPANY="The company.",
    TITLE="The title, or what their profile says they do.",
    LINKEDIN="A LinkedIn profile: people are recognised by it.",
    INSTAGRAM="An Instagram profile: people are recognised by it.",
    FACEBOOK="A Facebook profile: people are recognised by it.",
    TAGS="Tags by their names; those that are not there are made.",
    NOTE="A note on the lead's timeline.",
    METADATA="Kept under the column's name.",
    IGNORE="Not read.",
)


@strawberry.type(description="Which field a column of a file is.")
class ColumnMapping:
    column: str = strawberry.field(description="The column's header.")
    field: LeadField = strawberry.field(description="What it is of a lead.")
    confidence: float = strawberry.field(description="How sure that is, from 0 to 1.")

    @classmethod
    def of(cls, one: Mapped) -> "ColumnMapping":
        return cls(column=one.column, field=one.field, confidence=one.confidence)


@strawberry.input(description="Which field a column of a file is.")
class ColumnMappingInput:
    column: str = strawberry.field(description="The column's header, as in `columns`.")
    field: LeadField = strawberry.field(description="What it is of a lead.")


@strawberry.input(
    description="An uploaded CSV file or XLSX workbook. While its import waits in NEEDS_MAPPING, the same token goes "
    "on with it."
)
class StartCsvImportInput:
    upload_token: str = strawberry.field(description="What `POST /uploads` answered.")
    idempotency_key: strawberry.ID = strawberry.field(
        description="Made by the client for this call: sending it again gives the same import."
    )
    mapping: list[ColumnMappingInput] | None = strawberry.field(
        description="Columns that are not named are ignored. Null: the dry run's, else the suggestion; where that is "
        "not sure, the import waits in NEEDS_MAPPING.",
        default=None,
    )
    policy: ImportPolicy = strawberry.field(
        description="What to do with people already known.", default=ImportPolicy.UPSERT
    )
    tag_ids: list[strawberry.ID] | None = strawberry.field(
        description="Tags every lead of the file gets, at most 100.", default=None
    )
    owner_id: strawberry.ID | None = strawberry.field(
        description="The member who gets the leads that have no owner.", default=None
    )
    dry_run: bool = strawberry.field(
        description="Count what would become of each row and write nothing: it ends in NEEDS_MAPPING with "
        "`dryRunCounts`, and the next call goes on.",
        default=False,
    )
    basis: str | None = strawberry.field(
        description="The lawful basis under which they are kept, at most 200 characters; it shows in `provenance`.",
        default=None,
    )


@strawberry.input(description="An import.")
class ImportIdInput:
    id: strawberry.ID = strawberry.field(description="The import.")
