"""Imports: leads that come in many at once, as a ledger of rows with exactly one outcome each.

Owns `import_job` (a due row) and `import_row`; announces `import.progressed` and, with every chunk, `lead.created` and
`lead.updated`; uses leads, tags and accounts. A chunk's leads, outcomes, counts and events are one transaction: killed
anywhere, an import goes on with the first row that has no outcome, and no row lands twice.
"""
