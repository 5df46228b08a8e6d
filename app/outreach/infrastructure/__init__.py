"""The table of bulk sends, what writes it and what reads it."""
