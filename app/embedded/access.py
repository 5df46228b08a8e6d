"""The database for the commands beside `run`: the configured one, the running one, or the embedded one for a
moment.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from app.embedded.config import Config
from app.embedded.postgres import Cluster, client_env, stop_server
from app.embedded.privileges import find_binaries
from app.embedded.processes import EmbeddedError, keep_or_choose
from app.embedded.state import AlreadyRunning, Home


@dataclass(frozen=True)
class Database:
    """Where it answers, as the owner; `programs` is the folder of psql and pg_dump ("" means PATH)."""

    url: str
    programs: Path | None

    def program(self, name: str) -> str:
        found = str(self.programs / name) if self.programs else shutil.which(name)
        if not found:
            raise EmbeddedError(
                f"There is no {name} on this machine: install PostgreSQL 18's client programs."
            )
        return found

    @property
    def environment(self) -> dict[str, str]:
        """For client programs: the password travels here, since command lines can be read by everybody."""
        return client_env(unquote(urlsplit(self.url).password or ""))

    @property
    def address(self) -> str:
        """The URL without its password."""
        parts = urlsplit(self.url)
        user, host = parts.username or "", parts.netloc.rpartition("@")[2]
        scheme = parts.scheme.partition("+")[0]
        return parts._replace(scheme=scheme, netloc=f"{user}@{host}" if user else host).geturl()


@contextlib.contextmanager
def open_database(config: Config) -> Iterator[Database]:
    """Start the embedded server for as long as the block lasts when nobody else runs it."""
    if config.database_url:
        yield Database(config.database_url, find_binaries())
        return
    home = Home(config.home)
    home.prepare()
    try:
        with home.lock():
            cluster = embedded_cluster(home, keep_or_choose(home.load_run().postgres_port))
            cluster.initialise()
            cluster.clear_leftover()
            server = cluster.start()
            try:
                cluster.bootstrap()
                yield Database(cluster.url, cluster.way.binaries)
            finally:
                stop_server(server)
    except AlreadyRunning:
        yield running_database(home)


def running_database(home: Home) -> Database:
    port = home.load_run().postgres_port
    cluster = embedded_cluster(home, port or 0)
    if not port or cluster.psql("SELECT 1;").returncode != 0:
        raise EmbeddedError(
            f"Something runs on {home.root} but its database does not answer (yet): try again."
        )
    return Database(cluster.url, cluster.way.binaries)


def embedded_cluster(home: Home, port: int) -> Cluster:
    return Cluster(home.postgres, home.log("postgres"), port, home.load_secrets())


def exec_psql(config: Config, arguments: list[str]) -> None:
    """Become psql. The embedded server must be running: a console is no reason to start one and stop it
    again.
    """
    home = Home(config.home)
    if config.database_url:
        database = Database(config.database_url, find_binaries())
    elif home.is_locked():
        database = running_database(home)
    else:
        raise EmbeddedError("The embedded database is not running: start it with  python3 -m app run")
    psql = database.program("psql")
    sys.stdout.flush()
    os.execve(psql, [psql, "-d", database.address, *arguments], database.environment)  # noqa: S606 - no shell


def delete_data(config: Config) -> None:
    """Delete the data directory's content; refuses while a run owns it, and a folder that is not a data
    directory.
    """
    home = Home(config.home)
    if not home.root.exists():
        return
    if not (home.root / "secrets.json").exists() and any(home.root.iterdir()):
        raise EmbeddedError(f"{home.root} does not look like SalesPad's data; nothing was deleted.")
    try:
        with home.lock():
            if (home.root / "secrets.json").exists():
                cluster = embedded_cluster(home, 0)
                cluster.clear_leftover()
                shutil.rmtree(cluster.way.data, ignore_errors=True)
            shutil.rmtree(home.root)
    except AlreadyRunning as other:
        raise EmbeddedError(f"SalesPad is running ({other.url or 'starting'}): stop it first.") from None
