"""What becomes of a row: one outcome, and where something is wrong a code with words for people."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class RowOutcome(StrEnum):
    CREATED = "CREATED"
    UPDATED = "UPDATED"
    UNCHANGED = "UNCHANGED"
    DUPLICATE_IN_FILE = "DUPLICATE_IN_FILE"
    SKIPPED_EXISTING = "SKIPPED_EXISTING"
    SUPPRESSED = "SUPPRESSED"
    REJECTED = "REJECTED"


class RowCode(StrEnum):
    """Why a row was rejected or left out, or (IDENTITY_TAKEN) what was left undone in one that landed."""

    INVALID_TEXT = "INVALID_TEXT"
    TOO_LONG = "TOO_LONG"
    INVALID_URL = "INVALID_URL"
    INVALID_PROFILE = "INVALID_PROFILE"
    INVALID_EMAIL = "INVALID_EMAIL"
    INVALID_PHONE = "INVALID_PHONE"
    NO_IDENTITY = "NO_IDENTITY"
    RAGGED_ROW = "RAGGED_ROW"
    TOO_MANY_TAGS = "TOO_MANY_TAGS"
    IDENTITY_TAKEN = "IDENTITY_TAKEN"
    SUPPRESSED = "SUPPRESSED"
    ERASED = "ERASED"


ROW_MESSAGES = {
    "en": {
        RowCode.INVALID_TEXT: "Remove the broken or NUL character.",
        RowCode.TOO_LONG: (
            "This is too long: names, headlines and companies take 200 characters, web addresses 2,000, notes 10,000, "
            "tags 50."
        ),
        RowCode.INVALID_URL: "Give an address that begins with https://.",
        RowCode.INVALID_PROFILE: "Give the address of a profile on that network.",
        RowCode.INVALID_EMAIL: "Give an e-mail address, such as ana@example.com.",
        RowCode.INVALID_PHONE: "Give a valid phone number, with +country code or of the workspace's region.",
        RowCode.NO_IDENTITY: "Give a profile of a known network, an e-mail address or a phone number.",
        RowCode.RAGGED_ROW: "This row has more or fewer cells than the header: look for a stray separator or quote.",
        RowCode.TOO_MANY_TAGS: "The workspace can have no more tags, or a row too many of them: use fewer.",
        RowCode.IDENTITY_TAKEN: "Imported, but one of its addresses, numbers or profiles belongs to another lead.",
        RowCode.SUPPRESSED: "Nothing may be sent to this person: lift the suppression first.",
        RowCode.ERASED: "This person asked to be forgotten: leave them out.",
    },
    "pt-BR": {
        RowCode.INVALID_TEXT: "Tire o caractere inválido ou NUL.",
        RowCode.TOO_LONG: (
            "Longo demais: nomes, cargos e empresas têm até 200 caracteres, endereços da web 2.000, "
            "notas 10.000, etiquetas 50."
        ),
        RowCode.INVALID_URL: "Dê um endereço que comece com https://.",
        RowCode.INVALID_PROFILE: "Dê o endereço de um perfil dessa rede.",
        RowCode.INVALID_EMAIL: "Dê um endereço de e-mail, como ana@example.com.",
        RowCode.INVALID_PHONE: "Dê um telefone válido, com +código do país ou da região do workspace.",
        RowCode.NO_IDENTITY: "Dê um perfil de uma rede conhecida, um e-mail ou um telefone.",
        RowCode.RAGGED_ROW: "Esta linha não tem as mesmas células do cabeçalho: veja se sobra um separador ou aspas.",
        RowCode.TOO_MANY_TAGS: "O workspace não pode ter mais etiquetas, ou esta linha tem demais: use menos.",
        RowCode.IDENTITY_TAKEN: "Importado, mas um dos endereços, números ou perfis é de outro lead.",
        RowCode.SUPPRESSED: "Nada pode ser enviado a esta pessoa: retire antes a supressão.",
        RowCode.ERASED: "Esta pessoa pediu para ser esquecida: deixe-a de fora.",
    },
}
"""By locale."""


def row_message(code: RowCode, locale: str) -> str:
    """In the reader's language, if there are texts in it."""
    return ROW_MESSAGES.get(locale, ROW_MESSAGES["en"])[code]


@dataclass(frozen=True, slots=True)
class RowProblem:
    code: RowCode
    field: str | None


@dataclass(frozen=True, slots=True)
class RowResult:
    """The one outcome of a row."""

    row: int
    outcome: RowOutcome
    lead_id: UUID | None = None
    problem: RowProblem | None = None
