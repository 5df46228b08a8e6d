import pytest

from app.accounts.domain.user import MAX_EMAIL, clean_email, clean_locale, clean_password
from app.common.domain import Invalid


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Ana@Example.COM", "ana@example.com"),
        ("  ana@example.com ", "ana@example.com"),
        ("ana+sales@example.com", "ana+sales@example.com"),
        ("ana@EXÄMPLE.com", "ana@exämple.com"),
    ],
)
def test_an_address_is_stored_normalised(typed: str, stored: str) -> None:
    assert clean_email(typed, "email") == stored


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ana",
        "ana@",
        "@example.com",
        "ana@localhost",
        "ana b@example.com",
        "ana\x00@example.com",
        "ana\ud800@example.com",
        "ana@example.com\nBcc: x@example.com",
        "Ana <ana@example.com>",
        "a" * 65 + "@example.com",
        "ana@" + "a" * MAX_EMAIL + ".com",
    ],
)
def test_what_is_no_address_is_refused_at_its_field(typed: str) -> None:
    with pytest.raises(Invalid) as refusal:
        clean_email(typed, "email")
    assert refusal.value.path == ("email",)


@pytest.mark.parametrize("password", ["12345678", "ação ação", "🙂" * 72, "a\x00bcdefgh", "x" * 1000])
def test_a_password_is_kept_as_it_is(password: str) -> None:
    assert clean_password(password, "password") == password


@pytest.mark.parametrize("password", ["", "1234567", "x" * 1001])
def test_a_password_too_short_or_long_is_refused(password: str) -> None:
    with pytest.raises(Invalid):
        clean_password(password, "password")


def test_only_languages_that_are_there() -> None:
    assert clean_locale("pt-BR", "locale") == "pt-BR"
    with pytest.raises(Invalid):
        clean_locale("xx", "locale")
