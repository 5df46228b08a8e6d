"""What the documents say of the code is so: settings, module map, tables, links, commands, decisions, the examples."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from graphql import parse, validate
from prometheus_client import Counter, Gauge, Histogram
from typer.main import get_command

from app.cli import cli
from app.common import telemetry
from app.graphql.schema import schema
from app.settings import Settings
from tests.factories.accounts import Person
from tests.factories.imports import finished, import_leads, profile
from tests.fixtures.documents import ROOT, SECTIONS, section
from tests.fixtures.processes import Api, Worker

DOCUMENTS = [ROOT / "README.md", ROOT / "THIRD_PARTY.md", *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PARTS = ("Context", "Decision", "Consequences", "Alternatives", "Enforced by")
NOT_SETTINGS = {"SALESPAD_NO_BOOTSTRAP", "SALESPAD_NO_WEB_BUILD"}
FOLLOW_S = 30


def of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text())


@pytest.mark.parametrize("name", SECTIONS)
def test_what_is_made_from_the_code_is_up_to_date(name: str) -> None:
    path, render = SECTIONS[name]
    found = section(name, (ROOT / path).read_text())[2]
    assert found == render(), f"{path} is behind the code: python -m tests.fixtures.documents"


def test_the_table_has_every_setting_with_its_default_and_meaning() -> None:
    rows = re.findall(
        r"^\| `(SALESPAD_\w+)` \| (.+?) \| (.+?) \|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert [name for name, _, _ in rows] == [f"SALESPAD_{name.upper()}" for name in Settings.model_fields]
    assert all(default and meaning != "None" for _, default, meaning in rows)


@pytest.mark.parametrize("path", DOCUMENTS, ids=of)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", prose(path)):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{of(path)} links to {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=of)
def test_named_files_variables_and_commands_are_there(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(r"`((?:app|tests|workers|web|deploy|migrations|bench)/[\w./-]+)`", text):
        assert (ROOT / name).exists() or "YYYY" in name, f"{of(path)} names {name}"
    for name in re.findall(r"(?<!`)`(common/\w+\.py)`", text):
        assert (ROOT / "app" / name).exists(), f"{of(path)} names {name}"
    known = {f"SALESPAD_{name.upper()}" for name in Settings.model_fields} | NOT_SETTINGS
    assert set(re.findall(r"\bSALESPAD_[A-Z_]+\b", text)) <= known
    commands = set(get_command(cli).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"python3 -m app ([a-z]+(?:-[a-z]+)*)\b", text)) <= commands


def test_metrics_are_explained_by_their_names() -> None:
    explained = set(
        re.findall(r"^\| `([a-z]\w+)", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    )
    exported = {
        name
        for metric in vars(telemetry).values()
        if isinstance(metric, Counter | Gauge | Histogram)
        for family in metric.describe()
        for name in [family.name + ("_total" if family.type == "counter" else "")]
    }
    assert explained == exported


@pytest.mark.parametrize("path", DECISIONS, ids=of)
def test_a_decision_says_what_when_why_and_what_holds_it(path: Path) -> None:
    text = path.read_text()
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name)
    assert text.startswith(f"# {path.name[:4]} ")
    parts = re.findall(r"^(?:\*\*|## )(.+?)\.?(?:\*\*|$)", text, re.MULTILINE)
    assert parts == list(PARTS)


def test_decisions_are_numbered_once() -> None:
    numbers = [path.name[:4] for path in DECISIONS]
    assert len(set(numbers)) == len(numbers)


def test_diagrams_have_no_semicolon_in_a_message() -> None:
    """Mermaid ends a sequence diagram's line at one, and then shows an error in the diagram's place."""
    for path in DOCUMENTS:
        for kind, diagram in FENCE.findall(path.read_text()):
            assert kind != "mermaid" or not diagram.startswith("sequenceDiagram") or ";" not in diagram, of(
                path
            )


def test_the_readmes_operations_are_valid() -> None:
    readme = (ROOT / "README.md").read_text()
    posted = [text.replace('\\"', '"') for text in re.findall(r'"query": "((?:[^"\\]|\\.)*)"', readme)]
    quoted = re.findall(r"""(?:FEED = |const query = )["'](.+?)["'];?$""", readme, re.MULTILINE)
    assert len(posted) >= 4
    assert len(quoted) == 2
    for document in [*posted, *quoted]:
        assert validate(schema._schema, parse(document)) == [], document


def test_the_picture_is_small() -> None:
    picture = ROOT / "docs" / "images" / "graphiql.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 200_000


async def test_the_readmes_websocket_client_works(
    ana: Person, api_server: Api, worker: Worker, tmp_path: Path
) -> None:
    readme = (ROOT / "README.md").read_text()
    program = readme.partition("<!-- follow.py -->\n```python\n")[2].partition("```")[0]
    path = tmp_path / "follow.py"
    path.write_text(program.replace("ws://127.0.0.1:8000/graphql", api_server.ws_url))
    environment = os.environ | {"TOKEN": ana.token, "PYTHONUNBUFFERED": "1", "NO_PROXY": "*"}
    client = await asyncio.create_subprocess_exec(
        sys.executable, str(path), env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert client.stdout is not None
    try:
        async with asyncio.timeout(FOLLOW_S):
            assert b"'kind': 'HEARTBEAT'" in await client.stdout.readline()
            await finished(ana, await import_leads(ana, [profile("bia.souza", name="Bia Souza")]))
            while b"'lead': {'name': 'Bia Souza'}" not in (line := await client.stdout.readline()):
                assert line, "the client ended"
    finally:
        client.kill()
        await client.wait()


def test_ci_fails_when_a_check_does(tmp_path: Path) -> None:
    """With stand-ins for its tools: it goes on after a failure, names it, and does not end well."""
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert len(script.read_text().splitlines()) <= 40
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_text(script.read_text())
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name in ("ruff", "mypy", "lint-imports"):
        (tools / name).write_text("#!/bin/sh\ntrue\n")
    stand_ins = tmp_path / "stand-ins"
    stand_ins.mkdir()
    for name in ("python3", "chromium"):
        (stand_ins / name).write_text(f'#!/bin/sh\necho "{name} $*"\n')
    for path in (*tools.iterdir(), *stand_ins.iterdir()):
        path.chmod(0o755)
    environment = os.environ | {"PATH": f"{stand_ins}{os.pathsep}{os.environ['PATH']}"}

    def ci() -> "subprocess.CompletedProcess[str]":
        command = ["bash", str(tmp_path / ".ci" / "run")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    well = ci()
    assert well.returncode == 0, well
    assert "python3 -m app test --full" in well.stdout
    (tools / "mypy").write_text("#!/bin/sh\nexit 1\n")
    ill = ci()
    assert ill.returncode == 1
    assert "python3 -m app test --full" in ill.stdout
    assert ill.stdout.rstrip().endswith("FAILED: mypy")
