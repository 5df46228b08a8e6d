"""The SQL of search: what a message's INSERT computes, and what a list asks (migration 0006 has the functions)."""

CONFIG = """(
    SELECT cast(CASE locale WHEN 'pt-BR' THEN 'portuguese' WHEN 'en' THEN 'english' ELSE 'simple' END as regconfig)
    FROM workspace WHERE id = cast(:workspace_id as uuid)
)"""
"""The language the workspace writes in, as PostgreSQL's text search calls it."""

LEXEMES = f"message_lexemes(cast(:workspace_id as uuid), {CONFIG}, cast(:search_text as text))"
"""The value of `message.lexemes` in a `text()` statement with `:workspace_id` and `:search_text`, the latter from
`domain.search.search_text`."""

QUERY = f"message_query(cast(:workspace_id as uuid), {CONFIG}, cast(:terms as text[]))"
"""What the words `:terms` ask for; the last one is searched for as a beginning."""
