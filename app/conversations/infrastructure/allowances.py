"""The SQL of what is used up of limits beside claims of batches: by people, or given back (docs/decisions/0029)."""

from sqlalchemy import ARRAY, Float, Integer, Uuid, bindparam, text

from app.common.database import Statement

WHOSE = """
    SELECT a.workspace_id, a.id AS account_id, coalesce(a.sending_domain, a.id::text) AS domain, z.time_zone,
        (now() AT TIME ZONE z.time_zone)::date AS today, a.daily_limit, sd.daily_limit AS domain_limit,
        a.rate_per_minute
    FROM channel_account a
        JOIN workspace w ON w.id = a.workspace_id
        CROSS JOIN LATERAL known_zone(w.time_zone) AS z(time_zone)
        LEFT JOIN sending_domain sd ON sd.workspace_id = a.workspace_id AND sd.domain = a.sending_domain
    WHERE a.workspace_id = cast(:workspace_id as uuid) AND {which}
"""
OF_ACCOUNT = WHOSE.format(which="a.id = cast(:account_id as uuid)")
ADD_SHARED = Statement(
    text(
        """
        INSERT INTO send_pace (workspace_id, kind, key)
        SELECT a.workspace_id, k.kind, k.key
        FROM channel_account a CROSS JOIN LATERAL (
            VALUES ('ACCOUNT', a.id::text), ('DOMAIN', coalesce(a.sending_domain, a.id::text))
        ) AS k(kind, key)
        WHERE a.workspace_id = cast(:workspace_id as uuid) AND a.id = cast(:account_id as uuid)
        ORDER BY k.kind
        ON CONFLICT DO NOTHING
        """
    )
)
START = Statement(
    text(
        """
        WITH batch AS (
            SELECT s.workspace_id, s.id, s.account_id, coalesce(a.sending_domain, a.id::text) AS domain
            FROM send_batch s JOIN channel_account a ON (a.workspace_id, a.id) = (s.workspace_id, s.account_id)
            WHERE s.workspace_id = cast(:workspace_id as uuid) AND s.id = cast(:batch_id as uuid)
        ), shared AS (
            INSERT INTO send_pace (workspace_id, kind, key)
            SELECT b.workspace_id, k.kind, k.key
            FROM batch b CROSS JOIN LATERAL (VALUES ('ACCOUNT', b.account_id::text), ('DOMAIN', b.domain))
                AS k(kind, key)
            WHERE NOT EXISTS (
                SELECT FROM send_pace p WHERE p.workspace_id = b.workspace_id AND p.kind = k.kind AND p.key = k.key
            )
            ORDER BY k.kind
            ON CONFLICT DO NOTHING
        )
        INSERT INTO send_pace (workspace_id, kind, key, look_at)
        SELECT workspace_id, 'BATCH', id::text, now() FROM batch
        ON CONFLICT (workspace_id, kind, key)
            DO UPDATE SET look_at = least(coalesce(send_pace.look_at, now()), now())
        """
    )
)
"""Locks the batch's pace alone. ON CONFLICT DO NOTHING waits for whoever is changing the row that is there, and refunds
hold account and domain while they wait for a batch: what is there is not tried."""
END = Statement(
    text(
        """
        UPDATE send_pace SET look_at = NULL
        WHERE workspace_id = cast(:workspace_id as uuid) AND kind = 'BATCH'
            AND key = cast(:batch_id as uuid)::text
        """
    )
)
SPEND = Statement(
    text(
        """
        WITH whose AS MATERIALIZED ({whose}), held AS MATERIALIZED (
            SELECT p.kind, p.key, p.next_free_at, greatest(p.day, w.today) AS day,
                CASE WHEN p.day >= w.today THEN p.day_count ELSE 0 END AS used,
                CASE p.kind WHEN 'ACCOUNT' THEN w.daily_limit ELSE w.domain_limit END AS most
            FROM whose w JOIN send_pace p ON p.workspace_id = w.workspace_id
                AND (p.kind, p.key) IN (('ACCOUNT', w.account_id::text), ('DOMAIN', w.domain))
            ORDER BY p.kind
            FOR UPDATE OF p
        ), found AS MATERIALIZED (
            SELECT count(*) = 2 AS is_there, bool_and(coalesce(used < most, true)) AS is_free,
                max(day) FILTER (WHERE used >= most) AS day
            FROM held
        ), moved AS (
            UPDATE send_pace p SET day = h.day, day_count = h.used + 1,
                next_free_at = CASE WHEN p.kind = 'ACCOUNT' AND w.rate_per_minute IS NOT NULL
                    THEN greatest(h.next_free_at, now()) + (60.0 / w.rate_per_minute) * interval '1 second'
                    ELSE h.next_free_at END
            FROM whose w, found f, held h
            WHERE f.is_there AND f.is_free
                AND p.workspace_id = w.workspace_id AND p.kind = h.kind AND p.key = h.key
        )
        SELECT f.is_there, f.is_free, (f.day + 1)::timestamp AT TIME ZONE w.time_zone AS until
        FROM found f, whose w
        """.replace("{whose}", OF_ACCOUNT)
    )
)
REFUND = Statement(
    text(
        """
        WITH back AS MATERIALIZED (
            SELECT a.workspace_id, k.kind, k.key, sum(b.count) AS count,
                sum(greatest(0, b.count * 60.0 / k.rate - b.held_s)) AS freed_s,
                (now() - max(coalesce(b.held_s, cast(:longest_s as float))) * interval '1 second')
                    AT TIME ZONE known_zone(w.time_zone) AS since
            FROM unnest(:workspace_ids, :account_ids, :batch_ids, :counts, :held_s)
                    AS b(workspace_id, account_id, batch_id, count, held_s)
                JOIN channel_account a ON a.workspace_id = b.workspace_id AND a.id = b.account_id
                JOIN workspace w ON w.id = a.workspace_id
                LEFT JOIN send_batch s ON s.workspace_id = b.workspace_id AND s.id = b.batch_id
                CROSS JOIN LATERAL (
                    VALUES ('ACCOUNT', a.id::text, a.rate_per_minute), ('BATCH', s.id::text, s.rate_per_minute),
                        ('DOMAIN', coalesce(a.sending_domain, a.id::text), NULL)
                ) AS k(kind, key, rate)
            WHERE k.key IS NOT NULL
            GROUP BY a.workspace_id, k.kind, k.key, w.time_zone
        ), held AS MATERIALIZED (
            SELECT p.workspace_id, p.kind, p.key
            FROM back b JOIN send_pace p
                ON p.workspace_id = b.workspace_id AND p.kind = b.kind AND p.key = b.key
            ORDER BY p.workspace_id, p.kind, p.key
            FOR UPDATE OF p
        )
        UPDATE send_pace p SET
            day_count = CASE WHEN p.day = b.since::date THEN greatest(0, p.day_count - b.count) ELSE p.day_count END,
            next_free_at = p.next_free_at - coalesce(b.freed_s, 0) * interval '1 second',
            look_at = CASE WHEN p.look_at IS NOT NULL THEN least(p.look_at, now()) END
        FROM held h JOIN back b ON b.workspace_id = h.workspace_id AND b.kind = h.kind AND b.key = h.key
        WHERE p.workspace_id = h.workspace_id AND p.kind = h.kind AND p.key = h.key
        """
    ).bindparams(
        *(bindparam(name, type_=ARRAY(Uuid)) for name in ("workspace_ids", "account_ids", "batch_ids")),
        bindparam("counts", type_=ARRAY(Integer)),
        bindparam("held_s", type_=ARRAY(Float)),
    )
)
BRAKE = Statement(
    text(
        """
        UPDATE send_pace SET brake_until = greatest(brake_until, now() + cast(:wait_s as float) * interval '1 second')
        WHERE workspace_id = cast(:workspace_id as uuid) AND kind = 'ACCOUNT'
            AND key = cast(:account_id as uuid)::text
        """
    )
)
USED_UP = Statement(
    text(
        """
        SELECT w.account_id, (max(p.day) + 1)::timestamp AT TIME ZONE min(w.time_zone) AS until
        FROM ({whose}) w JOIN send_pace p ON p.workspace_id = w.workspace_id
            AND (p.kind, p.key) IN (('ACCOUNT', w.account_id::text), ('DOMAIN', w.domain))
        WHERE p.day >= w.today
            AND p.day_count >= CASE p.kind WHEN 'ACCOUNT' THEN w.daily_limit ELSE w.domain_limit END
        GROUP BY w.account_id
        """.replace("{whose}", WHOSE.format(which="a.id = ANY (:account_ids)"))
    ).bindparams(bindparam("account_ids", type_=ARRAY(Uuid)))
)
POSTPONE = Statement(
    text(
        """
        UPDATE delivery SET status = 'queued', attempt = attempt - 1, token = NULL, lease_until = NULL,
            run_at = least(cast(:until as timestamptz), now() + interval '15 minutes'),
            error = cast(:reason as text)
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
            AND token = cast(:token as uuid) AND status = 'claimed'
        RETURNING id
        """
    )
)
