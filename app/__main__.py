"""`python3 -m app …`: makes `.venv` from the lock where it is missing or stale, then hands over to `app.cli`.

Standard library only, and in a grammar that any Python 3.6+ reads, so that an old interpreter gets a sentence
instead of a SyntaxError. What it promises: two starts at once do not collide (flock); an install that was
killed is redone by the next start (a marker stands while one is under way); the second start costs two small
file reads (a stamp of lock and Python version). An installed wheel, or SALESPAD_NO_BOOTSTRAP=1 (a container
that brings its own environment), skips all of it.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts it may have any Python
    sys.exit(f"SalesPad needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try: python3.11 -m app")

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
    """What the stamp must say: the lock's bytes, the environment's Python, and which lock it is."""
    digest = hashlib.sha256(LOCKS[which].read_bytes())
    digest.update(("\0" + venv_version() + "\0" + which).encode())
    return digest.hexdigest()


def venv_version() -> str:
    """`major.minor` of the environment's Python, "" without one; from a file, as starting it costs 20 ms."""
    if is_inside():
        return f"{sys.version_info[0]}.{sys.version_info[1]}"
    try:
        lines = (VENV / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        name, _, text = line.partition("=")
        if name.strip() in ("version", "version_info"):
            return ".".join(text.strip().split(".")[:2])
    return ""


def is_ready(which: str) -> bool:
    """Whether the environment holds what `which` needs; the test lock is a superset of the run lock."""
    if UNDER_WAY.exists() or not PYTHON.exists():
        return False
    try:
        return stamp_file(which).read_text() == stamp_of(which)
    except OSError:
        return False


def prepare(which: str) -> None:
    """Make `.venv` hold the lock `which`. A failed or killed install leaves its marker: then begin anew."""
    started = time.monotonic()
    with exclusive():
        if is_ready(which):
            return
        say("setting up .venv (needed once, and when the lock changes)")
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
    say(f"set up in {time.monotonic() - started:.1f} s")


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
    """Whether `.venv` has a Python that starts, is new enough and is the one its packages are for."""
    if not PYTHON.exists():
        return False
    probe = "import sys; sys.version_info >= (3, 11) or sys.exit(1); print(*sys.version_info[:2], sep='.')"
    command = [str(PYTHON), "-c", probe]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    version = answer.stdout.decode().strip()
    return answer.returncode == 0 and (VENV / "lib" / ("python" + version) / "site-packages").is_dir()


def make_venv() -> None:
    """Create `.venv` anew: `venv`, else uv, else virtualenv, else the line that installs what is missing."""
    shutil.rmtree(str(VENV), ignore_errors=True)
    base = getattr(
        sys, "_base_executable", sys.executable
    )  # sys.executable may lie in the .venv just removed
    ways = []
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        ways.append([base, "-m", "venv", str(VENV)])
    for tool, arguments in (("uv", ["venv"]), ("virtualenv", [])):
        found = shutil.which(tool)
        if found:
            ways.append([found, *arguments, "--quiet", "--python", base, str(VENV)])
    if importlib.util.find_spec("virtualenv"):
        ways.append([base, "-m", "virtualenv", "--quiet", str(VENV)])
    for way in ways:
        if run_quietly(way) and is_usable():
            return
        shutil.rmtree(str(VENV), ignore_errors=True)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    sys.exit(
        f"SalesPad could not make .venv in {ROOT}: this Python has no working venv module, and neither uv "
        f"nor virtualenv is here.\nOn Debian or Ubuntu:  sudo apt install python{version}-venv"
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
        "SalesPad could not install its packages (the reason is above). Check the network or the package "
        "index in pip's configuration, then run the same command again."
    )


def find_uv() -> str:
    """The pinned uv inside `.venv`, put there with its hash checked; else one on PATH; else ""."""
    inside = VENV / "bin" / "uv"
    pip_install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    if inside.exists() or run_quietly([*pip_install, "-r", str(BOOTSTRAP_LOCK)], is_probe=True):
        return str(inside)
    return shutil.which("uv") or ""


def run_quietly(command: list[str], is_probe: bool = False) -> bool:
    """Run; show what it wrote only when it failed and that is news (`is_probe`: failing is an answer)."""
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
    """The installers' environment: no cache where HOME cannot hold one, nothing that redirects an install."""
    redirecting = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER")
    environment = {name: text for name, text in os.environ.items() if name not in redirecting}
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
