"""Channels: the accounts a workspace writes from, how each sends, and what comes in for them, kept raw first.

Owns `channel_account`, `sending_domain`, `send_pace` (what is used up of their limits; conversations moves it),
`inbound_event` (a due row; conversations handles it) and `imap_mailbox` (a due row: the durable
cursor of a mailbox that is read); announces `account.updated`; uses accounts and files. Credentials are encrypted and
never leave in an answer. A sender answers Accepted, Rejected, Retry or Unknown and decides nothing.
"""
