"""A record of a file as a lead, and what is wrong with one that is none, by the name of its column."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.imports.domain.dialect import RawRow
from app.imports.domain.mapping import ColumnMapping, LeadField
from app.imports.domain.outcomes import RowCode, RowOutcome, RowProblem
from app.imports.domain.row_reader import MAX_IDENTITIES, RowReader
from app.imports.domain.rows import Rejected, settle_rows
from app.leads.domain.identity import Identity, IdentityKind
from app.leads.domain.staged import StagedLead


def reader(fields: list[str], *, is_error_report: bool = False) -> RowReader:
    mapping = [ColumnMapping(f"Col {n}", LeadField(field), 1.0) for n, field in enumerate(fields)]
    return RowReader(mapping, "BR", is_error_report)


def read(is_error_report: bool = False, /, **cells: str) -> StagedLead:
    """Keys are fields; what stands after two underscores only tells columns apart."""
    fields = [key.split("__")[0].upper() for key in cells]
    return reader(fields, is_error_report=is_error_report).read(7, list(cells.values()))


def values(lead: StagedLead) -> list[str]:
    return [one.value for one in lead.identities]


def test_every_field_has_its_place() -> None:
    lead = read(
        note=" Oi ",
        linkedin="https://www.linkedin.com/in/Ana",
        ignore="x",
        title=" CEO ",
        email=" Ana@Example.com ",
        name="Ana\u0303 ",
        phone="(11) 98765-4321",
        company="Acme",
        metadata=" 1.234,56 ",
        tags="vip",
    )
    assert lead == StagedLead(
        n=7,
        name="Anã",
        fallback_name="ana",
        company="Acme",
        title="CEO",
        avatar_url=None,
        metadata={"Col 8": " 1.234,56 "},
        identities=[
            Identity(IdentityKind.EMAIL, "ana@example.com"),
            Identity(IdentityKind.PHONE, "+5511987654321"),
            Identity(IdentityKind.LINKEDIN, "ana"),
        ],
        tags=("vip",),
        note="Oi",
    )


def test_empty_cells_are_nothing() -> None:
    lead = read(
        email="a@example.com", name=" ", company="", title="\t", metadata=" ", tags=" , ", note="", phone="  "
    )
    assert (lead.name, lead.company, lead.title, lead.metadata, lead.tags, lead.note) == (
        *[None] * 4,
        (),
        None,
    )
    assert (values(lead), lead.fallback_name) == (["a@example.com"], "a@example.com")


@pytest.mark.parametrize(
    ("name", "first", "last", "expected"),
    [
        ("", "Ana", "Souza", "Ana Souza"),
        ("", "Ana", " ", "Ana"),
        ("", "", "Souza", "Souza"),
        ("", "", "", None),
        ("Dra. Ana", "Ana", "Souza", "Dra. Ana"),
    ],
)
def test_a_first_and_a_last_name_are_a_name(name: str, first: str, last: str, expected: str | None) -> None:
    assert read(email="a@example.com", last_name=last, first_name=first, name=name).name == expected


@pytest.mark.parametrize("separator", [";", ",", " ::: ", "\n", " ; "])
def test_a_cell_may_hold_several(separator: str) -> None:
    lead = read(
        email=separator.join(["a@example.com", "b@example.com", "A@example.com", ""]),
        phone=separator.join(["(11) 98765-4321", "+1 650-253-0000"]),
        tags=separator.join(["VIP", "São Paulo", "vip", "sao paulo"]),
    )
    assert values(lead) == ["a@example.com", "b@example.com", "+5511987654321", "+16502530000"]
    assert lead.tags == ("VIP", "São Paulo")


@pytest.mark.parametrize("separator", [" / ", " | "])
def test_people_part_numbers_by_strokes_that_may_stand_in_one(separator: str) -> None:
    lead = read(
        email=separator.join(["a@example.com", "b@example.com"]),
        phone=separator.join(["11/98765-4321", "+1 650-253-0000"]),
        tags='B2B / SaaS,"VIP"',
    )
    assert values(lead) == ["a@example.com", "b@example.com", "+5511987654321", "+16502530000"]
    assert lead.tags == ("B2B / SaaS", "VIP")


def test_several_columns_may_be_one_field() -> None:
    lead = read(
        email__1="a@example.com",
        email__2="b@example.com",
        tags__1="a|b",
        tags__2="b,c",
        note__1="x",
        note__2="y",
    )
    assert (values(lead), lead.tags, lead.note) == (
        ["a@example.com", "b@example.com"],
        ("a", "b", "c"),
        "x\ny",
    )


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("phone", "p:+5511987654321", "+5511987654321"),
        ("phone", "5511987654321", "+5511987654321"),
        ("linkedin", "in/ana", "ana"),
        ("linkedin", "/in/Ana/", "ana"),
        ("linkedin", "company/acme", "company/acme"),
        ("linkedin", "ana", "ana"),
        ("linkedin", "www.linkedin.com/in/ana?trk=a,b;c", "ana"),
        ("instagram", "@Ana.Souza", "ana.souza"),
        ("instagram", "https://instagram.com/ana/", "ana"),
        ("facebook", "fb.com/ana.souza", "ana.souza"),
        ("facebook", "profile.php?id=42", "42"),
    ],
)
def test_who_somebody_is_may_be_written_in_many_ways(field: str, text: str, value: str) -> None:
    assert values(read(**{field: text})) == [value]


@pytest.mark.parametrize(
    ("cells", "code", "column"),
    [
        ({"name": "Ana", "email": "ana"}, RowCode.INVALID_EMAIL, "Col 1"),
        ({"email": "a@example.com;b"}, RowCode.INVALID_EMAIL, "Col 0"),
        ({"phone": "5,51199E+12"}, RowCode.INVALID_PHONE, "Col 0"),
        ({"phone": "1" * 60_000}, RowCode.INVALID_PHONE, "Col 0"),
        (
            {"email": "a@example.com", "linkedin": "https://example.com/in/ana"},
            RowCode.INVALID_PROFILE,
            "Col 1",
        ),
        ({"instagram": "Ana Souza"}, RowCode.INVALID_PROFILE, "Col 0"),
        ({"facebook": "x" * 60_000}, RowCode.INVALID_PROFILE, "Col 0"),
        ({"name": "Ana", "phone": "", "email": " "}, RowCode.NO_IDENTITY, "Col 2"),
        ({"email": "a@example.com", "name": "n" * 201}, RowCode.TOO_LONG, "Col 1"),
        (
            {"email": "a@example.com", "first_name": "n" * 150, "last_name": "n" * 50},
            RowCode.TOO_LONG,
            "Col 2",
        ),
        ({"email": "a@example.com", "company": "n" * 201}, RowCode.TOO_LONG, "Col 1"),
        ({"email": "a@example.com", "title": "é" * 201}, RowCode.TOO_LONG, "Col 1"),
        ({"email": "a@example.com", "tags": "a," + "t" * 51}, RowCode.TOO_LONG, "Col 1"),
        ({"email": "a@example.com", "tags": ",".join(map(str, range(101)))}, RowCode.TOO_MANY_TAGS, "Col 1"),
        ({"email": "a@example.com", "note": "x", "note__2": "n" * 9_999}, RowCode.TOO_LONG, "Col 2"),
        (
            {"email": "a@example.com", "metadata": "x" * 40_000, "metadata__2": "x" * 40_000},
            RowCode.TOO_LONG,
            "Col 2",
        ),
        (
            {"email": ";".join(f"a{n}@example.com" for n in range(MAX_IDENTITIES + 1))},
            RowCode.TOO_LONG,
            "Col 0",
        ),
        ({"email": "a@example.com", "name": "a\x00b"}, RowCode.INVALID_TEXT, "Col 1"),
        ({"email": "a@example.com", "note": "half \ud83d"}, RowCode.INVALID_TEXT, "Col 1"),
        ({"email": "a@example.com", "metadata": "a\x00"}, RowCode.INVALID_TEXT, "Col 1"),
        ({"email": "a@example.com", "tags": "a\x00"}, RowCode.INVALID_TEXT, "Col 1"),
    ],
)
def test_what_is_wrong_is_named_by_its_column(cells: dict[str, str], code: RowCode, column: str) -> None:
    with pytest.raises(Rejected) as rejected:
        read(**cells)
    assert rejected.value.problem == RowProblem(code, column)


def test_the_longest_that_fits_is_taken() -> None:
    lead = read(
        email="a@example.com", name="n" * 200, note="x" * 10_000, tags="t" * 50, metadata="m" * 65_536
    )
    assert lead.name == "n" * 200
    assert (lead.note, lead.tags, lead.metadata) == ("x" * 10_000, ("t" * 50,), {"Col 4": "m" * 65_536})


def test_only_a_report_of_errors_wears_guards() -> None:
    cells = {"phone": "'+5511987654321", "name": "'=Ana", "company": "'Acme", "metadata": "'-1"}
    lead = read(True, **cells)
    assert (values(lead), lead.name, lead.company) == (["+5511987654321"], "=Ana", "'Acme")
    assert lead.metadata == {"Col 3": "-1"}
    assert read(email="a@example.com", name="'=Ana").name == "'=Ana"


def test_whom_a_rejected_row_names_is_known() -> None:
    named = reader(["EMAIL", "PHONE", "INSTAGRAM", "NAME"]).named_in(
        ["x; A@example.com", "(11) 98765-4321", "Ana S"]
    )
    assert {one.value for one in named} == {"a@example.com", "+5511987654321"}


def test_a_file_settles_as_a_batch_does() -> None:
    problem = RowProblem(RowCode.RAGGED_ROW, None)
    rows = [
        RawRow(1, ["a@example.com", ""], None, 10),
        RawRow(2, ["A@example.com", "11987654321"], None, 20),
        RawRow(3, ["", "+55 11 98765-4321"], None, 30),
        RawRow(4, ["", "12"], None, 40),
        RawRow(5, ["b@example.com"], problem, 50),
    ]
    staged, results = settle_rows(((row.n, row) for row in rows), reader(["EMAIL", "PHONE"]).read_raw)
    assert [lead.n for lead in staged] == [1, 3]
    assert [(one.row, one.outcome) for one in results] == [
        (2, RowOutcome.DUPLICATE_IN_FILE),
        (4, RowOutcome.REJECTED),
        (5, RowOutcome.REJECTED),
    ]
    assert results[1].problem == RowProblem(RowCode.INVALID_PHONE, "Col 1")
    assert results[2].problem == problem


@settings(deadline=None)
@given(cells=st.lists(st.text(max_size=30), min_size=len(LeadField), max_size=len(LeadField)))
def test_any_cells_are_a_lead_or_a_problem(cells: list[str]) -> None:
    fields = [field.value for field in LeadField]
    staged, results = settle_rows([(1, cells)], reader(fields).read)
    for one in results:
        assert one.problem is not None
        assert one.problem.field in {f"Col {n}" for n in range(len(fields))}
    if results:
        assert staged == []
        return
    (lead,) = staged
    assert lead.identities
    assert len(lead.identities) == len(set(lead.identities))
    assert set(lead.identities) <= reader(fields).named_in(cells)
    for text in (lead.name, lead.fallback_name, lead.company, lead.title, lead.note, *lead.tags):
        assert text is None or (text == text.strip() != "" and "\x00" not in text)
