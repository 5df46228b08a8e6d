"""What a rule's calls are signed with: a secret of its own, sealed, which admins see."""

from functools import lru_cache
from uuid import UUID

from sqlalchemy import text

from app.common.crypto import BadSecret, SecretBox
from app.common.database import Statement
from app.common.webhooks import new_secret
from app.common.work import Work
from app.settings import Settings

SEALED_AS = "webhook"
STALE = Statement(
    text(
        """
        SELECT workspace_id, id, webhook_secret FROM automation
        WHERE substring(webhook_secret for 4) <> cast(:key_id as bytea) AND id > cast(:after as uuid)
        ORDER BY id LIMIT cast(:limit as bigint)
        """
    )
)
RENEW = Statement(
    text(
        """
        UPDATE automation a SET webhook_secret = n.new
        FROM unnest(cast(:workspace_ids as uuid[]), cast(:ids as uuid[]), cast(:olds as bytea[]),
                cast(:news as bytea[])) AS n(workspace_id, id, old, new)
        WHERE a.workspace_id = n.workspace_id AND a.id = n.id AND a.webhook_secret = n.old
        """
    )
)


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> SecretBox:
    return SecretBox(keys)


def sealed_secret(settings: Settings, workspace_id: UUID) -> bytes:
    """A new one, for `automation.webhook_secret` of a rule that has none."""
    return _box(settings.credential_keys).seal(workspace_id, SEALED_AS, new_secret())


def opened_secret(settings: Settings, workspace_id: UUID, sealed: bytes) -> str:
    """As people verify with it: `whsec_…`. Raises BadSecret."""
    return _box(settings.credential_keys).open(workspace_id, SEALED_AS, sealed)


async def renew_secrets(system: Work, settings: Settings, *, limit: int, after: UUID) -> tuple[int, UUID]:
    """Seals a number of secrets anew under the first key, whoever's they are; how many rows there were, and the last.

    One that no key opens stays as it is: its rule's calls fail, and say so.
    """
    box = _box(settings.credential_keys)
    rows = await system.fetch(STALE, key_id=box.key_id, limit=limit, after=after)
    if rows:
        await system.fetch(
            RENEW,
            workspace_ids=[row["workspace_id"] for row in rows],
            ids=[row["id"] for row in rows],
            olds=[row["webhook_secret"] for row in rows],
            news=[_renewed(box, row["webhook_secret"]) for row in rows],
        )
    return len(rows), rows[-1]["id"] if rows else after


def _renewed(box: SecretBox, sealed: bytes) -> bytes:
    try:
        return box.renew(sealed)
    except BadSecret:
        return sealed
