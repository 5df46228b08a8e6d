"""Mails of SalesPad's own as due rows: stored in the transaction of what they tell of, sealed, sent by a worker.

What is sealed is emptied when the mail is sent or given up, half an hour after it was due at the latest: too short a
life to be written anew under another key. A key that is dropped before that leaves a mail that says so and is given up.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, Interval, bindparam, delete, func, insert, select, tuple_, update

from app.accounts.domain.system_mail import SystemMail, SystemMailKind
from app.accounts.infrastructure.tables import SENDING, WAITING, system_mail, system_mails
from app.common.crypto import SecretBox
from app.common.database import Statement
from app.common.leases import Claim
from app.common.work import Work

DUE = "system_mail"
SEALED_AS = "system mail"
SENT, FAILED = "sent", "failed"
KEPT = timedelta(days=7)
c = system_mail.c
OLD = (
    select(c.workspace_id, c.id)
    .where(
        c.created_at < func.now() - bindparam("kept", type_=Interval),
        c.status != WAITING,
        c.status != SENDING,
    )
    .limit(bindparam("limit", type_=BigInteger))
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
DROP_OLD = Statement(delete(system_mail).where(tuple_(c.workspace_id, c.id).in_(OLD)).returning(c.id))


async def queue_system_mail(work: Work, box: SecretBox, workspace_id: UUID, mail: SystemMail) -> None:
    """`workspace_id`: NO_WORKSPACE where it concerns a person and no workspace (then only through the system door)."""
    added = await work.execute(
        insert(system_mail)
        .values(
            workspace_id=workspace_id,
            kind=mail.kind,
            status=WAITING,
            sealed=_sealed(box, workspace_id, mail),
        )
        .returning(system_mail.c.id)
    )
    work.wake(DUE, added.scalar_one())


def _sealed(box: SecretBox, workspace_id: UUID, mail: SystemMail) -> bytes:
    text = orjson.dumps([mail.kind, mail.to, mail.locale, dict(mail.words)]).decode()
    return box.seal(workspace_id, SEALED_AS, text)


@dataclass(frozen=True, slots=True)
class WaitingMail:
    mail: SystemMail
    asked_at: datetime


async def read_mail(work: Work, box: SecretBox, claim: Claim) -> WaitingMail:
    """Of a row that this worker holds. Raises BadSecret."""
    found = await work.execute(
        select(c.sealed, c.created_at).where(c.workspace_id == claim.workspace_id, c.id == claim.id)
    )
    row = found.one()
    kind, to, locale, words = orjson.loads(box.open(claim.workspace_id, SEALED_AS, row.sealed or b""))
    mail = SystemMail(kind=SystemMailKind(kind), to=to, locale=locale, words=words)
    return WaitingMail(mail, row.created_at)


async def seal_again(work: Work, box: SecretBox, claim: Claim, mail: SystemMail) -> None:
    """What the next try finds, should this one not come to its end."""
    await _store(work, claim, _sealed(box, claim.workspace_id, mail))


async def end_mail(work: Work, claim: Claim, *, status: str, error: str | None = None) -> None:
    """Nothing of it is left but that it was. Raises LostLease."""
    await system_mails.finish(work, claim, status=status, error=error)
    await _store(work, claim, None)


async def _store(work: Work, claim: Claim, sealed: bytes | None) -> None:
    await work.execute(
        update(system_mail)
        .where(c.workspace_id == claim.workspace_id, c.id == claim.id)
        .values(sealed=sealed)
    )


async def drop_old_mails(system: Work, *, limit: int) -> int:
    """Deletes up to `limit` rows of mails that ended, a week after they were asked for; how many it were."""
    return len(await system.fetch(DROP_OLD, kept=KEPT, limit=limit))
