"""Files as other programs export them, known by their headers.

LinkedIn's connections and lead forms, Meta's lead forms, Google Contacts (since 2024 and before), the contacts of
HubSpot, Outlook, Apollo (whose Facebook pages and corporate numbers are companies') and Pipedrive, and our own export
of leads. Numbers in a header do not count: "Phone 2 - Value" is "phone # value".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.imports.domain.headers import header_key
from app.imports.domain.lead_field import LeadField

_NUMBER = re.compile(r"\b\d+\b")


@dataclass(frozen=True)
class Preset:
    """`fields` are those that the headers' own words would not give, or not surely."""

    name: str
    marks: frozenset[str]
    """A file with all of these is one."""
    fields: Mapping[str, LeadField]

    def field_of(self, column: str) -> LeadField | None:
        return self.fields.get(preset_key(column))


def preset_key(column: str) -> str:
    return _NUMBER.sub("#", header_key(column))


def preset_of(columns: Sequence[str]) -> Preset | None:
    keys = {preset_key(column) for column in columns}
    return next((preset for preset in PRESETS if preset.marks <= keys), None)


def _preset(title: str, /, *, marks: str, **fields: str) -> Preset:
    by_key = {
        key.strip(): LeadField[field.upper()] for field, keys in fields.items() for key in keys.split(",")
    }
    return Preset(title, frozenset(mark.strip() for mark in marks.split(",")), by_key)


_GOOGLE_IGNORED = (
    "photo, file as, e mail # label, e mail # type, phone # label, phone # type, address # label, address # type,"
    "website # label, website # type, organization # type, relation # label, relation # type, event # label,"
    "event # type, custom field # label, custom field # type, im # type"
)
_GOOGLE_METADATA = (
    "middle name, additional name, nickname, name prefix, name suffix, phonetic first name, phonetic middle name,"
    "phonetic last name, yomi name, given name yomi, additional name yomi, family name yomi, birthday, location,"
    "organization department, organization # department, organization # yomi name, website # value, relation # value"
)
PRESETS = (
    _preset(
        "LinkedIn connections",
        marks="first name, last name, url, company, position, connected on",
        first_name="first name",
        last_name="last name",
        linkedin="url",
        email="email address",
        company="company",
        title="position",
        metadata="connected on",
    ),
    _preset(
        "LinkedIn lead form",
        marks="lead id, campaign name, ad form name",
        first_name="first name",
        last_name="last name",
        email="email address, work email, email",
        phone="phone number, work phone number, work phone",
        company="company name",
        title="job title",
        linkedin="linkedin profile url, linkedin profile",
        metadata="date created, campaign name, ad form name, lead type",
        ignore="lead id, test lead, campaign id, creative id, ad id, ad form id, account id",
    ),
    _preset(
        "Meta lead form",
        marks="id, created time, form id",
        name="full name",
        first_name="first name",
        last_name="last name",
        email="email, work email",
        phone="phone number, phone, work phone number, whatsapp number",
        company="company name",
        title="job title",
        metadata="created time, ad name, adset name, campaign name, form name, platform, lead status",
        ignore="id, ad id, adset id, campaign id, form id, is organic",
    ),
    _preset(
        "Google Contacts",
        marks="first name, organization name, labels, e mail # value",
        first_name="first name",
        last_name="last name",
        email="e mail # value",
        phone="phone # value",
        company="organization name",
        title="organization title",
        tags="labels",
        note="notes",
        metadata=_GOOGLE_METADATA,
        ignore=_GOOGLE_IGNORED,
    ),
    _preset(
        "Google Contacts, before 2024",
        marks="given name, family name, group membership, e mail # value",
        name="name",
        first_name="given name",
        last_name="family name",
        email="e mail # value",
        phone="phone # value",
        company="organization # name",
        title="organization # title",
        tags="group membership",
        note="notes",
        metadata=_GOOGLE_METADATA,
        ignore=_GOOGLE_IGNORED,
    ),
    _preset(
        "HubSpot contacts",
        marks="record id, first name, last name, email",
        first_name="first name",
        last_name="last name",
        email="email, additional email addresses, work email",
        phone="phone number, mobile phone number, whatsapp phone number",
        company="company name",
        title="job title",
        linkedin="linkedin url, linkedin profile url",
        metadata="contact owner, lead status, marketing contact status, create date, associated company",
        ignore="record id, associated company ids, associated company ids primary, associated note ids",
    ),
    _preset(
        "Outlook contacts",
        marks="first name, last name, title, suffix, e mail address, job title",
        title="job title",
        metadata="title, suffix",
    ),
    _preset(
        "Apollo contacts",
        marks="first name, last name, person linkedin url, company linkedin url",
        phone="work direct phone, mobile phone, home phone, other phone",
        linkedin="person linkedin url",
        metadata="corporate phone, company phone, facebook url, twitter url",
    ),
    _preset(
        "Pipedrive people",
        marks="person name, person organization",
        name="person name",
        email="person email work, person email home, person email other",
        phone="person phone work, person phone mobile, person phone home, person phone other",
        company="person organization",
    ),
    _preset(
        "SalesPad leads",
        marks="id, name, stage, owner, owner email, engagement",
        ignore="id, other identities, created at, updated at, last touch at, metadata, stage, owner, owner email,"
        "source, engagement, score",
    ),
    _preset(
        "SalesPad leads in Portuguese",
        marks="id, nome, etapa, responsavel, email do responsavel, engajamento",
        ignore="id, outras identidades, criado em, atualizado em, ultimo contato em, metadados, etapa, responsavel,"
        "email do responsavel, origem, engajamento, pontuacao",
    ),
)
