"""Templates: messages with variables, in immutable versions, and snippets for the composer.

Owns `template`, `template_version`, `snippet`; announces `template.changed`; uses accounts, leads and channels.
The language is one production, `{{ path | filter }}`: nothing is evaluated, nothing loops (docs/decisions).
"""
