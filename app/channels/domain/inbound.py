"""What comes in for an account, before anybody has read it: kinds of due rows, providers, and what makes it the same.

A mail may come twice through one door (a sender that tries again) and once through each (a forwarding rule beside
IMAP). The first is settled here, by the door's own id of it; the second by the mail's identity, when it is read.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

INBOUND = "inbound_event"
"""Kind of the due row: one thing that came in, to be read."""
IMAP = "imap_mailbox"
"""Kind of the due row: one IMAP mailbox, to be followed."""
EMAIL = "email"
"""Provider of mails, whichever door they come through."""

TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}")


def is_token(text: str) -> bool:
    """Whether it may be an account's inbound token at all."""
    return TOKEN.fullmatch(text) is not None


def digest_id(raw: bytes) -> str:
    """The external id of a mail that nobody numbered: the same bytes are the same mail."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def imap_id(uid_validity: int, uid: int, raw: bytes) -> str:
    """The external id of a mail in a mailbox: IMAP never gives this pair to another mail of the mailbox.

    The bytes tell it from a mail of another mailbox, where the account reads one after the other: many number alike.
    """
    return f"imap:{uid_validity}:{uid}:{hashlib.sha256(raw).hexdigest()[:32]}"


WINDOW = 200
"""As many UIDs are asked for their size at once."""
BATCH_MAILS = 25
BATCH_BYTES = 5_000_000
"""A batch is one transaction, and as much of a mailbox as stands in memory; one mail may be larger."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Mails to fetch together; `last` is the UID up to which all is settled once they are stored."""

    uids: Sequence[int]
    last: int
    too_large: int
    """Left out between them."""


def batches_of(uids: Sequence[int], sizes: Mapping[int, int], *, max_bytes: int) -> Iterator[Batch]:
    """In the order of the UIDs. A mail without a size is gone; one over `max_bytes` is passed over."""
    batch: list[int] = []
    taken = too_large = last = 0
    for uid in uids:
        size = sizes.get(uid)
        is_wanted = size is not None and size <= max_bytes
        if is_wanted and batch and (len(batch) == BATCH_MAILS or taken + (size or 0) > BATCH_BYTES):
            yield Batch(batch, last, too_large)
            batch, taken, too_large = [], 0, 0
        if is_wanted:
            batch.append(uid)
            taken += size or 0
        too_large += size is not None and size > max_bytes
        last = uid
    if uids:
        yield Batch(batch, last, too_large)
