"""The data directory: layout, secrets made once, the running state, and the lock that admits one run at a
time.

.salespad/          0700
  lock              flock of the run that owns the directory
  secrets.json      0600, made once, never rewritten but to add a missing one
  demo.json         0600, the login of seed-demo
  run.json          0600, ports (kept), pids and URL of the run (replaced atomically)
  postgres/ redis/  the servers' data
  mailbox/          what the local mailbox kept
  log/              postgres.log redis.log api.log worker.log mailbox.log
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from app.embedded.processes import EmbeddedError, Mark

LOG_LIMIT_BYTES = 20 * 1024 * 1024


class AlreadyRunning(Exception):
    """Another process holds this data directory; `url` is where its API answers, "" while it starts."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


@dataclass(frozen=True)
class Home:
    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def redis(self) -> Path:
        return self.root / "redis"

    @property
    def mailbox(self) -> Path:
        return self.root / "mailbox"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def demo(self) -> Path:
        return self.root / "demo.json"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def prepare(self) -> None:
        """Make the directories, private to this user. Raises EmbeddedError with what to do when that is
        impossible.
        """
        try:
            for folder in (self.root, self.logs):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.root.stat().st_uid != os.geteuid():
                raise EmbeddedError(
                    f"{self.root} belongs to another user: start as that user, or set SALESPAD_HOME."
                )
            if self.root.stat().st_mode & 0o066:
                self.root.chmod(0o700)
        except OSError as error:
            raise EmbeddedError(
                f"Cannot use {self.root} ({error.strerror}): set SALESPAD_HOME to a folder you can write."
            ) from None

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Own the directory. The kernel drops the lock with the process, however it ends. Raises
        AlreadyRunning.
        """
        handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise AlreadyRunning(self.load_run().url) from None
        try:
            yield
        finally:
            os.close(handle)

    def is_locked(self) -> bool:
        try:
            with self.lock():
                return False
        except AlreadyRunning:
            return True
        except FileNotFoundError:
            return False

    def load_secrets(self) -> "Secrets":
        """The secrets of this data directory; missing ones are made and kept. Call under the lock."""
        path = self.root / "secrets.json"
        kept = read_json(path)
        made = Secrets(
            **{name: kept.get(name) or secrets.token_urlsafe(48) for name in Secrets.__dataclass_fields__}
        )
        if asdict(made) != kept:
            write_private(path, json.dumps(asdict(made), indent=1))
        return made

    def load_run(self) -> "Run":
        kept = read_json(self.root / "run.json")
        pids = {name: Mark(**known) for name, known in kept.pop("pids", {}).items()}
        return Run(pids=pids, **{name: kept[name] for name in kept if name in Run.__dataclass_fields__})

    def save_run(self, run: "Run") -> None:
        write_private(self.root / "run.json", json.dumps(asdict(run), indent=1))


@dataclass(frozen=True)
class Secrets:
    postgres_password: str
    owner_password: str
    redis_password: str
    jwt_secret: str
    credential_key: str
    erasure_key: str


@dataclass
class Run:
    """Ports outlive a run; `url` and `pids` are its own and tell the next start what may be left over."""

    postgres_port: int | None = None
    redis_port: int | None = None
    mailbox_port: int | None = None
    url: str = ""
    migrated: str = ""
    pids: dict[str, Mark] = field(default_factory=dict)


def database_url(port: int, password: str, *, user: str = "sp_owner", database: str = "salespad") -> str:
    return f"postgresql://{user}:{password}@127.0.0.1:{port}/{database}"


def redis_url(port: int, password: str) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"


def read_json(path: Path) -> dict[str, Any]:
    """{} when the file is missing. A damaged one stops us: it may hold the only password to the data."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise EmbeddedError(
            f"Cannot read {path} ({error}): bring it back from a backup, or remove it."
        ) from None
    return content if isinstance(content, dict) else {}


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner only; a kill leaves the old one or the new one."""
    draft = path.with_name(path.name + ".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path)


def open_log(path: Path) -> int:
    """A descriptor that appends; a log that has grown beyond the limit becomes `.1` first."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_name(path.name + ".1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def last_lines(path: Path, count: int = 12, *, since: int = 0) -> str:
    """Of what was written after the byte `since`; of everything when the log was begun anew in between."""
    try:
        with path.open("rb") as log:
            size = path.stat().st_size
            log.seek(max(since if since <= size else 0, size - 20_000))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])
    except OSError:
        return ""
