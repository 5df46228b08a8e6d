"""Conversations: the inbox. Who said what to whom, what is unread, what is being sent, and what became of it.

Owns `conversation`, `conversation_read`, `message`, `attachment`, `draft` and the ledger `delivery` (a due row) with
`delivery_attempt`; announces `conversation.updated`, `message.created`, `message.updated`; uses channels, leads, files
and accounts. A message to send is a row of the ledger before anything leaves: accepted means it ends sent, failed,
canceled or unknown, and an unknown one is shown and never sent again by itself.
"""
