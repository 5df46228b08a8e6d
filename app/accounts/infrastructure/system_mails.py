"""Mails of SalesPad's own as due rows: stored in the transaction of what they tell of, sealed, sent by a worker."""

from uuid import UUID

import orjson
from sqlalchemy import insert

from app.accounts.domain.system_mail import SystemMail
from app.accounts.infrastructure.tables import WAITING, system_mail
from app.common.crypto import SecretBox
from app.common.work import Work

DUE = "system_mail"
SEALED_AS = "system mail"


async def queue_system_mail(work: Work, box: SecretBox, workspace_id: UUID, mail: SystemMail) -> None:
    """`workspace_id`: NO_WORKSPACE where it concerns a person and no workspace (then only through the system door)."""
    text = orjson.dumps([mail.kind, mail.to, mail.locale, dict(mail.words)]).decode()
    added = await work.execute(
        insert(system_mail)
        .values(
            workspace_id=workspace_id,
            kind=mail.kind,
            status=WAITING,
            sealed=box.seal(workspace_id, SEALED_AS, text),
        )
        .returning(system_mail.c.id)
    )
    work.wake(DUE, added.scalar_one())
