"""The statements of `merging.py`. Those that touch rows answer with `key` and `before` (`common/repointing.py`)."""

from sqlalchemy import text

from app.common.database import Statement

# Of each kind the kept lead's primary one stays it; where it has none, the first merged lead's becomes it.
MOVE_IDENTITIES = Statement(
    text(
        """
        WITH ranked AS (
            SELECT i.id, i.lead_id, i.is_primary, i.is_primary AND NOT EXISTS (
                    SELECT FROM lead_identity k
                    WHERE k.workspace_id = i.workspace_id AND k.lead_id = cast(:to_id as uuid) AND k.kind = i.kind
                        AND k.is_primary
                ) AND 1 = row_number() OVER (
                    PARTITION BY i.kind, i.is_primary
                    ORDER BY array_position(cast(:from_ids as uuid[]), i.lead_id)
                ) AS stays_primary
            FROM lead_identity i
            WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = ANY (cast(:from_ids as uuid[]))
        ), moved AS (
            UPDATE lead_identity i SET lead_id = cast(:to_id as uuid), is_primary = r.stays_primary
            FROM ranked r
            WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.id = r.id
            RETURNING r.id, r.lead_id, r.is_primary
        )
        SELECT cast(jsonb_build_object('id', jsonb_agg(id)) as text) AS key,
            cast(jsonb_build_object('lead_id', lead_id, 'is_primary', is_primary) as text) AS before
        FROM moved GROUP BY lead_id, is_primary ORDER BY lead_id, is_primary
        """
    )
)
GIVE_BACK_IDENTITIES = Statement(
    text(
        """
        UPDATE lead_identity i SET lead_id = b.lead_id, is_primary = b.is_primary
        FROM jsonb_to_record(cast(:before as jsonb)) AS b(lead_id uuid, is_primary boolean),
            jsonb_array_elements_text(cast(:key as jsonb) -> 'id') AS k(id)
        WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = cast(:to_id as uuid)
            AND i.id = cast(k.id as uuid)
        """
    )
)
TAGS_OF = Statement(
    text(
        """
        SELECT DISTINCT tag_id FROM lead_tag
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:from_ids as uuid[]))
        """
    )
)
# What the kept lead gained is told too, with `before` NULL.
MOVE_TAGS = Statement(
    text(
        """
        WITH gone AS (
            DELETE FROM lead_tag
            WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:from_ids as uuid[]))
            RETURNING lead_id, tag_id, created_at
        ), gained AS (
            INSERT INTO lead_tag (workspace_id, lead_id, tag_id, created_at)
            SELECT cast(:workspace_id as uuid), cast(:to_id as uuid), tag_id, min(created_at)
            FROM gone GROUP BY tag_id ORDER BY tag_id
            ON CONFLICT DO NOTHING RETURNING tag_id, created_at
        )
        SELECT cast(jsonb_build_object('tag_id', jsonb_agg(tag_id)) as text) AS key,
            cast(jsonb_build_object('lead_id', lead_id, 'created_at', jsonb_agg(created_at)) as text) AS before
        FROM gone GROUP BY lead_id
        UNION ALL
        SELECT cast(
            jsonb_build_object('tag_id', jsonb_agg(tag_id), 'created_at', jsonb_agg(created_at)) as text
        ), NULL
        FROM gained HAVING count(*) > 0
        """
    )
)
GIVE_BACK_TAGS = Statement(
    text(
        """
        WITH held AS MATERIALIZED (
            SELECT t.id FROM tag t
            WHERE t.workspace_id = cast(:workspace_id as uuid) AND t.id IN (
                SELECT cast(id as uuid) FROM jsonb_array_elements_text(cast(:key as jsonb) -> 'tag_id') AS k(id)
            )
            ORDER BY t.id FOR KEY SHARE
        )
        INSERT INTO lead_tag (workspace_id, lead_id, tag_id, created_at)
        SELECT cast(:workspace_id as uuid), cast(cast(:before as jsonb) ->> 'lead_id' as uuid), held.id,
            cast(k.created_at as timestamptz)
        FROM ROWS FROM (
            jsonb_array_elements_text(cast(:key as jsonb) -> 'tag_id'),
            jsonb_array_elements_text(cast(:before as jsonb) -> 'created_at')
        ) AS k(tag_id, created_at)
        JOIN held ON held.id = cast(k.tag_id as uuid)
        ON CONFLICT DO NOTHING
        """
    )
)
# One that was taken off and put on again since is people's own.
TAKE_OFF_TAGS = Statement(
    text(
        """
        DELETE FROM lead_tag t
        USING ROWS FROM (
            jsonb_array_elements_text(cast(:key as jsonb) -> 'tag_id'),
            jsonb_array_elements_text(cast(:key as jsonb) -> 'created_at')
        ) AS k(tag_id, created_at)
        WHERE t.workspace_id = cast(:workspace_id as uuid) AND t.lead_id = cast(:to_id as uuid)
            AND t.tag_id = cast(k.tag_id as uuid) AND t.created_at = cast(k.created_at as timestamptz)
        """
    )
)
# A suppression of a person is one a channel: those that the kept lead, or a merged one before, has already.
SAME_SUPPRESSIONS = Statement(
    text(
        """
        WITH ranked AS (
            SELECT s.id, 1 < row_number() OVER (
                    PARTITION BY s.channel ORDER BY array_position(cast(:from_ids as uuid[]), s.lead_id)
                ) OR EXISTS (
                    SELECT FROM suppression k
                    WHERE k.workspace_id = s.workspace_id AND k.lead_id = cast(:to_id as uuid)
                        AND k.channel IS NOT DISTINCT FROM s.channel
                ) AS is_same
            FROM suppression s
            WHERE s.workspace_id = cast(:workspace_id as uuid) AND s.lead_id = ANY (cast(:from_ids as uuid[]))
        ), gone AS (
            DELETE FROM suppression s USING ranked r
            WHERE s.workspace_id = cast(:workspace_id as uuid) AND s.id = r.id AND r.is_same
            RETURNING s.*
        )
        SELECT cast(jsonb_build_object('id', id) as text) AS key, cast(to_jsonb(gone) as text) AS before FROM gone
        """
    )
)
MOVE_SUPPRESSIONS = Statement(
    text(
        """
        WITH moved AS (
            UPDATE suppression SET lead_id = cast(:to_id as uuid), value = cast(cast(:to_id as uuid) as text)
            WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:from_ids as uuid[]))
            RETURNING id, old.lead_id AS lead_id, old.value AS value
        )
        SELECT cast(jsonb_build_object('id', id) as text) AS key,
            cast(jsonb_build_object('lead_id', lead_id, 'value', value) as text) AS before
        FROM moved ORDER BY id
        """
    )
)
# A row that was left out for another comes back whole; one that was moved goes back, unless it was lifted since.
GIVE_BACK_SUPPRESSION = Statement(
    text(
        """
        WITH given AS (
            SELECT s.* FROM jsonb_populate_record(cast(NULL as suppression), cast(:before as jsonb)) AS s
        ), moved AS (
            UPDATE suppression s SET lead_id = g.lead_id, value = g.value
            FROM given g
            WHERE g.id IS NULL AND s.workspace_id = cast(:workspace_id as uuid) AND s.lead_id = cast(:to_id as uuid)
                AND s.id = cast(cast(:key as jsonb) ->> 'id' as uuid)
        )
        INSERT INTO suppression SELECT g.* FROM given g WHERE g.id IS NOT NULL
        ON CONFLICT DO NOTHING
        """
    )
)
FILLED = (
    *(
        "company",
        "title",
        "avatar_url",
        "owner_id",
        "basis",
        "time_zone",
        "engagement",
        "last_touch_at",
        "metadata",
    ),
    *("version", "updated_at"),
)
"""What a merge may change of the kept lead; its name, stage and place on the board stay."""
# The first merged lead that has something gives it; the furthest engagement and the last touch count.
FILL = Statement(
    text(
        f"""
        WITH merged AS (
            SELECT l.*, array_position(cast(:from_ids as uuid[]), l.id) AS n FROM lead l
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = ANY (cast(:from_ids as uuid[]))
        ), best AS (
            SELECT {
            ", ".join(
                f"(array_agg({name} ORDER BY n) FILTER (WHERE {name} IS NOT NULL))[1] AS {name}"
                for name in ("company", "title", "avatar_url", "owner_id", "basis", "time_zone")
            )
        }, max(array_position(cast(:engagements as text[]), engagement)) AS engagement,
                max(last_touch_at) AS last_touch_at
            FROM merged
        ), known AS (
            SELECT coalesce(jsonb_object_agg(key, value ORDER BY n DESC), '{{}}') AS metadata
            FROM merged, jsonb_each(metadata)
        )
        UPDATE lead k SET company = coalesce(k.company, b.company), title = coalesce(k.title, b.title),
            avatar_url = coalesce(k.avatar_url, b.avatar_url), owner_id = coalesce(k.owner_id, b.owner_id),
            basis = coalesce(k.basis, b.basis), time_zone = coalesce(k.time_zone, b.time_zone),
            engagement = (cast(:engagements as text[]))[
                greatest(array_position(cast(:engagements as text[]), k.engagement), b.engagement)
            ],
            last_touch_at = greatest(k.last_touch_at, b.last_touch_at), metadata = known.metadata || k.metadata,
            updated_at = now(), version = k.version + 1
        FROM best b, known
        WHERE k.workspace_id = cast(:workspace_id as uuid) AND k.id = cast(:to_id as uuid)
        RETURNING cast(jsonb_build_object('id', k.id) as text) AS key, cast(jsonb_build_object(
            'was', jsonb_build_object({", ".join(f"'{name}', old.{name}" for name in FILLED)}),
            'became', jsonb_build_object({", ".join(f"'{name}', new.{name}" for name in FILLED)})
        ) as text) AS before
        """  # noqa: S608 - names of ours
    )
)
AWAY = Statement(
    text(
        """
        UPDATE lead SET deleted_at = now(), merged_into_id = cast(:to_id as uuid), updated_at = now(),
            version = version + 1
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:from_ids as uuid[]))
        RETURNING cast(jsonb_build_object('id', id) as text) AS key,
            cast(jsonb_build_object('updated_at', old.updated_at) as text) AS before
        """
    )
)
BACK = Statement(
    text(
        """
        UPDATE lead SET deleted_at = NULL, merged_into_id = NULL, version = version + 1,
            updated_at = cast(cast(:before as jsonb) ->> 'updated_at' as timestamptz)
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(cast(:key as jsonb) ->> 'id' as uuid)
        """
    )
)
RESTORE_KEPT = Statement(
    text(
        f"""
        UPDATE lead l SET {
            ", ".join(
                f"{name} = CASE WHEN l.{name} IS NOT DISTINCT FROM became.{name} THEN was.{name} ELSE l.{name} END"
                for name in FILLED
                if name not in ("metadata", "version", "updated_at")
            )
        }, metadata = l.metadata - array(
                SELECT b.key FROM jsonb_each(became.metadata) AS b
                WHERE NOT jsonb_exists(was.metadata, b.key) AND l.metadata -> b.key = b.value
            ),
            updated_at = CASE WHEN l.version = became.version THEN was.updated_at ELSE now() END,
            version = l.version + 1
        FROM jsonb_populate_record(cast(NULL as lead), cast(:before as jsonb) -> 'was') AS was,
            jsonb_populate_record(cast(NULL as lead), cast(:before as jsonb) -> 'became') AS became
        WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = cast(:to_id as uuid)
        """  # noqa: S608 - names of ours
    )
)
FORGET_ENTRIES = Statement(
    text(
        """
        DELETE FROM interaction
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = cast(:to_id as uuid) AND type = 'MERGED'
            AND cause = cast(:cause as text)
        """
    )
)
_FOLLOW = """
    UPDATE <table> e SET lead_id = c.lead_id
    FROM unnest(cast(:conversation_ids as uuid[]), cast(:lead_ids as uuid[])) AS c(id, lead_id)
    WHERE e.workspace_id = cast(:workspace_id as uuid) AND e.lead_id = cast(:to_id as uuid)
        AND e.conversation_id = c.id AND e.created_at >= cast(:since as timestamptz)
"""
FOLLOW, FOLLOW_SCORES = (
    Statement(text(_FOLLOW.replace("<table>", table))) for table in ("interaction", "score_event")
)
# A number is one person's: what the kept lead was given since goes with what goes back.
FOLLOW_NUMBERS = Statement(
    text(
        """
        UPDATE lead_identity k SET lead_id = b.lead_id, is_primary = false
        FROM lead_identity b
        WHERE k.workspace_id = cast(:workspace_id as uuid) AND k.lead_id = cast(:to_id as uuid)
            AND k.kind IN ('PHONE', 'WHATSAPP') AND k.created_at >= cast(:since as timestamptz)
            AND b.workspace_id = k.workspace_id AND b.lead_id = ANY (cast(:from_ids as uuid[]))
            AND b.kind IN ('PHONE', 'WHATSAPP') AND b.value = k.value
        RETURNING k.id
        """
    )
)
