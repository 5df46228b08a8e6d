"""Full-text search over messages: what a message is found by, what a search asks, and where it looks.

Every lexeme begins with the last 8 hex digits of its workspace's id: the one GIN index is searched within the tenant,
so a search costs what its own workspace holds. Portuguese plurals in -ões and -ães become singulars first, which the
stemmer does not know without their accents. Under row-level security PostgreSQL does not use a GIN index (`@@` is
not leakproof), so the look-up runs as sp_system, with the tenant taken from the same setting as the policies', and with
no name that a temporary object of the caller's could stand in for.
"""

from alembic import op

from app.common.migrations import TENANT

revision = "0006"
down_revision = "0005"

MESSAGE_LEXEMES = """
CREATE FUNCTION message_lexemes(workspace_id uuid, config regconfig, folded text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_tsvector(array(
        SELECT right(workspace_id::text, 8) || lexeme
        FROM unnest(
            tsvector_to_array(to_tsvector(config, CASE WHEN config = 'portuguese'::regconfig
                THEN regexp_replace(folded, '([a-z]{2})[ao]es\\M', '\\1ao', 'g') ELSE folded END))
            || tsvector_to_array(to_tsvector('simple', folded))
        ) AS found(lexeme)
        WHERE length(lexeme) <= 100
    ))
$$
"""
MESSAGE_QUERY = """
CREATE FUNCTION message_query(workspace_id uuid, config regconfig, terms text[]) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg('(' || alternatives || ')', ' & ' ORDER BY n)::tsquery
    FROM unnest(terms) WITH ORDINALITY AS asked(term, n), LATERAL (
        SELECT concat_ws(' | ',
            quote_literal(right(workspace_id::text, 8) || term)
                || CASE WHEN n = cardinality(terms) THEN ':*' ELSE '' END,
            (SELECT string_agg(quote_literal(lexeme), ' | ')
                FROM unnest(tsvector_to_array(message_lexemes(workspace_id, config, term))) AS l(lexeme))
        ) AS alternatives
    ) AS one
$$
"""
SEARCH_CONVERSATIONS = """
CREATE FUNCTION search_conversations(query tsquery, at_most integer) RETURNS uuid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant uuid := <tenant>;
    found uuid[];
    matches integer;
BEGIN
    EXECUTE 'SELECT array_agg(DISTINCT conversation_id), count(*) FROM (
        SELECT conversation_id FROM public.message WHERE workspace_id = $1 AND lexemes @@ $2 LIMIT $3) AS m'
        INTO found, matches USING tenant, query, at_most + 1;
    RETURN CASE WHEN matches <= at_most THEN coalesce(found, '{}'::uuid[]) END;
END
$$
"""


def upgrade() -> None:
    op.execute(MESSAGE_LEXEMES)
    op.execute(MESSAGE_QUERY)
    op.execute("GRANT CREATE ON SCHEMA public TO sp_system")
    op.execute("SET LOCAL ROLE sp_system")
    op.execute(SEARCH_CONVERSATIONS.replace("<tenant>", TENANT))
    op.execute("REVOKE ALL ON FUNCTION search_conversations(tsquery, integer) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION search_conversations(tsquery, integer) TO sp_app")
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA public FROM sp_system")
    # A search reads all that is still pending: kept short.
    op.execute("ALTER INDEX ix_message_lexemes SET (gin_pending_list_limit = 256)")


def downgrade() -> None:
    op.execute("ALTER INDEX ix_message_lexemes RESET (gin_pending_list_limit)")
    op.execute("SET LOCAL ROLE sp_system")
    op.execute("DROP FUNCTION search_conversations(tsquery, integer)")
    op.execute("RESET ROLE")
    op.execute("DROP FUNCTION message_query(uuid, regconfig, text[])")
    op.execute("DROP FUNCTION message_lexemes(uuid, regconfig, text)")
