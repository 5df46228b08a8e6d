"""CPU of other processes, and the memory they hold."""

import os
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Seconds of a process, its descendants, and those that they have waited for."""
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = (folder / "stat").read_text().rpartition(")")[2].split()
        except (
            FileNotFoundError,
            ProcessLookupError,
        ):  # ended meanwhile: its parent has the figure next time
            continue
        parents[int(folder.name)] = int(told[1])
        seconds[int(folder.name)] = sum(int(one) for one in told[11:15]) * TICK_S
    return sum(found for one, found in seconds.items() if _is_below(one, pid, parents))


def _is_below(pid: int, top: int, parents: dict[int, int]) -> bool:
    while pid and pid != top:
        pid = parents.get(pid, 0)
    return pid == top
