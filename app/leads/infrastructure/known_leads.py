"""What staged rows change of leads that the workspace knows: written, or only told.

What would change is one text each (`ADDABLE`, `WANTED`, `TAGS`, `NOTED`), used by the statements that write
and by those of a forecast: a dry run tells what the run then does. Leads are looked up one by one (`OFFSET 0`), as in
`matching.py`.
"""

from sqlalchemy import text

from app.common.database import Statement

# With FILL_EMPTY a lead gets an identity only of a kind that it has none of; a number that somebody else has on
# WhatsApp is theirs.
ADDABLE = """
    (cast(:policy as text) <> 'FILL_EMPTY' OR NOT EXISTS (
        SELECT FROM lead_identity i WHERE i.workspace_id = cast(:workspace_id as uuid)
            AND i.lead_id = s.lead_id AND i.kind = t.kind OFFSET 0
    )) AND NOT (t.kind = 'PHONE' AND EXISTS (
        SELECT FROM lead_identity w WHERE w.workspace_id = cast(:workspace_id as uuid)
            AND w.kind = 'WHATSAPP' AND w.value = t.value AND w.released_at IS NULL AND w.lead_id <> s.lead_id OFFSET 0
    ))
"""
# What a known lead is to become; `is_different`: than it is.
WANTED = """
    SELECT s.n, l.id, l.version, l.stage_id, l.rank, l.source, l.email, l.phone, l.handles, v.*,
        s.added IS NOT NULL AS has_fresh,
        s.added IS NOT NULL OR s.tag_ids IS NOT NULL
            OR (l.name, l.company, l.title, l.avatar_url, l.metadata, l.owner_id)
                IS DISTINCT FROM (v.name, v.company, v.title, v.avatar_url, v.metadata, v.owner_id) AS is_different
    FROM pg_temp.stage_lead s CROSS JOIN LATERAL (
        SELECT * FROM lead k WHERE k.workspace_id = cast(:workspace_id as uuid) AND k.id = s.lead_id OFFSET 0
    ) AS l CROSS JOIN LATERAL (
        SELECT
            CASE WHEN cast(:fill as boolean) THEN coalesce(l.name, s.name) ELSE coalesce(s.name, l.name) END AS name,
            CASE WHEN cast(:fill as boolean) THEN coalesce(l.company, s.company)
                ELSE coalesce(s.company, l.company) END AS company,
            CASE WHEN cast(:fill as boolean) THEN coalesce(l.title, s.title)
                ELSE coalesce(s.title, l.title) END AS title,
            CASE WHEN cast(:fill as boolean) THEN coalesce(l.avatar_url, s.avatar_url)
                ELSE coalesce(s.avatar_url, l.avatar_url) END AS avatar_url,
            CASE WHEN cast(:fill as boolean) THEN coalesce(s.metadata, '{}') || l.metadata
                ELSE l.metadata || coalesce(s.metadata, '{}') END AS metadata,
            coalesce(l.owner_id, cast(:owner_id as uuid)) AS owner_id
    ) AS v
    WHERE s.known AND s.outcome IS NULL
"""
TAGS = """
    SELECT s.n, s.lead_id, t.tag_id FROM pg_temp.stage_lead s JOIN pg_temp.stage_tag t USING (n) WHERE s.outcome IS NULL
    UNION
    SELECT s.n, s.lead_id, t.tag_id
    FROM pg_temp.stage_lead s CROSS JOIN unnest(cast(:tag_ids as uuid[])) AS t(tag_id) WHERE s.outcome IS NULL
"""
NOTED = """
    s.note IS NOT NULL AND s.outcome IS NULL AND NOT (s.known AND EXISTS (
        SELECT FROM interaction i WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = s.lead_id
            AND i.type = 'NOTE' AND i.content = s.note OFFSET 0
    ))
"""


def _primary(kind: str) -> str:
    """What a lead's column says, or, where that is empty, the primary identity that it may have got."""
    column = kind.lower()
    return f"""CASE WHEN w.{column} IS NULL AND w.has_fresh THEN (
        SELECT i.value FROM lead_identity i
        WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = w.id AND i.kind = '{kind}' AND i.is_primary
    ) ELSE w.{column} END"""  # noqa: S608 - names of ours


# Written by the key that each conflicts with, one by one: an UPDATE would be joined, and perhaps to all that there is.
UPDATE_KNOWN = Statement(
    text(
        f"""
        WITH wanted AS ({WANTED}), changed AS (
            INSERT INTO lead AS l (workspace_id, id, stage_id, rank, source, name, company, title, avatar_url, metadata,
                owner_id, email, phone, handles)
            SELECT cast(:workspace_id as uuid), w.id, w.stage_id, w.rank, w.source, w.name, w.company, w.title,
                w.avatar_url, w.metadata, w.owner_id, {_primary("EMAIL")}, {_primary("PHONE")},
                CASE WHEN w.has_fresh THEN array(
                    SELECT i.value FROM lead_identity i
                    WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = w.id ORDER BY i.kind, i.value
                ) ELSE w.handles END
            FROM wanted w WHERE w.is_different
            ON CONFLICT (workspace_id, id) DO UPDATE SET name = excluded.name, company = excluded.company,
                title = excluded.title, avatar_url = excluded.avatar_url, metadata = excluded.metadata,
                owner_id = excluded.owner_id, email = excluded.email, phone = excluded.phone,
                handles = excluded.handles, updated_at = now(), version = l.version + 1
            RETURNING new.id, new.version, (
                SELECT jsonb_object_agg(f.name, jsonb_build_array(f.before, f.after)) FROM (VALUES
                    ('name', to_jsonb(old.name), to_jsonb(new.name)),
                    ('company', to_jsonb(old.company), to_jsonb(new.company)),
                    ('title', to_jsonb(old.title), to_jsonb(new.title)),
                    ('avatar_url', to_jsonb(old.avatar_url), to_jsonb(new.avatar_url)),
                    ('metadata', old.metadata, new.metadata),
                    ('owner_id', to_jsonb(old.owner_id), to_jsonb(new.owner_id))
                ) AS f(name, before, after) WHERE f.before IS DISTINCT FROM f.after
            ) AS fields
        )
        UPDATE pg_temp.stage_lead s SET has_changed = true,
            undo = jsonb_build_object('version', coalesce(c.version, w.version))
                || CASE WHEN c.fields IS NULL THEN '{{}}' ELSE jsonb_build_object('fields', c.fields) END
                || CASE WHEN s.added IS NULL THEN '{{}}' ELSE jsonb_build_object('identities', s.added) END
                || CASE WHEN s.tag_ids IS NULL THEN '{{}}' ELSE jsonb_build_object('tags', s.tag_ids) END
                || CASE WHEN s.note_id IS NULL THEN '{{}}' ELSE jsonb_build_object('note', s.note_id) END
        FROM wanted w LEFT JOIN changed c USING (id)
        WHERE w.n = s.n AND (c.id IS NOT NULL OR s.note_id IS NOT NULL)
        """  # noqa: S608 - constants of ours
    )
)
ADD_TAGS = Statement(
    text(
        f"""
        WITH wanted AS ({TAGS}), tagged AS (
            INSERT INTO lead_tag (workspace_id, lead_id, tag_id)
            SELECT cast(:workspace_id as uuid), lead_id, tag_id FROM wanted ORDER BY lead_id, tag_id
            ON CONFLICT DO NOTHING RETURNING lead_id, tag_id
        )
        UPDATE pg_temp.stage_lead s SET tag_ids = t.tag_ids
        FROM (SELECT lead_id, array_agg(tag_id ORDER BY tag_id) AS tag_ids FROM tagged GROUP BY lead_id) t
        WHERE s.lead_id = t.lead_id AND s.known AND s.outcome IS NULL
        """  # noqa: S608 - constants of ours
    )
)
ADD_NOTES = Statement(
    text(
        f"""
        WITH noted AS (
            INSERT INTO interaction (workspace_id, lead_id, type, content, actor_id, actor_kind)
            SELECT cast(:workspace_id as uuid), s.lead_id, 'NOTE', s.note, cast(:created_by as uuid), 'HUMAN'
            FROM pg_temp.stage_lead s WHERE {NOTED} ORDER BY s.n
            RETURNING id, lead_id
        )
        UPDATE pg_temp.stage_lead s SET note_id = e.id,
            undo = CASE WHEN NOT s.known THEN jsonb_build_object('version', 1, 'note', e.id) END
        FROM noted e WHERE s.lead_id = e.lead_id AND s.outcome IS NULL
        RETURNING s.lead_id, s.note_id
        """  # noqa: S608 - constants of ours
    )
)

WOULD_ADD = Statement(
    text(
        f"""
        UPDATE pg_temp.stage_lead s SET added = '[]'
        FROM (
            SELECT DISTINCT s.n FROM pg_temp.stage_lead s JOIN pg_temp.stage_identity t USING (n)
            WHERE s.known AND s.outcome IS NULL AND NOT EXISTS (
                SELECT FROM lead_identity i WHERE i.workspace_id = cast(:workspace_id as uuid)
                    AND i.kind = t.kind AND i.value = t.value AND i.released_at IS NULL OFFSET 0
            ) AND {ADDABLE}
        ) a
        WHERE a.n = s.n
        """  # noqa: S608 - constants of ours
    )
)
WOULD_TAG = Statement(
    text(
        f"""
        UPDATE pg_temp.stage_lead s SET tag_ids = '{{}}'
        FROM (
            SELECT DISTINCT w.n FROM ({TAGS}) AS w WHERE NOT EXISTS (
                SELECT FROM lead_tag x WHERE x.workspace_id = cast(:workspace_id as uuid)
                    AND x.lead_id = w.lead_id AND x.tag_id = w.tag_id OFFSET 0
            )
        ) t
        WHERE t.n = s.n AND s.known
        """  # noqa: S608 - constants of ours
    )
)
WOULD_NOTE = Statement(
    text(f"UPDATE pg_temp.stage_lead s SET has_changed = true WHERE s.known AND {NOTED}")  # noqa: S608
)
WOULD_UPDATE = Statement(
    text(
        f"""
        WITH wanted AS ({WANTED})
        UPDATE pg_temp.stage_lead s SET has_changed = true FROM wanted w WHERE w.n = s.n AND w.is_different
        """  # noqa: S608 - constants of ours
    )
)
