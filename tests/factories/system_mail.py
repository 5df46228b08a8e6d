"""SalesPad's own mails as they wait in their rows."""

from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import text

from app.accounts.domain.system_mail import SystemMail, SystemMailKind
from app.accounts.infrastructure.system_mails import SEALED_AS, SENDING
from app.accounts.wiring import create_postman
from app.common.crypto import SecretBox
from app.common.leases import Claim
from app.common.work import Doors
from app.settings import Settings
from tests.fixtures.processes import eventually

NEWEST = "SELECT workspace_id, id, kind, sealed FROM system_mail WHERE sealed IS NOT NULL ORDER BY id DESC LIMIT 500"
HOLD = (
    f"UPDATE system_mail SET status = '{SENDING}', token = :token, attempt = attempt + 1, "
    "lease_until = now() + interval '1 minute' WHERE id = :id AND (status = 'queued' OR :by_force) "
    "RETURNING workspace_id, attempt"
)


async def mails_to(doors: Doors, settings: Settings, email: str) -> list[tuple[UUID, SystemMail]]:
    """That wait for this address, the newest first."""
    box, found = SecretBox(settings.credential_keys), []
    async with doors.open_system() as system:
        rows: Any = (await system.execute(text(NEWEST))).all()
    for row in rows:
        kind, to, locale, words = orjson.loads(box.open(row.workspace_id, SEALED_AS, row.sealed))
        if to == email:
            mail = SystemMail(kind=SystemMailKind(kind), to=to, locale=locale, words=words)
            found.append((row.id, mail))
    return found


async def hold(doors: Doors, id: UUID, *, by_force: bool = False) -> Claim | None:
    """The row in our hands; None where another worker has it, unless by force."""
    token = uuid4()
    async with doors.open_system() as system:
        found = await system.execute(text(HOLD), {"id": id, "token": token, "by_force": by_force})
        row = found.one_or_none()
    return Claim(row.workspace_id, id, token, row.attempt) if row else None


async def reset_token(doors: Doors, settings: Settings, email: str) -> str:
    """Of the newest mail to this address, which a worker without a mail server has tried to send."""
    mute = settings.model_copy(update={"mailbox_smtp_url": None, "system_smtp_url": None})

    async def minted() -> str | None:
        resets = [
            (id, mail)
            for id, mail in await mails_to(doors, settings, email)
            if mail.kind is SystemMailKind.PASSWORD_RESET
        ]
        assert resets, "no reset waits"
        id, mail = resets[0]
        if "token" not in mail.words and (claim := await hold(doors, id)):
            await create_postman(mute).send(doors, mute, claim, lambda: False)
        return mail.words.get("token")

    token = await eventually(minted, what="the reset's token")
    assert isinstance(token, str)
    return token
