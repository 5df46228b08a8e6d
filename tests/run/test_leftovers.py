"""What tests start dies with them, however they end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.embedded.config import ROOT
from app.embedded.processes import Mark, is_alive, mark
from tests.run.conftest import wait_until

TEST = """
import asyncio
from pathlib import Path
from tests.fixtures.processes import Api, Worker

async def test_stays() -> None:
    async with Api.started() as api, Worker.started() as worker:
        Path("{pids}.new").write_text(f"{{api.pid}} {{worker.pid}}")
        Path("{pids}.new").rename("{pids}")
        await asyncio.Event().wait()
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_test(servers: None, tmp_path: Path, sent: signal.Signals) -> None:
    pids, test = tmp_path / "pids", tmp_path / "test_stays.py"
    test.write_text(TEST.format(pids=pids))
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider"]
    run = subprocess.Popen(
        [*command, "-p", "no:xdist", str(test)], cwd=ROOT, env=dict(os.environ), stdout=subprocess.DEVNULL
    )
    started: list[Mark] = []
    try:
        wait_until(lambda: pids.exists() or run.poll() is not None, what="the processes' start")
        started = [known for pid in pids.read_text().split() if (known := mark(int(pid)))]
        assert len(started) == 2
        run.send_signal(sent)
        run.wait(30)
        wait_until(lambda: not any(is_alive(known) for known in started), what="the processes' end")
    finally:
        run.kill()
        run.wait()
        for known in started:
            if is_alive(known):
                os.kill(known.pid, signal.SIGKILL)
