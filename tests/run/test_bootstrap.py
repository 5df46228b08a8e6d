"""Setting up `.venv`: stamps, two starts at once, a killed install, and the lock files themselves."""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.embedded.config import ROOT
from tests.run.conftest import wait_until

MAIN = ROOT / "app" / "__main__.py"
LOCKS = sorted((ROOT / "app").glob("requirements*.lock"))

CLI = """
import sys
def main() -> None:
    print("handed over", sys.argv[1:], sys.prefix)
"""

# The checkout's own __main__, with an install that takes a while and downloads nothing.
DRIVER = """
import os, subprocess, sys, time
from pathlib import Path
import app.__main__ as bootstrap
def make_venv():
    with open(bootstrap.ROOT / "made", "a") as made: made.write("x")
    make = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(bootstrap.VENV)]
    subprocess.run(make, check=True)
def install(which):
    with open(bootstrap.ROOT / "installed", "a") as installed: installed.write(which + " ")
    time.sleep(float(os.environ.get("INSTALL_S", "0")))
    if os.environ.get("INSTALL_FAILS"): sys.exit("no network")
bootstrap.make_venv, bootstrap.install = make_venv, install
bootstrap.main()
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "app").mkdir(parents=True)
    shutil.copy(MAIN, root / "app")
    (root / "pyproject.toml").touch()
    (root / "app" / "__init__.py").touch()
    (root / "app" / "cli.py").write_text(CLI)
    (root / "app" / "requirements.lock").write_text("# run 1")
    (root / "app" / "requirements-test.lock").write_text("# test 1")
    return root


def start(checkout: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    kept = {
        name: text for name, text in os.environ.items() if name not in ("PYTHONPATH", "SALESPAD_NO_BOOTSTRAP")
    }
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, *arguments],
        cwd=checkout,
        env=kept | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(checkout: Path, *arguments: str, **environment: str) -> str:
    process = start(checkout, *arguments, **environment)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output


def installs(checkout: Path) -> list[str]:
    return (checkout / "installed").read_text().split()


def test_second_start_installs_nothing(checkout: Path) -> None:
    assert f"handed over ['run', '--port', '1'] {checkout / '.venv'}" in run(checkout, "run", "--port", "1")
    run(checkout, "run")
    assert installs(checkout) == ["run"]


def test_changed_lock_is_installed_again(checkout: Path) -> None:
    run(checkout, "run")
    (checkout / "app" / "requirements.lock").write_text("# run 2")
    run(checkout, "run")
    run(checkout, "run")
    assert installs(checkout) == ["run", "run"]
    assert (checkout / "made").read_text() == "x"


def test_test_lock_serves_run_too(checkout: Path) -> None:
    run(checkout, "test")
    run(checkout, "run")
    run(checkout, "test")
    assert installs(checkout) == ["test"]


def test_run_lock_does_not_serve_tests(checkout: Path) -> None:
    run(checkout, "run")
    run(checkout, "test")
    run(checkout, "run")
    assert installs(checkout) == ["run", "test"]


def test_two_starts_at_once_install_once(checkout: Path) -> None:
    both = [start(checkout, "run", INSTALL_S="1") for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert installs(checkout) == ["run"]


def test_killed_install_is_done_anew(checkout: Path) -> None:
    process = start(checkout, "run", INSTALL_S="60")
    wait_until((checkout / "installed").exists)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    run(checkout, "run")
    assert installs(checkout) == ["run", "run"]
    assert (checkout / "made").read_text() == "xx"


def test_failed_install_says_why_and_is_done_anew(checkout: Path) -> None:
    process = start(checkout, "run", INSTALL_FAILS="1")
    assert "no network" in process.communicate(timeout=60)[1]
    assert process.returncode == 1
    run(checkout, "run")
    assert installs(checkout) == ["run", "run"]


def test_environment_of_another_python_is_made_anew(checkout: Path) -> None:
    run(checkout, "run")
    for folder in (checkout / ".venv" / "lib").iterdir():
        folder.rename(folder.with_name("python3.9"))
    (checkout / ".venv" / ".salespad-run").unlink()
    run(checkout, "run")
    assert (checkout / "made").read_text() == "xx"


def test_starts_from_another_folder_and_without_home(checkout: Path, tmp_path: Path) -> None:
    run(checkout, "run")
    environment = {"PATH": os.environ["PATH"]}
    command = [sys.executable, str(checkout / "app"), "doctor"]
    shown = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert f"handed over ['doctor'] {checkout / '.venv'}" in shown.stdout


@pytest.mark.parametrize("reason", ["wheel", "asked"])
def test_runs_directly_without_a_checkout(checkout: Path, reason: str) -> None:
    if reason == "wheel":
        (checkout / "pyproject.toml").unlink()
    output = run(checkout, "run", **({"SALESPAD_NO_BOOTSTRAP": "1"} if reason == "asked" else {}))
    assert f"handed over ['run'] {sys.prefix}" in output
    assert not (checkout / ".venv").exists()


def test_any_python_3_can_read_it() -> None:
    ast.parse(MAIN.read_text(), feature_version=(3, 6))


def test_version_is_checked_before_anything_new_is_imported() -> None:
    body = ast.parse(MAIN.read_text()).body
    kinds = [type(node).__name__ for node in body[:3]]
    assert kinds == ["Expr", "Import", "If"]
    assert ast.unparse(body[1]) == "import sys"


def test_only_the_standard_library_is_imported() -> None:
    names = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for node in ast.walk(ast.parse(MAIN.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert names - set(sys.stdlib_module_names) == {"app"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_locks_name_no_host_and_hash_everything(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "--index" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries if not entry.startswith("#"))


def test_test_lock_holds_the_run_lock() -> None:
    pins = [
        set(re.findall(r"^[^\s#][^\\]*", (ROOT / "app" / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-test.lock")
    ]
    assert pins[0] - pins[1] == set()
