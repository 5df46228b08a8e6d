"""This machine: Python, its packages, the user, the servers' programs, folders and disks, the port, the web files."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from app.embedded import redis
from app.embedded.config import ROOT, Config
from app.embedded.doctor.finding import Finding
from app.embedded.privileges import can_unshare, find_binaries
from app.embedded.processes import why_not_free
from app.embedded.state import Home

ENOUGH_BYTES = 1024**3
LOCKED = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", re.MULTILINE)


def check_python(_config: Config) -> Iterator[Finding]:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.prefix}"
    yield Finding("python", text, "" if sys.version_info >= (3, 11) else "use Python 3.11 or newer")


def check_packages(_config: Config) -> Iterator[Finding]:
    """Installed versions against the lock; a package the lock leaves out on this platform is not missed."""
    lock = ROOT / "app" / "requirements.lock"
    if not lock.is_file():
        yield Finding("packages", "installed without a lock")
        return
    locked: dict[str, set[str]] = {}
    for name, version in LOCKED.findall(lock.read_text()):
        locked.setdefault(name, set()).add(version)
    installed = {
        str(found.name).lower().replace("_", "-"): found.version for found in metadata.distributions()
    }
    wrong = [
        f"{name} is {installed[name]}, not {' or '.join(versions)}"
        for name, versions in locked.items()
        if name in installed and installed[name] not in versions
    ]
    fix = "remove .venv and run the command again" if wrong else ""
    yield Finding("packages", "; ".join(wrong) or f"{len(locked)} as locked", fix)


def check_user(config: Config) -> Iterator[Finding]:
    if config.database_url:
        return
    if os.geteuid() != 0:
        yield Finding("user", f"ordinary user (uid {os.geteuid()})")
    elif can_unshare():
        yield Finding("user", "root; PostgreSQL runs in a user namespace")
    elif os.access("/var/lib", os.W_OK):
        yield Finding(
            "user", "root without user namespaces; PostgreSQL runs as nobody under /var/lib/salespad"
        )
    else:
        yield Finding("user", "root, and PostgreSQL refuses root", "start as an ordinary user")


def check_binaries(config: Config) -> Iterator[Finding]:
    if not config.database_url:
        binaries = find_binaries()
        fix = "set SALESPAD_DATABASE_URL to a PostgreSQL 18 or newer"
        if binaries is None:
            yield Finding("postgres", "no embedded PostgreSQL for this platform", fix)
        else:
            shown = subprocess.run(
                [str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=False
            )
            broken = shown.returncode != 0
            yield Finding(
                "postgres", shown.stderr.strip() if broken else shown.stdout.strip(), fix if broken else ""
            )
    if not config.redis_url:
        server = redis.find_server()
        version = ".".join(map(str, redis.version_of(server))) if server else ""
        yield Finding(
            "redis",
            f"embedded {version}" if server else "none for this platform: everything works by polling",
        )


def check_folder(config: Config) -> Iterator[Finding]:
    existing = next(path for path in [config.home, *config.home.parents] if path.exists())
    free = shutil.disk_usage(existing).free
    fix = "" if free > ENOUGH_BYTES else "free some space, or set SALESPAD_HOME to a larger disk"
    yield Finding("disk", f"{free / 1024**3:.1f} GiB free at {existing}", fix)
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding("data", f"{existing} cannot be written", "set SALESPAD_HOME to a folder you own")
        return
    if existing != config.home:
        yield Finding("data", f"{config.home} is made by the first run")
        return
    status = config.home.stat()
    if status.st_uid != os.geteuid():
        yield Finding(
            "data", f"{config.home} belongs to uid {status.st_uid}", f"chown -R {os.geteuid()} {config.home}"
        )
        return
    exposed = [path for path in [config.home, *secret_files(config.home)] if path.stat().st_mode & 0o066]
    names = ", ".join(map(str, exposed))
    yield Finding(
        "data",
        f"others may read {names}" if exposed else str(config.home),
        f"chmod go= {names}" if exposed else "",
    )


def check_files(_config: Config) -> Iterator[Finding]:
    """The folder of uploads, where it is not in the home."""
    if not (named := os.environ.get("SALESPAD_FILES_DIR")):
        return
    folder = Path(named).absolute()
    existing = next(path for path in [folder, *folder.parents] if path.exists())
    free = shutil.disk_usage(existing).free
    if not os.access(existing, os.W_OK | os.X_OK):
        fix = "make it writable for SalesPad's user, or set SALESPAD_FILES_DIR to another"
        yield Finding("files", f"{existing} cannot be written", fix)
        return
    fix = "" if free > ENOUGH_BYTES else "free some space, or set SALESPAD_FILES_DIR to a larger disk"
    yield Finding("files", f"{free / 1024**3:.1f} GiB free at {existing}", fix)


def secret_files(home: Path) -> list[Path]:
    return [
        path
        for path in (home / "secrets.json", home / "run.json", home / "redis" / "redis.conf")
        if path.exists()
    ]


def check_port(config: Config) -> Iterator[Finding]:
    home = Home(config.home)
    if home.is_locked():
        yield Finding("port", f"SalesPad is running: {home.load_run().url or 'starting'}")
    elif reason := why_not_free(config.port, config.host):
        text, _, fix = reason.removesuffix(".").rpartition(": ")
        yield Finding("port", text, fix)
    else:
        yield Finding("port", f"{config.port} is free")


def check_web(_config: Config) -> Iterator[Finding]:
    from app.embedded import web_assets

    reason = web_assets.failure()
    if reason:
        yield Finding("web", f"the last build failed: {reason.splitlines()[0]}", "python3 -m app build-web")
    elif web_assets.is_stale():
        node = "" if web_assets.has_node() else ", with a Node that it fetches: none fit is on the PATH"
        yield Finding("web", f"not built yet; the next run builds it{node}")
    else:
        yield Finding("web", "built")
