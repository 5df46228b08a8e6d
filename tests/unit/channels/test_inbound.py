"""What comes in, before it is read."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.channels.domain.inbound import (
    BATCH_BYTES,
    BATCH_MAILS,
    batches_of,
    digest_id,
    imap_id,
    is_token,
)


@given(st.dictionaries(st.integers(1, 500), st.none() | st.integers(0, 9_000_000), max_size=120))
def test_batches_take_every_mail_once_in_order(found: dict[int, int | None]) -> None:
    """None: it was there when it was searched for, and is gone."""
    uids, limit = sorted(found), 7_000_000
    sizes = {uid: size for uid, size in found.items() if size is not None}
    batches = list(batches_of(uids, sizes, max_bytes=limit))
    assert [uid for batch in batches for uid in batch.uids] == [
        uid for uid in uids if sizes.get(uid, limit + 1) <= limit
    ]
    assert sum(batch.too_large for batch in batches) == sum(size > limit for size in sizes.values())
    assert [batch.last for batch in batches][-1:] == uids[-1:]
    for batch in batches:
        assert len(batch.uids) <= BATCH_MAILS
        assert len(batch.uids) <= 1 or sum(sizes[uid] for uid in batch.uids) <= BATCH_BYTES
        assert all(uid <= batch.last for uid in batch.uids)
    for earlier, later in pairwise(batches):
        assert all(uid > earlier.last for uid in later.uids)


def test_the_same_bytes_are_the_same_mail() -> None:
    assert digest_id(b"a") == digest_id(b"a") != digest_id(b"a\n")


@pytest.mark.parametrize("text", ["", "a b", "a/b", "ção", "a\x00", "x" * 129, "a\n"])
def test_what_no_token_can_be(text: str) -> None:
    assert not is_token(text)
    assert is_token("Az0-_")


def test_mailboxes_that_number_alike_do_not_hide_each_others_mails() -> None:
    """An account that reads another mailbox now, where UIDVALIDITY is 1 too: what has this id already is left out."""
    assert imap_id(1, 42, b"one") == imap_id(1, 42, b"one")
    assert len({imap_id(1, 42, b"one"), imap_id(1, 42, b"another"), imap_id(2, 42, b"one")}) == 3
