import gc
import weakref
from collections.abc import Iterator

import pytest

from app.common.garbage import LIVED_S, PASS_AFTER, Ended


class Cycle:
    def __init__(self) -> None:
        self.self = self


@pytest.fixture(autouse=True)
def only_by_hand() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_a_pass_follows_so_many_that_lived_long() -> None:
    ended, left = Ended(), weakref.ref(Cycle())
    for _ in range(PASS_AFTER - 1):
        ended.tell(LIVED_S)
    assert left() is not None
    ended.tell(LIVED_S)
    assert left() is None
    assert ended.count == 0


def test_what_ends_soon_is_not_counted() -> None:
    ended, left = Ended(), weakref.ref(Cycle())
    for _ in range(2 * PASS_AFTER):
        ended.tell(LIVED_S / 2)
    assert left() is not None
