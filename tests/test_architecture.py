"""The shape of the code as docs/architecture.md promises it: who may import whom, where transactions begin, how long a
file is. A rule exists only if a test enforces it."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40

ENTRY_POINTS = {
    "app.graphql": re.compile(r"presentation\.\w+"),
    "app.main": re.compile(r"presentation\.(http|webhooks|uploads|exports|pages)"),
}
"""What stands over the modules may take more than their doors: root fields, and routes."""

WORK = "app/common/work.py"
SYSTEM_DOOR = {
    "app/accounts/infrastructure/key_ring.py": "whose an API key is, says the key",
    "app/accounts/infrastructure/reads.py": "somebody's workspaces, of which a tenant sees one",
    "app/accounts/infrastructure/revocations.py": "revocations are polled over all workspaces",
    "app/accounts/infrastructure/postman.py": "mails to people, of whichever workspace or none",
    "app/accounts/wiring.py": "sign-in comes before the tenant",
    "app/automations/wiring.py": "secrets under an old key, whoever's they are",
    "app/channels/infrastructure/following.py": "whether mailboxes wait, of whichever workspace",
    "app/channels/wiring.py": "whose mail it is, says its token or its address",
    "app/conversations/infrastructure/courier.py": "ends calls that no worker outlived, in all workspaces",
    "app/conversations/infrastructure/releasing.py": "finds workspaces whose quiet hours changed",
    "app/conversations/infrastructure/waking.py": "finds snoozed conversations to wake over all workspaces",
    "app/imports/infrastructure/engine.py": "whether another import waits, of whichever workspace",
    "app/demo/seeding.py": "makes the demo workspace, or finds it",
    "app/common/feed/hub.py": "the poll asks for all live workspaces' heads at once",
    "app/common/reactions.py": "which workspaces have something to react to, of all",
    "app/common/roles.py": "the start-up check of the roles",
    "app/common/health.py": "readiness and the counts of due rows",
    "app/onboarding/wiring.py": "sign-up founds the tenant",
    "workers/main.py": "claims and reaps due rows of all workspaces",
}
"""Every caller of `open_system`, and why it has no tenant."""

NOT_AT_START = {
    "aiosmtplib",
    "aiosmtpd",
    "httpcore2",
    "imapclient",
    "nh3",
    "openpyxl",
    "opentelemetry",
    "puremagic",
    "saq",
}
"""Imported where they are first used, or once the API answers: a start is a second on a small machine."""

OWN_CONNECTIONS = ("app/embedded/", "app/common/migrations.py", "app/common/starting.py")
"""The launcher's psql, the migrations and a start's look whether it is there speak to PostgreSQL outside the doors."""
SESSION_SETTING = re.compile(
    r"set_config\([^)]*,\s*false\s*\)|(?m:^\s*SET\s+(?!LOCAL\b)(SESSION\s+)?[\w.]+\s*(=|TO\b))"
)


def sources(*folders: str) -> Iterator[tuple[str, Path]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


# ── imports ───────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("app", "workers", cache_dir=None)


def feature_of(module: str, features: set[str]) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "app" and len(parts) > 1 and parts[1] in features else None


def is_at_a_door(importer: str, imported: str) -> bool:
    """Whether one module may take this from another: `wiring`, `domain`, `presentation.types`; reads see tables."""
    inner = ".".join(imported.split(".")[2:])
    layer = importer.split(".")[2] if importer.count(".") > 1 else ""
    if layer in ("domain", "application"):
        return inner.split(".")[0] == "domain"
    if re.search(r"\.infrastructure\.(\w+_)?reads$", importer) and inner == "infrastructure.tables":
        return True  # one screen is one SQL statement; that it is a lower module's, the layers see to
    above = next((rule for name, rule in ENTRY_POINTS.items() if f"{importer}.".startswith(f"{name}.")), None)
    return (
        inner in ("wiring", "presentation.types")
        or inner.split(".")[0] == "domain"
        or (above is not None and above.fullmatch(inner) is not None)
    )


def test_modules_meet_at_their_doors(graph: grimp.ImportGraph) -> None:
    features = {module.split(".")[1] for module in graph.modules if re.fullmatch(r"app\.\w+\.wiring", module)}
    assert {"accounts", "leads", "imports"} <= features
    around = [
        f"{importer} imports {imported}"
        for importer in sorted(graph.modules)
        for imported in sorted(graph.find_modules_directly_imported_by(importer))
        if (of := feature_of(imported, features)) is not None
        and of != feature_of(importer, features)
        and not is_at_a_door(importer, imported)
    ]
    assert around == []


PRESENTATION = frozenset(
    {
        "__init__",
        "types",
        "queries",
        "mutations",
        "subscriptions",
        "http",
        "webhooks",
        "uploads",
        "exports",
        "pages",
    }
)


def test_presentation_has_the_kinds_of_file_there_are() -> None:
    """Beside the closed list only what is named as the use cases it shows (docs/decisions/0014)."""
    strange = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "app").glob("*/presentation/*.py"))
        if path.stem not in PRESENTATION and not (path.parent.parent / "application" / path.name).is_file()
    ]
    assert strange == []


def test_every_module_is_in_the_layers(graph: grimp.ImportGraph) -> None:
    """import-linter says nothing about a package that its contracts do not name."""
    layers = (ROOT / "pyproject.toml").read_text()
    packages = {module for module in graph.modules if module.count(".") == 1 and module.startswith("app.")}
    missing = {
        name
        for name in packages
        if f"{name})" not in layers and f"{name} " not in layers and f'{name}"' not in layers
    }
    assert missing - {"app.__main__"} == set()


def test_the_contracts_of_import_linter_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    linted = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout


def test_saq_is_imported_in_two_places() -> None:
    importing = {
        name
        for name, path in sources("app", "workers")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and any(
            module.split(".")[0] == "saq"
            for module in (
                [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            )
        )
    }
    assert importing == {"app/common/jobs.py", "workers/doorbell.py"}


# ── transactions ──────────────────────────────────────────────────────────────────────────────────────────────────────
def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def test_the_api_starts_without_what_only_the_worker_or_a_rare_request_needs() -> None:
    modules = subprocess.run(
        [sys.executable, "-c", "import sys, app.main; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "strawberry" in modules
    assert not {module.partition(".")[0] for module in modules} & NOT_AT_START


def test_transactions_begin_and_end_in_one_file() -> None:
    elsewhere = [
        f"{name}:{call.lineno} .{call.func.attr}("
        for name, path in sources("app", "workers")
        if name != WORK and not name.startswith(OWN_CONNECTIONS)
        for call in calls(path)
        if isinstance(call.func, ast.Attribute)
        and (
            call.func.attr in ("commit", "rollback", "begin", "begin_nested") or _is_engine_connect(call.func)
        )
    ]
    assert elsewhere == []


def _is_engine_connect(function: ast.Attribute) -> bool:
    return function.attr == "connect" and "engine" in ast.unparse(function.value)


def test_no_setting_outlives_its_transaction() -> None:
    """A session's setting would go to whoever gets the connection next."""
    found = [
        f"{name}:{node.lineno} {node.value.strip()[:60]}"
        for name, path in sources("app", "workers")
        if name != WORK and not name.startswith(OWN_CONNECTIONS)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if SESSION_SETTING.search(node.value) and "UPDATE" not in node.value
    ]
    assert found == []


def test_the_system_door_is_opened_where_the_list_says() -> None:
    opening = {
        name
        for name, path in sources("app", "workers")
        for call in calls(path)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "open_system"
    }
    assert opening == set(SYSTEM_DOOR)


# ── sizes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_no_file_is_too_long() -> None:
    lengths = {
        name: len(path.read_text().splitlines())
        for name, path in sources("app", "workers", "tests", "migrations", "bench")
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_no_function_is_too_long() -> None:
    """Migrations aside, which list columns."""
    found = {
        f"{name}:{node.lineno} {node.name}": lines
        for name, path in sources("app", "workers")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert found == {}


# ── tests and locks ───────────────────────────────────────────────────────────────────────────────────────────────────
SLEEPING = {
    "tests/deploy/test_containers.py": "polls a container from outside",
    "tests/faults/test_import_kills.py": "the moment of a kill is what is tried",
    "tests/faults/test_latency.py": "a load of so many a second",
    "tests/faults/test_tick.py": "a handler that takes its time",
    "tests/run/test_bootstrap.py": "in a program that stands in for a slow installer",
    "tests/run/test_launcher.py": "the moment of a kill is what is tried",
    "tests/web/test_web_assets.py": "polls another process",
    "tests/api/accounts/test_sign_in.py": "a beat against which the event loop is measured",
}
"""Tests in which time itself is tried, or a helper that waits for a condition stands in the test's own file."""


def test_no_test_sleeps() -> None:
    """A test waits for a condition with a deadline; how that is done is the business of fixtures/ and factories/.

    `sleep(0)` waits for nothing: it lets others run.
    """
    asleep = {
        name
        for name, path in sources("tests")
        if path.name.startswith("test_")
        for call in calls(path)
        if ast.unparse(call.func) in ("asyncio.sleep", "time.sleep", "anyio.sleep", "sleep")
        and ast.unparse(call.args[0]) != "0"
    }
    assert asleep <= set(SLEEPING)


def test_locks_name_no_host() -> None:
    """What is locked is names, versions and hashes: where they come from is the machine's business."""
    for path in sorted((ROOT / "app").glob("*.lock")):
        assert not re.search(r"://|--(extra-)?index|--find-links|--trusted-host", path.read_text()), path.name
    npm_locks = [path for path in ROOT.rglob("package-lock.json") if "node_modules" not in path.parts]
    for path in npm_locks:
        assert '"resolved": "http' not in path.read_text(), (
            f"{path}: omit-lockfile-registry-resolved in .npmrc"
        )


def test_locks_agree_on_every_version() -> None:
    """Each is compiled by itself: a package that two of them name has one version."""
    named: dict[tuple[str, str], set[str]] = {}
    for lock in ("server", "otel", "test"):
        text = (ROOT / "app" / f"requirements-{lock}.lock").read_text()
        for name, version, marker in re.findall(
            r"^([\w.-]+)==([^ ;\\]+)(?: ; ([^\\\n]+))?", text, re.MULTILINE
        ):
            named.setdefault((name, marker), set()).add(version)
    assert {one: versions for one, versions in named.items() if len(versions) > 1} == {}
