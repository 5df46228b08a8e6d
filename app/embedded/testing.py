"""`test`: a private PostgreSQL and Redis in a temporary folder, the migrations, then pytest.

Everything it starts it stops by pid, also on Ctrl-C and SIGTERM. A run that was killed is cleaned up by the
next: each folder names its owner by pid and start time, and a folder whose owner is gone is emptied.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from app.embedded import redis
from app.embedded.config import OFF, ROOT
from app.embedded.postgres import Cluster, stop_server
from app.embedded.privileges import choose_way
from app.embedded.processes import EmbeddedError, Mark, free_port, is_alive, mark
from app.embedded.state import Home, read_json
from app.embedded.tether import LAUNCHER_PID

PREFIX = "salespad-test-"
PYTEST_ALONE_S = 2.0
PYTEST_STOP_S = 15.0

# Leases and polls shortened, so that fault tests wait for tenths of seconds and not for minutes.
ENVIRONMENT = {
    "SALESPAD_ENV": "test",
    "SALESPAD_BCRYPT_COST": "4",
    "SALESPAD_DEFAULT_SCORE_RULES": "false",  # a score that follows what a test did is one more event beside its own
    "SALESPAD_IMPORT_LEASE_S": "5",
    "SALESPAD_MAILBOX_SMTP_URL": "smtp://127.0.0.1:9",  # addresses of it can be connected; nobody listens
    "SALESPAD_POLL_S": "0.2",
    "SALESPAD_POOL_SIZE": "10",
}


def run_tests(arguments: list[str]) -> int:
    """pytest's exit code. SIGTERM and Ctrl-C end pytest first, then the servers."""
    sweep()
    signal.signal(signal.SIGTERM, interrupt)
    with private_servers() as environment:
        migrated = subprocess.run(
            [sys.executable, "-m", "app", "migrate"], cwd=ROOT, env=environment, check=False
        )
        if migrated.returncode != 0:
            return migrated.returncode
        workers = [] if has_workers(arguments) else ["-n", "2", "--dist", "loadgroup"]
        command = [sys.executable, "-m", "app.embedded.tether", "pytest", *workers, *arguments]
        pytest = subprocess.Popen(command, cwd=ROOT, env=environment | {LAUNCHER_PID: str(os.getpid())})
        try:
            return pytest.wait()
        except KeyboardInterrupt:
            return end(pytest)


def interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def end(pytest: "subprocess.Popen[bytes]") -> int:
    """A terminal's Ctrl-C reached pytest too, and a second one would cut its clean-up short: so wait first."""
    for sent in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sent, signal.SIG_IGN)
    with contextlib.suppress(subprocess.TimeoutExpired):
        pytest.wait(PYTEST_ALONE_S)
    with contextlib.suppress(subprocess.TimeoutExpired):
        pytest.send_signal(signal.SIGINT)
        pytest.wait(PYTEST_STOP_S)
    if pytest.poll() is None:
        pytest.kill()
        pytest.wait()
    return 130


def has_workers(arguments: list[str]) -> bool:
    """Whether the caller chose the number of processes (`-n 0` for a debugger) or turned xdist off."""
    return any(
        text.startswith(("-n", "--numprocesses", "no:xdist", "-pno:xdist", "--pdb")) for text in arguments
    )


@contextlib.contextmanager
def private_servers() -> Iterator[dict[str, str]]:
    """Environment that leads to a fresh cluster and Redis, which are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    home = Home(folder / "home")
    try:
        owner = mark(os.getpid())
        assert owner is not None
        (folder / "owner.json").write_text(json.dumps(asdict(owner)))
        home.prepare()
        secrets = home.load_secrets()
        cluster = Cluster(home.postgres, home.log("postgres"), free_port(), secrets, is_throwaway=True)
        cluster.initialise()
        with running(cluster.start()):
            cluster.bootstrap()
            environment = dict(os.environ) | ENVIRONMENT
            environment |= {
                "SALESPAD_HOME": str(home.root),
                "SALESPAD_DATABASE_URL": cluster.url,
                "SALESPAD_JWT_SECRET": secrets.jwt_secret,
                "SALESPAD_CREDENTIAL_KEYS": secrets.credential_key,
                "SALESPAD_ERASURE_KEY": secrets.erasure_key,
                "SALESPAD_REDIS_URL": OFF,
            }
            server = redis.find_server()
            if server is None:
                yield environment
                return
            keeper = redis.Redis(
                server, home.redis, home.log("redis"), free_port(), secrets, is_throwaway=True
            )
            keeper.prepare()
            with running(keeper.start()):
                yield environment | {"SALESPAD_REDIS_URL": keeper.url}
    finally:
        with contextlib.suppress(EmbeddedError):
            remove(choose_way(home.postgres).data)  # elsewhere when PostgreSQL runs as nobody
        remove(folder)


@contextlib.contextmanager
def running(server: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Stop with SIGINT, which both servers take as a clean and fast end."""
    try:
        yield
    finally:
        stop_server(server)


def sweep() -> None:
    """Stop the servers and delete the folders of test runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        with contextlib.suppress(OSError, EmbeddedError, TypeError):
            if folder.stat().st_uid != os.geteuid():
                continue
            owner = read_json(folder / "owner.json")
            if not owner or is_alive(Mark(**owner)):
                continue
            clear_servers(Home(folder / "home"))
            remove(folder)


def clear_servers(home: Home) -> None:
    secrets = home.load_secrets()
    Cluster(home.postgres, home.log("postgres"), 0, secrets, is_throwaway=True).clear_leftover()
    redis.Redis(Path("redis-server"), home.redis, home.log("redis"), 0, secrets).clear_leftover()


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
