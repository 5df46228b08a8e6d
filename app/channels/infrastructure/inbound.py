"""What came in, stored raw; and whose it is, by a token or by an address."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy import text

from app.channels.domain.feedback import FeedbackAccount, FeedbackProvider
from app.channels.domain.inbound import INBOUND
from app.channels.infrastructure.tables import WAITING
from app.common.database import Statement
from app.common.work import Reads, Work

# SELECT … FROM channel_account: an account that has gone meanwhile takes nothing in, and is no error.
ACCEPT = Statement(
    text(
        f"""
        INSERT INTO inbound_event (workspace_id, provider, account_id, external_id, raw, status)
        SELECT a.workspace_id, cast(:provider as text), a.id, cast(:external_id as text), cast(:raw as bytea),
            '{WAITING}'
        FROM channel_account a
        WHERE a.workspace_id = cast(:workspace_id as uuid) AND a.id = cast(:account_id as uuid)
        ON CONFLICT ON CONSTRAINT uq_inbound_event_external_id DO NOTHING
        RETURNING id
        """  # noqa: S608 - a constant of ours
    )
)
BY_TOKEN = Statement(
    text(
        "SELECT workspace_id, id FROM channel_account "
        "WHERE inbound_token = cast(:token as text) AND status <> 'DISCONNECTED'"
    )
)
# Also of a disconnected account: who complains of its mails is heard.
FEEDBACK_BY_TOKEN = Statement(
    text(
        "SELECT workspace_id, id, feedback_key FROM channel_account "
        "WHERE inbound_token = cast(:token as text) AND feedback_provider = cast(:provider as text)"
    )
)
ACCEPT_MANY = Statement(
    text(
        f"""
        INSERT INTO inbound_event (workspace_id, provider, account_id, external_id, raw, status)
        SELECT a.workspace_id, cast(:provider as text), a.id, told.id, told.raw, '{WAITING}'
        FROM channel_account a, unnest(cast(:ids as text[]), cast(:raws as bytea[])) AS told(id, raw)
        WHERE a.workspace_id = cast(:workspace_id as uuid) AND a.id = cast(:account_id as uuid)
        ORDER BY told.id
        ON CONFLICT ON CONSTRAINT uq_inbound_event_external_id DO NOTHING
        RETURNING id
        """  # noqa: S608 - a constant of ours
    )
)
BELLS_MAX = 20
"""As many rows are rung for one by one; the worker's tick finds the others."""
# The condition of the index uq_channel_account_local: one installation has one local mailbox.
LOCAL_BY_ADDRESS = Statement(
    text(
        "SELECT workspace_id, id, address FROM channel_account WHERE address = ANY (cast(:addresses as text[])) "
        "AND smtp_secret IS NULL AND channel = 'EMAIL' AND status <> 'DISCONNECTED'"
    )
)


async def accept_mail(
    work: Work, *, workspace_id: UUID, account_id: UUID, provider: str, external_id: str, raw: bytes
) -> bool:
    """Stores a mail as it came, in the caller's transaction; False when it was there, or the account is gone."""
    row = await work.fetch_one(
        ACCEPT,
        workspace_id=workspace_id,
        account_id=account_id,
        provider=provider,
        external_id=external_id,
        raw=raw,
    )
    if row is None:
        return False
    work.wake(INBOUND, row["id"])
    return True


async def account_by_token(system: Reads, token: str) -> tuple[UUID, UUID] | None:
    """Workspace and account that an inbound token names."""
    row = await system.fetch_one(BY_TOKEN, token=token)
    return None if row is None else (row["workspace_id"], row["id"])


async def feedback_account(system: Reads, token: str, provider: FeedbackProvider) -> FeedbackAccount | None:
    """The account that an inbound token names, if this provider is to tell of its mails."""
    row = await system.fetch_one(FEEDBACK_BY_TOKEN, token=token, provider=provider.value)
    if row is None:
        return None
    return FeedbackAccount(
        workspace_id=row["workspace_id"], id=row["id"], provider=provider, key=row["feedback_key"]
    )


async def accept_feedback(work: Work, account: FeedbackAccount, told: Mapping[str, bytes]) -> int:
    """Stores what a provider told, by its ids; how much of it is new."""
    rows = await work.fetch(
        ACCEPT_MANY,
        workspace_id=account.workspace_id,
        account_id=account.id,
        provider=account.provider.slug,
        ids=list(told),
        raws=list(told.values()),
    )
    for row in rows[:BELLS_MAX]:
        work.wake(INBOUND, row["id"])
    return len(rows)


async def local_accounts(system: Reads, addresses: Iterable[str]) -> dict[str, tuple[UUID, UUID]]:
    """Workspace and account of those of the (normalised) addresses that are connected in the local mailbox."""
    rows = await system.fetch(LOCAL_BY_ADDRESS, addresses=list(addresses))
    return {row["address"]: (row["workspace_id"], row["id"]) for row in rows}
