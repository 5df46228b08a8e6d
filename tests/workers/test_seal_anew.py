"""Stored logins are sealed anew when a new key comes first."""

from collections.abc import Mapping
from contextlib import suppress
from uuid import UUID

import pytest
from sqlalchemy import text

from app.channels.infrastructure.repository import renew_secrets
from app.common.crypto import BadSecret, SecretBox
from app.common.work import Doors, Work
from app.settings import Settings
from tests.factories.accounts import Person
from tests.factories.channels import connected

NEW = "a new key, of more than thirty-two bytes"
LOST = "a key that nobody has any more, of 32 bytes"


class RolledBack(Exception):
    """The other tests' accounts are in the same database: none is left under this test's key."""


async def seal(system: Work, person: Person, id: str, box: SecretBox) -> None:
    sealed = {
        f"{kind}_secret": box.seal(person.workspace_id, kind, f"{kind} {id}") for kind in ("smtp", "imap")
    }
    await system.execute(
        text(
            "UPDATE channel_account SET smtp_secret = :smtp_secret, imap_secret = :imap_secret WHERE id = :id"
        ),
        sealed | {"id": UUID(id)},
    )


async def secrets_of(system: Work, id: str) -> Mapping[str, bytes]:
    found = await system.execute(
        text("SELECT smtp_secret AS smtp, imap_secret AS imap FROM channel_account WHERE id = :id"),
        {"id": UUID(id)},
    )
    return dict(found.one()._mapping)


async def renew_all(system: Work, box: SecretBox, limit: int) -> int:
    """How many turns it took."""
    turns, rows, last = 0, limit, UUID(int=0)
    while rows == limit:
        rows, last = await renew_secrets(system, box, limit=limit, after=last)
        turns += 1
    return turns


@pytest.mark.parametrize("limit", [2, 5000])
async def test_the_old_key_can_be_dropped_afterwards(
    ana: Person, eve: Person, doors: Doors, settings: Settings, limit: int
) -> None:
    old, both = SecretBox(settings.credential_keys), SecretBox((NEW, *settings.credential_keys))
    accounts = [(person, (await connected(person))["id"]) for person in (ana, ana, eve)]
    unreadable = (await connected(ana))["id"]
    with suppress(RolledBack):
        async with doors.open_system() as system:
            for person, id in accounts:
                await seal(system, person, id, old)
            await seal(system, ana, unreadable, SecretBox((LOST,)))
            before = await secrets_of(system, unreadable)
            turns = await renew_all(system, both, limit)
            assert turns > 1 or limit > 2
            for person, id in accounts:
                for kind, sealed in (await secrets_of(system, id)).items():
                    assert SecretBox((NEW,)).open(person.workspace_id, kind, sealed) == f"{kind} {id}"
                    with pytest.raises(BadSecret):
                        old.open(person.workspace_id, kind, sealed)
            assert await secrets_of(system, unreadable) == before, "what no key opens stays what it was"
            done = await secrets_of(system, accounts[0][1])
            await renew_all(system, both, limit)
            assert await secrets_of(system, accounts[0][1]) == done, "a second turn finds nothing to do"
            raise RolledBack
