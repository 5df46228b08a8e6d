"""Clients that nobody here wrote, run by Node against the running API: `package.json` names them."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app.embedded import web_assets
from tests.fixtures.processes import Api

CLIENTS = Path(__file__).parent
PATIENCE_S = 60

Run = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="session")
async def node() -> str:
    """Node's address, with the clients installed. Without one (no network, no npm) CI fails, and nobody else does."""
    try:
        return await asyncio.to_thread(web_assets.install_packages, CLIENTS)
    except (web_assets.BuildFailed, OSError) as problem:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"No Node or no packages, so the clients were NOT tried: {problem}")


@pytest.fixture(scope="session")
async def run(node: str, api_server: Api) -> Run:
    """Runs a program of this folder against the API: what it wrote, parsed. It must end well and in time."""

    async def run(program: str, *arguments: str, api: Api = api_server) -> Any:
        process = await asyncio.create_subprocess_exec(
            node,
            str(CLIENTS / program),
            f"{api.url}/graphql",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                told, problems = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, problems.decode()
        return json.loads(told)

    return run
