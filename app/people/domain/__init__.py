"""Merging: what is decided, and the journal that takes it back."""
