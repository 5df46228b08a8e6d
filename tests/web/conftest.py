"""A headless Chromium that reaches nothing but this machine."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        absence = "No Chromium on PATH: the pages were NOT tested (Debian: apt-get install chromium)."
        if os.environ.get("CI") == "true":
            pytest.fail(absence)
        pytest.skip(absence)
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS
    async with async_playwright() as playwright:
        yield await playwright.chromium.launch(executable_path=chromium, args=flags)
