"""What a person wrote, told apart from what their mail program put under it.

Line by line, with no expression that can run away: a text is cut in two, and nothing of it is dropped or changed.
A signature stays with the text: hiding it is the reader's business, and a phone number in it is worth seeing. What is
forwarded stays, too: it is what the mail is about. Where answers stand between quoted lines, only the last quote goes.
"""

import re
from collections.abc import Sequence

MAX_LINES_OF_ATTRIBUTION = 4
MAX_ATTRIBUTION = 600
HEADERS_LOOKED_AT = 8

_ORIGINAL = re.compile(
    r"\s*[-_]{2,20}\s*(original message|original appointment|mensagem original|mensaje original|message d'origine|"
    r"message original|urspr.ngliche nachricht|messaggio originale|oorspronkelijk bericht)\s*[-_]{2,20}\s*",
    re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"\s*(-{2,20}\s*(forwarded message|mensagem encaminhada|mensaje reenviado|message transf.r.|"
    r"weitergeleitete nachricht|messaggio inoltrato)\s*-{2,20}|begin forwarded message:|"
    r"in.cio da mensagem (encaminhada|reencaminhada):|inicio del mensaje reenviado:)\s*",
    re.IGNORECASE,
)
_RULE = re.compile(r"\s*[_-]{10,80}\s*")
_FROM = re.compile(r"[\s*]{0,9}(from|de|von|da|van)\s?:[\s*]{1,9}\S", re.IGNORECASE)
_OTHER_HEADER = re.compile(
    r"[\s*]{0,9}(sent|date|to|cc|subject|enviado|enviada|enviado em|enviada em|enviado el|data|para|assunto|asunto|"
    r"fecha|gesendet|an|betreff|envoy. ?|. |objet|inviato|a|oggetto|verzonden|aan|onderwerp|responder a|reply-to)"
    r"\s?:",
    re.IGNORECASE,
)
_STARTS = re.compile(r"\s{0,9}(on|em|no dia|el|le|am|il|op|den|dnia)\s", re.IGNORECASE)
_ENDS = re.compile(
    r"(wrote|escreveu|escribi.|a .crit|ha scritto|schreef|skrev|schrieb|napisa.(\(a\))?)(\s[^\n:]{1,200})?\s?:$",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"\d{1,2}\s?[:h]\s?\d\d")


def fold(text: str, *, is_forward: bool = False) -> tuple[str, str | None]:
    """What is new, and what is quoted (None: nothing). A text with nothing new is all new."""
    lines = text.strip("\n").split("\n")
    whole = text.strip()
    last = next((n for n, line in enumerate(lines) if _FORWARDED.fullmatch(line[:200])), len(lines))
    if is_forward or last < len(lines):
        return whole, None
    cut = _rest_begins(lines)
    if cut is None:
        cut = _trailing_quote(lines)
    if cut is None:
        return _leading_quote(lines) or (whole, None)
    new, quoted = "\n".join(lines[:cut]).strip(), "\n".join(lines[cut:]).strip()
    return (new, quoted or None) if new else _leading_quote(lines) or (whole, None)


def _rest_begins(lines: Sequence[str]) -> int | None:
    """The first line from which on everything is somebody else's, unless it is marked with ">" line by line."""
    for number, line in enumerate(lines):
        if len(line) > MAX_ATTRIBUTION or not line.strip() or is_quoted(line):
            continue
        if _ORIGINAL.fullmatch(line) or _is_header_block(lines, number):
            return _with_rule(lines, number)
        if _STARTS.match(line) and (end := _attribution_end(lines, number)) is not None:
            below = next((other for other in lines[end:] if other.strip()), "")
            if below and not is_quoted(below):
                return number
    return None


def _is_header_block(lines: Sequence[str], number: int) -> bool:
    """ "From: … / Sent: … / To: …" as Outlook writes it, in the languages it does."""
    if not _FROM.match(lines[number]):
        return False
    near = [line for line in lines[number + 1 : number + 1 + 2 * HEADERS_LOOKED_AT] if line.strip()]
    return sum(1 for line in near[:HEADERS_LOOKED_AT] if _OTHER_HEADER.match(line[:100])) >= 2


def _with_rule(lines: Sequence[str], number: int) -> int:
    above = number - 1
    while above > 0 and not lines[above].strip():
        above -= 1
    return above if above >= 0 and _RULE.fullmatch(lines[above]) else number


def _attribution_end(lines: Sequence[str], number: int) -> int | None:
    """Behind the line that ends "On … wrote:", which programs break over a few lines. It names a time or an address."""
    for end in range(number + 1, min(number + 1 + MAX_LINES_OF_ATTRIBUTION, len(lines) + 1)):
        if not lines[end - 1].strip() or len(lines[end - 1]) > MAX_ATTRIBUTION:
            return None
        joined = " ".join(lines[number:end])
        if _ends_as_attribution(joined):
            return end if "@" in joined or _CLOCK.search(joined) else None
    return None


def _ends_as_attribution(text: str) -> bool:
    tail = text.rstrip()[-250:]
    return tail.endswith(":") and _ENDS.search(tail) is not None


def _trailing_quote(lines: Sequence[str]) -> int | None:
    """Where the ">" lines at the end begin, with the line above that says whose they are."""
    end = _without_signature(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    if not end or not is_quoted(lines[end - 1]):
        return None
    start = end
    while start and (is_quoted(lines[start - 1]) or not lines[start - 1].strip()):
        start -= 1
    return _with_attribution(lines, start)


def _without_signature(lines: Sequence[str]) -> int:
    """A signature under the quote, as some phones place it, goes with the quote."""
    below = range(len(lines) - 1, max(0, len(lines) - 15), -1)
    mark = next((number for number in below if lines[number].rstrip() == "--"), len(lines))
    above = next((line for line in reversed(lines[:mark]) if line.strip()), "")
    return mark if is_quoted(above) else len(lines)


def _with_attribution(lines: Sequence[str], start: int) -> int:
    """`start`, where a quote begins, or the line above it that says whose it is."""
    end = start
    while end and not lines[end - 1].strip():
        end -= 1
    last = lines[end - 1].strip() if end else ""
    if not last.endswith(":") or len(last) > MAX_ATTRIBUTION:
        return start
    for begin in range(end - 1, max(-1, end - 1 - MAX_LINES_OF_ATTRIBUTION), -1):
        if not lines[begin].strip():
            break
        if _STARTS.match(lines[begin]) and _attribution_end(lines[:end], begin) == end:
            return begin
    # In any language: one line, a colon at its end, a time or an address in it.
    return end - 1 if "@" in last or re.search(r"\d", last) else start


def _leading_quote(lines: Sequence[str]) -> tuple[str, str | None] | None:
    """An answer under one quote."""
    first = next((number for number, line in enumerate(lines) if is_quoted(line)), None)
    if first is None or any(line.strip() for line in lines[: _with_attribution(lines, first)]):
        return None
    end = next((n for n in range(first, len(lines)) if lines[n].strip() and not is_quoted(lines[n])), None)
    if end is None or any(is_quoted(line) for line in lines[end:]):
        return None
    return "\n".join(lines[end:]).strip(), "\n".join(lines[:end]).strip()


def is_quoted(line: str) -> bool:
    return line.lstrip(" \t").startswith(">")
