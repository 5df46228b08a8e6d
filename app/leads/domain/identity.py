"""Identities: one spelling for each e-mail address, phone number and profile, so that equal ones are equal.

The normal forms: e-mail lower-cased; phone E.164; profile the network's handle, lower-cased ("acme", for LinkedIn
companies "company/acme"). Sources: RFC 5321 lengths; the networks' own address forms as people copy them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from app.common.domain import normalized
from app.leads.domain.phone_number import NotAPhoneNumber, e164

MAX_URL = 2000
MAX_EMAIL = 254
MAX_LOCAL_PART = 64
MAX_PHONE = 50


class IdentityKind(StrEnum):
    """In order of strength: where two identities of a row point at two leads, the stronger one decides."""

    EMAIL = "EMAIL"
    PHONE = "PHONE"
    WHATSAPP = "WHATSAPP"
    LINKEDIN = "LINKEDIN"
    INSTAGRAM = "INSTAGRAM"
    FACEBOOK = "FACEBOOK"

    @property
    def strength(self) -> int:
        return STRENGTHS[self]


STRENGTHS = {kind: place for place, kind in enumerate(IdentityKind)}


@dataclass(frozen=True, slots=True)
class Identity:
    kind: IdentityKind
    value: str


class NotAnIdentity(ValueError):
    """The text is no address, number or profile of its kind; `str(error)` says what one looks like."""


_UNSEEN = dict.fromkeys(
    [0xAD, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060, *range(0x2066, 0x206A), 0xFEFF]
)
"""What comes along unseen where people copy from a page or a contact; in no address does it mean anything."""
_NO_DOMAINS = frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)
_ATOM = r"[a-z0-9_!#$%&'*+\-/=?^`{|}~]+"
_LABEL = r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?"
_PLAIN_EMAIL = re.compile(
    rf"(?=.{{6,{MAX_EMAIL}}}$)(?=[^@]{{1,{MAX_LOCAL_PART}}}@)(?!.*--){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+([a-z]{{2,63}})"
)


def email_identity(text: str) -> Identity:
    """Raises NotAnIdentity.

    Plain addresses, as nearly all are, need no more than a pattern (the validator takes 75 us);
    `tests/unit/leads/test_email.py` holds both against each other.
    """
    text = text.strip()
    if text.isascii() and (plain := _PLAIN_EMAIL.fullmatch(text.lower())) and plain[1] not in _NO_DOMAINS:
        return Identity(IdentityKind.EMAIL, plain[0])
    return Identity(IdentityKind.EMAIL, validated_email(text))


def validated_email(text: str) -> str:
    """As `email_identity`, of any address. Raises NotAnIdentity."""
    try:
        address = validate_email(
            text.translate(_UNSEEN).strip(), check_deliverability=False
        ).normalized.lower()
    except EmailNotValidError:
        raise NotAnIdentity("Write an e-mail address, such as ana@example.com.") from None
    if len(address) > MAX_EMAIL or len(address.partition("@")[0]) > MAX_LOCAL_PART:
        raise NotAnIdentity("This e-mail address is too long.")
    return address


def phone_identity(text: str, *, region: str) -> Identity:
    """`region` (ISO 3166) reads a number without a country code. Raises NotAnIdentity."""
    try:
        if len(text) <= MAX_PHONE:
            return Identity(IdentityKind.PHONE, e164(text, region))
    except NotAPhoneNumber:
        pass
    raise NotAnIdentity(
        f"Write a valid phone number with its area code (country {region}), or with +country code."
    )


def identity_from(kind: IdentityKind, text: str, *, region: str) -> Identity:
    """Of any kind, in its normal form; `region` as for phone numbers. Raises NotAnIdentity."""
    if kind is IdentityKind.EMAIL:
        return email_identity(text)
    if kind in (IdentityKind.PHONE, IdentityKind.WHATSAPP):
        return Identity(kind, phone_identity(text, region=region).value)
    return profile_identity(kind, text)


_INSTAGRAM = re.compile(r"[a-z0-9._]{1,30}", re.ASCII)
_FACEBOOK = re.compile(r"[a-z0-9.\-]{1,100}", re.ASCII)
_LINKEDIN = re.compile(r"[\w\-.%~]{1,150}")
_NO_PROFILES = frozenset(
    {"p", "reel", "reels", "stories", "explore", "accounts", "groups", "events", "pages", "watch", "marketplace",
     "login", "share", "sharer", "sharer.php", "feed", "jobs", "search", "home.php", "profile.php", "people"}
)  # fmt: skip


def profile_identity(kind: IdentityKind, text: str) -> Identity:
    """From a profile's address, its path ("in/ana") or its bare handle (with or without @). Raises NotAnIdentity."""
    site = SITES[kind]
    text = text.translate(_UNSEEN).strip()
    if text.lower().lstrip("/").startswith(site.paths):
        text = f"https://{site.hosts[0]}/{text.lstrip('/')}"
    handle = site.handle(_split(text, site.hosts)) if _looks_like_address(text) else text.removeprefix("@")
    handle = normalized(unquote(handle or "")).lower()
    slug = handle.removeprefix("company/")
    if not site.pattern.fullmatch(slug) or slug in _NO_PROFILES:
        raise NotAnIdentity(f"Write the address of a profile, such as {site.example}.")
    return Identity(kind, handle)


def kind_of_address(text: str) -> IdentityKind | None:
    """The network an address belongs to, if any."""
    host = (_http(text).hostname or "").lower()
    return next((kind for kind, site in SITES.items() if _is_of(host, site.hosts)), None)


def web_address(text: str) -> str:
    """An http(s) address, as given. Raises NotAnIdentity: `javascript:` and the like never get in."""
    address = _http(text.strip())
    if len(text) > MAX_URL or not address.hostname:
        raise NotAnIdentity(
            f"Write an address that begins with https:// or http://, of at most {MAX_URL:,} characters."
        )
    return text.strip()


def _looks_like_address(text: str) -> bool:
    return "/" in text or ":" in text


def _http(text: str) -> SplitResult:
    """Raises NotAnIdentity for any other scheme, and for what cannot be split."""
    try:
        split = urlsplit(text.strip())
        _ = split.port
    except ValueError:
        split = None
    if split is None or split.scheme not in ("http", "https") or len(text.split()) != 1:
        raise NotAnIdentity("Write an address that begins with https:// or http://.")
    return split


def _split(text: str, hosts: tuple[str, ...]) -> SplitResult:
    address = _http(text if "://" in text or re.match(r"[a-z]+:", text, re.IGNORECASE) else f"https://{text}")
    if not _is_of((address.hostname or "").lower(), hosts):
        raise NotAnIdentity(f"Write an address on {hosts[0]}.")
    return address


def _is_of(host: str, hosts: tuple[str, ...]) -> bool:
    return any(host == own or host.endswith("." + own) for own in hosts)


def _parts(address: SplitResult) -> list[str]:
    return [part for part in address.path.split("/") if part]


def _instagram_handle(address: SplitResult) -> str | None:
    return next(iter(_parts(address)), None)


def _facebook_handle(address: SplitResult) -> str | None:
    parts = _parts(address)
    if parts[:1] == ["profile.php"]:
        return next(iter(parse_qs(address.query).get("id", [])), None)
    if parts[:1] in (["people"], ["pages"]):
        return parts[2] if len(parts) > 2 else None
    return parts[0] if parts else None


def _linkedin_handle(address: SplitResult) -> str | None:
    parts = _parts(address)
    if len(parts) < 2:
        return None
    prefixes = {"in": "", "pub": "", "company": "company/", "school": "company/"}
    prefix = prefixes.get(parts[0].lower())
    return None if prefix is None else prefix + parts[1]


@dataclass(frozen=True)
class Site:
    hosts: tuple[str, ...]
    handle: Callable[[SplitResult], str | None]
    pattern: re.Pattern[str]
    example: str
    paths: tuple[str, ...] = ()
    """With what the path of a profile begins where it stands alone."""


SITES = {
    IdentityKind.LINKEDIN: Site(
        ("linkedin.com",),
        _linkedin_handle,
        _LINKEDIN,
        "https://www.linkedin.com/in/ana-souza",
        ("in/", "pub/", "company/", "school/"),
    ),
    IdentityKind.INSTAGRAM: Site(
        ("instagram.com",), _instagram_handle, _INSTAGRAM, "https://www.instagram.com/ana.souza"
    ),
    IdentityKind.FACEBOOK: Site(
        ("facebook.com", "fb.com"),
        _facebook_handle,
        _FACEBOOK,
        "https://www.facebook.com/ana.souza",
        ("profile.php?", "people/", "pages/"),
    ),
}
