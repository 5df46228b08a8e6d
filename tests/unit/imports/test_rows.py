"""From rows as they were sent to leads as they can be stored: each row gets exactly one place."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.imports.domain.outcomes import RowCode, RowOutcome
from app.imports.domain.rows import Rejected, payload_reader, read_row, settle_rows
from app.leads.domain.identity import Identity, IdentityKind
from app.leads.domain.lead import LeadSource

INSTAGRAM = LeadSource.INSTAGRAM
ROW = st.fixed_dictionaries(
    {
        "profileUrl": st.sampled_from(
            [f"https://www.instagram.com/p{n}" for n in range(6)] + ["", "javascript:x", "https://x.com/a"]
        )
    },
    optional={
        "email": st.sampled_from(
            ["a@example.com", "A@Example.com", "b@example.com", "c@example.com", "no address", ""]
        ),
        "phone": st.sampled_from(["(11) 98765-4321", "+5511987654321", "+16502530000", "123", ""]),
        "name": st.one_of(st.none(), st.text(max_size=30), st.just("n" * 201)),
        "avatarUrl": st.sampled_from(["https://cdn.example.com/a.jpg", "data:x", ""]),
    },
)


def row(**fields: Any) -> dict[str, Any]:
    return {"profileUrl": "https://www.instagram.com/bia", **fields}


def identities(**fields: Any) -> list[Identity]:
    return list(read_row(1, row(**fields), source=INSTAGRAM, region="BR").identities)


@settings(deadline=None)
@given(rows=st.lists(ROW, max_size=25), source=st.sampled_from([INSTAGRAM, LeadSource.API]))
def test_every_row_gets_one_place_and_no_identity_is_staged_twice(
    rows: list[dict[str, Any]], source: LeadSource
) -> None:
    numbered = list(enumerate(rows, start=1))
    staged, results = settle_rows(numbered, payload_reader(source=source, region="BR"))
    assert sorted([lead.n for lead in staged] + [result.row for result in results]) == list(
        range(1, len(rows) + 1)
    )
    assert {result.outcome for result in results} <= {RowOutcome.REJECTED, RowOutcome.DUPLICATE_IN_FILE}
    every = [identity for lead in staged for identity in lead.identities]
    assert len(every) == len(set(every))
    assert all(lead.identities for lead in staged)
    assert [lead.n for lead in staged] == sorted(lead.n for lead in staged)
    for result in results:
        assert (result.problem is not None) == (result.outcome is RowOutcome.REJECTED)
        assert result.lead_id is None


@settings(deadline=None)
@given(rows=st.lists(ROW, max_size=15))
def test_the_same_rows_again_are_all_doubles(rows: list[dict[str, Any]]) -> None:
    once, _ = settle_rows(enumerate(rows, start=1), payload_reader(source=INSTAGRAM, region="BR"))
    twice, results = settle_rows(
        enumerate(rows + rows, start=1), payload_reader(source=INSTAGRAM, region="BR")
    )
    assert [lead.n for lead in twice] == [lead.n for lead in once]
    again = [result for result in results if result.row > len(rows)]
    assert len(again) == len(rows)


def test_the_first_of_two_rows_wins() -> None:
    rows = [
        (1, row(name="First")),
        (2, row(name="Second")),
        (3, row(profileUrl="https://instagram.com/caio")),
    ]
    staged, results = settle_rows(rows, payload_reader(source=INSTAGRAM, region="BR"))
    assert [(lead.n, lead.name) for lead in staged] == [(1, "First"), (3, None)]
    assert [(result.row, result.outcome) for result in results] == [(2, RowOutcome.DUPLICATE_IN_FILE)]


def test_what_only_a_double_knew_makes_no_double() -> None:
    """Row 2 shares row 1's profile and brings an address; row 3 has only that address. Over chunks it is the same."""
    rows = [
        (1, row()),
        (2, row(email="bia@example.com")),
        (3, row(profileUrl="https://instagram.com/other", email="BIA@example.com")),
    ]
    staged, results = settle_rows(rows, payload_reader(source=INSTAGRAM, region="BR"))
    assert [lead.n for lead in staged] == [1, 3]
    assert [(result.row, result.outcome) for result in results] == [(2, RowOutcome.DUPLICATE_IN_FILE)]


def test_identities_come_strongest_first() -> None:
    found = identities(email="Bia@Example.com", phone="(11) 98765-4321")
    assert [one.kind for one in found] == [IdentityKind.EMAIL, IdentityKind.PHONE, IdentityKind.INSTAGRAM]
    assert [one.value for one in found] == ["bia@example.com", "+5511987654321", "bia"]


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"profileUrl": "ftp://instagram.com/bia"}, RowCode.INVALID_URL, "profileUrl"),
        ({"profileUrl": "https://www.facebook.com/bia"}, RowCode.INVALID_PROFILE, "profileUrl"),
        ({"profileUrl": ""}, RowCode.INVALID_PROFILE, "profileUrl"),
        ({"email": "bia"}, RowCode.INVALID_EMAIL, "email"),
        ({"phone": "12"}, RowCode.INVALID_PHONE, "phone"),
        ({"avatarUrl": "data:image/png;base64,x"}, RowCode.INVALID_URL, "avatarUrl"),
        ({"name": "n" * 201}, RowCode.TOO_LONG, "name"),
        ({"headline": "half \ud83d"}, RowCode.INVALID_TEXT, "headline"),
        ({"company": "a\x00b"}, RowCode.INVALID_TEXT, "company"),
        ({"name": 7}, RowCode.INVALID_TEXT, "name"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], code: RowCode, field: str) -> None:
    with pytest.raises(Rejected) as rejected:
        read_row(1, row(**fields), source=INSTAGRAM, region="BR")
    assert (rejected.value.problem.code, rejected.value.problem.field) == (code, field)


def test_a_name_falls_back_to_the_username_and_then_to_the_profile() -> None:
    named = read_row(1, row(name=" Bia\u0301 "), source=INSTAGRAM, region="BR")
    assert named.name == "Biá"
    shown = read_row(1, row(username="Bia.Souza"), source=INSTAGRAM, region="BR")
    assert (shown.name, shown.fallback_name) == (None, "Bia.Souza")
    bare = read_row(1, row(name="  "), source=INSTAGRAM, region="BR")
    assert (bare.name, bare.fallback_name) == (None, "bia")


def test_an_api_row_needs_some_identity() -> None:
    unknown = {"profileUrl": "https://example.com/people/7"}
    with pytest.raises(Rejected) as rejected:
        read_row(1, unknown, source=LeadSource.API, region="BR")
    assert rejected.value.problem.code is RowCode.NO_IDENTITY
    lead = read_row(1, {**unknown, "email": "a@example.com"}, source=LeadSource.API, region="BR")
    assert lead.identities == [Identity(IdentityKind.EMAIL, "a@example.com")]
