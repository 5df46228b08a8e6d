"""The board of presences: what its readers are told, and how much it holds."""

import asyncio
from uuid import UUID, uuid4

from app.conversations.application.presence import RING, Board, Change, Place, Presence

ANA, BRUNO = Presence(uuid4()), Presence(uuid4(), uuid4())
CHAT = BRUNO.conversation_id or uuid4()


def said(changes: list[Change]) -> list[tuple[UUID, bool, bool]]:
    return [(change.who.user_id, change.is_online, change.is_typing) for change in changes]


def test_it_tells_who_comes_types_and_leaves() -> None:
    board = Board()
    board.settle({ANA, BRUNO}, set())
    seq = board.seq
    assert {change.who for change in board.now()} == {ANA, BRUNO}
    board.settle({ANA, BRUNO}, set())
    assert board.seq == seq, "nothing changed"
    board.settle({ANA, BRUNO}, {(BRUNO.user_id, CHAT)})
    board.settle({ANA, BRUNO}, set())
    board.settle({ANA}, set())
    bruno = BRUNO.user_id
    assert said(list(board.since(seq, [ANA, BRUNO]))) == [
        (bruno, True, True),
        (bruno, True, False),
        (bruno, False, False),
    ]
    assert {change.who for change in board.now()} == {ANA}


def test_typing_is_being_there() -> None:
    board = Board()
    board.settle({ANA}, {(ANA.user_id, CHAT)})
    there = Presence(ANA.user_id, CHAT)
    assert {change.who: change.is_typing for change in board.now()} == {ANA: False, there: True}
    board.settle({ANA}, set())
    assert [change.who for change in board.now()] == [ANA]


def test_one_that_is_far_behind_is_told_how_things_stand() -> None:
    board = Board()
    board.settle({BRUNO}, set())
    seq = board.seq
    for _ in range(RING):
        board.settle({ANA}, set())
        board.settle(set(), set())
    board.settle({ANA}, set())
    caught_up = list(board.since(seq, [BRUNO]))
    assert said(caught_up) == [(BRUNO.user_id, False, False), (ANA.user_id, True, False)]


def test_a_place_shows_what_is_at_it() -> None:
    lead = uuid4()
    assert Place().shows(ANA)
    assert Place().shows(BRUNO)
    assert Place(CHAT).shows(BRUNO)
    assert not Place(CHAT).shows(ANA)
    assert not Place(CHAT, lead).shows(BRUNO)
    assert Place(None, lead).shows(Presence(uuid4(), CHAT, lead))


async def test_readers_wake_at_news() -> None:
    board = Board()
    reading = asyncio.create_task(board.news(board.seq))
    await asyncio.sleep(0)
    assert not reading.done()
    board.settle({ANA}, set())
    await reading
