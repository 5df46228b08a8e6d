"""What an import may be told to do, by its state."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from app.common.domain import Conflict, Invalid, SalesPadError
from app.imports.domain.errors import (
    WHAT_TO_DO,
    MappingNeeded,
    NothingToUndo,
    NotImportable,
    TooLateToUndo,
    WrongState,
)
from app.imports.domain.imports import ImportStatus
from app.imports.domain.mapping import ColumnMapping, LeadField
from app.imports.domain.starting import FileRequest, HeldImport, check_importable
from app.leads.domain.staged import ImportPolicy

S = ImportStatus
ALLOWED = {
    "is_pausing": {S.QUEUED, S.RUNNING},
    "is_resuming": {S.PAUSED},
    "is_canceling": {S.ANALYZING, S.NEEDS_MAPPING, S.QUEUED, S.RUNNING, S.PAUSED},
    "is_undoing": {S.COMPLETED, S.COMPLETED_WITH_ERRORS, S.CANCELED, S.FAILED},
}
THERE = {
    "is_pausing": {S.PAUSED},
    "is_resuming": {S.QUEUED, S.RUNNING},
    "is_canceling": {S.CANCELED},
    "is_undoing": {S.UNDOING, S.UNDONE},
}


def held(status: ImportStatus = S.NEEDS_MAPPING, **fields: Any) -> HeldImport:
    given: dict[str, Any] = {
        "columns": ["Nome", "Contato"],
        "suggested": [],
        "mapping": [],
        "counts": {"CREATED": 3},
        "is_fresh": True,
        **fields,
    }
    return HeldImport(id=UUID(int=1), status=status, file_id=None, processed=3, **given)


def request(**fields: Any) -> FileRequest:
    given: dict[str, Any] = {"mapping": None, "basis": None, **fields}
    return FileRequest(
        upload_token="t", policy=ImportPolicy.UPSERT, owner_id=None, tag_ids=[], is_dry_run=False, **given
    )


@pytest.mark.parametrize("move", list(ALLOWED))
@pytest.mark.parametrize("status", list(ImportStatus))
def test_each_move_in_each_state(move: str, status: ImportStatus) -> None:
    act = getattr(held(status), move)
    if status in ALLOWED[move]:
        assert act() is True
    elif status in THERE[move]:
        assert act() is False
    else:
        with pytest.raises(WrongState) as refused:
            act()
        assert refused.value.message == WHAT_TO_DO[status]
        assert refused.value.path == ("id",)


def test_every_state_says_what_to_do() -> None:
    assert set(WHAT_TO_DO) == set(ImportStatus)
    assert len(set(WHAT_TO_DO.values())) == len(WHAT_TO_DO)


@pytest.mark.parametrize("counts", [{}, {"CREATED": 0, "UNCHANGED": 4, "REJECTED": 2}])
def test_what_wrote_nothing_is_not_undone(counts: dict[str, int]) -> None:
    with pytest.raises(NothingToUndo):
        held(S.COMPLETED, counts=counts).is_undoing()


def test_after_its_time_nothing_is_undone() -> None:
    with pytest.raises(TooLateToUndo):
        held(S.COMPLETED, is_fresh=False).is_undoing()


@pytest.mark.parametrize(
    ("media_type", "name"),
    [
        ("text/csv", "a.csv"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "a.xlsx"),
        ("application/octet-stream", "UTF-16.CSV"),
        ("application/vnd.ms-excel.sheet.macroenabled.12", "a.xlsm"),
    ],
)
def test_tables_are_importable(media_type: str, name: str) -> None:
    check_importable(media_type, name)


@pytest.mark.parametrize(
    ("media_type", "name"),
    [("image/png", "a.csv"), ("application/zip", "a.csv"), ("application/octet-stream", "a.bin")],
)
def test_what_is_no_table_is_told_what_to_send(media_type: str, name: str) -> None:
    with pytest.raises(NotImportable) as refused:
        check_importable(media_type, name)
    assert media_type in refused.value.message
    assert refused.value.path == ("uploadToken",)


EMAIL = ColumnMapping("Contato", LeadField.EMAIL, 1.0)
DOUBTED = ColumnMapping("Contato", LeadField.EMAIL, 0.4)
SPENT = ColumnMapping("Nome", LeadField.INSTAGRAM, 1.0)


def test_without_a_mapping_the_dry_runs_stands_before_the_suggestion() -> None:
    assert held(mapping=[SPENT], suggested=[EMAIL]).mapping_for(None) == [SPENT]
    assert held(suggested=[EMAIL]).mapping_for(None) == [EMAIL]


def test_a_suggestion_that_is_not_sure_is_not_gone_by() -> None:
    with pytest.raises(MappingNeeded) as refused:
        held(suggested=[DOUBTED, *[replace(DOUBTED, column=f"C{n}") for n in range(5)]]).mapping_for(None)
    assert refused.value.path == ("mapping",)
    assert '"Contato", "C0", "C1", "C2", "C3" and 1 more' in refused.value.message
    with pytest.raises(MappingNeeded, match="No column has an e-mail"):
        held(suggested=[replace(EMAIL, field=LeadField.NAME)]).mapping_for(None)


def test_a_mapping_is_checked_against_the_columns() -> None:
    assert [one.field for one in held().mapping_for([("Contato", LeadField.EMAIL)])] == [
        LeadField.IGNORE,
        LeadField.EMAIL,
    ]
    with pytest.raises(Invalid) as refused:
        held().mapping_for([("Contato", LeadField.EMAIL), ("Telefone", LeadField.PHONE)])
    assert refused.value.path == ("mapping", "1", "column")


@pytest.mark.parametrize(
    ("mapping", "path"),
    [
        ([("a\0b", LeadField.EMAIL)], ("mapping", "0", "column")),
        ([("", LeadField.EMAIL)], ("mapping", "0", "column")),
        ([("a", LeadField.NAME), ("b", LeadField.NAME)], ("mapping", "1", "field")),
        ([("a", LeadField.EMAIL), ("a", LeadField.PHONE)], ("mapping", "1", "column")),
        ([("a", LeadField.NAME)], ("mapping",)),
        ([], ("mapping",)),
        ([(str(n), LeadField.EMAIL) for n in range(501)], ("mapping",)),
    ],
)
def test_a_mapping_is_refused_before_the_file_is_read(
    mapping: list[tuple[str, LeadField]], path: tuple[str, ...]
) -> None:
    with pytest.raises(SalesPadError) as refused:
        request(mapping=mapping).checked()
    assert refused.value.path == path
    assert not isinstance(refused.value, Conflict)


def test_two_requests_are_the_same_where_all_of_it_is() -> None:
    one = request(mapping=[("a", LeadField.EMAIL)])
    assert one.fingerprint == request(mapping=[("a", LeadField.EMAIL)]).fingerprint
    others = [
        request(),
        request(mapping=[("a", LeadField.PHONE)]),
        request(mapping=[("a", LeadField.EMAIL)], basis="x"),
    ]
    assert all(one.fingerprint != other.fingerprint for other in others)
