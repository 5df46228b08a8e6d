"""Why a lead has its score, in the reader's language. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.leads.domain.scoring import CHOICES, COUNTED, FIELDS, ScoreEventKind

DEFAULT_LOCALE = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one rule makes of a lead."""

    event: ScoreEventKind
    value: str | None
    name: str | None
    """Of the rule's tag or stage."""
    times: int
    """More than `COUNTED` are not looked for."""
    days: int
    """Since the last of them."""
    gained: int
    """At first."""
    kept: int
    """What is left of it today."""


@dataclass(frozen=True, slots=True)
class Reason:
    text: str
    points: int


@dataclass(frozen=True, slots=True)
class Texts:
    """Of a language: once, and several times."""

    of: Mapping[ScoreEventKind, tuple[str, str]]
    named: Mapping[ScoreEventKind, str]
    today: str
    yesterday: str
    ago: str
    silent: tuple[str, str]
    faded: tuple[str, str]
    """By one day, and by more."""
    earlier: str


TEXTS = {
    "en": Texts(
        of={
            ScoreEventKind.TAG_ADDED: ("Tagged {ago}", "Tagged {times} times, last {ago}"),
            ScoreEventKind.STAGE_CHANGED: ("Changed stage {ago}", ""),
            ScoreEventKind.MESSAGE_SENT: ("Was written to {ago}", "Was written to {times} times, last {ago}"),
            ScoreEventKind.MESSAGE_RECEIVED: ("Replied {ago}", "Replied {times} times, last {ago}"),
            ScoreEventKind.IMPORTED: ("Imported {ago}", ""),
            ScoreEventKind.HAS_EMAIL: ("Has an e-mail address", ""),
            ScoreEventKind.HAS_PHONE: ("Has a phone number", ""),
            ScoreEventKind.HAS_COMPANY: ("Has a company", ""),
            ScoreEventKind.HAS_TITLE: ("Has a job title", ""),
        },
        named={
            ScoreEventKind.TAG_ADDED: "Tagged “{name}” {ago}",
            ScoreEventKind.STAGE_CHANGED: "Came to “{name}” {ago}",
        },
        today="today",
        yesterday="yesterday",
        ago="{days} days ago",
        silent=("1 day silent", "{days} days silent"),
        faded=("Faded over 1 day", "Faded over {days} days"),
        earlier="Earlier ones faded",
    ),
    "pt-BR": Texts(
        of={
            ScoreEventKind.TAG_ADDED: (
                "Recebeu uma etiqueta {ago}",
                "Recebeu {times} etiquetas, a última {ago}",
            ),
            ScoreEventKind.STAGE_CHANGED: ("Mudou de etapa {ago}", ""),
            ScoreEventKind.MESSAGE_SENT: (
                "Recebeu mensagem {ago}",
                "Recebeu {times} mensagens, a última {ago}",
            ),
            ScoreEventKind.MESSAGE_RECEIVED: ("Respondeu {ago}", "Respondeu {times} vezes, a última {ago}"),
            ScoreEventKind.IMPORTED: ("Veio de importação {ago}", ""),
            ScoreEventKind.HAS_EMAIL: ("Tem e-mail", ""),
            ScoreEventKind.HAS_PHONE: ("Tem telefone", ""),
            ScoreEventKind.HAS_COMPANY: ("Tem empresa", ""),
            ScoreEventKind.HAS_TITLE: ("Tem cargo", ""),
        },
        named={
            ScoreEventKind.TAG_ADDED: "Recebeu a etiqueta “{name}” {ago}",
            ScoreEventKind.STAGE_CHANGED: "Chegou a “{name}” {ago}",
        },
        today="hoje",
        yesterday="ontem",
        ago="há {days} dias",
        silent=("1 dia em silêncio", "{days} dias em silêncio"),
        faded=("Perdeu força em 1 dia", "Perdeu força em {days} dias"),
        earlier="Os anteriores perderam força",
    ),
}


def explained(counted: Sequence[Counted], locale: str) -> list[Reason]:
    """What each rule gave, and what time took of it: together the score. In the rules' order."""
    texts = TEXTS.get(locale, TEXTS[DEFAULT_LOCALE])
    reasons: list[Reason] = []
    for one in counted:
        reasons.append(Reason(_gained(one, texts), one.gained))
        if one.kept != one.gained:
            reasons.append(Reason(_faded(one, texts), one.kept - one.gained))
    return reasons


def _gained(one: Counted, texts: Texts) -> str:
    once, several = texts.of[one.event]
    template = texts.named[one.event] if one.name is not None else several if one.times > 1 else once
    ago = [texts.today, texts.yesterday][one.days] if one.days < 2 else texts.ago.format(days=one.days)
    times = str(one.times) if one.times < COUNTED else f"{COUNTED}+"
    text = template.format(name=one.name, times=times, ago=ago)
    return f"{text} ({one.value})" if one.value and one.event in CHOICES else text


def _faded(one: Counted, texts: Texts) -> str:
    assert one.event not in FIELDS
    if not one.days:
        return texts.earlier
    of = texts.silent if one.event is ScoreEventKind.MESSAGE_RECEIVED else texts.faded
    return of[one.days > 1].format(days=one.days)
