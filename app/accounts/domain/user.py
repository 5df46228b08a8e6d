"""A person, their workspace, and what is acceptable in each field."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from app.common.domain import Invalid, Refusals, Role, SalesPadError, clean_text

MAX_EMAIL = 254
MAX_LOCAL_PART = 64
MIN_PASSWORD = 8
MAX_PASSWORD = 1000
REGIONS = {"pt-BR": ("America/Sao_Paulo", "BR"), "en": ("UTC", "US")}
"""A workspace's first time zone and phone region, by its locale. The keys are the locales there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """A person who founds a workspace, every field cleaned."""

    email: str
    name: str
    password_hash: str
    workspace_name: str
    locale: str


@dataclass(frozen=True, slots=True)
class Credentials:
    user_id: UUID
    password_hash: str


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a mail goes to, and in which language."""

    email: str
    locale: str


@dataclass(frozen=True, slots=True)
class Membership:
    """Somebody in a workspace: what a session is opened for."""

    user_id: UUID
    workspace_id: UUID
    role: Role


def clean_email(email: str, *path: str) -> str:
    """An address as it is stored and looked up: normalised, lower-cased. Raises Invalid at `path`."""
    if len(email) > MAX_EMAIL:
        raise Invalid(f"Use an e-mail address of at most {MAX_EMAIL} characters.", path=path)
    try:
        checked = validate_email(email.strip(), check_deliverability=False)
    except EmailNotValidError:
        checked = None
    if checked is None or len(checked.normalized) > MAX_EMAIL or len(checked.local_part) > MAX_LOCAL_PART:
        raise Invalid("Give a whole e-mail address, such as ana@example.com.", path=path)
    return checked.normalized.lower()


def clean_password(password: str, *path: str) -> str:
    """Any characters will do; nothing is trimmed. Raises Invalid at `path`."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Invalid(f"Use a password of {MIN_PASSWORD} to {MAX_PASSWORD:,} characters.", path=path)
    return password


def clean_locale(locale: str, *path: str) -> str:
    if locale not in REGIONS:
        raise Invalid(f"Choose a language that is there: {' or '.join(REGIONS)}.", path=path)
    return locale


Clean = Callable[[str, str], str]
"""A text and where it stands in the input; raises Invalid there."""
PROFILE: Mapping[str, Clean] = {"name": clean_text, "locale": clean_locale}


def cleaned(given: Mapping[str, str | None], rules: Mapping[str, Clean]) -> dict[str, str]:
    """The fields that were given, each cleaned by its rule. Raises Refusals, one for each that cannot be taken."""
    kept: dict[str, str] = {}
    refusals: list[SalesPadError] = []
    for field, text in given.items():
        path = re.sub("_([a-z])", lambda found: found[1].upper(), field)
        try:
            if text is None:
                raise Invalid("Give a value, or leave this out to keep what there is.", path=(path,))
            kept[field] = rules[field](text, path)
        except SalesPadError as refusal:
            refusals.append(refusal)
    if refusals:
        raise Refusals(refusals)
    return kept
