"""From a record of a file to a lead as it can be stored, by the mapping of its columns."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache

from app.common.domain import MAX_NAME, TextProblem, composed, folded, text_problem
from app.imports.domain.dialect import RawRow
from app.imports.domain.guards import unguarded
from app.imports.domain.lead_field import IDENTITY_FIELDS, LeadField
from app.imports.domain.mapping import ColumnMapping
from app.imports.domain.outcomes import RowCode
from app.imports.domain.rows import Rejected
from app.leads.domain.identity import (
    MAX_URL,
    Identity,
    IdentityKind,
    NotAnIdentity,
    email_identity,
    phone_identity,
    profile_identity,
)
from app.leads.domain.staged import StagedLead
from app.leads.domain.timeline import MAX_NOTE
from app.tags.domain import MAX_TAG_NAME

MAX_IDENTITIES = 50
"""Of one row."""
MAX_ROW_TAGS = 100
MAX_METADATA = 65_536
"""Characters of a row's."""
_SEVERAL = re.compile(r"[;,\n]|:::| [/|] ")
_SEVERAL_PROFILES = re.compile(r"\n|:::")
_SEVERAL_TAGS = re.compile(r"[,;|\n]|:::")
_OF_EVERYBODY = "mycontacts"
"""Google's group of all contacts; those of its own groups wear a star."""
_CODES = {LeadField.EMAIL: RowCode.INVALID_EMAIL, LeadField.PHONE: RowCode.INVALID_PHONE}
_Parse = Callable[[str], Identity]


class RowReader:
    """Reads the rows of one file: what a cell is follows from its place alone.

    `mapping` has one entry per column, in the columns' order. The `field` of a problem is the column's name.
    """

    def __init__(self, mapping: Sequence[ColumnMapping], region: str, is_error_report: bool = False) -> None:
        self._is_error_report = is_error_report
        places: dict[LeadField, list[tuple[int, str]]] = {field: [] for field in LeadField}
        for at, one in enumerate(mapping):
            places[one.field].append((at, one.column))
        self._name = _first(places[LeadField.NAME])
        self._first_name = _first(places[LeadField.FIRST_NAME])
        self._last_name = _first(places[LeadField.LAST_NAME])
        self._company = _first(places[LeadField.COMPANY])
        self._title = _first(places[LeadField.TITLE])
        self._tags, self._notes = places[LeadField.TAGS], places[LeadField.NOTE]
        self._metadata = places[LeadField.METADATA]
        self._identities = [
            (
                at,
                column,
                _CODES.get(field, RowCode.INVALID_PROFILE),
                _parser(field, region),
                _separators(field),
            )
            for field in IDENTITY_FIELDS
            for at, column in places[field]
        ]
        self._split_tags = lru_cache(maxsize=1000)(_split_tags)

    def read_raw(self, n: int, row: RawRow) -> StagedLead:
        """Raises Rejected with the first problem."""
        if row.problem is not None:
            raise Rejected(row.problem.code, row.problem.field)
        return self.read(n, row.cells)

    def read(self, n: int, cells: Sequence[str]) -> StagedLead:
        """Raises Rejected with the first problem."""
        if self._is_error_report:
            cells = [unguarded(cell) for cell in cells]
        identities = self._read_identities(cells)
        last = identities[-1]
        fallback = last if last.kind is not IdentityKind.PHONE else identities[0]
        return StagedLead(
            n=n,
            name=self._read_name(cells),
            fallback_name=fallback.value[:MAX_NAME],
            company=_text(cells, self._company),
            title=_text(cells, self._title),
            avatar_url=None,
            metadata=self._read_metadata(cells) if self._metadata else None,
            identities=identities,
            tags=self._read_tags(cells) if self._tags else (),
            note=self._read_note(cells) if self._notes else None,
        )

    def named_in(self, cells: Sequence[str]) -> set[Identity]:
        """By what a row names somebody, as far as it can be read, whatever else is wrong with it."""
        found: set[Identity] = set()
        for at, _, _, parse, separators in self._identities:
            for text in separators.split(cells[at]) if at < len(cells) else ():
                with suppress(NotAnIdentity):
                    found.add(parse(unguarded(text).strip()))
        return found

    def _read_identities(self, cells: Sequence[str]) -> Sequence[Identity]:
        """In order of strength: e-mail, phone, profiles."""
        found: list[Identity] = []
        for at, column, code, parse, separators in self._identities:
            cell = cells[at]
            if not cell:
                continue
            try:
                if separators.search(cell):
                    found.extend(parse(text) for part in separators.split(cell) if (text := part.strip()))
                elif text := cell.strip():
                    found.append(parse(text))
            except NotAnIdentity:
                raise Rejected(code, column) from None
            if len(found) > MAX_IDENTITIES:
                raise Rejected(RowCode.TOO_LONG, column)
        if not found:
            raise Rejected(RowCode.NO_IDENTITY, self._identities[0][1] if self._identities else None)
        return found if len(found) == 1 else list(dict.fromkeys(found))

    def _read_name(self, cells: Sequence[str]) -> str | None:
        name = _text(cells, self._name)
        if name is not None or not (self._first_name or self._last_name):
            return name
        first, last = _text(cells, self._first_name), _text(cells, self._last_name)
        if first and last:
            name = f"{first} {last}"
            if len(name) > MAX_NAME:
                assert self._last_name is not None
                raise Rejected(RowCode.TOO_LONG, self._last_name[1])
            return name
        return first or last

    def _read_metadata(self, cells: Sequence[str]) -> Mapping[str, object] | None:
        kept: dict[str, object] = {}
        length = 0
        for at, column in self._metadata:
            cell = cells[at]
            if cell and not cell.isspace():
                length += len(cell)
                _check(cell, column, max(MAX_METADATA - length + len(cell), 0))
                kept[column] = cell
        return kept or None

    def _read_note(self, cells: Sequence[str]) -> str | None:
        note = ""
        for at, column in self._notes:
            if part := cells[at].strip():
                note = f"{note}\n{part}" if note else part
                _check(note, column, MAX_NOTE)
        return (note if note.isascii() else composed(note)) or None

    def _read_tags(self, cells: Sequence[str]) -> Sequence[str]:
        """As written first; two that differ in case or accents only are one."""
        tags: dict[str, str] = {}
        for at, column in self._tags:
            cell = cells[at]
            if not cell:
                continue
            _check(cell, column, len(cell))
            for key, name in self._split_tags(cell):
                if len(name) > MAX_TAG_NAME:
                    raise Rejected(RowCode.TOO_LONG, column)
                tags.setdefault(key, name)
            if len(tags) > MAX_ROW_TAGS:
                raise Rejected(RowCode.TOO_MANY_TAGS, column)
        return tuple(tags.values())


def _first(places: Sequence[tuple[int, str]]) -> tuple[int, str] | None:
    return places[0] if places else None


def _parser(field: LeadField, region: str) -> _Parse:
    if field is LeadField.EMAIL:
        return email_identity
    if field is LeadField.PHONE:
        return lambda text: phone_identity(text.removeprefix("p:"), region=region)
    kind = IdentityKind(field.value)
    return lambda text: _profile(kind, text)


def _profile(kind: IdentityKind, text: str) -> Identity:
    if len(text) > MAX_URL:
        raise NotAnIdentity("Write a shorter address.")
    return profile_identity(kind, text)


def _separators(field: LeadField) -> re.Pattern[str]:
    return _SEVERAL if field in (LeadField.EMAIL, LeadField.PHONE) else _SEVERAL_PROFILES


def _text(cells: Sequence[str], place: tuple[int, str] | None) -> str | None:
    if place is None or not (cell := cells[place[0]]):
        return None
    text = cell.strip()
    _check(text, place[1], MAX_NAME)
    return (text if text.isascii() else composed(text)) or None


def _check(text: str, column: str, max_length: int) -> None:
    """Raises Rejected for what cannot be stored."""
    if len(text) <= max_length and text.isascii() and "\x00" not in text:
        return
    problem = text_problem(text, max_length=max_length, required=False)
    if problem is not None:
        raise Rejected(RowCode.TOO_LONG if problem is TextProblem.TOO_LONG else RowCode.INVALID_TEXT, column)


def _split_tags(cell: str) -> Sequence[tuple[str, str]]:
    return tuple(_tags_in(cell))


def _tags_in(cell: str) -> Iterator[tuple[str, str]]:
    for part in _SEVERAL_TAGS.split(cell):
        starred = part.strip().strip('"')  # as Mailchimp writes them
        name = composed(starred.removeprefix("* ").strip())
        key = folded(name)
        if key and not (name != starred and key == _OF_EVERYBODY):
            yield key, name
