"""What is logged of an error: its type and its places, whoever logs it."""

import io
import json
import subprocess
import sys

import pytest
from prometheus_client import Counter, Gauge, Histogram

from app.common import telemetry
from tests.fixtures.processes import ROOT

MARKER = "ana-7f3a@example.com"
PROGRAM = f"""
import asyncio, logging
from app.common import telemetry
from app.settings import Settings

telemetry.configure_logging(Settings(log_format="json"))

class Refused(Exception): pass

def break_down(*_):
    raise Refused("{MARKER}")

async def main():
    task = asyncio.create_task(asyncio.sleep(0))
    asyncio.get_running_loop().call_soon(break_down, "{MARKER}")
    await task
    forgotten = asyncio.get_running_loop().create_future()
    forgotten.set_exception(Refused("{MARKER}"))
    del forgotten
    import traceback
    try:
        break_down()
    except Refused as error:
        logging.getLogger("uvicorn.error").error(traceback.format_exc())
        logging.getLogger("uvicorn.error").error("it broke for %s", "{MARKER}", exc_info=True)
        telemetry.log.error("caught", exc_info=error, email="{MARKER}")

asyncio.run(main())
break_down()
"""


def test_errors_are_logged_without_what_they_quote() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert MARKER not in ran.stdout + ran.stderr
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [line["event"].partition("\n")[0] for line in lines] == [
        "Exception in callback",
        "Future exception was never retrieved",
        "Traceback",
        "it broke for %s",
        "caught",
        "ended by an error",
    ]
    for line in lines:
        assert "Refused" in line.get("exception", "Refused")
    assert "break_down" in lines[2]["event"]
    assert all("break_down" in lines[number]["exception"] for number in (0, 3, 4, 5))


LABELS = {"type", "outcome", "kind", "consumer", "reason", "code"}
"""Each has a few values that the code names. None is an id, a name, an address or a path."""


@pytest.mark.parametrize(
    "metric",
    [metric for metric in vars(telemetry).values() if isinstance(metric, Counter | Gauge | Histogram)],
    ids=lambda metric: str(metric.describe()[0].name),
)
def test_labels_of_metrics_are_of_a_short_list(metric: Counter | Gauge | Histogram) -> None:
    assert set(metric._labelnames) <= LABELS


def test_a_log_that_cannot_be_written_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = io.StringIO()
    gone.close()
    monkeypatch.setattr(sys, "stderr", gone)
    lines = telemetry.Lines()
    lines.error("lost")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    lines.error("due row failed")
    assert sys.stderr.getvalue() == "due row failed\n"  # type: ignore[attr-defined]
