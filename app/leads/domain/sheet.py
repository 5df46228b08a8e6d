"""Leads as lines of a spreadsheet: which columns, under which names, and what a cell may hold.

A spreadsheet runs what begins with = + - @ as a formula, and whoever fills in a form of ours could so run something on
a colleague's computer. Such a cell gets an apostrophe before it. Only a phone number, whose "+" and digits are checked
here, stays as it is: it is what other programs dial and what an import reads back.
"""

import re
from collections.abc import Sequence
from urllib.parse import quote

from app.leads.domain.identity import IdentityKind

COLUMNS = (
    *("id", "name", "email", "phone", "company", "title", "linkedin", "instagram", "facebook"),
    *("other_identities", "stage", "owner", "owner_email", "source", "engagement", "score", "tags"),
    *("created_at", "updated_at", "last_touch_at", "metadata"),
)
PORTUGUESE = (
    *("id", "nome", "email", "telefone", "empresa", "cargo", "linkedin", "instagram", "facebook"),
    *("outras_identidades", "etapa", "responsável", "email_do_responsável", "origem", "engajamento"),
    *("pontuação", "tags", "criado_em", "atualizado_em", "último_contato_em", "metadados"),
)
SEPARATOR = "; "
"""Between tags, and between identities."""
TRIGGERS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_LEADING = re.compile(rf"[\t\r]|\s*[{TRIGGERS}]")
# Where a list's separator is a semicolon (Brazil's), or a program takes tabs and line ends in quotes for its own, a
# cell begins within ours.
_INNER = re.compile(rf"([;\t\r\n][\s\"']*)(?=[{TRIGGERS}])")
_PHONE = re.compile(r"\+[0-9]{1,15}", re.ASCII)
_PROFILES = {
    IdentityKind.LINKEDIN: "https://www.linkedin.com/in/",
    IdentityKind.INSTAGRAM: "https://www.instagram.com/",
    IdentityKind.FACEBOOK: "https://www.facebook.com/",
}


def headings(locale: str) -> Sequence[str]:
    return PORTUGUESE if locale.startswith("pt") else COLUMNS


def text_cell(text: str | None) -> str:
    """What no spreadsheet takes for a formula."""
    if not text:
        return ""
    defused = _INNER.sub(r"\1'", text)
    return f"'{defused}" if _LEADING.match(text) else defused


def phone_cell(number: str | None) -> str:
    return number if number and _PHONE.fullmatch(number) else text_cell(number)


def profile_address(kind: IdentityKind, handle: str) -> str:
    """Where a profile is to be seen: `profile_identity` reads it back."""
    if handle.startswith("company/"):
        return f"https://www.linkedin.com/company/{quote(handle.removeprefix('company/'))}"
    return _PROFILES[kind] + quote(handle)


def identity_cells(identities: Sequence[Sequence[str]]) -> list[str]:
    """The columns linkedin to other_identities, of (kind, value, "true" for the primary)."""
    cells = {kind.value: "" for kind in _PROFILES}
    others: list[str] = []
    for kind, value, is_primary in identities:
        if is_primary == "true" and kind in cells:
            cells[kind] = profile_address(IdentityKind(kind), value)
        elif is_primary != "true" or kind not in (IdentityKind.EMAIL, IdentityKind.PHONE):
            others.append(f"{kind}:{value}")
    return [*cells.values(), text_cell(SEPARATOR.join(others))]
