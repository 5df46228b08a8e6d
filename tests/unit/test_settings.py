"""A wrong variable is one line that names it, never its value."""

import os
import subprocess
import sys

import pytest

from app.common.starting import refuse_missing_database, refuse_unreachable
from app.settings import read_settings
from tests.fixtures.documents import ROOT


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SALESPAD_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SALESPAD_ENV", "prod"),
        ("SALESPAD_POOL_SIZE", "0"),
        ("SALESPAD_GRAPHIQL", "maybe"),
        ("SALESPAD_REDIS_URL", "foo"),
        ("SALESPAD_DATABASE_URL", "mysql://user:hidden@host/db"),
        ("SALESPAD_SYSTEM_SMTP_URL", "smpt://user:hidden@host"),
        ("SALESPAD_SYSTEM_MAIL_FROM", "hidden"),
        ("SALESPAD_SYSTEM_MAIL_FROM", "hidden@a..b"),
        ("SALESPAD_WEBHOOK_NETWORKS", "hidden"),
    ],
)
def test_wrong_variable_is_a_line(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(SystemExit) as stopped:
        read_settings()
    line = str(stopped.value)
    assert line.startswith(f"{name}: ")
    assert line.endswith(". Correct it or unset it.")
    assert "\n" not in line
    assert "hidden" not in line


@pytest.mark.parametrize("text", ["off", "redis://h/0", "rediss://h/0", "unix:///tmp/redis.sock", ""])
def test_redis_urls(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SALESPAD_REDIS_URL", text)
    assert read_settings().redis_url == (text or None)


@pytest.mark.parametrize("text", ["postgresql://h/d", "postgres://h/d", "postgresql+asyncpg://h/d"])
def test_database_urls(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SALESPAD_DATABASE_URL", text)
    refuse_missing_database(read_settings())


def test_missing_database() -> None:
    with pytest.raises(SystemExit, match="SALESPAD_DATABASE_URL is not set"):
        refuse_missing_database(read_settings())


@pytest.mark.parametrize("command", ["api", "seed-demo"])
def test_a_command_says_that_the_database_is_away(command: str) -> None:
    away = os.environ | {"SALESPAD_DATABASE_URL": "postgresql://user@127.0.0.1:1/sales"}
    told = subprocess.run(
        [sys.executable, "-m", "app", command],
        cwd=ROOT,
        env=away,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert told.stderr.startswith("The database does not answer at 127.0.0.1:1/sales: ")
    assert told.stdout == ""


def test_unreachable_database_is_a_line_without_its_password() -> None:
    with pytest.raises(SystemExit) as stopped:
        refuse_unreachable("postgresql://user:hid/den@127.0.0.1:1/sales")
    line = str(stopped.value)
    assert line.startswith("The database does not answer at 127.0.0.1:1/sales: ")
    assert line.endswith(". Check SALESPAD_DATABASE_URL.")
    assert "den" not in line
