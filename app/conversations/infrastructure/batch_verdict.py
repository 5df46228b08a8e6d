"""What a batch says of a delivery's turn, in SQL: both intents ask this, the first one and that of a retry.

For aliases `d` (delivery), `b` (send_batch; NULL: a person's message, also one of a batch that a person sends again),
`a` (channel_account), `l` (lead), `w` (workspace).
"""

from app.conversations.domain.delivery import BATCH_NOT_RUNNING
from app.conversations.infrastructure.policy import REFUSAL

ACCOUNT_WAIT_S = 10

BATCH_REFUSAL = f"""
CASE
    WHEN b.status = 'CANCELED' THEN 'BULK_SEND_CANCELED'
    WHEN b.id IS NOT NULL AND (d.has_replied OR EXISTS (
        SELECT FROM conversation t
        WHERE t.workspace_id = d.workspace_id AND t.lead_id = l.id AND t.last_inbound_at >= b.created_at
    )) THEN 'REPLIED'
    WHEN d.stops_on_reply AND d.resend = 0 AND EXISTS (
        SELECT FROM conversation t
        WHERE t.workspace_id = d.workspace_id AND t.lead_id = l.id AND t.last_inbound_at >= d.created_at
    ) THEN 'REPLIED'
    ELSE {REFUSAL}
END"""  # noqa: S608 - constants of ours
"""As REFUSAL, with `{c_address}`. Who receives a reply cancels what is queued by then; who answers between the launch
(the batch's making) and the chunk that takes them in is found here."""
QUIET_UNTIL = """
CASE WHEN b.id IS NOT NULL
    THEN quiet_until(
        now(), coalesce(l.time_zone, d.time_zone, w.time_zone), w.quiet_from, w.quiet_to, w.quiet_weekdays
    )
END"""

WAITS_FOR = f"""
CASE
    WHEN h.batch_status = 'PAUSED' THEN '{BATCH_NOT_RUNNING}'
    WHEN h.batch_status IS NULL OR h.refusal NOT LIKE 'ACCOUNT\\_%' THEN NULL
    WHEN h.refusal IS NOT NULL THEN h.refusal
    WHEN h.quiet_until IS NOT NULL THEN 'QUIET_HOURS'
END"""
"""Of a row `h` with batch_status, refusal, quiet_until. What is for good comes before what passes; nothing of a paused
batch moves."""
RUN_AT = f"""
CASE h.waits_for
    WHEN 'QUIET_HOURS' THEN h.quiet_until
    WHEN '{BATCH_NOT_RUNNING}' THEN h.run_at
    ELSE now() + interval '{ACCOUNT_WAIT_S} seconds'
END"""
"""When the turn of a row comes that waits for something."""
