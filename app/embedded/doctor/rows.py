"""Work that stands still: due rows, events nobody reacts to, mails that could not go out.

What a due table is, the catalogue says: it has a partial index for what waits, by `run_at`, and one for what is held,
by `lease_until`; their conditions are the statuses. Where turns are taken by workspace, `run_at` comes later in them. A
new kind of due row is looked at from its first migration on.
"""

from typing import TYPE_CHECKING, TypeAlias

from app.embedded.doctor.finding import Finding

if TYPE_CHECKING:
    import asyncpg

    Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

WAITING_MIN = 10
HELD_MIN = 5
BEHIND_MIN = 5
FAILED_MAIL_DAYS = 7
SHOWN = 3

DUE_TABLES_SQL = """
WITH indexes AS (
    SELECT c.relname AS name, a.attname AS moment, pg_get_expr(i.indpred, i.indrelid) AS condition,
           a.attnum = i.indkey[0] AS is_first
      FROM pg_index i
      JOIN pg_class c ON c.oid = i.indrelid
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
     WHERE c.relnamespace = 'public'::regnamespace AND i.indpred IS NOT NULL
       AND a.attname IN ('run_at', 'lease_until')
       AND (SELECT count(*) FROM pg_attribute d
             WHERE d.attrelid = c.oid AND d.attname IN ('run_at', 'lease_until', 'token')) = 3
)
SELECT name, moment, condition FROM indexes x
 WHERE is_first
    OR NOT EXISTS (SELECT FROM indexes f WHERE (f.name, f.moment) = (x.name, x.moment) AND f.is_first)
 ORDER BY 1, 2, 3
"""
BEHIND_OTHERS = {
    # In one conversation what was written first leaves first, however long it is tried again.
    "delivery": """ AND NOT EXISTS (
        SELECT FROM delivery e WHERE e.workspace_id = t.workspace_id AND e.conversation_id = t.conversation_id
           AND e.position < t.position AND e.status IN ('queued', 'claimed', 'sending'))"""
}
POISON_SQL = """
SELECT consumer, count(*) AS events, (array_agg(DISTINCT error_id))[1:3] AS error_ids
  FROM reaction_failure GROUP BY consumer ORDER BY consumer
"""
BEHIND_SQL = """
SELECT c.consumer, count(*) AS workspaces, extract(epoch FROM now() - min(e.at)) / 60 AS minutes
  FROM feed_consumer c CROSS JOIN LATERAL (
        SELECT at FROM feed_event f WHERE f.workspace_id = c.workspace_id AND f.seq > c.seq ORDER BY seq LIMIT 1) e
 WHERE e.at < now() - make_interval(mins => $1)
 GROUP BY c.consumer ORDER BY c.consumer
"""
MAIL_SQL = """
SELECT count(*) FROM system_mail
WHERE status = 'failed' AND error IS DISTINCT FROM 'OVER' AND created_at > now() - make_interval(days => $1)
"""
KEPT_BACK_SQL = "SELECT count(*) FROM inbound_event WHERE status = 'failed'"


async def look_at_rows(connection: "Connection") -> list[Finding]:
    """As sp_system, which sees every workspace's; nothing where we may not be it, or a table is not there yet."""
    if not await connection.fetchval(
        "SELECT to_regclass('public.system_mail') IS NOT NULL AND pg_has_role(current_user, 'sp_system', 'SET')"
    ):
        return []
    async with connection.transaction(readonly=True):
        await connection.execute("SET LOCAL ROLE sp_system; SET LOCAL statement_timeout = '20s'")
        return [
            *await stuck_rows(connection),
            *await late_reactions(connection),
            *await failed_mails(connection),
        ]


async def stuck_rows(connection: "Connection") -> list[Finding]:
    found = []
    for index in await connection.fetch(DUE_TABLES_SQL):
        table, moment = index["name"], index["moment"]
        is_held = moment == "lease_until"
        rest = "" if is_held else BEHIND_OTHERS.get(table, "")
        row = await connection.fetchrow(
            f"SELECT count(*) AS rows, extract(epoch FROM now() - min({moment})) / 60 AS minutes"  # noqa: S608
            f" FROM {table} t WHERE ({index['condition']})"
            f" AND {moment} < now() - make_interval(mins => $1){rest}",
            HELD_MIN if is_held else WAITING_MIN,
        )
        assert row is not None
        if row["rows"]:
            found.append(judge_stuck(table, row["rows"], float(row["minutes"]), is_held=is_held))
    return found or [Finding("due rows", f"none waits longer than {WAITING_MIN} minutes")]


def judge_stuck(table: str, rows: int, minutes: float, *, is_held: bool) -> Finding:
    if is_held:
        text = f"{rows} of {table} held past their lease, the first for {minutes:.0f} minutes"
        return Finding("due rows", text, "no worker looks: start one, or read its log for `tick failed`")
    text = f"{rows} of {table} due and not done, the first for {minutes:.0f} minutes"
    fix = "start a worker; where one runs, start more, or read its log for `due row failed`"
    return Finding("due rows", text, fix)


async def late_reactions(connection: "Connection") -> list[Finding]:
    poison = [
        Finding(
            "reactions",
            f"{row['consumer']} gave {row['events']} event(s) up: error_id {', '.join(row['error_ids'])}",
            "the worker's log says why at that error_id; mend it, then delete the rows of reaction_failure",
        )
        for row in await connection.fetch(POISON_SQL)
    ]
    behind = [
        Finding(
            "reactions",
            f"{row['consumer']} is {row['minutes']:.0f} minutes behind in {row['workspaces']} workspace(s)",
            "start a worker; where one runs, read its log for the consumer's name",
        )
        for row in await connection.fetch(BEHIND_SQL, BEHIND_MIN)
    ]
    return poison + behind


async def failed_mails(connection: "Connection") -> list[Finding]:
    """Mails that are in the database and not in the inbox are told of, but nothing is wrong."""
    found = []
    if failed := await connection.fetchval(MAIL_SQL, FAILED_MAIL_DAYS):
        text = f"{failed} of SalesPad's own could not be sent in {FAILED_MAIL_DAYS} days"
        fix = "system_mail.error says why: correct the mail server's address or login, and have people ask again"
        found.append(Finding("mail out", text, fix))
    if kept_back := await connection.fetchval(KEPT_BACK_SQL):
        text = f"{kept_back} could not be taken into the inbox: table inbound_event, status failed, has them"
        found.append(Finding("mail in", f"{text} as they came"))
    return found
