"""What may be refused about an import."""

from collections.abc import Sequence

from app.common.domain import Conflict, Invalid, NotFound
from app.imports.domain.imports import ImportStatus

UNDO_DAYS = 7
SHOWN_COLUMNS = 5

WHAT_TO_DO = {
    ImportStatus.ANALYZING: "Its file is still being read: wait until that is done, or cancel it.",
    ImportStatus.NEEDS_MAPPING: "It waits to be told which column is which: do so by startCsvImport, or cancel it.",
    ImportStatus.QUEUED: "It is about to run: wait until it has, or cancel it first.",
    ImportStatus.RUNNING: "It is running: wait until it has ended, or cancel it first.",
    ImportStatus.PAUSED: "It is paused: resume it, or cancel it first.",
    ImportStatus.COMPLETED: "It has run to its end already: undo it if it should not have.",
    ImportStatus.COMPLETED_WITH_ERRORS: "It has run to its end already: correct the rejected rows and upload those, or"
    " undo it if it should not have run.",
    ImportStatus.FAILED: "It has failed: see why, mend that, and send its rows again.",
    ImportStatus.CANCELED: "It was canceled, for good: send its rows again to import them.",
    ImportStatus.UNDOING: "It is being undone: wait until that is done.",
    ImportStatus.UNDONE: "It was undone: send its rows again to import them.",
}
"""By the state that allows no such move."""


class ImportNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__("No such import in this workspace: load the imports again.", path=("id",))


class WrongState(Conflict):
    def __init__(self, status: ImportStatus) -> None:
        super().__init__(WHAT_TO_DO[status], path=("id",))


class NothingToUndo(Conflict):
    def __init__(self) -> None:
        super().__init__("It has created and changed no lead: there is nothing to undo.", path=("id",))


class TooLateToUndo(Conflict):
    def __init__(self) -> None:
        super().__init__(
            f"It ended more than {UNDO_DAYS} days ago, and can be undone no more: delete its leads instead.",
            path=("id",),
        )


class UploadImported(Conflict):
    """One file is one import."""

    def __init__(self, status: ImportStatus) -> None:
        super().__init__(
            f"This upload is an import already, which is {status}: go on with that one, or upload the file again.",
            path=("uploadToken",),
        )


class NotImportable(Invalid):
    def __init__(self, media_type: str) -> None:
        super().__init__(
            f"This upload is {media_type}: upload a CSV file as text/csv, or an XLSX workbook.",
            path=("uploadToken",),
        )


class MappingNeeded(Invalid):
    def __init__(self, unsure: Sequence[str]) -> None:
        shown = ", ".join(f'"{column}"' for column in unsure[:SHOWN_COLUMNS])
        more = f" and {len(unsure) - SHOWN_COLUMNS} more" if len(unsure) > SHOWN_COLUMNS else ""
        super().__init__(
            f"It is not sure what {shown}{more} hold: send a mapping; suggestedMapping is a beginning."
            if unsure
            else "No column has an e-mail address, a phone number or a profile: send a mapping that says which does.",
            path=("mapping",),
        )
