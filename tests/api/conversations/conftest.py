"""An SMTP server for what is sent, and an account that sends through it."""

from collections.abc import Iterator

import pytest

from app.common.work import Doors
from app.settings import Settings
from tests.factories.accounts import Person
from tests.factories.sending import Outlet, smtp_account
from tests.fixtures.processes import Worker
from tests.fixtures.smtp import ScriptedSmtp


@pytest.fixture(scope="module")
def smtp() -> Iterator[ScriptedSmtp]:
    with ScriptedSmtp.started() as server:
        yield server


@pytest.fixture
async def outlet(ana: Person, doors: Doors, settings: Settings, smtp: ScriptedSmtp, worker: Worker) -> Outlet:
    return Outlet(ana, doors, settings, smtp, await smtp_account(ana, doors, settings, smtp.url))
