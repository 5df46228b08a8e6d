"""Which column of a file is which field of a lead: what is suggested, and what may be asked for."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from app.common.domain import Invalid, Refusals, SalesPadError
from app.imports.domain.dialect import unnamed_column
from app.imports.domain.headers import field_of_header, header_key
from app.imports.domain.lead_field import IDENTITY_FIELDS, NAME_FIELDS, SINGLE_FIELDS, LeadField
from app.imports.domain.presets import preset_of
from app.leads.domain.identity import (
    Identity,
    IdentityKind,
    NotAnIdentity,
    email_identity,
    kind_of_address,
    profile_identity,
)

__all__ = ("ColumnMapping", "LeadField", "checked_mapping", "headers_key", "is_sure", "suggest")

SURE_ENOUGH = 0.8
ERROR_COLUMNS = ("row", "code", "message")
"""What a report of errors has after the columns of the file it is about."""
_BY_VALUES, _DOUBTED, _UNKNOWN = 0.85, 0.5, 0.3
_FITTING = 0.8
"""The share of a column's values that must look like a field for it to be that field."""
_PHONE = re.compile(r"(p:)?\s*(\+\s?[1-9]|\(\s?0?[1-9]\d{0,3}\s?\))[\d\s().\-/]{6,20}", re.ASCII)
_WORDS = re.compile(r"[^\W\d_]{2,60}[^\d@/:;_]{0,60}")
_DIGITS = re.compile(r"0?\d{10,13}|\d{2,3} \d{4,5}[- ]?\d{4}|\d{4,5}-\d{4}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """One column; `confidence` from 0 to 1, 1 where a person said so."""

    column: str
    field: LeadField
    confidence: float


def suggest(
    columns: Sequence[str],
    sample: Sequence[Sequence[str]],
    *,
    remembered: Mapping[str, LeadField] | None,
    is_error_report: bool = False,
) -> list[ColumnMapping]:
    """One per column, in their order: as the workspace had it last, else as a known program exports it, else by header
    and by values. A field that one column only can be is given to the surest, and of those to the first.

    What nothing is known of is kept as metadata, also where the sample has no value of it: a later row may.
    """
    preset = preset_of(columns)
    ours = len(columns) - len(ERROR_COLUMNS) if is_error_report else len(columns)
    found: list[ColumnMapping] = []
    for at, column in enumerate(columns):
        if at >= ours:
            one = ColumnMapping(column, LeadField.IGNORE, 1.0)
        elif remembered is not None and (known := remembered.get(column)):
            one = ColumnMapping(column, known, 1.0)
        elif preset is not None and (field := preset.field_of(column)):
            one = ColumnMapping(column, field, 1.0)
        else:
            one = _by_looks(column, [text for row in sample if (text := row[at].strip().removeprefix("'"))])
        found.append(one)
    return _with_name(_with_someone(_first_beside_last(_each_once(found)), sample), sample)


def is_sure(mapping: Sequence[ColumnMapping]) -> bool:
    """True: it can be run by without asking anybody."""
    return any(one.field in IDENTITY_FIELDS for one in mapping) and not unsure_columns(mapping)


def unsure_columns(mapping: Sequence[ColumnMapping]) -> list[str]:
    """Those that may be something else than is suggested."""
    return [
        one.column
        for one in mapping
        if one.field not in (LeadField.METADATA, LeadField.IGNORE) and one.confidence < SURE_ENOUGH
    ]


def checked_mapping(columns: Sequence[str], given: Sequence[tuple[str, LeadField]]) -> list[ColumnMapping]:
    """One per column of the file, in their order; a column that is not named is IGNORE.

    Raises Invalid or Refusals at ("mapping", index, "column" or "field").
    """
    refusals: list[SalesPadError] = []
    known = frozenset(columns)
    fields: dict[str, LeadField] = {}
    for at, (column, field) in enumerate(given):
        if column not in known:
            refusals.append(_refused("The file has no column of this name.", at, "column"))
        elif column in fields:
            refusals.append(_refused("This column is named twice: keep one.", at, "column"))
        elif field in SINGLE_FIELDS and field in fields.values():
            message = f"Two columns cannot both be {field}: make one of them METADATA."
            refusals.append(_refused(message, at, "field"))
        else:
            fields[column] = field
    if not refusals and not any(field in IDENTITY_FIELDS for field in fields.values()):
        message = (
            "Say which column holds an e-mail address, a phone number or a profile: rows without are nobody."
        )
        refusals.append(Invalid(message, path=("mapping",)))
    if refusals:
        raise refusals[0] if len(refusals) == 1 else Refusals(refusals)
    return [ColumnMapping(column, fields.get(column, LeadField.IGNORE), 1.0) for column in columns]


def headers_key(columns: Sequence[str]) -> bytes | None:
    """What files with the same headers have in common; a report of errors has its file's.

    None: they are our names for columns that have none, in any file without a header, and tell nothing of this one.
    """
    keys = [header_key(column) or column for column in columns]
    if tuple(keys[-len(ERROR_COLUMNS) :]) == ERROR_COLUMNS:
        keys = keys[: -len(ERROR_COLUMNS)]
    if keys == [header_key(unnamed_column(n)) for n in range(1, len(keys) + 1)]:
        return None
    return hashlib.sha256(json.dumps(keys).encode()).digest()


def _refused(message: str, at: int, key: str) -> Invalid:
    return Invalid(message, path=("mapping", str(at), key))


def _by_looks(column: str, values: Sequence[str]) -> ColumnMapping:
    named = field_of_header(column)
    if named is None:
        return ColumnMapping(column, *_by_values(values))
    field, confidence = named
    if fits := _FITS.get(field):
        if values and _share(values, fits) < 0.5:
            confidence = _DOUBTED
    elif confidence < SURE_ENOUGH and (other := _by_values(values))[0] is not LeadField.METADATA:
        return ColumnMapping(column, *other)
    return ColumnMapping(column, field, confidence)


def _by_values(values: Sequence[str]) -> tuple[LeadField, float]:
    if values:
        for field in IDENTITY_FIELDS:
            if _share(values, _FITS_ALONE[field]) >= _FITTING:
                return field, _BY_VALUES
    return LeadField.METADATA, _UNKNOWN


def _each_once(found: Sequence[ColumnMapping]) -> list[ColumnMapping]:
    best: dict[LeadField, ColumnMapping] = {}
    for one in found:
        if one.field in SINGLE_FIELDS and (
            one.field not in best or one.confidence > best[one.field].confidence
        ):
            best[one.field] = one
    return [
        one
        if one.field not in SINGLE_FIELDS or best[one.field] is one
        else ColumnMapping(one.column, LeadField.METADATA, _UNKNOWN)
        for one in found
    ]


def _first_beside_last(found: list[ColumnMapping]) -> list[ColumnMapping]:
    """ "Nome" beside "Sobrenome" is the first name: where there is a whole one, nobody reads the last."""
    fields = {one.field for one in found}
    if LeadField.LAST_NAME not in fields or LeadField.FIRST_NAME in fields:
        return found
    return [
        ColumnMapping(one.column, LeadField.FIRST_NAME, one.confidence)
        if one.field is LeadField.NAME and one.confidence < 1 and header_key(one.column) in ("nome", "name")
        else one
        for one in found
    ]


def _with_someone(found: list[ColumnMapping], sample: Sequence[Sequence[str]]) -> list[ColumnMapping]:
    """Where nothing else says who a row is, bare digits may be phone numbers: asked, never taken for sure."""
    if any(one.field in IDENTITY_FIELDS for one in found):
        return found
    return _with_first(found, sample, LeadField.PHONE, lambda values: _share(values, _is_digits) >= _FITTING)


def _with_name(found: list[ColumnMapping], sample: Sequence[Sequence[str]]) -> list[ColumnMapping]:
    """Where nothing says what people are called, words that differ from row to row may: asked, like bare digits."""
    if any(one.field in NAME_FIELDS for one in found):
        return found
    return _with_first(found, sample, LeadField.NAME, _are_names)


def _with_first(
    found: list[ColumnMapping],
    sample: Sequence[Sequence[str]],
    field: LeadField,
    fits: Callable[[Sequence[str]], bool],
) -> list[ColumnMapping]:
    """The first column that nobody knows and that fits, if there is one, as this field."""
    for at, one in enumerate(found):
        values = [text for row in sample if (text := row[at].strip())]
        is_unknown = one.field is LeadField.METADATA and one.confidence < SURE_ENOUGH
        if is_unknown and values and fits(values):
            found[at] = ColumnMapping(one.column, field, _DOUBTED)
            break
    return found


def _is_digits(text: str) -> bool:
    return bool(_DIGITS.fullmatch(text))


def _are_names(values: Sequence[str]) -> bool:
    return len(set(values)) >= _FITTING * len(values) and _share(values, _is_words) >= _FITTING


def _is_words(text: str) -> bool:
    return bool(_WORDS.fullmatch(text))


def _share(values: Sequence[str], fits: Callable[[str], bool]) -> float:
    return sum(map(fits, values)) / len(values)


def _is_one(read: Callable[[str], Identity]) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        with suppress(NotAnIdentity):
            return bool(read(re.split(r"[;,\n]| ::: | [/|] ", text, maxsplit=1)[0]))
        return False

    return fits


def _is_address_on(kind: IdentityKind) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        with suppress(NotAnIdentity):
            address = text if "://" in text else f"https://{text}"
            return kind_of_address(address) is kind and bool(profile_identity(kind, address))
        return False

    return fits


def _has_digits(text: str) -> bool:
    return sum(map(str.isdigit, text)) >= 7


_FITS: Mapping[LeadField, Callable[[str], bool]] = {
    LeadField.EMAIL: _is_one(email_identity),
    LeadField.PHONE: _has_digits,
    LeadField.LINKEDIN: _is_one(lambda text: profile_identity(IdentityKind.LINKEDIN, text)),
    LeadField.INSTAGRAM: _is_one(lambda text: profile_identity(IdentityKind.INSTAGRAM, text)),
    LeadField.FACEBOOK: _is_one(lambda text: profile_identity(IdentityKind.FACEBOOK, text)),
}
"""Under a header that says so."""
_FITS_ALONE: Mapping[LeadField, Callable[[str], bool]] = {
    LeadField.EMAIL: _FITS[LeadField.EMAIL],
    LeadField.PHONE: lambda text: bool(_PHONE.fullmatch(text)),
    LeadField.LINKEDIN: _is_address_on(IdentityKind.LINKEDIN),
    LeadField.INSTAGRAM: _is_address_on(IdentityKind.INSTAGRAM),
    LeadField.FACEBOOK: _is_address_on(IdentityKind.FACEBOOK),
}
"""With nothing but the values to go by."""
