"""What ends sessions and voids access tokens, as statements in the caller's transaction: the one way to do either.

A revocation's `at` is taken while the rows it follows from are locked, and a token's `issued_at` while its owner's
membership is, by the same clock: so a token was minted before a change exactly if it says so. In this order rows are
locked everywhere: app_user, member, session, api_key. After the commit this process knows at once, the others by the
doorbell or their poll.
"""

from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work

TELL = """
    , told AS (
        INSERT INTO revocation (kind, session_id, user_id, workspace_id, at)
        SELECT 'SESSION', id, user_id, workspace_id, at FROM marked
    )
    SELECT id, at FROM marked
"""
END_SESSIONS = """
    WITH ended AS (
        UPDATE session SET revoked_at = clock_timestamp()
        WHERE user_id = cast(:user_id as uuid) AND revoked_at IS NULL AND {which}
        RETURNING id, user_id, workspace_id
    ), marked AS MATERIALIZED (SELECT id, user_id, workspace_id, clock_timestamp() AS at FROM ended)
"""
END_SESSION = Statement(text(END_SESSIONS.format(which="id = cast(:session_id as uuid)") + TELL))
END_OTHER_SESSIONS = Statement(text(END_SESSIONS.format(which="id <> cast(:session_id as uuid)") + TELL))
HOLD_USER = Statement(text("SELECT id FROM app_user WHERE id = cast(:user_id as uuid) FOR NO KEY UPDATE"))
END_ALL_SESSIONS = Statement(
    text(
        "UPDATE session SET revoked_at = clock_timestamp() "
        "WHERE user_id = cast(:user_id as uuid) AND revoked_at IS NULL"
    )
)
END_SESSIONS_HERE = Statement(
    text(
        "UPDATE session SET revoked_at = clock_timestamp() WHERE workspace_id = cast(:workspace_id as uuid) "
        "AND user_id = cast(:user_id as uuid) AND revoked_at IS NULL"
    )
)
END_KEYS_HERE = Statement(
    text(
        "UPDATE api_key SET revoked_at = clock_timestamp() WHERE workspace_id = cast(:workspace_id as uuid) "
        "AND created_by = cast(:user_id as uuid) AND revoked_at IS NULL"
    )
)
END_KEY = """
    WITH marked AS (
        UPDATE api_key SET revoked_at = clock_timestamp()
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND revoked_at IS NULL
        RETURNING id, created_by AS user_id, workspace_id, revoked_at AS at
    )
"""
END_API_KEY = Statement(text(END_KEY + TELL))
VOID = """
    WITH marked AS MATERIALIZED (SELECT clock_timestamp() AS at), told AS (
        INSERT INTO revocation (kind, user_id, workspace_id, at)
        SELECT cast(:kind as text), cast(:user_id as uuid), cast(:workspace_id as uuid), at FROM marked
    )
    SELECT at FROM marked
"""
VOID_TOKENS = Statement(text(VOID))


async def end_session(work: Work, user_id: UUID, session_id: UUID) -> bool:
    """False: they have no such session, or it is over already."""
    return bool(await _end(work, END_SESSION, user_id, session_id))


async def end_other_sessions(work: Work, user_id: UUID, kept_session_id: UUID) -> int:
    """How many it were, in all their workspaces. Through the system door."""
    await work.fetch(HOLD_USER, user_id=user_id)
    return await _end(work, END_OTHER_SESSIONS, user_id, kept_session_id)


async def end_all_sessions(work: Work, user_id: UUID) -> None:
    """In all their workspaces, with all their tokens. Through the system door."""
    await work.fetch(HOLD_USER, user_id=user_id)
    await work.fetch(END_ALL_SESSIONS, user_id=user_id)
    rows = await work.fetch(VOID_TOKENS, kind="USER", user_id=user_id, workspace_id=None)
    work.revoke(user_id, rows[0]["at"])


async def end_membership(work: Work, workspace_id: UUID, user_id: UUID) -> None:
    """Their sessions, tokens and API keys in one workspace. Call it once their row of `member` is deleted."""
    await work.fetch(END_SESSIONS_HERE, workspace_id=workspace_id, user_id=user_id)
    await work.fetch(END_KEYS_HERE, workspace_id=workspace_id, user_id=user_id)
    await void_tokens(work, workspace_id, user_id)


async def void_tokens(work: Work, workspace_id: UUID, user_id: UUID) -> None:
    """Their tokens of this workspace; their sessions go on with fresh ones. Call it once the row of `member` is
    changed: its lock is what orders this with the tokens that are being minted.
    """
    rows = await work.fetch(VOID_TOKENS, kind="MEMBER", user_id=user_id, workspace_id=workspace_id)
    work.revoke((user_id, workspace_id), rows[0]["at"])


async def end_api_key(work: Work, workspace_id: UUID, key_id: UUID) -> bool:
    """False: there is no such live one."""
    ended = await work.fetch(END_API_KEY, workspace_id=workspace_id, id=key_id)
    for row in ended:
        work.revoke(row["id"], row["at"])
    return bool(ended)


async def _end(work: Work, statement: Statement, user_id: UUID, session_id: UUID) -> int:
    ended = await work.fetch(statement, user_id=user_id, session_id=session_id)
    for row in ended:
        work.revoke(row["id"], row["at"])
    return len(ended)
