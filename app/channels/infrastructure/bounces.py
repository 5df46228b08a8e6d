"""What mail systems write by themselves: reports that a message did not arrive (RFC 3464), and automatic answers.

Both are told conservatively. A reply taken for an auto-reply is not seen; an address taken for a dead one is never
written to again. So a bounce is hard only where a permanent failure of the address itself is stated.
"""

import re
from collections.abc import Sequence

from app.channels.domain.mail import Bounce, MailPart
from app.channels.infrastructure.headers import (
    Headers,
    international_id,
    message_ids,
    normal_address,
    parameters,
    read_headers,
)
from app.channels.infrastructure.texts import decode

MAX_REPORT = 65_536
MAX_RECIPIENTS = 100

HARD = frozenset({
    "5.1.1",  # no such mailbox
    "5.1.2",  # no such domain
    "5.1.3",  # not an address
    "5.1.6",  # moved, no forwarding address
    "5.1.10",  # the domain says that it takes no mail (RFC 7505)
    "5.2.1",  # mailbox disabled
    "5.4.4",  # no route: the domain does not exist (Postfix)
    "5.4.310",  # the same (Exchange)
})  # fmt: skip
"""Not among them: 5.2.2 full, 5.2.3 too large, 5.3.x their system, 5.4.1 and 5.4.7 not reached in time, 5.6.x content,
5.7.x policy, 5.1.7 and 5.1.8 the sender's address."""
UNCLEAR = frozenset({"5.0.0", "5.1.0", "5.4.1", "5.5.0", "5.5.1", "5.5.4"})
"""Codes that systems also give for unknown mailboxes: the words decide."""

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]\d)")
_REPLY = re.compile(r"(?<![\d.])(5[05]\d|4[2-5]\d)(?=[\s-])")
_UNKNOWN_MAILBOX = re.compile(
    r"user unknown|unknown user|no such (user|recipient|mailbox|address|person|local user)|mailbox not found|"
    r"(user|mailbox|recipient|account|address)[^\n]{0,60}(does not exist|doesn't exist|not found|is unknown)|"
    r"unknown (recipient|mailbox|address|local part)|invalid (mailbox|recipient)|no mailbox here|"
    r"recipient address rejected: access denied|mailbox unavailable|unrouteable address|"
    r"doesn't have an? \S{1,60} account|mailbox is disabled|"
    r"(usu.rio|caixa|destinat.rio|endere.o)[^\n]{0,60}(n.o existe|inexistente|desconhecido|n.o encontrad)|"
    r"(domain|host)[^\n]{0,60}(not found|does not exist)",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"spam|blocked|black ?list|block ?list|reputation|policy|greylist|rate limit|quota|full|too large|"
    r"cota excedida|caixa cheia|denylist|dmarc|spf\b",
    re.IGNORECASE,
)
_DAEMON = re.compile(r"(mailer-daemon|postmaster|mail-daemon|microsoftexchange[0-9a-f]+)@", re.IGNORECASE)
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|delivery (status notification|failure|has failed|incomplete)|mail delivery (failed|system|subsystem)|"
    r"failure notice|returned mail|delivery delayed|message not delivered|"
    r"warning: message|could not send|mail system error|n.o (foi )?(entregue|poss.vel entregar)|"
    r"falha na entrega|devolvid|no se (puede|pudo) entregar|unzustellbar",
    re.IGNORECASE,
)
_DELAY_SUBJECT = re.compile(r"delay|warning: message|atras|still (being )?(re)?tried", re.IGNORECASE)
_BOUNCE_TEXT = re.compile(
    r"hi\. this is the qmail-send program|this message was created automatically by mail delivery software|"
    r"this is the mail system at host|your message wasn't delivered to|"
    r"the following (address|recipient)[^\n]{0,40}(failed|had)",
    re.IGNORECASE,
)
_RETURNED_ID = re.compile(r"^[>\s]{0,9}message-id:\s{0,9}(<[^<>\s]{1,996}>)", re.IGNORECASE | re.MULTILINE)
_LISTED_ADDRESS = re.compile(r"^\s{0,9}<?([^\s<>:]{1,200}@[^\s<>:]{1,253}?)>?:?\s*$", re.MULTILINE)
_AWAY_SUBJECT = re.compile(
    r"\s*(automatic reply|auto(matic)?[ -]?(reply|response)|out of (the )?office|resposta autom.tica|"
    r"aus.ncia (tempor.ria|do escrit.rio)|estou (ausente|de f.rias)|fora do escrit.rio|respuesta autom.tica|"
    r"abwesenheit|r.ponse automatique)",
    re.IGNORECASE,
)


def is_auto_reply(headers: Headers, subject: str) -> bool:
    """Whether its headers say that nobody wrote it (RFC 3834 and its relatives).

    `Precedence: bulk` and lists are no auto-replies: people write through lists. A subject such as "Out of office" or
    X-Auto-Response-Suppress (Exchange sets it on people's mails) tells nothing alone, together they do.
    """
    submitted = re.split(r"[\s;(]", headers.get("auto-submitted", "").strip().lower(), maxsplit=1)[0]
    if submitted not in ("", "no"):
        return True
    precedence = headers.get("precedence", "").strip().lower()
    if precedence in ("auto_reply", "auto-reply") or headers.get("preference", "").lower() == "auto_reply":
        return True
    if any(
        _is_set(headers, name) for name in ("x-autoreply", "x-autorespond", "x-auto-reply", "x-autoresponder")
    ):
        return True
    if parameters(headers.get("content-type", ""))[0] == "multipart/report":
        return True
    hints = (
        "x-auto-response-suppress" in headers,
        precedence in ("bulk", "junk", "list"),
        headers.get("return-path", "").replace(" ", "") == "<>",
    )
    return any(hints) and _AWAY_SUBJECT.match(subject) is not None


def _is_set(headers: Headers, name: str) -> bool:
    return headers.get(name, "no").strip().lower() not in ("no", "false", "0", "")


def bounce_of(headers: Headers, text: str, parts: Sequence[MailPart], sender: str | None) -> Bounce | None:
    """The report a mail is, or None. Only messages of ours have ids that are known, so the reader checks those."""
    report = next((part for part in parts if part.media_type in _REPORTS), None)
    if report is not None:
        return _standard(headers, text, report, parts)
    return _improvised(headers, text, parts) if _is_from_a_system(headers, text, sender) else None


_REPORTS = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RETURNED = frozenset({"message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"})


def _standard(headers: Headers, text: str, report: MailPart, parts: Sequence[MailPart]) -> Bounce | None:
    groups = re.split(rb"(?>\r\n|\n|\r)[ \t]*(?>\r\n|\n|\r)", report.content[:MAX_REPORT].strip())
    told = [bounce for group in groups[:MAX_RECIPIENTS] if (bounce := _told_of(read_headers(group)))]
    if not told:
        return None
    worst = max(told, key=lambda bounce: (not bounce.is_delayed, bounce.is_hard))
    return Bounce(
        message_ids=_returned_ids(headers, text, parts),
        recipient=worst.recipient,
        is_hard=worst.is_hard,
        is_delayed=worst.is_delayed,
        status_code=worst.status_code,
    )


def _told_of(group: Headers) -> Bounce | None:
    """One recipient's lines; None where they tell of no trouble (delivered, relayed, expanded)."""
    action = group.get("action", "").strip().lower()
    address = group.get("original-recipient") or group.get("final-recipient") or ""
    if not address or action not in ("failed", "delayed"):
        return None
    diagnostic = group.get("diagnostic-code", "")
    status = _status_in(group.get("status", "")) or _status_in(diagnostic)
    return Bounce(
        message_ids=(),
        recipient=normal_address(address.partition(";")[2].strip() or address),
        is_hard=action == "failed" and is_hard(status, diagnostic),
        is_delayed=action == "delayed",
        status_code=status,
    )


def is_hard(status: str | None, diagnostic: str) -> bool:
    """Whether the address itself is dead. `diagnostic` is what the receiving system said."""
    said = _status_in(diagnostic)
    if said is not None and (status is None or status in UNCLEAR):
        status = said
    if status in HARD:
        return True
    if status is None:
        reply = _REPLY.search(diagnostic)
        status = "5.0.0" if reply and reply[1].startswith("5") else None
    is_unknown = _UNKNOWN_MAILBOX.search(diagnostic) is not None and _POLICY.search(diagnostic) is None
    return status in UNCLEAR and is_unknown


def _status_in(text: str) -> str | None:
    found = _STATUS.search(text)
    return f"{found[1]}.{int(found[2])}.{int(found[3])}" if found else None


def _is_from_a_system(headers: Headers, text: str, sender: str | None) -> bool:
    """A null return path or a daemon's address, and words that only a report begins with."""
    is_daemon = sender is not None and _DAEMON.match(sender) is not None
    if not is_daemon and headers.get("return-path", "").replace(" ", "") != "<>":
        return False
    return (
        "x-failed-recipients" in headers
        or _BOUNCE_TEXT.search(text[:4000]) is not None
        or (is_daemon and _BOUNCE_SUBJECT.search(headers.get("subject", "")[:300]) is not None)
    )


def _improvised(headers: Headers, text: str, parts: Sequence[MailPart]) -> Bounce:
    """qmail, Exim and others that say it in words only."""
    listed = _LISTED_ADDRESS.search(text)
    failed = headers.get("x-failed-recipients", "").partition(",")[0] or (listed[1] if listed else "")
    reasons = text[listed.start() if listed else 0 :][:2000]
    is_delayed = _DELAY_SUBJECT.search(headers.get("subject", "")[:300]) is not None
    status = _status_in(reasons)
    return Bounce(
        message_ids=_returned_ids(headers, text, parts),
        recipient=normal_address(failed),
        is_hard=not is_delayed and is_hard(status, reasons),
        is_delayed=is_delayed,
        status_code=status,
    )


def _returned_ids(headers: Headers, text: str, parts: Sequence[MailPart]) -> Sequence[str]:
    """Of what came back first, then what the report says it answers."""
    found: list[str] = []
    for part in parts:
        if part.media_type in _RETURNED:
            head = part.content[:MAX_REPORT].lstrip()
            found += message_ids(
                read_headers(re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]).get("message-id", "")
            )
            found += [] if found else _RETURNED_ID.findall(decode(head, None))[:1]
    found += _RETURNED_ID.findall(text)[:5]
    found += [*message_ids(headers.get("in-reply-to", "")), *message_ids(headers.get("references", ""))]
    found += message_ids(headers.get("x-original-message-id", ""))
    return list(dict.fromkeys(map(international_id, found)))[:20]
