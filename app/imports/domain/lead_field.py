"""What a column of a file may be of a lead."""

from enum import StrEnum


class LeadField(StrEnum):
    NAME = "NAME"
    FIRST_NAME = "FIRST_NAME"
    LAST_NAME = "LAST_NAME"
    EMAIL = "EMAIL"
    PHONE = "PHONE"
    COMPANY = "COMPANY"
    TITLE = "TITLE"
    LINKEDIN = "LINKEDIN"
    INSTAGRAM = "INSTAGRAM"
    FACEBOOK = "FACEBOOK"
    TAGS = "TAGS"
    NOTE = "NOTE"
    METADATA = "METADATA"
    IGNORE = "IGNORE"


NAME_FIELDS = frozenset({LeadField.NAME, LeadField.FIRST_NAME, LeadField.LAST_NAME})
SINGLE_FIELDS = NAME_FIELDS | {LeadField.COMPANY, LeadField.TITLE}
"""One column each; of the others there may be several."""
IDENTITY_FIELDS = (
    LeadField.EMAIL,
    LeadField.PHONE,
    LeadField.LINKEDIN,
    LeadField.INSTAGRAM,
    LeadField.FACEBOOK,
)
"""By what a row is somebody, in order of strength."""
