"""Ties a child to the launcher: `python -m app.embedded.tether MODULE [ARGUMENT…]` runs the module in this
process.

A launcher that is killed cannot stop its API and worker, so on Linux the kernel does it for it. Elsewhere the
next start finds them by their marks in run.json.
"""

import contextlib
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1
LAUNCHER_PID = "SALESPAD_LAUNCHER_PID"


def tether() -> None:
    """Die with the launcher named in the environment; nothing without one. The name is not passed on to
    children.
    """
    launcher = os.environ.pop(LAUNCHER_PID, "")
    if not launcher or not sys.platform.startswith("linux"):
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(launcher):
        sys.exit("the launcher is gone")


def main() -> None:
    tether()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
