"""People, over all modules: merge and unmerge of leads, erase and export of a person.

Owns `merge` and `merge_journal`. Each module that has rows about a person gives it `reassign`, `erase` and `export`.
"""
