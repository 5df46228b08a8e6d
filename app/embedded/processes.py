"""Processes by pid *and* start time, and ports.

A pid alone is recycled; together with the time the kernel started it, it names one process for good. Whatever
a later start stops, it stops through `Mark`, so a stranger who got an old pid is never signalled.
"""

import contextlib
import errno
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.01


class EmbeddedError(Exception):
    """Something about this machine or its data stops us; the text says what, and what to do."""


@dataclass(frozen=True)
class Mark:
    pid: int
    started: str


def mark(pid: int) -> Mark | None:
    """The process's identity; None when there is no such process (a zombie counts as none)."""
    started = start_time(pid)
    return Mark(pid, started) if started else None


def start_time(pid: int) -> str:
    if not sys.platform.startswith("linux"):
        return ask_ps("lstart=", pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and parentheses
    return "" if fields[0] in "ZX" else f"{boot_id()}:{fields[19]}"


def boot_id() -> str:
    """Ticks since boot repeat after a reboot; this does not."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def is_alive(known: Mark) -> bool:
    return start_time(known.pid) == known.started


def command_line(pid: int) -> str:
    if not sys.platform.startswith("linux"):
        return ask_ps("command=", pid)
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def ask_ps(column: str, pid: int) -> str:
    """Where there is no /proc (macOS)."""
    command = ["/bin/ps", "-o", column, "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def stop(
    known: Mark, first: signal.Signals, *, grace_s: float, last: signal.Signals = signal.SIGKILL
) -> None:
    """Signal one known process and wait; `last` follows after the grace. Does nothing to a stranger."""
    for sent, wait_s in ((first, grace_s), (last, 5.0)):
        if not is_alive(known):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(known.pid, sent)
        if wait_for(lambda: not is_alive(known), wait_s):
            return
    raise EmbeddedError(
        f"process {known.pid} ({command_line(known.pid)[:80]}) does not stop; end it by hand."
    )


def wait_for(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    return not why_not_free(port, host)


def why_not_free(port: int, host: str) -> str:
    """Why nobody can listen there now, and what to do; "" where one can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return explain_refusal(error, port, host)
    return ""


def explain_refusal(error: OSError, port: int, host: str) -> str:
    """What `bind` said, as a sentence for people."""
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{host} is not an address of this machine: choose another with --host."
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken: choose another with --port."
    return f"Cannot listen on {host}:{port} ({error.strerror}): choose another with --port or --host."


def free_port() -> int:
    """One where nobody listens, below those that systems give to outgoing connections: none of these takes it."""
    while not is_free(port := 20_000 + secrets.randbelow(12_000)):
        pass
    return port


def keep_or_choose(stored: int | None) -> int:
    """The port of the last run while it is free, else another."""
    return stored if stored and is_free(stored) else free_port()
