"""Two visitors at the public door."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.settings import Settings
from tests.api.accounts.visitor import Visitor, visitor_of


@pytest.fixture
async def visitor(app: Any, settings: Settings) -> AsyncIterator[Visitor]:
    visitor = visitor_of(app, settings)
    async with visitor.client:
        yield visitor


@pytest.fixture
async def stranger(app: Any, settings: Settings) -> AsyncIterator[Visitor]:
    """Another address, another browser."""
    visitor = visitor_of(app, settings, user_agent="curl")
    async with visitor.client:
        yield visitor
