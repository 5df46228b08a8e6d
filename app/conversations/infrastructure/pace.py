"""The SQL of claims of batches: who is served next, how many may go, what that uses up (docs/decisions/0029).

GCRA: `next_free_at` is the theoretical arrival time of the next message. With an interval of 60 / rate seconds and a
burst of B it may be B intervals ahead of now: no window of T seconds sees more than B + T × rate / 60. A day is that of
the workspace's zone and never goes back, whatever transaction began when. All times are the database's.
"""

from sqlalchemy import ARRAY, Text, Uuid, bindparam, text

from app.common.database import Statement
from app.conversations.infrastructure.policy import ACCOUNT_REFUSAL

READY_MAX = 500
"""Batches among which the next one is chosen."""
LATER_S = 60
"""Before a batch is looked at again that is paused, or whose account cannot send: whoever changes that says so
(`start_pace`, or `updateChannelAccount`), and this is for the case that nobody does."""
IDLE_S = 2
"""Before a batch is looked at again of which something is under way, and may come back."""
AT_MOST_S = 300
CHUNK_S = 0.05
"""A fast rate's tokens are taken by so much at once."""
POSTPONED_MAX = 5_000

PICK = Statement(
    text(
        """
        WITH ready AS MATERIALIZED (
            SELECT b.workspace_id, b.key, b.served_at, s.account_id,
                coalesce(a.sending_domain, a.id::text) AS domain, p.served_at AS account_at,
                max(p.served_at) OVER (PARTITION BY b.workspace_id) AS workspace_at
            FROM (
                SELECT workspace_id, key, served_at FROM send_pace
                WHERE look_at <= now() AND kind = 'BATCH'
                    AND (cast(:key as text) IS NULL OR key = cast(:key as text))
                ORDER BY look_at LIMIT cast(:ready_max as bigint)
            ) b
                JOIN send_batch s ON s.workspace_id = b.workspace_id AND s.id = b.key::uuid
                JOIN channel_account a ON a.workspace_id = s.workspace_id AND a.id = s.account_id
                JOIN send_pace p
                    ON p.workspace_id = b.workspace_id AND p.kind = 'ACCOUNT' AND p.key = s.account_id::text
        )
        SELECT r.workspace_id, r.key::uuid AS batch_id, r.account_id, r.domain
        FROM ready r
            JOIN send_pace d ON d.workspace_id = r.workspace_id AND d.kind = 'DOMAIN' AND d.key = r.domain
            JOIN send_pace a ON a.workspace_id = r.workspace_id AND a.kind = 'ACCOUNT' AND a.key = r.account_id::text
            JOIN send_pace b ON b.workspace_id = r.workspace_id AND b.kind = 'BATCH' AND b.key = r.key
        WHERE b.look_at <= now()
        ORDER BY r.workspace_at NULLS FIRST, r.account_at NULLS FIRST, r.served_at NULLS FIRST, b.look_at
        LIMIT 1
        FOR UPDATE OF d, a, b SKIP LOCKED
        """
    )
)
"""Whoever waited longest: of the workspaces, of its accounts, of their batches. One whose pace somebody holds is passed
over: a claim waits for nobody."""

CLAIM = Statement(
    text(
        """
        WITH pace AS MATERIALIZED (
            SELECT s.status = 'CANCELED' AS is_over,
                s.status = 'RUNNING' AND ({account_refusal}) IS NULL AS is_open,
                z.time_zone, w.quiet_from, w.quiet_to, w.quiet_weekdays,
                w.quiet_from IS NOT NULL OR w.quiet_weekdays IS NOT NULL AS has_quiet,
                s.rate_per_minute AS rate, coalesce(s.burst, greatest(1, s.rate_per_minute / 60)) AS burst,
                a.rate_per_minute AS account_rate,
                coalesce(a.burst, greatest(1, a.rate_per_minute / 60)) AS account_burst,
                greatest(pb.next_free_at, now()) AS free, greatest(pa.next_free_at, now()) AS account_free,
                pa.brake_until, t.account_day, t.domain_day,
                a.daily_limit - CASE WHEN pa.day = t.account_day THEN pa.day_count ELSE 0 END AS account_left,
                sd.daily_limit - CASE WHEN pd.day = t.domain_day THEN pd.day_count ELSE 0 END AS domain_left
            FROM send_batch s
                JOIN workspace w ON w.id = s.workspace_id
                CROSS JOIN LATERAL known_zone(w.time_zone) AS z(time_zone)
                JOIN channel_account a ON a.workspace_id = s.workspace_id AND a.id = s.account_id
                JOIN send_pace pb
                    ON pb.workspace_id = s.workspace_id AND pb.kind = 'BATCH' AND pb.key = s.id::text
                JOIN send_pace pa
                    ON pa.workspace_id = s.workspace_id AND pa.kind = 'ACCOUNT' AND pa.key = a.id::text
                JOIN send_pace pd ON pd.workspace_id = s.workspace_id AND pd.kind = 'DOMAIN'
                    AND pd.key = cast(:domain as text)
                LEFT JOIN sending_domain sd ON sd.workspace_id = s.workspace_id AND sd.domain = a.sending_domain
                CROSS JOIN LATERAL (
                    SELECT greatest(pa.day, (now() AT TIME ZONE z.time_zone)::date) AS account_day,
                        greatest(pd.day, (now() AT TIME ZONE z.time_zone)::date) AS domain_day
                ) t
            WHERE s.workspace_id = cast(:workspace_id as uuid) AND s.id = cast(:batch_id as uuid)
        ), room AS MATERIALIZED (
            SELECT p.*, gen_random_uuid() AS token,
                CASE WHEN p.is_open AND coalesce(p.brake_until <= now(), true) THEN greatest(0, least(
                    cast(:limit as bigint),
                    floor(p.burst - extract(epoch FROM p.free - now()) * p.rate / 60),
                    floor(p.account_burst - extract(epoch FROM p.account_free - now()) * p.account_rate / 60),
                    p.account_left, p.domain_left
                )) ELSE 0 END::bigint AS n
            FROM pace p
        ), taken AS MATERIALIZED (
            SELECT d.ctid AS place, d.time_zone FROM delivery d
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.send_batch_id = cast(:batch_id as uuid)
                AND d.status = 'queued' AND d.resend = 0 AND d.run_at <= now()
            ORDER BY d.run_at, d.id LIMIT (SELECT n FROM room)
            FOR UPDATE SKIP LOCKED
        ), zones AS MATERIALIZED (
            SELECT coalesce(z.time_zone, '') AS zone, CASE WHEN r.has_quiet THEN quiet_until(
                now(), coalesce(z.time_zone, r.time_zone), r.quiet_from, r.quiet_to, r.quiet_weekdays
            ) END AS until
            FROM (SELECT DISTINCT time_zone FROM taken) z, room r
        ), sleepers AS MATERIALIZED (
            SELECT t.place, z.until FROM zones z JOIN taken t ON z.zone = coalesce(t.time_zone, '')
            WHERE z.until IS NOT NULL
        ), awake AS MATERIALIZED (
            SELECT t.place FROM taken t WHERE t.place NOT IN (SELECT place FROM sleepers)
        ), asleep AS (
            UPDATE delivery d SET run_at = s.until, quiet_until = s.until FROM sleepers s WHERE d.ctid = s.place
            RETURNING d.run_at
        ), claimed AS (
            UPDATE delivery d SET status = 'claimed', attempt = d.attempt + 1, token = r.token,
                lease_until = now() + cast(:lease_s as float) * interval '1 second'
            FROM awake a, room r
            WHERE d.ctid = a.place
            RETURNING d.id, d.attempt
        ), done AS MATERIALIZED (
            SELECT (SELECT count(*) FROM taken) AS taken, (SELECT count(*) FROM claimed) AS claimed,
                (SELECT count(*) FROM asleep) AS asleep, (SELECT min(run_at) FROM asleep) AS wakes_at
        ), spent AS MATERIALIZED (
            SELECT r.*, x.*,
                r.free + x.claimed * (60.0 / r.rate) * interval '1 second' AS free_after,
                r.account_free + x.claimed * (60.0 / r.account_rate) * interval '1 second' AS account_free_after,
                least(r.burst, cast(:limit as bigint), greatest(1, ceil(r.rate * cast(:chunk_s as numeric) / 60)))
                    AS chunk,
                least(r.account_burst, cast(:limit as bigint),
                    greatest(1, ceil(r.account_rate * cast(:chunk_s as numeric) / 60))) AS account_chunk,
                CASE WHEN x.taken < r.n THEN (
                    SELECT d.run_at FROM delivery d
                    WHERE d.workspace_id = cast(:workspace_id as uuid)
                        AND d.send_batch_id = cast(:batch_id as uuid)
                        AND d.status = 'queued' AND d.resend = 0 AND d.run_at > now()
                    ORDER BY d.run_at, d.id LIMIT 1
                ) END AS due_at,
                x.claimed > 0 OR x.taken < r.n AND EXISTS (
                    SELECT FROM delivery d
                    WHERE d.workspace_id = cast(:workspace_id as uuid)
                        AND d.send_batch_id = cast(:batch_id as uuid) AND d.status IN ('claimed', 'sending')
                ) AS is_under_way
            FROM room r, done x
        ), ahead AS MATERIALIZED (
            SELECT s.*,
                greatest(
                    s.brake_until,
                    s.free_after - (s.burst - s.chunk) * (60.0 / s.rate) * interval '1 second',
                    s.account_free_after
                        - (s.account_burst - s.account_chunk) * (60.0 / s.account_rate) * interval '1 second',
                    CASE WHEN s.account_left <= s.claimed
                        THEN (s.account_day + 1)::timestamp AT TIME ZONE s.time_zone END,
                    CASE WHEN s.domain_left <= s.claimed
                        THEN (s.domain_day + 1)::timestamp AT TIME ZONE s.time_zone END
                ) + interval '1 microsecond' AS room_at,
                CASE WHEN s.taken < s.n THEN least(
                    s.due_at, s.wakes_at,
                    CASE WHEN s.is_under_way OR s.due_at IS NULL AND s.wakes_at IS NULL
                        THEN now() + cast(:idle_s as float) * interval '1 second' END
                ) END AS row_at
            FROM spent s
        ), moved AS (
            UPDATE send_pace p SET
                served_at = CASE WHEN a.taken > 0 THEN clock_timestamp() ELSE p.served_at END,
                next_free_at = CASE p.kind
                    WHEN 'BATCH' THEN coalesce(a.free_after, p.next_free_at)
                    WHEN 'ACCOUNT' THEN coalesce(a.account_free_after, p.next_free_at)
                    ELSE p.next_free_at END,
                day = CASE p.kind WHEN 'ACCOUNT' THEN a.account_day WHEN 'DOMAIN' THEN a.domain_day END,
                day_count = CASE
                    WHEN p.kind = 'BATCH' THEN 0
                    WHEN p.day = CASE p.kind WHEN 'ACCOUNT' THEN a.account_day ELSE a.domain_day END
                        THEN p.day_count + a.claimed
                    ELSE a.claimed END,
                look_at = CASE
                    WHEN p.kind <> 'BATCH' OR a.is_over THEN NULL
                    WHEN NOT a.is_open THEN now() + cast(:later_s as float) * interval '1 second'
                    WHEN coalesce(greatest(a.room_at, a.row_at) <= now(), true) THEN p.look_at
                    ELSE least(greatest(a.room_at, a.row_at),
                        now() + cast(:at_most_s as float) * interval '1 second') END
            FROM ahead a
            WHERE p.workspace_id = cast(:workspace_id as uuid) AND (
                p.kind = 'BATCH' AND p.key = cast(:batch_id as uuid)::text
                OR a.claimed > 0 AND p.kind = 'ACCOUNT' AND p.key = cast(:account_id as uuid)::text
                OR a.claimed > 0 AND p.kind = 'DOMAIN' AND p.key = cast(:domain as text)
            )
        )
        SELECT c.id, a.token, c.attempt, a.asleep,
            CASE WHEN a.asleep > 0 THEN ARRAY (SELECT zone FROM zones WHERE until IS NOT NULL) END AS zones
        FROM ahead a LEFT JOIN claimed c ON true
        """.replace("{account_refusal}", ACCOUNT_REFUSAL)
    )
)
"""Under the locks of PICK, in a snapshot of after it: who switches the batch writes its pace row too, so that what is
not seen here comes after, and sets `look_at` anew. The rows of one claim have one token. They are updated where they
were locked, so that no plan can go wrong over a table that has grown."""

POSTPONE = Statement(
    text(
        """
        WITH due AS MATERIALIZED (
            SELECT d.ctid AS place, coalesce(d.time_zone, '') AS zone FROM delivery d
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.send_batch_id = cast(:batch_id as uuid)
                AND d.status = 'queued' AND d.resend = 0 AND d.run_at <= now()
            ORDER BY d.run_at, d.id LIMIT cast(:limit as bigint)
        ), sleepers AS MATERIALIZED (
            SELECT d.ctid AS place, due.zone
            FROM due JOIN delivery d ON d.ctid = due.place
            WHERE due.zone = ANY (:zones) AND d.status = 'queued'
            FOR UPDATE OF d SKIP LOCKED
        )
        UPDATE delivery d SET run_at = z.until, quiet_until = z.until
        FROM sleepers s JOIN (
            SELECT x.zone, quiet_until(
                now(), coalesce(nullif(x.zone, ''), w.time_zone), w.quiet_from, w.quiet_to, w.quiet_weekdays
            ) AS until
            FROM unnest(:zones) AS x(zone), workspace w WHERE w.id = cast(:workspace_id as uuid) OFFSET 0
        ) z ON z.zone = s.zone
        WHERE d.ctid = s.place AND z.until IS NOT NULL
        """
    ).bindparams(bindparam("zones", type_=ARRAY(Text)))
)
NEXT_LOOK = Statement(
    text(
        """
        SELECT extract(epoch FROM min(look_at) - clock_timestamp())::float AS wait_s
        FROM send_pace WHERE look_at IS NOT NULL
        """
    )
)

GIVE_BACK = Statement(
    text(
        """
        WITH mine AS MATERIALIZED (
            SELECT workspace_id, id FROM delivery
            WHERE token = ANY (:tokens) AND id = ANY (:ids) AND status = 'claimed'
                AND send_batch_id IS NOT NULL AND resend = 0
            FOR UPDATE SKIP LOCKED
        ), given AS (
            UPDATE delivery d SET status = 'queued', attempt = d.attempt - 1, token = NULL, lease_until = NULL
            FROM mine m WHERE d.workspace_id = m.workspace_id AND d.id = m.id
            RETURNING d.workspace_id, d.account_id, d.send_batch_id, old.lease_until
        )
        SELECT workspace_id, account_id, send_batch_id AS batch_id, count(*) AS count,
            extract(epoch FROM now() - min(lease_until))::float AS overdue_s
        FROM given GROUP BY workspace_id, account_id, send_batch_id
        """
    ).bindparams(*(bindparam(name, type_=ARRAY(Uuid)) for name in ("tokens", "ids")))
)
REAP = Statement(
    text(
        """
        WITH over AS MATERIALIZED (
            SELECT workspace_id, id FROM delivery
            WHERE status = 'claimed' AND send_batch_id IS NOT NULL AND resend = 0 AND lease_until < now()
            FOR UPDATE SKIP LOCKED
        ), given AS (
            UPDATE delivery d SET status = 'queued', token = NULL, lease_until = NULL, run_at = now()
            FROM over o WHERE d.workspace_id = o.workspace_id AND d.id = o.id
            RETURNING d.workspace_id, d.account_id, d.send_batch_id
        )
        SELECT workspace_id, account_id, send_batch_id AS batch_id, count(*) AS count
        FROM given GROUP BY workspace_id, account_id, send_batch_id
        """
    )
)
COUNT = Statement(
    text(
        """
        SELECT count(*) FROM delivery WHERE status IN ('queued', 'claimed') AND send_batch_id IS NOT NULL AND resend = 0
        """
    )
)
