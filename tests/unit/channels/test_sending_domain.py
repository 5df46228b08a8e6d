"""What a sending domain is."""

import pytest

from app.channels.domain.sending_domain import clean_domain, clean_domain_limit, sending_domain_of
from app.common.domain import Invalid


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("ana@example.com", "example.com"),
        ("ana@mail.eu.example.com", "example.com"),
        ("ana@vendas.example.com.br", "example.com.br"),
        ("ana@com.br", "com.br"),
        ("ana@team.github.io", "team.github.io"),
        ("ana@host.unheard-of", "host.unheard-of"),
        ("ana@intranet", "intranet"),
        ("+5511912345678", None),
        ("", None),
    ],
    ids=["plain", "deep", "of Brazil", "a suffix", "private", "unknown", "one label", "a number", "nothing"],
)
def test_the_registrable_part_of_an_address(address: str, domain: str | None) -> None:
    assert sending_domain_of(address) == domain


@pytest.mark.parametrize("given", ["example.com", " Mail.EXAMPLE.com. ", "@example.com"])
def test_a_domain_is_taken_as_people_write_it(given: str) -> None:
    assert clean_domain(given) == "example.com"


@pytest.mark.parametrize("given", ["", "ana@example.com", "exa mple.com", "https://example.com", "a" * 300])
def test_what_is_no_domain_is_refused(given: str) -> None:
    with pytest.raises(Invalid) as refused:
        clean_domain(given)
    assert refused.value.path == ("domain",)


@pytest.mark.parametrize("limit", [0, -1, 2**31])
def test_a_limit_is_within_bounds(limit: int) -> None:
    with pytest.raises(Invalid):
        clean_domain_limit(limit)
