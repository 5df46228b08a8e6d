"""The one policy of what may be sent, in SQL: whoever accepts, plans, shows or hands over a message asks this."""

from app.channels.domain.account import Side

OF_ACCOUNT = f"""
    WHEN a.status = 'DISCONNECTED' THEN 'ACCOUNT_DISCONNECTED'
    WHEN a.status = 'NEEDS_REAUTH' AND a.smtp_secret IS NOT NULL AND a.status_reason LIKE '{Side.SENDING}%'
        THEN 'ACCOUNT_NEEDS_REAUTH'"""
REFUSAL = f"""
CASE
    WHEN l.deleted_at IS NOT NULL THEN 'LEAD_DELETED'
    WHEN EXISTS (
        SELECT FROM suppression s
        WHERE s.workspace_id = l.workspace_id AND (s.channel IS NULL OR s.channel = a.channel)
            AND (
                s.value IN ({{c_address}}, '@' || split_part({{c_address}}, '@', -1))
                OR s.lead_id = l.id
            )
    ) THEN 'SUPPRESSED'{OF_ACCOUNT}
END"""
"""The Reason why nothing may be sent to `{c_address}` (an SQL expression), which the lead `l` has, over the account
`a`; NULL: nothing stands in the way. What is about the recipient comes first, for it is for good; what begins with
ACCOUNT_ passes once somebody sees to the account."""
ACCOUNT_REFUSAL = f"CASE{OF_ACCOUNT}\nEND"
"""The same, of the account alone."""
