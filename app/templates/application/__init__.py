"""The use cases of templates and snippets."""
