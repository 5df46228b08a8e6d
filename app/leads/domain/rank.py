"""Ranks: a lead's place in its stage, as a fraction written in base 36 and compared by bytes.

Between two ranks there is always another one, so a move writes one row and no neighbour. A rank never ends in "0":
nothing would come between "a" and "a0". A rank grows by a digit with every five or so insertions at one place; past
`RANK_MAX` its neighbours are spread anew (docs/decisions/0020).
"""

from collections.abc import Sequence

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
BASE = len(DIGITS)
RANK_MAX = 48
"""Digits; a new lead's rank (`rank_of`) has 33."""


def rank_between(before: str | None, after: str | None) -> str:
    """As short as there is one; None: the end on that side. `before` < `after`, and neither ends in "0"."""
    assert before is None or after is None or before < after, "there is no room between them"
    size = 0
    while True:
        size += 1
        least, most = _room(before, after, size)
        if least <= most:
            return _digits((least + most) // 2, size)


def spread(count: int, before: str | None, after: str | None) -> list[str]:
    """That many ranks between the two, in order and as evenly as can be: there is room again between any of them."""
    size, (least, most) = 1, _room(before, after, 1)
    while (most - least) < (count + 1) * BASE:
        size += 1
        least, most = _room(before, after, size)
    return [_digits(least + (most - least) * (n + 1) // (count + 1), size) for n in range(count)]


def is_crowded(ranks: Sequence[str]) -> bool:
    return any(len(rank) > RANK_MAX for rank in ranks)


def _room(before: str | None, after: str | None, size: int) -> tuple[int, int]:
    """The least and the greatest number of `size` digits that stands between them as a fraction."""
    least = _number(before, size) + 1 if before is not None else 1
    if after is None:
        return least, BASE**size - 1
    return least, _number(after, size) - (len(after) <= size)


def _number(rank: str, size: int) -> int:
    return int(rank[:size].ljust(size, "0"), BASE)


def _digits(number: int, size: int) -> str:
    digits = ""
    for _ in range(size):
        number, digit = divmod(number, BASE)
        digits = DIGITS[digit] + digits
    return digits.rstrip("0")
