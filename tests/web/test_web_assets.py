"""Building the browser assets: what is stale, builds that meet, die or fail. Node and npm are stand-ins."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.embedded import web_assets

ROOT = Path(__file__).resolve().parents[2]
NODE = """#!/bin/sh
if [ "$1" = --version ]; then echo "${NODE_IS:-v24.1.0}"; exit; fi
echo built >> "$PWD/../builds"
[ -z "$BUILD_FAILS" ] || { echo "vite: no such file"; exit 3; }
sleep "${BUILD_TAKES_S:-0}"
mkdir -p "$4" && cat src/main.ts > "$4/graphiql.html"
"""
NPM = """#!/bin/sh
echo "$@" >> "$PWD/../installs"
mkdir -p node_modules/vite/bin
"""
BUILD = """
import sys
from pathlib import Path
from app.embedded import web_assets
web_assets.WEB = Path(sys.argv[1])
web_assets.DIST, web_assets.FAILURE = web_assets.WEB / "dist", web_assets.WEB / "dist.failed"
web_assets.build()
"""


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small `web/` and, first on PATH, a Node and an npm that note what they were asked."""
    web, programs = tmp_path / "web", tmp_path / "bin"
    (web / "src").mkdir(parents=True)
    (web / "src" / "main.ts").write_text("one")
    (web / "package-lock.json").write_text("{}")
    (web / ".npmrc").write_text("fund=false\n")
    programs.mkdir()
    for name, text in {"node": NODE, "npm": NPM}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(web_assets, "WEB", web)
    monkeypatch.setattr(web_assets, "DIST", web / "dist")
    monkeypatch.setattr(web_assets, "FAILURE", web / "dist.failed")
    return web


def start_build(web: Path, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", BUILD, str(web)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, start_new_session=True)


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)


def test_a_build_is_fresh_until_a_source_changes(web: Path) -> None:
    assert web_assets.is_stale()
    web_assets.build()
    assert not web_assets.is_stale()
    web_assets.build()
    assert lines(web.parent / "builds") == 1

    (web / "src" / "main.ts").write_text("two")
    assert web_assets.is_stale()
    web_assets.build()
    assert (web / "dist" / "graphiql" / "graphiql.html").read_text() == "two"
    assert lines(web.parent / "installs") == 1, "the packages had not changed"
    assert not (web / ".build").exists()


def test_packages_are_installed_without_their_scripts(web: Path) -> None:
    web_assets.build()
    assert (web.parent / "installs").read_text().startswith("ci --ignore-scripts ")


def test_a_failure_is_told_kept_and_forgotten_with_the_next_success(
    web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web_assets.build()
    (web / "src" / "main.ts").write_text("two")
    monkeypatch.setenv("BUILD_FAILS", "1")
    with pytest.raises(
        web_assets.BuildFailed, match="`vite build` failed with status 3:\nvite: no such file"
    ):
        web_assets.build()
    assert "no such file" in (web_assets.failure() or "")
    assert (web / "dist" / "graphiql" / "graphiql.html").read_text() == "one", "the old assets stay"

    monkeypatch.delenv("BUILD_FAILS")
    web_assets.build()
    assert web_assets.failure() is None


def test_two_builds_at_once_build_once(web: Path) -> None:
    builds = [start_build(web, BUILD_TAKES_S="0.5") for _ in range(2)]
    assert [build.wait(30) for build in builds] == [0, 0]
    assert lines(web.parent / "builds") == 1


def test_a_killed_build_leaves_the_old_assets_and_the_next_one_goes_through(web: Path) -> None:
    web_assets.build()
    (web / "src" / "main.ts").write_text("two")
    (web.parent / "builds").unlink()
    killed = start_build(web, BUILD_TAKES_S="60")
    wait_for(web.parent / "builds")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(10)
    assert (web / "dist" / "graphiql" / "graphiql.html").read_text() == "one"

    web_assets.build()
    assert (web / "dist" / "graphiql" / "graphiql.html").read_text() == "two"


def test_the_next_build_waits_for_what_a_killed_one_left_running(web: Path) -> None:
    killed = start_build(web, BUILD_TAKES_S="1.5")
    wait_for(web.parent / "builds")
    killed.kill()
    killed.wait(10)
    started = time.monotonic()
    web_assets.build()
    assert time.monotonic() - started > 0.7
    assert (web / "dist" / "graphiql" / "graphiql.html").read_text() == "one"


def test_an_old_node_is_not_used(web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def packaged(tools: Path, _: int) -> web_assets.Node:
        asked.append(tools)
        raise web_assets.BuildFailed("no package index here")

    monkeypatch.setattr(web_assets, "_packaged_node", packaged)
    monkeypatch.setenv("NODE_IS", "v22.11.0")
    with pytest.raises(web_assets.BuildFailed, match="no package index here"):
        web_assets.build()
    assert len(asked) == 1


def test_a_release_without_sources_is_what_it_is(web: Path) -> None:
    web_assets.build()
    (web / "package-lock.json").unlink()
    assert not web_assets.is_stale()
    with pytest.raises(web_assets.BuildFailed, match="no sources"):
        web_assets.build()
