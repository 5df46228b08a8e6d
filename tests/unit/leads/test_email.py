"""The short way to an e-mail address's normal form agrees with the validator, whatever is written."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.leads.domain.identity import (
    IdentityKind,
    NotAnIdentity,
    email_identity,
    profile_identity,
    validated_email,
)

LABEL = st.sampled_from(
    [
        "example",
        "Example",
        "x",
        "a-b",
        "-a",
        "a-",
        "a--b",
        "xn--mnchen-3ya",
        "a_b",
        "9",
        "l" * 63,
        "l" * 64,
        "é",
        "",
    ]
)
TOP = st.sampled_from(
    [
        "com",
        "COM",
        "br",
        "c",
        "c0m",
        "0",
        "test",
        "local",
        "localhost",
        "invalid",
        "arpa",
        "onion",
        "xn--p1ai",
        "",
    ]
)
LOCAL = st.one_of(
    st.text("abcXYZ019.!#$%&'*+-/=?^_`{|}~ \"(),:;<>@[\\]é\x00\n", max_size=12),
    st.sampled_from(["a" * 64, "a" * 65, "a..b", ".a", "a.", '"a b"', "ana.souza+crm"]),
)


def read(read_by: object, text: str) -> str | None:
    try:
        return str(read_by(text))  # type: ignore[operator]
    except NotAnIdentity:
        return None


@settings(max_examples=500, deadline=None)
@given(local=LOCAL, labels=st.lists(LABEL, max_size=5), top=TOP)
@example(local="a", labels=["l" * 63] * 4, top="com")
@example(local="a" * 64, labels=["l" * 60] * 3, top="comcom")
@example(local="a" * 64, labels=["l" * 61] * 3, top="com")
def test_an_address_is_read_as_the_validator_reads_it(local: str, labels: list[str], top: str) -> None:
    text = f"{local}@{'.'.join([*labels, top])}"
    assert read(lambda text: email_identity(text).value, text) == read(validated_email, text.strip())


@settings(deadline=None)
@given(text=st.text(max_size=40))
def test_any_text_is_read_as_the_validator_reads_it(text: str) -> None:
    assert read(lambda text: email_identity(text).value, text) == read(validated_email, text.strip())


def test_what_is_copied_along_unseen_is_no_part_of_an_address() -> None:
    for text in ("\u200bana@example.com", "ana@example.com\u200b", "\ufeffana@\u200bexample.com \u202c"):
        assert email_identity(text).value == "ana@example.com"
    address = "\u200bhttps://www.linkedin.com/in/ana-souza\u200e"
    assert profile_identity(IdentityKind.LINKEDIN, address).value == "ana-souza"
