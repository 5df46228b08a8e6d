"""A launcher of one's own: a temporary data directory, a free port, the process under a test's control."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from app.embedded.config import ROOT
from app.embedded.processes import Mark, free_port, is_alive, mark

DEADLINE_S = 30.0


def wait_until(
    condition: Callable[[], bool], timeout_s: float = DEADLINE_S, *, what: str = "the condition"
) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout_s} s"
        time.sleep(0.02)


class Launcher:
    """Starts and stops `run` on one data directory, any number of times."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.output = folder / "output.log"
        self.port = free_port()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.seen: dict[str, set[Mark]] = {}

    def start(self, *, worker: str = "works", command: list[str] | None = None) -> "subprocess.Popen[bytes]":
        kept = {name: text for name, text in os.environ.items() if not name.startswith("SALESPAD_")}
        environment = kept | {
            "SALESPAD_HOME": str(self.home),
            "SALESPAD_PORT": str(self.port),
            "SALESPAD_NO_WEB_BUILD": "1",
            "STAND_IN_WORKER": worker,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        with self.output.open("wb") as output:
            process = subprocess.Popen(
                command or [sys.executable, str(Path(__file__).parent / "stand_in_launcher.py")],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=ROOT,
            )
        self.processes.append(process)
        return process

    def start_ready(
        self, *, worker: str = "works", command: list[str] | None = None
    ) -> "subprocess.Popen[bytes]":
        process = self.start(worker=worker, command=command)
        wait_until(
            lambda: "is running" in self.text or process.poll() is not None, what=f"a start: {self.text}"
        )
        assert process.poll() is None, self.text
        self.pids()
        return process

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def state(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.home / "run.json").read_text())
        return content

    def pids(self) -> dict[str, Mark]:
        known = {name: Mark(**entry) for name, entry in self.state()["pids"].items()}
        for name, entry in known.items():
            self.seen.setdefault(name, set()).add(entry)
        return known

    def alive(self) -> list[str]:
        return [name for name, marks in self.seen.items() if any(is_alive(entry) for entry in marks)]

    def clean_up(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(15)
            process.kill()
            process.wait()
        with suppress(OSError, ValueError, KeyError):
            self.pids()
        for entry in set().union(*self.seen.values()):
            if is_alive(entry):
                os.kill(entry.pid, signal.SIGKILL)


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    one = Launcher(tmp_path)
    yield one
    one.clean_up()


@pytest.fixture
def stranger() -> Iterator[Mark]:
    """A process that is not ours, to stand for the one that got a recycled pid."""
    process = subprocess.Popen(["sleep", "120"])
    known = mark(process.pid)
    assert known is not None
    yield known
    process.kill()
    process.wait()
