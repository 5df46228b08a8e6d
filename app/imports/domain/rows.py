"""From a row as it was sent to a lead as it can be stored: the rules each row must meet."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar, cast

from app.common.domain import MAX_NAME, TextProblem, normalized, text_problem
from app.imports.domain.outcomes import RowCode, RowOutcome, RowProblem, RowResult
from app.leads.domain.identity import (
    MAX_URL,
    Identity,
    IdentityKind,
    NotAnIdentity,
    email_identity,
    kind_of_address,
    phone_identity,
    profile_identity,
    web_address,
)
from app.leads.domain.lead import LeadSource
from app.leads.domain.staged import StagedLead

PROFILE_KINDS = {
    LeadSource.INSTAGRAM: IdentityKind.INSTAGRAM,
    LeadSource.FACEBOOK: IdentityKind.FACEBOOK,
    LeadSource.LINKEDIN: IdentityKind.LINKEDIN,
}
LENGTHS = {
    "name": MAX_NAME,
    "username": MAX_NAME,
    "headline": MAX_NAME,
    "company": MAX_NAME,
    "email": MAX_NAME * 2,
    "phone": MAX_NAME,
    "profileUrl": MAX_URL,
    "avatarUrl": MAX_URL,
}
Payload = Mapping[str, object]
ERASED_PAYLOAD: Payload = {"erased": True}
"""What is left of a waiting row whose person was erased (`infrastructure/erasing.py`)."""
Value = TypeVar("Value")
Row = TypeVar("Row")


class Rejected(Exception):
    """Why a row becomes no lead. `field`: as whoever sent it calls it."""

    def __init__(self, code: RowCode, field: str | None) -> None:
        super().__init__(code)
        self.problem = RowProblem(code, field)

    def result(self, number: int) -> RowResult:
        is_erased = self.problem.code is RowCode.ERASED
        return RowResult(
            number, RowOutcome.SUPPRESSED if is_erased else RowOutcome.REJECTED, problem=self.problem
        )


def settle_rows(
    rows: Iterable[tuple[int, Row]], read: Callable[[int, Row], StagedLead]
) -> tuple[list[StagedLead], list[RowResult]]:
    """The rows to write, and the results of those that are not: rejected ones, and doubles of an earlier row.

    `read` makes a lead of a row, or raises Rejected: `payload_reader` of a batch's, `RowReader.read_raw` of a file's.

    Doubles are settled first: a row that shares an identity with an earlier one that is written is its double. Not with
    one that is a double itself: what that one alone knew is not written, so a later chunk would not find it either.
    """
    staged: list[StagedLead] = []
    results: list[RowResult] = []
    seen: set[Identity] = set()
    for number, row in rows:
        try:
            lead = read(number, row)
        except Rejected as rejected:
            results.append(rejected.result(number))
            continue
        if seen.isdisjoint(lead.identities):
            staged.append(lead)
            seen.update(lead.identities)
        else:
            results.append(RowResult(number, RowOutcome.DUPLICATE_IN_FILE))
    return staged, results


def payload_reader(*, source: LeadSource, region: str) -> Callable[[int, Payload], StagedLead]:
    """Reads the rows of a batch."""
    return lambda number, payload: read_row(number, payload, source=source, region=region)


def read_row(number: int, payload: Payload, *, source: LeadSource, region: str) -> StagedLead:
    """Raises Rejected with the first problem."""
    if payload == ERASED_PAYLOAD:
        raise Rejected(RowCode.ERASED, None)
    texts = {field: _text(payload.get(field), field, limit) for field, limit in LENGTHS.items()}
    identities = _identities(texts, source=source, region=region)
    if not identities:
        raise Rejected(RowCode.NO_IDENTITY, "profileUrl")
    if avatar := texts["avatarUrl"]:
        _read(RowCode.INVALID_URL, "avatarUrl", lambda: web_address(avatar))
    return StagedLead(
        n=number,
        name=texts["name"],
        fallback_name=texts["username"] or identities[-1].value[:MAX_NAME],
        company=texts["company"],
        title=texts["headline"],
        avatar_url=texts["avatarUrl"],
        metadata=cast("Payload | None", payload.get("metadata")),
        identities=identities,
    )


def named_in(payload: Payload, *, source: LeadSource, region: str) -> set[Identity]:
    """By what a row names somebody, as far as it can be read, whatever else is wrong with it."""
    email, phone, url = (_given(payload.get(field)) for field in ("email", "phone", "profileUrl"))
    parses: list[Callable[[], Identity | None]] = [
        lambda: email_identity(email),
        lambda: phone_identity(phone, region=region),
        lambda: _profile(url, source),
    ]
    found: set[Identity] = set()
    for parse in parses:
        with suppress(NotAnIdentity):
            if identity := parse():
                found.add(identity)
    return found


def _profile(url: str, source: LeadSource) -> Identity | None:
    kind = PROFILE_KINDS.get(source) or kind_of_address(url)
    return profile_identity(kind, url) if kind else None


def _given(value: object) -> str:
    """Without what PostgreSQL cannot hold."""
    return normalized(value)[: MAX_URL + 1] if isinstance(value, str) else ""


def _identities(texts: Mapping[str, str | None], *, source: LeadSource, region: str) -> Sequence[Identity]:
    """In order of strength: e-mail, phone, profile."""
    found: list[Identity] = []
    if email := texts["email"]:
        found.append(_read(RowCode.INVALID_EMAIL, "email", lambda: email_identity(email)))
    if phone := texts["phone"]:
        found.append(_read(RowCode.INVALID_PHONE, "phone", lambda: phone_identity(phone, region=region)))
    profile_url = texts["profileUrl"]
    if profile_url:
        _read(RowCode.INVALID_URL, "profileUrl", lambda: web_address(profile_url))
        if kind := PROFILE_KINDS.get(source) or kind_of_address(profile_url):
            found.append(
                _read(RowCode.INVALID_PROFILE, "profileUrl", lambda: profile_identity(kind, profile_url))
            )
    elif source in PROFILE_KINDS:
        raise Rejected(RowCode.INVALID_PROFILE, "profileUrl")
    return found


def _read(code: RowCode, field: str, parse: Callable[[], Value]) -> Value:
    try:
        return parse()
    except NotAnIdentity:
        raise Rejected(code, field) from None


def _text(value: object, field: str, limit: int) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise Rejected(RowCode.INVALID_TEXT, field)
    problem = text_problem(value, max_length=limit, required=False)
    if problem is not None:
        code = RowCode.TOO_LONG if problem is TextProblem.TOO_LONG else RowCode.INVALID_TEXT
        raise Rejected(code, field)
    return normalized(value) or None
