"""Why a run did not act, and what is wrong with a rule, in the reader's language. Pure.

What is stored is a code; what is shown is the code, a colon and a text.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from app.automations.domain.checking import KINDS_OF_FIELDS, Reference, ThingKind
from app.automations.domain.rule import Condition, ConditionField, ConditionOp
from app.automations.domain.run import LEAD_RUNS_PER_HOUR, MAX_DEPTH, RunReason

DEFAULT_LOCALE = "en"


@dataclass(frozen=True, slots=True)
class FailedOn:
    """The condition that did not hold, counted from 0; `name` is what the thing is called that it asks for."""

    index: int
    condition: Condition
    name: str | None = None


TEXTS: Mapping[str, Mapping[RunReason, str]] = {
    "en": {
        RunReason.CONDITION: "None of the conditions held.",
        RunReason.ONCE_PER_LEAD: "This automation acts once per lead, and has done so already.",
        RunReason.ALREADY_RUNNING: "Another run of this automation was under way for this lead.",
        RunReason.LOOP_GUARD: f"Automations set each other off more than {MAX_DEPTH} times in a row: this one was"
        " stopped. Look for two that undo what the other does.",
        RunReason.RATE_GUARD: f"This automation ran {LEAD_RUNS_PER_HOUR} times for this lead within an hour, or too"
        " often in all: this one was left out.",
        RunReason.EPISODE_ENDED: "The lead answered.",
        RunReason.ONCE_PER_EPISODE: "This automation has acted since the lead answered last: it acts again after its"
        " next answer.",
        RunReason.DISABLED: "The automation was switched off or deleted.",
        RunReason.LEAD_DELETED: "The lead was deleted.",
        RunReason.LEAD_MERGED: "The lead was merged into one that has a run of this automation already.",
        RunReason.TAG_GONE: "The tag was deleted: choose another in the automation.",
        RunReason.STAGE_GONE: "The stage was deleted: choose another in the automation.",
        RunReason.MEMBER_GONE: "The member has left the workspace: choose another in the automation.",
        RunReason.TEMPLATE_GONE: "The template was deleted, or is for another channel by now: choose another in"
        " the automation.",
        RunReason.ACCOUNT_GONE: "The channel account is not there any more: choose another in the automation.",
        RunReason.NO_ADDRESS: "The lead has no address on this channel: add one.",
        RunReason.NO_SUBJECT: "The template has no subject, and a first e-mail needs one: give the template a subject.",
        RunReason.VALUE_MISSING: "The lead lacks a value that the template requires: fill it in, or give the template"
        " a fallback.",
        RunReason.SUPPRESSED: "Nothing is sent to this person any more: they opted out, complained, or their address"
        " bounced.",
        RunReason.ACCOUNT_DISCONNECTED: "The channel account is disconnected: connect it again, or choose another.",
        RunReason.WEBHOOK_FAILED: "The webhook did not take the call, or could not be reached.",
        RunReason.WEBHOOK_REFUSED: "The webhook's address is not called from here: give a public https address.",
        RunReason.INTERNAL_ERROR: "Something went wrong on our side. Tell support if it happens again.",
    },
    "pt-BR": {
        RunReason.CONDITION: "Nenhuma das condições foi atendida.",
        RunReason.ONCE_PER_LEAD: "Esta automação age uma vez por lead, e já agiu.",
        RunReason.ALREADY_RUNNING: "Outra execução desta automação estava em andamento para este lead.",
        RunReason.LOOP_GUARD: f"Automações dispararam umas às outras mais de {MAX_DEPTH} vezes seguidas: esta parou"
        " aqui. Procure duas em que uma desfaz o que a outra faz.",
        RunReason.RATE_GUARD: f"Esta automação rodou {LEAD_RUNS_PER_HOUR} vezes para este lead em uma hora, ou vezes"
        " demais no total: esta ficou de fora.",
        RunReason.EPISODE_ENDED: "O lead respondeu.",
        RunReason.ONCE_PER_EPISODE: "Esta automação já agiu desde a última resposta do lead: volta a agir depois da"
        " próxima.",
        RunReason.DISABLED: "A automação foi desligada ou excluída.",
        RunReason.LEAD_DELETED: "O lead foi excluído.",
        RunReason.LEAD_MERGED: "O lead foi mesclado a um que já tem uma execução desta automação.",
        RunReason.TAG_GONE: "A etiqueta foi excluída: escolha outra na automação.",
        RunReason.STAGE_GONE: "A etapa foi excluída: escolha outra na automação.",
        RunReason.MEMBER_GONE: "O membro saiu do espaço de trabalho: escolha outro na automação.",
        RunReason.TEMPLATE_GONE: "O modelo foi excluído, ou é de outro canal agora: escolha outro na automação.",
        RunReason.ACCOUNT_GONE: "A conta do canal não existe mais: escolha outra na automação.",
        RunReason.NO_ADDRESS: "O lead não tem endereço neste canal: acrescente um.",
        RunReason.NO_SUBJECT: "O modelo não tem assunto, e um primeiro e-mail precisa de um: dê um assunto ao modelo.",
        RunReason.VALUE_MISSING: "Falta ao lead um valor que o modelo exige: preencha-o, ou dê ao modelo um texto"
        " reserva.",
        RunReason.SUPPRESSED: "Nada mais é enviado a esta pessoa: ela pediu para sair, reclamou, ou o endereço"
        " devolveu mensagens.",
        RunReason.ACCOUNT_DISCONNECTED: "A conta do canal está desconectada: reconecte-a, ou escolha outra.",
        RunReason.WEBHOOK_FAILED: "O webhook não aceitou a chamada, ou não pôde ser alcançado.",
        RunReason.WEBHOOK_REFUSED: "O endereço do webhook não é chamado daqui: dê um endereço https público.",
        RunReason.INTERNAL_ERROR: "Algo deu errado do nosso lado. Avise o suporte se acontecer outra vez.",
    },
}
NOT_HELD = {
    "en": "Condition {n} did not hold: {field} {op}{value}.",
    "pt-BR": "A condição {n} não foi atendida: {field} {op}{value}.",
}
FIELDS: Mapping[str, Mapping[ConditionField, str]] = {
    "en": {
        ConditionField.SOURCE: "source",
        ConditionField.STAGE_ID: "stage",
        ConditionField.TAG_ID: "tag",
        ConditionField.OWNER_ID: "owner",
        ConditionField.SCORE: "score",
        ConditionField.EMAIL: "e-mail",
        ConditionField.COMPANY: "company",
        ConditionField.TITLE: "title",
        ConditionField.ENGAGEMENT: "engagement",
        ConditionField.CHANNEL: "channel",
        ConditionField.MESSAGE_BODY: "message",
    },
    "pt-BR": {
        ConditionField.SOURCE: "origem",
        ConditionField.STAGE_ID: "etapa",
        ConditionField.TAG_ID: "etiqueta",
        ConditionField.OWNER_ID: "responsável",
        ConditionField.SCORE: "pontuação",
        ConditionField.EMAIL: "e-mail",
        ConditionField.COMPANY: "empresa",
        ConditionField.TITLE: "cargo",
        ConditionField.ENGAGEMENT: "engajamento",
        ConditionField.CHANNEL: "canal",
        ConditionField.MESSAGE_BODY: "mensagem",
    },
}
OPS: Mapping[str, Mapping[ConditionOp, str]] = {
    "en": {
        ConditionOp.EQ: "is",
        ConditionOp.NE: "is not",
        ConditionOp.GT: "above",
        ConditionOp.LT: "below",
        ConditionOp.CONTAINS: "contains",
        ConditionOp.NOT_CONTAINS: "does not contain",
        ConditionOp.EXISTS: "is there",
        ConditionOp.NOT_EXISTS: "is not there",
    },
    "pt-BR": {
        ConditionOp.EQ: "é",
        ConditionOp.NE: "não é",
        ConditionOp.GT: "acima de",
        ConditionOp.LT: "abaixo de",
        ConditionOp.CONTAINS: "contém",
        ConditionOp.NOT_CONTAINS: "não contém",
        ConditionOp.EXISTS: "existe",
        ConditionOp.NOT_EXISTS: "não existe",
    },
}
GONE: Mapping[str, Mapping[ThingKind, str]] = {
    "en": {
        ThingKind.TAG: "its tag was deleted",
        ThingKind.STAGE: "its stage was deleted",
        ThingKind.MEMBER: "its member has left the workspace",
        ThingKind.TEMPLATE: "its template was deleted",
        ThingKind.ACCOUNT: "its channel account is disconnected",
    },
    "pt-BR": {
        ThingKind.TAG: "a etiqueta foi excluída",
        ThingKind.STAGE: "a etapa foi excluída",
        ThingKind.MEMBER: "o membro saiu do espaço de trabalho",
        ThingKind.TEMPLATE: "o modelo foi excluído",
        ThingKind.ACCOUNT: "a conta do canal está desconectada",
    },
}
WARNINGS = {
    "en": {
        "actions": "Action {n}: {gone}, so runs fail there. Choose another.",
        "conditions": "Condition {n}: {gone}, so there is nothing to compare with. Choose another.",
    },
    "pt-BR": {
        "actions": "Ação {n}: {gone}, e as execuções falham nela. Escolha outra opção.",
        "conditions": "Condição {n}: {gone}, e não há com o que comparar. Escolha outra opção.",
    },
}
UNKNOWN_NAME = "…"


def told(reason: RunReason, locale: str, failed_on: FailedOn | None = None) -> str:
    """For people to read, in their language if there are texts in it."""
    locale = locale if locale in TEXTS else DEFAULT_LOCALE
    text = _not_held(failed_on, locale) if failed_on else TEXTS[locale][reason]
    return f"{reason.value}: {text}"


def _not_held(failed_on: FailedOn, locale: str) -> str:
    condition, value = failed_on.condition, ""
    if condition.field in KINDS_OF_FIELDS and condition.value is not None:
        value = f" “{failed_on.name or UNKNOWN_NAME}”"
    elif condition.value is not None:
        value = f" “{condition.value}”"
    return NOT_HELD[locale].format(
        n=failed_on.index + 1,
        field=FIELDS[locale][condition.field],
        op=OPS[locale][condition.op],
        value=value,
    )


def warning(gone: Reference, locale: str) -> str:
    locale = locale if locale in WARNINGS else DEFAULT_LOCALE
    part, position, *_ = gone.path
    return WARNINGS[locale][part].format(n=int(position) + 1, gone=GONE[locale][gone.kind])
