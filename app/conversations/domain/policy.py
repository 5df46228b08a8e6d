"""Whether something may be sent, and why not: the answer of the one policy (`infrastructure/policy.py`). Pure.

A person's message is asked about by `canSend`, `sendMessage` and `resendMessage`; the intent asks the same of the same
columns once more, just before it is handed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from app.common.domain import Conflict, LimitReached, SalesPadError
from app.conversations.domain.delivery import Reason
from app.conversations.domain.errors import ConversationNotFound

ANSWERED_WITHIN = timedelta(hours=24)
"""Who wrote within this time is answered at any hour."""


class SendRefusal(StrEnum):
    SUPPRESSED = "SUPPRESSED"
    QUIET_HOURS = "QUIET_HOURS"
    RATE_LIMITED = "RATE_LIMITED"
    ACCOUNT_DISCONNECTED = "ACCOUNT_DISCONNECTED"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` says what to do, for a person; None: it may be sent. `refusal` is None too where only the template
    stands in the way."""

    refusal: SendRefusal | None = None
    reason: str | None = None
    retry_at: datetime | None = None

    @property
    def is_allowed(self) -> bool:
        return self.reason is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How things stand for a message of a person's at the moment it would leave."""

    refusal: Reason | None = None
    time_zone: str | None = None
    """The lead's, where it is known."""
    quiet_until: datetime | None = None
    """The end of the quiet hours it would leave in; None too for who is answered at any hour."""
    used_up_until: datetime | None = None
    """When the next day begins, where a daily limit is used up."""


REFUSALS: Mapping[Reason, SendRefusal] = {
    Reason.LEAD_DELETED: SendRefusal.SUPPRESSED,
    Reason.SUPPRESSED: SendRefusal.SUPPRESSED,
    Reason.ACCOUNT_DISCONNECTED: SendRefusal.ACCOUNT_DISCONNECTED,
    Reason.ACCOUNT_NEEDS_REAUTH: SendRefusal.ACCOUNT_DISCONNECTED,
}
TEXTS: Mapping[str, Mapping[Reason | SendRefusal, str]] = {
    "en": {
        Reason.LEAD_DELETED: "This lead is deleted: restore it, then write.",
        Reason.SUPPRESSED: "Nothing may be sent to this address: it bounced, complained or asked not to be written to."
        " An admin can lift its suppression.",
        Reason.ACCOUNT_DISCONNECTED: "The account of this conversation is not connected: connect it again, then send.",
        Reason.ACCOUNT_NEEDS_REAUTH: "The mail server refuses the login of this account: an admin gives it a new one,"
        " then send.",
        SendRefusal.QUIET_HOURS: "These are the quiet hours where this lead lives: schedule the message for their end,"
        " or later.",
        SendRefusal.RATE_LIMITED: "What this account, or its domain, may send in a day is used up: schedule the message"
        " for tomorrow, or write from another account.",
    },
    "pt-BR": {
        Reason.LEAD_DELETED: "Este lead foi excluído: restaure-o e depois escreva.",
        Reason.SUPPRESSED: "Nada pode ser enviado a este endereço: a mensagem voltou, houve reclamação ou a pessoa"
        " pediu para não receber. Um administrador pode retirar a supressão.",
        Reason.ACCOUNT_DISCONNECTED: "A conta desta conversa não está conectada: conecte-a de novo e depois envie.",
        Reason.ACCOUNT_NEEDS_REAUTH: "O servidor de e-mail recusa o acesso desta conta: peça a um administrador que"
        " informe o novo acesso e depois envie.",
        SendRefusal.QUIET_HOURS: "É horário de silêncio onde este lead está: agende a mensagem para o fim dele ou"
        " depois.",
        SendRefusal.RATE_LIMITED: "O que esta conta, ou o domínio dela, pode enviar por dia já foi usado: agende a"
        " mensagem para amanhã ou escreva por outra conta.",
    },
}
OTHER_CHANNEL = {
    "en": "This template is for another channel: choose one for this conversation's.",
    "pt-BR": "Este modelo é de outro canal: escolha um do canal desta conversa.",
}
NO_TEMPLATE = {
    "en": "There is no such template any more: choose another one.",
    "pt-BR": "Este modelo não existe mais: escolha outro.",
}
MISSING = {
    "en": "The template asks for what this lead does not have: {}. Fill it in, or give the template a fallback.",
    "pt-BR": "O modelo pede o que este lead não tem: {}. Preencha, ou dê ao modelo um valor alternativo.",
}


def judged(standing: Standing, locale: str) -> Verdict:
    """What is for good comes before what passes, and what passes later before what passes sooner."""
    texts = TEXTS[locale]
    if standing.refusal is not None:
        return Verdict(REFUSALS[standing.refusal], texts[standing.refusal])
    passing = [
        (until, refusal)
        for until, refusal in (
            (standing.quiet_until, SendRefusal.QUIET_HOURS),
            (standing.used_up_until, SendRefusal.RATE_LIMITED),
        )
        if until is not None
    ]
    if not passing:
        return Verdict()
    until, refusal = max(passing)
    return Verdict(refusal, texts[refusal], until)


def judged_of_template(missing: Sequence[str], locale: str) -> Verdict:
    """`missing`: the required variables that have no value."""
    return Verdict(reason=MISSING[locale].format(", ".join(missing))) if missing else Verdict()


def refuse(standing: Standing, path: str, *, when: str) -> None:
    """Raises what stands in the way: at `path` what is about the conversation, at `when` what is about the moment."""
    if standing.refusal is Reason.LEAD_DELETED:
        raise ConversationNotFound(path)
    verdict = judged(standing, "en")
    if verdict.reason is None:
        return
    kind: type[SalesPadError] = LimitReached if verdict.refusal is SendRefusal.RATE_LIMITED else Conflict
    place = when if verdict.retry_at else path
    raise kind(verdict.reason, path=(place,), retry_at=verdict.retry_at)


def sent_again(standing: Standing) -> Standing:
    """Of a message that a person sends again: so they try a login out that was refused."""
    is_tried_out = standing.refusal is Reason.ACCOUNT_NEEDS_REAUTH
    return replace(standing, refusal=None) if is_tried_out else standing
