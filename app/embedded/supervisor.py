"""Children of one run: started, their output kept, restarted when they die, stopped in the right order.

Every child is in a session of its own, so a terminal's Ctrl-C reaches only the launcher, which then stops
them one rank after the other. A child that keeps dying ends the run with its last log lines; one that the
product can do without (`is_optional`) is given up with a line instead.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.embedded.privileges import UserArguments
from app.embedded.state import last_lines, open_log

DEATHS = 5
WITHIN_S = 60.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
DRAIN_S = 1.0
LINE_LIMIT_BYTES = 1024 * 1024


@dataclass
class Child:
    """`is_relayed` output goes to the terminal too, through us; the servers write to their logs directly, so
    that they survive a launcher that is killed. `before_start` runs before every (re)start, in a thread."""

    name: str
    command: list[str]
    log: Path
    environment: Mapping[str, str]
    cwd: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stop_s: float = 4.0
    last_signal: signal.Signals = signal.SIGKILL
    is_relayed: bool = True
    is_optional: bool = False
    is_once: bool = False
    user: UserArguments = field(default_factory=UserArguments)
    before_start: Callable[[], None] | None = None
    process: asyncio.subprocess.Process | None = None
    log_from: int = 0
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=DEATHS))

    @property
    def pid(self) -> int:
        return self.process.pid if self.process is not None else 0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None


class Supervisor:
    """Owns the children of a run. `on_start` is told each new process (the launcher writes its pid down)."""

    def __init__(self, on_start: Callable[[Child], None]) -> None:
        self.children: list[Child] = []
        self.on_start = on_start
        self.stopping = asyncio.Event()
        self.reason = ""
        self.tasks: set[asyncio.Task[None]] = set()

    async def start(self, child: Child) -> None:
        """Start a child and keep it running until `stop`."""
        self.children.append(child)
        with contextlib.suppress(OSError):
            child.log_from = child.log.stat().st_size
        await self.spawn(child)
        task = asyncio.create_task(self.watch(child))
        self.tasks.add(task)
        task.add_done_callback(self.finish)

    def finish(self, task: "asyncio.Task[None]") -> None:
        """A watcher ends quietly or with a bug; a bug ends the run rather than leaving a child unwatched."""
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.give_up(f"the launcher itself failed: {task.exception()!r}")

    async def spawn(self, child: Child) -> None:
        if child.before_start is not None:
            await asyncio.to_thread(child.before_start)
        log = open_log(child.log)
        try:
            child.process = await asyncio.create_subprocess_exec(
                *child.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if child.is_relayed else log,
                stderr=asyncio.subprocess.STDOUT,
                env=child.environment,
                cwd=child.cwd,
                start_new_session=True,
                limit=LINE_LIMIT_BYTES,
                **child.user,
            )
        finally:
            os.close(log)
        self.on_start(child)

    async def watch(self, child: Child) -> None:
        while True:
            code = await self.wait(child)
            if child.is_once and code and not self.stopping.is_set():
                say(f"{child.name} failed ({describe(code)}); see {child.log}")
            if self.stopping.is_set() or child.is_once:
                return
            child.deaths.append(time.monotonic())
            if len(child.deaths) == DEATHS and child.deaths[-1] - child.deaths[0] < WITHIN_S:
                self.give_up_on(child, code)
                return
            shown = "" if child.is_relayed else f"; its last lines:\n{tail(child)}"
            say(f"{child.name} ended ({describe(code)}) and is started again{shown}")
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (len(child.deaths) - 1))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), pause_s)
                return
            await self.spawn(child)
            if self.stopping.is_set():
                await self.stop_child(child)

    async def wait(self, child: Child) -> int:
        """Exit code of the child; a grandchild that keeps its output open is not waited for."""
        assert child.process is not None
        relaying = asyncio.create_task(relay(child)) if child.is_relayed else None
        code = await exited(child.process)
        if relaying is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(relaying, DRAIN_S)
        return code

    def give_up_on(self, child: Child, code: int) -> None:
        text = f"{child.name} died {DEATHS} times within {WITHIN_S:.0f} s ({describe(code)}); its last lines:"
        text += f"\n{tail(child)}"
        if child.is_optional:
            say(f"{text}\nSalesPad goes on without it.")
            return
        self.give_up(text)

    def give_up(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.stopping.set()

    async def stop(self, *ranks: set[str]) -> None:
        """Stop all children, rank by rank; those that no rank names come first."""
        self.stopping.set()
        named = set().union(*ranks)
        for rank in ({child.name for child in self.children} - named, *ranks):
            await asyncio.gather(*(self.stop_child(child) for child in self.children if child.name in rank))
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def stop_child(self, child: Child) -> None:
        for sent, wait_s in (
            (child.stop_signal, child.stop_s),
            (child.last_signal, 5.0),
            (signal.SIGKILL, 5.0),
        ):
            if child.process is None or not child.is_running:
                return
            with contextlib.suppress(ProcessLookupError):
                if child.is_once or sent is signal.SIGKILL:
                    os.killpg(child.pid, sent)
                else:
                    child.process.send_signal(sent)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(exited(child.process), wait_s)


async def exited(process: asyncio.subprocess.Process) -> int:
    """Like `process.wait()`, which in some Pythons also waits for the output to be closed."""
    waiting = asyncio.ensure_future(process.wait())
    try:
        while process.returncode is None:
            await asyncio.wait({waiting}, timeout=0.5)
        return process.returncode
    finally:
        waiting.cancel()


async def relay(child: Child) -> None:
    """Copy a child's lines to its log and to the terminal, until it closes its output."""
    assert child.process is not None
    assert child.process.stdout is not None
    log = open_log(child.log)
    try:
        while True:
            try:
                line = await child.process.stdout.readline()
            except ValueError:  # longer than the limit; asyncio drops it, the child goes on
                continue
            if not line:
                return
            os.write(log, line)
            say(f"{child.name:<8}| {line.decode(errors='replace').rstrip()}")
    finally:
        os.close(log)


def tail(child: Child) -> str:
    """The child's last lines of this run."""
    lines = last_lines(child.log, since=child.log_from).splitlines()
    return "\n".join(f"    {line}" for line in lines) or "    (nothing)"


def describe(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def say(text: str) -> None:
    """Print, and keep running when the terminal is gone."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
