"""Every problem the doctor knows comes with what to do about it."""

import dataclasses
import os
import secrets
import socket
from pathlib import Path

import pytest

from app.embedded import doctor
from app.embedded.config import OFF, Config
from app.embedded.doctor import machine
from app.embedded.doctor.finding import judge_clock
from app.embedded.processes import free_port
from app.embedded.state import Home


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    for name in [name for name in os.environ if name.startswith("SALESPAD_")]:
        monkeypatch.delenv(name)
    return Config(home=tmp_path / "home", port=free_port())


def problems(config: Config) -> dict[str, str]:
    return {finding.subject: finding.text for finding in doctor.findings(config) if finding.fix}


def test_a_fresh_machine_is_well(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.examine(config) == 0
    shown = capsys.readouterr().out
    assert "Nothing is wrong." in shown
    assert "PostgreSQL) 18." in shown
    assert not config.home.exists()


def test_taken_port(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", config.port))
        taken.listen()
        assert doctor.examine(config) == 1
    assert "fix: choose another with --port" in capsys.readouterr().out


def test_address_of_another_machine(config: Config) -> None:
    elsewhere = dataclasses.replace(config, host="192.0.2.1")
    assert problems(elsewhere)["port"] == "192.0.2.1 is not an address of this machine"


def test_exposed_secrets(config: Config) -> None:
    home = Home(config.home)
    home.prepare()
    home.load_secrets()
    assert "data" not in problems(config)
    (config.home / "secrets.json").chmod(0o644)
    assert "secrets.json" in problems(config)["data"]


def test_unreachable_servers(config: Config) -> None:
    port = free_port()
    elsewhere = dataclasses.replace(
        config, database_url=f"postgresql://u:p@127.0.0.1:{port}/x", redis_url=f"redis://127.0.0.1:{port}/0"
    )
    found = problems(elsewhere)
    assert found["database"].startswith("not reachable")
    assert found["redis"].startswith("not reachable")
    assert "redis" not in problems(dataclasses.replace(config, redis_url=OFF))


@pytest.mark.parametrize(
    ("name", "text"),
    [("SALESPAD_PORT", "70000"), ("SALESPAD_JWT_SECRET", "short"), ("SALESPAD_CREDENTIAL_KEYS", "short")],
)
def test_wrong_settings(config: Config, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(name, text)
    assert name in problems(config)["settings"]


def test_a_setting_that_is_misspelt(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "SALESPAD_NO_WEB_BUILD",
        "SALESPAD_NO_BOOTSTRAP",
        "SALESPAD_LAUNCHER_PID",
        "SALESPAD_HTTP_PORT",
    ):
        monkeypatch.setenv(name, "1")
    assert "settings" not in problems(config)
    monkeypatch.setenv("SALESPAD_WEBHOOK_NETWORK", "127.0.0.0/8")
    assert problems(config)["settings"].startswith("SALESPAD_WEBHOOK_NETWORK is no setting")


def test_platform_without_binaries(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_binaries", lambda: None)
    monkeypatch.setattr(machine.redis, "find_server", lambda: None)
    assert problems(config) == {"postgres": "no embedded PostgreSQL for this platform"}


def test_root_without_any_way(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine, "can_unshare", lambda: False)
    monkeypatch.setattr(os, "access", lambda path, _mode: str(path) != "/var/lib")
    assert problems(config) == {"user": "root, and PostgreSQL refuses root"}


def test_a_check_that_breaks_is_a_finding(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down() -> None:
        raise ValueError("unforeseen")

    monkeypatch.setattr(machine, "find_binaries", break_down)
    assert "unforeseen" in problems(config)["binaries"]


def test_production_without_mail_or_address(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JWT_SECRET", "CREDENTIAL_KEYS", "PREVIOUS_JWT_SECRETS", "ERASURE_KEY"):
        monkeypatch.setenv(f"SALESPAD_{name}", secrets.token_urlsafe(48))
    assert {"settings", "mail out"}.isdisjoint(problems(config))
    monkeypatch.setenv("SALESPAD_ENV", "production")
    found = problems(config)
    assert "lead to http://127.0.0.1" in found["settings"]
    assert "invitations" in found["mail out"]
    monkeypatch.setenv("SALESPAD_SYSTEM_SMTP_URL", "smtp://mail.example.com")
    monkeypatch.setenv("SALESPAD_PUBLIC_URL", "https://sales.example.com")
    assert {"settings", "mail out"}.isdisjoint(problems(config))
    monkeypatch.setenv("SALESPAD_PREVIOUS_JWT_SECRETS", "changeme" * 4)
    assert "SALESPAD_PREVIOUS_JWT_SECRETS" in problems(config)["settings"]


def test_files_folder(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALESPAD_FILES_DIR", str(tmp_path / "files"))
    assert "files" not in problems(config)
    monkeypatch.setattr(machine, "ENOUGH_BYTES", 2**62)
    assert {"files", "disk"} <= set(problems(config))


def test_clocks() -> None:
    assert list(judge_clock("Redis's", 2.4, doubt_s=0.5)) == []
    (found,) = judge_clock("the database's", -90, doubt_s=0)
    assert found.fix
    assert "90.0 s behind" in found.text
