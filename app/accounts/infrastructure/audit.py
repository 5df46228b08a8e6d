"""The audit log: written in the transaction of what it tells of, never changed."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import insert

from app.accounts.domain.audit import Author
from app.accounts.infrastructure.tables import audit_event
from app.common.work import Work

NOTHING: Mapping[str, object] = {}


async def record_audit(
    work: Work,
    workspace_id: UUID,
    author: Author,
    action: str,
    *,
    object_id: UUID | None = None,
    before: Mapping[str, object] = NOTHING,
    after: Mapping[str, object] = NOTHING,
) -> None:
    """`action` is `noun.verb` in the past tense, such as `member.removed`; `before` and `after` hold ids, enum values
    and numbers only.
    """
    await work.execute(
        insert(audit_event).values(
            workspace_id=workspace_id,
            action=action,
            object_id=object_id,
            actor_id=author.user_id,
            client=author.client,
            session_id=author.session_id,
            ip_prefix=author.ip_prefix,
            before=dict(before),
            after=dict(after),
        )
    )
