"""Who a batch goes to: what takes a lead out of it, and what has become of those who are in. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from enum import StrEnum

from app.conversations.domain.delivery import DeliveryStatus, Reason

BULK_SEND = "BULK_SEND"
"""The kind of origin of a bulk send's deliveries; the origin's id is the bulk send's."""


class ExclusionReason(StrEnum):
    """Why a lead that the filter finds is no recipient: the first of these that holds."""

    NO_ADDRESS = "NO_ADDRESS"
    SUPPRESSED = "SUPPRESSED"
    MISSING_VARIABLE = "MISSING_VARIABLE"


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one chunk of an audience: deliveries added, and leads left out by reason."""

    count: int = 0
    exclusions: Mapping[ExclusionReason, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """A batch's recipients of one moment, by where they stand. `queued` holds those under way too."""

    queued: int = 0
    sent: int = 0
    failed: int = 0
    unknown: int = 0
    canceled: int = 0
    replied: int = 0
    """These three are of those handed over, whatever else they are."""
    bounced: int = 0
    complained: int = 0

    @property
    def eligible(self) -> int:
        return self.queued + self.sent + self.failed + self.unknown + self.canceled


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """What a filter's leads would be to a batch, before there is one."""

    zones: Mapping[str | None, int] = field(default_factory=dict)
    """The eligible ones, by their time zone; None: nobody knows."""
    exclusions: Mapping[ExclusionReason, int] = field(default_factory=dict)
    examples: Sequence[Mapping[str, str | None]] = ()
    """The values, by variable, of eligible ones that show the template at its worst: the longest, the shortest, the one
    that lacks most, the one with most letters beyond ASCII."""

    @property
    def eligible(self) -> int:
        return sum(self.zones.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingLimits:
    """What holds an account's batches up, as of one moment."""

    now: datetime
    zone: str
    """The workspace's, whose days are counted."""
    rate_per_minute: int | None
    burst: int | None
    daily: Sequence[tuple[int, int]]
    """Of the account and of its sending domain, where they have one: a day's limit, and what of it is used up today."""
    ahead: int
    """What running batches of the account still have to send."""
    brake_until: datetime | None
    quiet_from: time | None
    quiet_to: time | None
    quiet_weekdays: Sequence[int] | None


class RecipientStatus(StrEnum):
    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    CANCELED = "CANCELED"


SHOWN_AS: Mapping[RecipientStatus, Sequence[DeliveryStatus]] = {
    # Claimed ones may still be put off.
    RecipientStatus.QUEUED: (DeliveryStatus.QUEUED, DeliveryStatus.CLAIMED),
    **{
        RecipientStatus(status.name): (status,)
        for status in DeliveryStatus
        if status not in (DeliveryStatus.QUEUED, DeliveryStatus.CLAIMED)
    },
}
STATUS_OF = {status: shown for shown, statuses in SHOWN_AS.items() for status in statuses}


class Waiting(StrEnum):
    """What keeps one back that is to leave later."""

    QUIET_HOURS = "QUIET_HOURS"


class Aftermath(StrEnum):
    """What came of a message that was handed over."""

    HARD_BOUNCE = "HARD_BOUNCE"
    SOFT_BOUNCE = "SOFT_BOUNCE"
    COMPLAINT = "COMPLAINT"


READABLE: Mapping[str, Mapping[str, str]] = {
    "en": {
        Waiting.QUIET_HOURS: "These are quiet hours where the lead lives: it leaves when they end.",
        Reason.ACCOUNT_DISCONNECTED: "The channel account was disconnected.",
        Reason.ACCOUNT_NEEDS_REAUTH: "The channel account's login was refused.",
        Reason.LEAD_DELETED: "The lead was deleted before its turn came.",
        Reason.SUPPRESSED: "The address is suppressed: unsubscribed, bounced, or stopped by hand.",
        Reason.CANCELED_BY_USER: "Somebody canceled it.",
        Reason.BULK_SEND_CANCELED: "The bulk send was canceled before its turn came.",
        Reason.REPLIED: "The lead answered before its turn came.",
        Reason.NO_ADDRESS: "The lead has lost its address since the launch.",
        Reason.SAME_ADDRESS: "Somebody with the same address was written to.",
        Reason.SAME_PERSON: "It was merged with a lead that was written to.",
        Reason.MISSING_VARIABLE: "The lead has lost a value that the template needs.",
        Reason.DAILY_LIMIT: "What the account, or its domain, may send a day is used up: it leaves on a later day.",
        Reason.NO_ANSWER: "Nobody knows whether it went out: check, and send it again if it did not.",
        Reason.SENDER_ERROR: "Something broke in the middle: check, and send it again if it did not go out.",
        Reason.NO_WORKER: "No worker could take it up: send it again.",
        Aftermath.HARD_BOUNCE: "It came back: the address does not take mail.",
        Aftermath.SOFT_BOUNCE: "It came back this time; the address may take mail again.",
        Aftermath.COMPLAINT: "It was reported as spam.",
    },
    "pt-BR": {
        Waiting.QUIET_HOURS: "É horário de silêncio onde o lead está: sai quando ele terminar.",
        Reason.ACCOUNT_DISCONNECTED: "A conta do canal foi desconectada.",
        Reason.ACCOUNT_NEEDS_REAUTH: "O acesso da conta do canal foi recusado.",
        Reason.LEAD_DELETED: "O lead foi excluído antes de chegar a sua vez.",
        Reason.SUPPRESSED: "O endereço está suprimido: descadastrado, devolvido ou bloqueado à mão.",
        Reason.CANCELED_BY_USER: "Alguém cancelou.",
        Reason.BULK_SEND_CANCELED: "O envio foi cancelado antes de chegar a sua vez.",
        Reason.REPLIED: "O lead respondeu antes de chegar a sua vez.",
        Reason.NO_ADDRESS: "O lead perdeu o endereço depois do início do envio.",
        Reason.SAME_ADDRESS: "Já se escreveu a alguém com o mesmo endereço.",
        Reason.SAME_PERSON: "Foi mesclado com um lead a quem já se escreveu.",
        Reason.MISSING_VARIABLE: "O lead perdeu um valor de que o modelo precisa.",
        Reason.DAILY_LIMIT: "O que a conta, ou o domínio dela, pode enviar por dia já foi usado: sai em outro dia.",
        Reason.NO_ANSWER: "Ninguém sabe se saiu: verifique e, se não saiu, envie de novo.",
        Reason.SENDER_ERROR: "Algo falhou no meio: verifique e, se não saiu, envie de novo.",
        Reason.NO_WORKER: "Nenhum processo pôde cuidar disto: envie de novo.",
        Aftermath.HARD_BOUNCE: "Voltou: o endereço não recebe e-mails.",
        Aftermath.SOFT_BOUNCE: "Voltou desta vez; o endereço pode voltar a receber e-mails.",
        Aftermath.COMPLAINT: "Foi marcada como spam.",
    },
}


def reason_told(error: str | None, *, has_bounced: bool, has_complained: bool, locale: str) -> str | None:
    """A code, a colon, and what it means; what a provider said stands as it said it. `error` is the delivery's, or its
    message's."""
    says = READABLE[locale]
    if has_complained:
        error = Aftermath.COMPLAINT
    elif has_bounced:
        return _bounce_told(error or "", says)
    return f"{error}: {says[error]}" if error and error in says else error


def _bounce_told(error: str, says: Mapping[str, str]) -> str:
    """What we wrote of a report is a kind of bounce, and the report's status code."""
    kind, _, code = error.partition(" ")
    if kind not in (Aftermath.HARD_BOUNCE, Aftermath.SOFT_BOUNCE):
        return f"{Aftermath.HARD_BOUNCE}: {error or says[Aftermath.HARD_BOUNCE]}"
    return f"{kind}: {says[kind]} {code}".rstrip()
