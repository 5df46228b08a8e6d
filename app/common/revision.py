"""The newest migration's name, read from the files: the API tells by it whether its database is migrated."""

import re
from pathlib import Path

VERSIONS = Path(__file__).resolve().parents[2] / "migrations" / "versions"
_NAMED = re.compile(r'^(revision|down_revision)\b.*= *"(\w+)"', re.MULTILINE)


def newest_revision() -> str:
    """The one that no other comes after."""
    names: dict[str, set[str]] = {"revision": set(), "down_revision": set()}
    for path in VERSIONS.glob("*.py"):
        for kind, name in _NAMED.findall(path.read_text()):
            names[kind].add(name)
    (newest,) = names["revision"] - names["down_revision"]
    return newest
