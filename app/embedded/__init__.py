"""What `python3 -m app run` and `test` start on a machine that has none: PostgreSQL, Redis, and their
supervision.

Owns the data directory (`.salespad/`) and every process the two commands start. Nothing here is imported by
the API or the worker at run time, and nothing here imports the rest of `app` but its settings: the servers
stand below the product. Imports are kept light, because all of them lie in the way of the first answer.
"""
