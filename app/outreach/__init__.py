"""Outreach: bulk sends, from the draft and its plan to the last recipient.

Owns `bulk_send`; announces `bulk_send.progressed`; uses accounts, leads, channels, templates and conversations, whose
ledger holds the recipients: a bulk send's counts are queries over it.
"""
