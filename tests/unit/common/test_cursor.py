"""Feed cursors: they sort as the events do, and belong to one workspace."""

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.common.feed.cursor import BadCursor, decode_cursor, encode_cursor

SEQ = st.integers(0, 2**63 - 1)
WORKSPACE = UUID("019aa000-0000-7000-8000-0000deadbeef")


@given(seq=SEQ, workspace_id=st.uuids())
def test_a_cursor_comes_back(seq: int, workspace_id: UUID) -> None:
    cursor = encode_cursor(workspace_id, seq)
    assert decode_cursor(workspace_id, cursor) == seq
    assert re.fullmatch(r"1\.[0-9a-f]{16}\.[0-9a-f]{8}", cursor)


@given(one=SEQ, other=SEQ)
def test_cursors_sort_as_text(one: int, other: int) -> None:
    assert (encode_cursor(WORKSPACE, one) < encode_cursor(WORKSPACE, other)) == (one < other)


@given(text=st.text(max_size=40))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        decode_cursor(WORKSPACE, text)


@pytest.mark.parametrize(
    "cursor",
    [
        encode_cursor(UUID(int=1), 7),
        f"1.{2**63:016x}.deadbeef",
        "1.000000000000000A.deadbeef",
        "1.0000000000000007.deadbeef\n",
        "1.０000000000000007.deadbeef",
        "2.0000000000000007.deadbeef",
    ],
)
def test_another_workspaces_and_broken_ones_are_refused(cursor: str) -> None:
    with pytest.raises(BadCursor):
        decode_cursor(WORKSPACE, cursor)
