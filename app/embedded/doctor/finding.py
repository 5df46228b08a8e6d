"""What a check finds, and how far two clocks may be apart."""

from collections.abc import Iterator
from dataclasses import dataclass

CLOCK_S = 2.0
"""Past it, what one machine signs is not yet, or no longer, valid on another."""


@dataclass(frozen=True)
class Finding:
    """A problem has a fix; what has none is well."""

    subject: str
    text: str
    fix: str = ""


def judge_clock(whose: str, ahead_s: float, *, doubt_s: float) -> Iterator[Finding]:
    """`doubt_s`: how long the question took, which the answer cannot be told apart from."""
    if abs(ahead_s) <= CLOCK_S + doubt_s:
        return
    text = f"{whose} clock is {abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
    yield Finding("clock", text, "have both set by NTP: tokens and leases end by the clock")
