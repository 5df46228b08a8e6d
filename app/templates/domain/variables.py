"""What a template may name, and when a value counts as none: one rule, here and in SQL (`infrastructure/values.py`).

A value is there where something of it can be seen: spaces, control characters and characters without width are nothing.
"""

from collections.abc import Mapping

VARIABLES: Mapping[str, str] = {
    "lead.name": "The lead's name",
    "lead.first_name": "The first word of the lead's name; none where the name is an address",
    "lead.last_name": "The last word of the lead's name, where it has several",
    "lead.company": "The lead's company",
    "lead.title": "The lead's title",
    "lead.email": "The lead's main e-mail address",
    "lead.phone": "The lead's main phone number",
    "lead.stage": "The stage the lead is in",
    "owner.name": "The name of the lead's owner",
    "owner.first_name": "The first word of the owner's name",
    "account.name": "The name of the account it is sent from",
    "account.address": "The address it is sent from",
    "workspace.name": "The workspace's name",
}
"""All there are, with what each stands for. Nothing else can be named."""
SPACES = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What separates words: Unicode's white space."""
INVISIBLE = (
    "".join(chr(code) for code in (*range(1, 9), *range(14, 28), *range(127, 133), *range(134, 160)))
    + "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    + "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f\u2800\u3164"
    + "".join(chr(code) for code in range(0xFE00, 0xFE10))
    + "\ufeff\uffa0\ufff9\ufffa\ufffb"
)
"""What has no width, or no shape, of its own. It stays inside a value: an emoji may be joined by it."""
_WITHOUT_INVISIBLE = dict.fromkeys(map(ord, INVISIBLE))
_TO_SPACE = {ord(space): " " for space in SPACES}


def visible(text: str | None) -> str:
    """What can be seen of a text; empty: it is no value."""
    return (text or "").translate(_WITHOUT_INVISIBLE).strip(SPACES)


def value(text: str | None) -> str | None:
    """As it is inserted; None: there is none."""
    return (text or "").strip(SPACES) if visible(text) else None


def first_name(name: str | None) -> str | None:
    return next(iter(_words(name)), None)


def last_name(name: str | None) -> str | None:
    """None for a name of one word."""
    words = _words(name)
    return words[-1] if len(words) > 1 else None


def _words(name: str | None) -> list[str]:
    """None at all in an address, which stands for a name where nobody gave one."""
    if "@" in (name or ""):
        return []
    return [word for word in (name or "").translate(_TO_SPACE).split(" ") if visible(word)]
