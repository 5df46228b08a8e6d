"""How often one may try to sign in. Counted before the password is looked at; a refused attempt does not
count.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.accounts.domain.session import Caller
from app.accounts.domain.user import clean_email
from app.common.domain import Invalid


@dataclass(frozen=True, slots=True)
class Window:
    attempts: int
    length: timedelta


PER_EMAIL = (Window(5, timedelta(minutes=1)), Window(20, timedelta(hours=1)))
PER_IP_PREFIX = (Window(30, timedelta(minutes=1)),)
KEPT = timedelta(hours=1)
"""The longest window: older attempts are of no use."""


def email_key(email: str) -> bytes:
    """One per account, however its address is typed; also for what is no address. The address is not
    stored.
    """
    try:
        named = clean_email(email)
    except Invalid:
        named = email
    return hashlib.sha256(b"email:" + named.encode("utf-8", "surrogatepass")).digest()


def windows_by_key(email: str, caller: Caller) -> dict[bytes, tuple[Window, ...]]:
    """What an attempt counts against."""
    windows: dict[bytes, tuple[Window, ...]] = {email_key(email): PER_EMAIL}
    if caller.ip_prefix:
        windows[hashlib.sha256(b"ip:" + caller.ip_prefix.encode()).digest()] = PER_IP_PREFIX
    return windows


def next_allowed(attempts: Sequence[datetime], windows: Sequence[Window], now: datetime) -> datetime | None:
    """When the next attempt is allowed; None: now."""
    waits = []
    for window in windows:
        within = sorted(at for at in attempts if at > now - window.length)
        if len(within) >= window.attempts:
            waits.append(within[-window.attempts] + window.length)
    return max(waits, default=None)


def counted(
    attempts: Mapping[bytes, Sequence[datetime]], windows: Mapping[bytes, Sequence[Window]], now: datetime
) -> dict[bytes, list[datetime]]:
    """The attempts of each key with this one, those that no longer count dropped."""
    return {
        key: [*(at for at in attempts[key] if at > now - max(window.length for window in windows[key])), now]
        for key in windows
    }
