"""What comes in for an account, before anybody has read it: kinds of due rows, providers, and what makes it the same.

A mail may come twice through one door (a sender that tries again) and once through each (a forwarding rule beside
IMAP). The first is settled here, by the door's own id of it; the second by the mail's identity, when it is read.
"""

import hashlib
import re

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


def imap_id(uid_validity: int, uid: int) -> str:
    """The external id of a mail in a mailbox; IMAP never gives this pair to another one."""
    return f"imap:{uid_validity}:{uid}"
