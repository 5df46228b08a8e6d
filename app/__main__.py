"""`python3 -m app …`: makes `.venv` from the lock file where it is missing or stale, then hands over to `app.cli`.

Standard library only, and in a grammar that any Python 3.6+ reads, so that an old interpreter gets a sentence instead of
a SyntaxError. What it promises: two starts at once do not collide (flock), an install that was killed is redone by the
next start (a marker stands while one is under way), and the second start costs two small file reads (a stamp of lock and
Python version). An installed wheel, or SALESPAD_NO_BOOTSTRAP=1 (a container that brings its own environment), skips all
of it.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "SalesPad needs Python 3.11 or newer; this is %d.%d. Try: python3.11 -m app …" % sys.version_info[:2]
    )

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = {"run": ROOT / "app" / "requirements.lock", "test": ROOT / "app" / "requirements-test.lock"}
BOOTSTRAP_LOCK = ROOT / "app" / "requirements-bootstrap.lock"
UNDER_WAY = VENV / ".salespad-installing"


def main() -> None:
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    which = "test" if sys.argv[1:2] == ["test"] else "run"
    if is_checkout() and not os.environ.get("SALESPAD_NO_BOOTSTRAP"):
        was_ready = is_ready(which)
        if not was_ready:
            prepare(which)
        if not (was_ready and is_inside()):
            hand_over()
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT / "app"]
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from app.cli import main as run_cli

    run_cli()


def is_checkout() -> bool:
    return (ROOT / "pyproject.toml").is_file() and all(lock.is_file() for lock in LOCKS.values())


def is_inside() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


def hand_over() -> None:
    """Replace this process by the same command under `.venv/bin/python`."""
    environment = dict(os.environ)
    if Path.cwd() != ROOT:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(str(PYTHON), [str(PYTHON), "-m", "app", *sys.argv[1:]], environment)


def stamp_file(which: str) -> Path:
    return VENV / (".salespad-" + which)


def stamp_of(which: str) -> str:
    """What the stamp must say: the lock's bytes, the environment's Python, and which of the two locks it is."""
    digest = hashlib.sha256(LOCKS[which].read_bytes())
    digest.update(("\0" + venv_version() + "\0" + which).encode())
    return digest.hexdigest()


def venv_version() -> str:
    """`major.minor` of the environment's Python, "" without one; read from files, since starting it costs 20 ms."""
    if is_inside():
        return "%d.%d" % sys.version_info[:2]
    try:
        lines = (VENV / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return ""
    fields = dict(tuple(map(str.strip, line.split("=", 1))) for line in lines if "=" in line)
    return ".".join(fields.get("version", fields.get("version_info", "")).split(".")[:2])


def is_ready(which: str) -> bool:
    """Whether the environment holds what `which` needs; the test lock is a superset of the run lock."""
    if UNDER_WAY.exists() or not PYTHON.exists():
        return False
    try:
        return stamp_file(which).read_text() == stamp_of(which)
    except OSError:
        return False


def prepare(which: str) -> None:
    started = time.monotonic()
    with exclusive():
        if is_ready(which):
            return
        say("setting up .venv (once; about 500 MB with the embedded servers)")
        if UNDER_WAY.exists() or not is_usable():
            make_venv()
        UNDER_WAY.touch()
        for name in LOCKS:
            with contextlib.suppress(FileNotFoundError):
                stamp_file(name).unlink()
        install(which)
        for name in ("run", "test") if which == "test" else ("run",):
            write_stamp(name)
        UNDER_WAY.unlink()
    say("set up in %.1f s" % (time.monotonic() - started))


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """One set-up at a time in this checkout; a second one waits and then finds the work done."""
    try:
        import fcntl
    except ImportError:
        sys.exit("SalesPad's servers need Linux or macOS; on Windows use WSL.")
    handle = os.open(str(ROOT), os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another start is setting up .venv; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_stamp(which: str) -> None:
    draft = stamp_file(which).with_suffix(".new")
    draft.write_text(stamp_of(which))
    os.replace(str(draft), str(stamp_file(which)))


def is_usable() -> bool:
    """Whether `.venv` has a Python that starts, is new enough and is the version its packages were installed for."""
    if not PYTHON.exists():
        return False
    probe = (
        "import sys; print('%d.%d' % sys.version_info[:2]) if sys.version_info >= (3, 11) else sys.exit(1)"
    )
    answer = subprocess.run(
        [str(PYTHON), "-c", probe], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    version = answer.stdout.decode().strip()
    return answer.returncode == 0 and (VENV / "lib" / ("python" + version) / "site-packages").is_dir()


def make_venv() -> None:
    """Create `.venv` anew: `venv`, else uv, else virtualenv, else the line that installs what is missing."""
    shutil.rmtree(str(VENV), ignore_errors=True)
    ways = []
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        ways.append([sys.executable, "-m", "venv", str(VENV)])
    if shutil.which("uv"):
        ways.append([str(shutil.which("uv")), "venv", "--quiet", "--python", sys.executable, str(VENV)])
    if shutil.which("virtualenv"):
        ways.append([str(shutil.which("virtualenv")), "--quiet", "--python", sys.executable, str(VENV)])
    elif importlib.util.find_spec("virtualenv"):
        ways.append([sys.executable, "-m", "virtualenv", "--quiet", str(VENV)])
    for way in ways:
        if run_quietly(way) and is_usable():
            return
        shutil.rmtree(str(VENV), ignore_errors=True)
    sys.exit(
        "SalesPad could not make .venv in %s: this Python has no working venv module, and neither uv nor virtualenv "
        "is here.\nOn Debian or Ubuntu:  sudo apt install python%d.%d-venv" % (ROOT, *sys.version_info[:2])
    )


def install(which: str) -> None:
    """Install the lock with uv (about ten times faster), else with pip; both check every hash."""
    arguments = ["--require-hashes", "--no-deps", "-r", str(LOCKS[which])]
    uv = find_uv()
    if uv:
        say("installing packages with uv")
        if run_quietly([uv, "pip", "install", "--quiet", "--python", str(PYTHON), *arguments]):
            return
    if not run_quietly([str(PYTHON), "-m", "pip", "--version"], is_probe=True):
        run_quietly([str(PYTHON), "-m", "ensurepip"], is_probe=True)
    say("installing packages with pip (slower)")
    if run_quietly([str(PYTHON), "-m", "pip", "install", "--quiet", *arguments]):
        return
    sys.exit(
        "SalesPad could not install its packages (the reason is above). Check the network or the package index in "
        "pip's configuration, then run the same command again."
    )


def find_uv() -> str:
    """The pinned uv inside `.venv`, put there with its hash checked; else one on PATH; else ""."""
    inside = VENV / "bin" / "uv"
    if inside.exists():
        return str(inside)
    pip_install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    if run_quietly([*pip_install, "-r", str(BOOTSTRAP_LOCK)], is_probe=True) and inside.exists():
        return str(inside)
    return shutil.which("uv") or ""


def run_quietly(command: list[str], is_probe: bool = False) -> bool:
    """Run, and show what it wrote only when it failed and that is news (`is_probe`: failing is an answer)."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=tool_env(),
        check=False,
    )
    if done.returncode and not is_probe:
        sys.stderr.write(done.stdout.decode(errors="replace"))
    return done.returncode == 0


def tool_env() -> dict[str, str]:
    """The installers' environment: no cache where HOME cannot hold one, and nothing that redirects an install."""
    environment = {
        name: text
        for name, text in os.environ.items()
        if name not in ("PIP_TARGET", "PIP_PREFIX", "PIP_USER")
    }
    environment.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PIP_ROOT_USER_ACTION="ignore")
    home = environment.get("HOME", "")
    if not (home and os.path.isdir(home) and os.access(home, os.W_OK)) and "UV_CACHE_DIR" not in environment:
        environment["UV_NO_CACHE"] = environment["PIP_NO_CACHE_DIR"] = "1"
    return environment


def say(text: str) -> None:
    sys.stderr.write("salespad: " + text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
