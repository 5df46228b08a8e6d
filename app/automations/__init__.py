"""Automations: rules, and each of their runs.

Owns `automation`, `automation_version`, `automation_run`, `automation_step`; announces `automation.changed` and
`automation.triggered`; reacts to leads and messages; acts through leads, conversations and the ledger.
"""
