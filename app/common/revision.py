"""The migrations' names, read from the files: the API tells by them whether its database is migrated."""

import re
from pathlib import Path

VERSIONS = Path(__file__).resolve().parents[2] / "migrations" / "versions"
_NAMED = re.compile(r'^(revision|down_revision)\b.*= *"(\w+)"', re.MULTILINE)


def older_revisions() -> frozenset[str]:
    """Those that another comes after. One we do not know is newer than this code, which must work with it: while
    replicas are replaced one by one the database is migrated before the first of them.
    """
    names: dict[str, set[str]] = {"revision": set(), "down_revision": set()}
    for path in VERSIONS.glob("*.py"):
        for kind, name in _NAMED.findall(path.read_text()):
            names[kind].add(name)
    return frozenset(names["down_revision"])
