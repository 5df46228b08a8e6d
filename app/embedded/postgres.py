"""The embedded PostgreSQL 18: made once, started, stopped, and cleaned up after a run that was killed.

TCP on 127.0.0.1 with SCRAM and a random password, no unix socket; locale C.UTF-8 of the builtin provider, so
that every machine sorts alike. `is_throwaway` is the tests' cluster: nothing is synced to disk.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from secrets import token_hex

from app.embedded.privileges import Way, choose_way
from app.embedded.processes import EmbeddedError, command_line, mark, stop, wait_for
from app.embedded.state import Secrets, database_url, last_lines, open_log

START_S = 60.0
STOP_S = 60.0
IMPOSSIBLE_PID = "2147483647"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "password_encryption": "scram-sha-256",
    "log_min_duration_statement": "500ms",
    "log_line_prefix": "%m [%p] %u@%d ",
    "log_parameter_max_length": "0",  # no values of slow statements, no rows of failed ones
    "log_error_verbosity": "terse",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
}
THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}

# Run as superuser at every start, so that a first start that was killed anywhere is completed.
# The role's password is kept out of the log even where the statement is slow.
BOOTSTRAP_SQL = """
SET log_min_duration_statement = -1;
SET log_statement = 'none';
SELECT 'CREATE ROLE sp_owner' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sp_owner') \\gexec
ALTER ROLE sp_owner LOGIN CREATEDB CREATEROLE NOSUPERUSER PASSWORD :'owner_password';
SELECT 'CREATE DATABASE salespad OWNER sp_owner'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'salespad') \\gexec
"""


@dataclass(frozen=True)
class Cluster:
    data: Path
    log: Path
    port: int
    secrets: Secrets
    is_throwaway: bool = False

    @cached_property
    def way(self) -> Way:
        return choose_way(self.data)

    @property
    def url(self) -> str:
        return database_url(self.port, self.secrets.owner_password)

    @property
    def is_made(self) -> bool:
        return (self.way.data / "PG_VERSION").exists()

    def command(self) -> list[str]:
        settings = SETTINGS | {"port": str(self.port)} | (THROWAWAY if self.is_throwaway else {})
        flags = [part for name, text in settings.items() for part in ("-c", f"{name}={text}")]
        return self.way.command("postgres", "-D", str(self.way.data), *flags)

    def initialise(self) -> None:
        """Make the cluster beside its place, under a name of its own, and rename it in: an initdb whose launcher was
        killed may still be at work in its own folder, and takes nothing from this one.
        """
        if self.is_made:
            return
        data = self.way.data
        for left in data.parent.glob(data.name + ".new*"):
            shutil.rmtree(left, ignore_errors=True)
        draft = data.with_name(f"{data.name}.new-{token_hex(4)}")
        with tempfile.NamedTemporaryFile("w", prefix="salespad-", suffix=".pw") as password_file:
            password_file.write(self.secrets.postgres_password + "\n")
            password_file.flush()
            self.way.own(Path(password_file.name))
            flags = ["-A", "scram-sha-256", "-U", "postgres", f"--pwfile={password_file.name}", "-E", "UTF8"]
            flags += [
                "--locale-provider=builtin",
                "--locale=C.UTF-8",
                *(["--no-sync"] if self.is_throwaway else []),
            ]
            command = self.way.command("initdb", "-D", str(draft), *flags)
            made = subprocess.run(
                command, capture_output=True, text=True, cwd="/", check=False, **self.way.user_arguments
            )
        if made.returncode != 0:
            raise EmbeddedError(f"initdb failed:\n{made.stdout[-2000:]}{made.stderr[-2000:]}")
        draft.rename(data)

    def clear_leftover(self) -> None:
        """Stop a server that a killed run left on this data; PostgreSQL replaces a dead one's pid file
        itself.

        A pid that now belongs to somebody else would make PostgreSQL refuse to start. The file is not removed
        then, since its shared memory key protects against a surviving backend; only its pid is made one that
        cannot exist.
        """
        pid_file = self.way.data / "postmaster.pid"
        lines = read_lines(pid_file)
        known = mark(int(lines[0])) if lines and lines[0].isdigit() else None
        if known is None:
            return
        if str(self.way.data) in command_line(known.pid):
            stop(known, signal.SIGINT, grace_s=STOP_S, last=signal.SIGQUIT)
            return
        pid_file.write_text("\n".join([IMPOSSIBLE_PID, *lines[1:]]) + "\n")

    def is_ready(self, pid: int) -> bool:
        """The server says so in line 8 of its pid file: no connection, no log line."""
        lines = read_lines(self.way.data / "postmaster.pid")
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def start(self) -> "subprocess.Popen[bytes]":
        """Start outside the supervisor (tests, backup); raises EmbeddedError with the log's end when it does
        not come up.
        """
        with os.fdopen(open_log(self.log), "ab") as log:
            server = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **self.way.user_arguments,
            )
        if (
            not wait_for(lambda: self.is_ready(server.pid) or server.poll() is not None, START_S)
            or server.poll()
        ):
            server.kill()
            raise EmbeddedError(f"PostgreSQL did not start:\n{last_lines(self.log)}")
        return server

    def bootstrap(self) -> None:
        """Make the owner role and the database where missing. Idempotent; about 30 ms."""
        answer = self.psql(BOOTSTRAP_SQL, user="postgres", database="postgres")
        if answer.returncode != 0:
            raise EmbeddedError(
                f"PostgreSQL started but refuses us:\n{answer.stderr.strip()}\nIf secrets.json was lost, "
                "the data cannot be opened with the new password: put the old file back."
            )

    def psql(
        self, script: str, *, user: str = "sp_owner", database: str = "salespad"
    ) -> "subprocess.CompletedProcess[str]":
        password = self.secrets.postgres_password if user == "postgres" else self.secrets.owner_password
        address = f"host=127.0.0.1 port={self.port} user={user} dbname={database}"
        owner = f"\\set owner_password {self.secrets.owner_password}\n"
        return subprocess.run(
            [
                str(self.way.binaries / "psql"),
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                address,
                "-f",
                "-",
            ],
            input=owner + script,
            capture_output=True,
            text=True,
            env=client_env(password),
            check=False,
        )


def client_env(password: str) -> dict[str, str]:
    """Environment of PostgreSQL's client programs: the caller's PG* must not lead them elsewhere."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PG")}
    return kept | {"PGPASSWORD": password, "PGCONNECT_TIMEOUT": "10"}


def stop_server(server: "subprocess.Popen[bytes]") -> None:
    """Fast shutdown with its checkpoint; after STOP_S the immediate one (the next start recovers)."""
    for sent, wait_s in ((signal.SIGINT, STOP_S), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0)):
        if server.poll() is not None:
            return
        server.send_signal(sent)
        wait_for(lambda: server.poll() is not None, wait_s)


def read_lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
