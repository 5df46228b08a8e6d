"""Ranks: between any two there is another, whatever was inserted before."""

from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.leads.domain.lead import rank_of
from app.leads.domain.rank import DIGITS, RANK_MAX, is_crowded, rank_between, spread

RANK = st.text(DIGITS, min_size=1, max_size=60).filter(lambda text: not text.endswith("0"))
PAIR = st.tuples(st.none() | RANK, st.none() | RANK).filter(
    lambda pair: pair[0] is None or pair[1] is None or pair[0] < pair[1]
)


def lies_between(rank: str, before: str | None, after: str | None) -> bool:
    return (before is None or before.encode() < rank.encode()) and (
        after is None or rank.encode() < after.encode()
    )


@given(PAIR)
def test_a_rank_lies_strictly_between_its_neighbours(pair: tuple[str | None, str | None]) -> None:
    rank = rank_between(*pair)
    assert lies_between(rank, *pair)
    assert set(rank) <= set(DIGITS)
    assert not rank.endswith("0")
    assert len(rank) <= max(len(pair[0] or ""), len(pair[1] or "")) + 1


@given(st.lists(st.integers(0, 10_000), max_size=200), st.lists(st.uuids(), max_size=5, unique=True))
def test_any_sequence_of_insertions_keeps_its_order(places: list[int], ids: list[UUID]) -> None:
    column = sorted(rank_of(id) for id in ids)
    for place in places:
        at = place % (len(column) + 1)
        before, after = (column[at - 1] if at else None), (column[at] if at < len(column) else None)
        column.insert(at, rank_between(before, after))
    assert column == sorted(set(column))


@given(st.integers(0, 300), PAIR)
def test_what_is_spread_is_in_order_and_leaves_room(count: int, pair: tuple[str | None, str | None]) -> None:
    ranks = spread(count, *pair)
    assert len(set(ranks)) == count
    assert ranks == sorted(ranks)
    assert all(lies_between(rank, *pair) and not rank.endswith("0") for rank in ranks)
    for one, next in pairwise(ranks):
        assert len(rank_between(one, next)) <= max(len(one), len(next)) + 1


def test_always_at_one_place_they_become_long_and_are_short_again_once_spread() -> None:
    first, ranks = rank_of(UUID("019aa000-0000-7000-8000-000000000001")), []
    after = rank_of(UUID("019aa000-0000-7000-8000-000000000002"))
    while not is_crowded(ranks):
        ranks.insert(0, rank_between(first, ranks[0] if ranks else after))
    assert len(ranks) > 50
    assert not is_crowded(spread(len(ranks), None, None))
    assert max(len(rank) for rank in spread(len(ranks), first, after)) <= RANK_MAX


def test_at_the_ends_too() -> None:
    assert rank_between(None, None) == "i"
    assert rank_between(None, "1") == "0i"
    assert rank_between("z", None) == "zi"
    assert rank_between("a", "a1") == "a0i"
