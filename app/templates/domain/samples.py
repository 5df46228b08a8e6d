"""What a template is looked at with before it is sent."""

from enum import StrEnum


class SampleKind(StrEnum):
    LONGEST = "LONGEST"
    MISSING = "MISSING"
    ACCENTS = "ACCENTS"
