"""Why a bulk send stands still, in the reader's language. Pure.

What is stored is a code and the numbers that belong to it; what is shown is the code, a colon and a text.
"""

from collections.abc import Mapping
from enum import StrEnum

DEFAULT_LOCALE = "en"


class PauseReason(StrEnum):
    """Why it stands still: what `pauseReason` begins with."""

    PAUSED_BY_MEMBER = "PAUSED_BY_MEMBER"
    ERROR_RATE = "ERROR_RATE"
    BOUNCE_RATE = "BOUNCE_RATE"
    COMPLAINT_RATE = "COMPLAINT_RATE"
    ACCOUNT_DISCONNECTED = "ACCOUNT_DISCONNECTED"
    ACCOUNT_NEEDS_REAUTH = "ACCOUNT_NEEDS_REAUTH"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    SEARCH_ERASED = "SEARCH_ERASED"


TEXTS: Mapping[str, Mapping[PauseReason, str]] = {
    "en": {
        PauseReason.PAUSED_BY_MEMBER: "Somebody paused it. Resume it when you are ready.",
        PauseReason.ERROR_RATE: "{} of {} messages could not be sent. Look at the failed recipients and at the account,"
        " then resume.",
        PauseReason.BOUNCE_RATE: "{} of {} messages came back. Check where these addresses come from: providers block"
        " senders with more than 5 %.",
        PauseReason.COMPLAINT_RATE: "{} of {} messages were reported as spam. Write only to people who expect it:"
        " providers block senders with more than 0.3 %.",
        PauseReason.ACCOUNT_DISCONNECTED: "The channel account is disconnected. Connect it again, then go on.",
        PauseReason.ACCOUNT_NEEDS_REAUTH: "The channel account's login was refused. Give it a new one, then go on.",
        PauseReason.INTERNAL_ERROR: "{}. Resume it; tell support if it stops again.",
        PauseReason.SEARCH_ERASED: "A person whom its search named was erased. Make a new one.",
    },
    "pt-BR": {
        PauseReason.PAUSED_BY_MEMBER: "Alguém pausou o envio. Retome quando quiser.",
        PauseReason.ERROR_RATE: "{} de {} mensagens não puderam ser enviadas. Veja os destinatários com falha e a"
        " conta, depois retome.",
        PauseReason.BOUNCE_RATE: "{} de {} mensagens voltaram. Verifique de onde vêm esses endereços: os provedores"
        " bloqueiam quem passa de 5 %.",
        PauseReason.COMPLAINT_RATE: "{} de {} mensagens foram marcadas como spam. Escreva só a quem espera por isso: os"
        " provedores bloqueiam quem passa de 0,3 %.",
        PauseReason.ACCOUNT_DISCONNECTED: "A conta do canal está desconectada. Conecte-a de novo e continue.",
        PauseReason.ACCOUNT_NEEDS_REAUTH: "O acesso da conta do canal foi recusado. Informe um novo e continue.",
        PauseReason.INTERNAL_ERROR: "{}. Retome; avise o suporte se parar de novo.",
        PauseReason.SEARCH_ERASED: "Uma pessoa que a busca citava foi apagada. Crie um novo envio.",
    },
}


def why(reason: PauseReason, *of: object) -> str:
    """As it is stored: the code, then what its text tells."""
    return "|".join([reason.value, *(str(one).replace("|", " ") for one in of)])


def told(stored: str, locale: str) -> str:
    """For people to read, in their language if there are texts in it."""
    code, *of = stored.split("|")
    texts = TEXTS.get(locale, TEXTS[DEFAULT_LOCALE])
    return f"{code}: {texts[PauseReason(code)].format(*of)}"


PAUSED_BY_MEMBER = why(PauseReason.PAUSED_BY_MEMBER)
