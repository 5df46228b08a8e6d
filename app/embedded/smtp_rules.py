"""Where the SMTP double does something else than take a mail: rules, as a line of text each.

    rcpt * greylist 30                           451 for a new (client, sender, recipient) until 30 s have passed
    rcpt *@gone.example 550 5.1.1 No such user   an answer of your own; 421 also ends the connection
    mail * limit 100/60                          450 past 100 mails in 60 s
    rcpt * wait 0.2                              slow; the rules after it and the usual answer follow
    dot * drop share=0.01                        one in a hundred: all was read, nothing kept, the connection is reset
    end *@odd.example drop times=3               three times: it *has* the mail, and the sender cannot know
    end * 452 4.3.1 Disk full                    an answer in place of the 250: not kept

Stages: connect, ehlo, mail, rcpt, data (in place of its 354), body (the first byte of the text is there), dot (the
final dot is), end (the mail is kept). Besides drop there are close (a polite end) and hang (nothing more is said). The
second word is a pattern of recipients; before rcpt none is known, and only * matches. What falls to a share is decided
by the seed, the recipient and how often it came: the same run again does the same, however mails overtake each other.
"""

import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Any, NamedTuple, Self

STAGES = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY", "DOT", "END")


class Deed(Enum):
    DROP = "reset the connection"
    CLOSE = "end the connection"
    HANG = "say nothing more"


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Greylist:
    seconds: float


@dataclass(frozen=True)
class Limit:
    count: int
    per_s: float


Act = str | Deed | Wait | Greylist | Limit


class BadRule(ValueError):
    """Says what is wrong with it."""


@dataclass(frozen=True)
class Rule:
    stage: str
    who: str
    act: Act
    share: float = 1
    times: int | None = None

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Raises BadRule."""
        words = text.split()
        options: dict[str, Any] = {}
        try:
            while words and (found := re.fullmatch(r"(share|times)=(\S+)", words[-1])):
                words.pop()
                options[found[1]] = float(found[2]) if found[1] == "share" else int(found[2])
            stage, who, *rest = words
            act = _act(rest)
        except (ValueError, IndexError) as error:
            raise BadRule(f"{text!r}: a rule is `stage recipients act [share=0.1] [times=3]`") from error
        if stage.upper() not in STAGES:
            raise BadRule(f"{text!r}: the stage is one of {', '.join(STAGES).lower()}")
        if who != "*" and STAGES.index(stage.upper()) < STAGES.index("RCPT"):
            raise BadRule(f"{text!r}: no recipient is known before rcpt; write *")
        if isinstance(act, Greylist) and stage.upper() != "RCPT":
            raise BadRule(f"{text!r}: greylisting is done at rcpt")
        return cls(stage.upper(), who.lower(), act, **options)


def _act(words: Sequence[str]) -> Act:
    first = words[0].lower()
    if re.fullmatch(r"[2-5]\d\d", first):
        return " ".join(words) if len(words) > 1 else f"{first} As told"
    if first == "wait":
        return Wait(float(words[1]))
    if first == "greylist":
        return Greylist(float(words[1]))
    if first == "limit":
        count, per_s = words[1].split("/")
        return Limit(int(count), float(per_s))
    return Deed[first.upper()] if first.upper() in Deed.__members__ else _no_act(first)


def _no_act(word: str) -> Act:
    raise ValueError(word)


class Triplet(NamedTuple):
    """What greylisting knows a mail by."""

    client: str
    sender: str
    recipient: str


@dataclass
class Rulebook:
    """The rules in force, and what they have seen."""

    rules: Sequence[Rule] = ()
    seed: int = 0
    _applied: Counter[Rule] = field(default_factory=Counter)
    _visits: Counter[tuple[Rule, str]] = field(default_factory=Counter)
    _seen: dict[Triplet, float] = field(default_factory=dict)
    _passed: dict[Rule, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def of(self, stage: str) -> list[Rule]:
        return [rule for rule in self.rules if rule.stage == stage]

    def answer(self, rule: Rule, triplets: Sequence[Triplet]) -> str | Deed | Wait | None:
        """What the rule comes to now, for a mail to these (one without a recipient, before any is known)."""
        triplet = next(
            (one for one in triplets if rule.who == "*" or fnmatchcase(one.recipient, rule.who)), None
        )
        if triplet is None or not self._is_drawn(rule, triplet.recipient):
            return None
        act = rule.act
        if isinstance(act, Greylist):
            return "451 4.7.1 Greylisted, try again later" if self._is_new(triplet, act) else None
        if isinstance(act, Limit):
            return "450 4.7.1 Too many mails, try again later" if self._is_over(rule, act) else None
        return act

    def _is_drawn(self, rule: Rule, who: str) -> bool:
        if rule.times is not None and self._applied[rule] >= rule.times:
            return False
        if rule.share < 1:
            self._visits[rule, who] += 1
            drawn = f"{self.seed} {rule.stage} {rule.who} {rule.act} {who} {self._visits[rule, who]}"
            if int.from_bytes(blake2b(drawn.encode(), digest_size=8).digest(), "big") / 2**64 >= rule.share:
                return False
        if rule.times is not None:
            self._applied[rule] += 1
        return True

    def _is_new(self, triplet: Triplet, rule: Greylist) -> bool:
        now = time.monotonic()
        return now - self._seen.setdefault(triplet, now) < rule.seconds

    def _is_over(self, rule: Rule, limit: Limit) -> bool:
        passed, now = self._passed[rule], time.monotonic()
        while passed and passed[0] <= now - limit.per_s:
            passed.popleft()
        if len(passed) >= limit.count:
            return True
        passed.append(now)
        return False
