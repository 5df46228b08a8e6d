"""Sending domains: what receivers judge together, the registrable domain of an address and all its subdomains."""

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from app.accounts.domain.user import clean_email
from app.common.domain import Invalid, NotFound

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

MAX_DAILY_LIMIT = 100_000_000


class SendingDomainNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__(
            "No account sends from this domain: connect an address of it first.", path=("domain",)
        )


@dataclass(frozen=True, slots=True)
class SendingDomain:
    domain: str
    daily_limit: int | None

    def limited(self, daily_limit: int | None) -> "tuple[SendingDomain, bool]":
        """And whether that changes anything."""
        return replace(self, daily_limit=daily_limit), daily_limit != self.daily_limit


@cache
def _suffixes() -> "PublicSuffixList":
    """Read once, from the package's own file: 0.2 s."""
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


def sending_domain_of(address: str) -> str | None:
    """`mail.example.com.br` and `example.com.br` are one; None for what has no domain. A name that is all public suffix
    stands for itself."""
    domain = address.rpartition("@")[2].lower() if "@" in address else ""
    return (_suffixes().privatesuffix(domain) or domain) or None


def clean_domain(given: str) -> str:
    """As the accounts of its addresses have it. Raises Invalid."""
    domain = given.strip().removeprefix("@").rstrip(".")
    try:
        found = sending_domain_of(clean_email(f"anyone@{domain}", "domain"))
    except Invalid:
        found = None
    if found is None:
        raise Invalid("Write the domain alone, such as example.com.", path=("domain",))
    return found


def clean_domain_limit(limit: int | None) -> int | None:
    """Raises Invalid."""
    if limit is not None and not 1 <= limit <= MAX_DAILY_LIMIT:
        raise Invalid("Allow at least 1 message a day; null is no limit.", path=("dailyLimit",))
    return limit
