"""The launcher with real servers: starts, stops, kills, restarts, refusals."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from urllib.request import urlopen

import pytest

from app.embedded.config import ROOT, Config
from app.embedded.postgres import Cluster
from app.embedded.privileges import choose_way
from app.embedded.processes import Mark, is_alive, start_time
from app.embedded.state import Home
from app.settings import Settings
from tests.run.conftest import Launcher, wait_until

FULL = pytest.mark.full
DYING_S = 20.0
STOP_S = 20.0  # five seconds for the product and Redis, PostgreSQL's checkpoint, and a busy machine


def cluster_of(launcher: Launcher) -> Cluster:
    home = Home(launcher.home)
    return Cluster(
        home.postgres, home.log("postgres"), launcher.state()["postgres_port"], home.load_secrets()
    )


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_launcher_reads_the_same_names_and_defaults_as_the_settings() -> None:
    fields = Settings.model_fields
    for name, default in asdict(Config()).items():
        assert fields[name].default == default, name


def test_starts_and_stops_everything(launcher: Launcher) -> None:
    process = launcher.start_ready()
    assert set(launcher.pids()) == {"postgres", "redis", "api", "worker"}
    assert launcher.alive()
    assert mode(launcher.home) == 0o700
    assert mode(launcher.home / "run.json") == mode(launcher.home / "secrets.json") == 0o600
    assert not any(secret in launcher.text for secret in asdict(Home(launcher.home).load_secrets()).values())

    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_S) == 0
    assert launcher.alive() == []
    assert launcher.state()["pids"] == {}


def test_a_locale_that_is_not_installed_keeps_nothing_away(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "xx_YY.UTF-8")
    launcher.start_ready()
    wait_until(lambda: is_listening(launcher.state()["redis_port"]), what="Redis")


def is_listening(port: int) -> bool:
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", port)) == 0


def test_port_0_takes_a_free_one(launcher: Launcher) -> None:
    launcher.port = 0
    launcher.start_ready()
    url = launcher.state()["url"]
    assert f"App        {url}\n" in launcher.text
    with urlopen(f"{url}/health/ready") as answer:
        assert answer.status == 200


def test_second_run_says_where_the_first_one_is(launcher: Launcher) -> None:
    first = launcher.start_ready()
    second = launcher.start()
    assert second.wait(10) == 1
    assert f"already runs on {launcher.home}: http://127.0.0.1:{launcher.port}" in launcher.text
    assert first.poll() is None
    assert set(launcher.alive()) == {"postgres", "redis", "api", "worker"}


def test_killed_launcher_loses_nothing(launcher: Launcher) -> None:
    process = launcher.start_ready()
    ports = launcher.state()["postgres_port"], launcher.state()["redis_port"]
    assert (
        cluster_of(launcher).psql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (42);").returncode == 0
    )
    process.kill()
    process.wait()
    wait_until(lambda: "api" not in launcher.alive(), 5, what="the end of the tethered API")
    assert {"postgres", "redis"} <= set(launcher.alive())
    before = launcher.pids()

    again = launcher.start_ready()
    assert "left by a run that was killed" in launcher.text
    assert not any(is_alive(known) for known in before.values())
    assert (launcher.state()["postgres_port"], launcher.state()["redis_port"]) == ports
    assert cluster_of(launcher).psql("SELECT n FROM kept;").stdout.strip() == "42"
    again.send_signal(signal.SIGINT)
    assert again.wait(STOP_S) == 0
    assert launcher.alive() == []


@pytest.mark.parametrize("delay_s", [0.15, 0.3, 0.5, 0.7, 0.9, 1.2])
@pytest.mark.full
def test_first_start_killed_anywhere_is_completed(launcher: Launcher, delay_s: float) -> None:
    process = launcher.start()
    time.sleep(delay_s)  # not a wait: the moment of the kill is what is tried
    process.kill()
    process.wait()
    launcher.start_ready()
    assert cluster_of(launcher).psql("SELECT 1;").stdout.strip() == "1"


@pytest.mark.parametrize(
    "name", ["worker", "postgres", *(pytest.param(name, marks=FULL) for name in ("api", "redis"))]
)
def test_dead_child_is_started_again(launcher: Launcher, name: str) -> None:
    process = launcher.start_ready()
    first = launcher.pids()[name]
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: launcher.pids().get(name, first) != first, what=f"a new {name}")
    assert f"{name} ended (killed by SIGKILL)" in launcher.text
    if name == "postgres":
        wait_until(
            lambda: cluster_of(launcher).psql("SELECT 1;").returncode == 0, what="PostgreSQL answering"
        )
    assert process.poll() is None


def test_child_that_keeps_dying_ends_the_run(launcher: Launcher) -> None:
    process = launcher.start(worker="fails")
    assert process.wait(DYING_S) == 1
    assert "SalesPad stopped: worker died 5 times within 60 s (exit code 3)" in launcher.text
    assert "    no such table" in launcher.text
    assert launcher.alive() == []
    assert launcher.state()["pids"] == {}


@pytest.mark.parametrize("worker", ["ignores", pytest.param("leaks", marks=FULL)])
def test_stubborn_child_is_killed(launcher: Launcher, worker: str) -> None:
    process = launcher.start_ready(worker=worker)
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_S) == 0
    assert launcher.alive() == []


def test_strangers_are_left_alone(launcher: Launcher, stranger: Mark) -> None:
    launcher.start_ready().send_signal(signal.SIGTERM)
    launcher.processes[-1].wait(STOP_S)
    state = launcher.state()
    state["pids"] = {"worker": {"pid": stranger.pid, "started": "another time"}}
    (launcher.home / "run.json").write_text(json.dumps(state))
    (launcher.home / "redis" / "redis.pid").write_text(str(stranger.pid))
    data = choose_way(launcher.home / "postgres").data
    (data / "postmaster.pid").write_text(f"{stranger.pid}\n{data}\n1\n1\n\n127.0.0.1\n\nready\n")

    launcher.start_ready()
    assert is_alive(stranger)


def test_taken_ports_are_replaced_and_secrets_stay(launcher: Launcher) -> None:
    launcher.start_ready().send_signal(signal.SIGTERM)
    launcher.processes[-1].wait(STOP_S)
    state, secrets = launcher.state(), (launcher.home / "secrets.json").read_text()
    with socket.socket() as taken, socket.socket() as other:
        for holder, port in ((taken, state["postgres_port"]), (other, state["redis_port"])):
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", port))
            holder.listen()
        launcher.start_ready()
        assert launcher.state()["postgres_port"] != state["postgres_port"]
        assert launcher.state()["redis_port"] != state["redis_port"]
    assert (launcher.home / "secrets.json").read_text() == secrets


def test_taken_api_port_is_a_sentence(launcher: Launcher) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", launcher.port))
        taken.listen()
        assert launcher.start().wait(10) == 1
    assert f"Port {launcher.port} on 127.0.0.1 is taken: choose another with --port." in launcher.text


def test_production_invents_no_secret(launcher: Launcher) -> None:
    assert launcher.start(command=[sys.executable, "-c", PRODUCTION]).wait(10) == 1
    assert "SALESPAD_JWT_SECRET is not set" in launcher.text
    with_secret = PRODUCTION.replace(
        "import os, sys", "import os, sys\nos.environ['SALESPAD_JWT_SECRET'] = 'x'"
    )
    assert launcher.start(command=[sys.executable, "-c", with_secret]).wait(10) == 1
    assert "SALESPAD_CREDENTIAL_KEYS is not set" in launcher.text
    with_both = with_secret.replace("\nos.", "\nos.environ['SALESPAD_CREDENTIAL_KEYS'] = 'x'\nos.", 1)
    assert launcher.start(command=[sys.executable, "-c", with_both]).wait(10) == 1
    assert "SALESPAD_ERASURE_KEY is not set" in launcher.text
    assert not (launcher.home / "postgres").exists()


PRODUCTION = """
import os, sys
os.environ["SALESPAD_ENV"] = "production"
from app.embedded.config import read_config
from app.embedded.launch import run
sys.exit(run(read_config()))
"""


def test_start_time_tells_processes_apart() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert start_time(child.pid) not in ("", start_time(os.getpid()))
    finally:
        child.kill()
        child.wait()
    assert start_time(child.pid) == ""


@pytest.mark.full
def test_the_real_command(launcher: Launcher) -> None:
    process = launcher.start_ready(command=[sys.executable, "-m", "app", "run"])
    pids = launcher.pids()
    assert {"postgres", "redis", "api"} <= set(pids)
    answer = subprocess.run(
        [sys.executable, "-m", "app", "psql", "-Atc", "SELECT count(*) > 0 FROM alembic_version"],
        cwd=ROOT,
        env=os.environ | {"SALESPAD_HOME": str(launcher.home), "SALESPAD_DATABASE_URL": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "t"
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_S) == 0
    assert launcher.alive() == []
