"""A run: one rule at one lead, because of one event. What it may come to, and why it did not act."""

from enum import StrEnum


class RunStatus(StrEnum):
    """A live run is WAITING (for its turn or its time) or RUNNING (in a worker's hands)."""

    RUNNING = "RUNNING"
    WAITING = "WAITING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELED = "CANCELED"


class RunReason(StrEnum):
    """Why a run was SKIPPED, CANCELED or FAILED."""

    CONDITION = "CONDITION"
    """`automation_run.condition` says which, counted from 0; None: of several not one held."""
    ONCE_PER_LEAD = "ONCE_PER_LEAD"
    ALREADY_RUNNING = "ALREADY_RUNNING"
    LOOP_GUARD = "LOOP_GUARD"
    RATE_GUARD = "RATE_GUARD"
    EPISODE_ENDED = "EPISODE_ENDED"
    """Of NO_REPLY: the lead answered, before it began (SKIPPED) or between two actions (CANCELED)."""
    ONCE_PER_EPISODE = "ONCE_PER_EPISODE"
    """Of NO_REPLY: it has acted since the lead answered last, so follow-ups do not go on for ever."""
    DISABLED = "DISABLED"
    LEAD_DELETED = "LEAD_DELETED"
    LEAD_MERGED = "LEAD_MERGED"
    TAG_GONE = "TAG_GONE"
    STAGE_GONE = "STAGE_GONE"
    MEMBER_GONE = "MEMBER_GONE"
    TEMPLATE_GONE = "TEMPLATE_GONE"
    ACCOUNT_GONE = "ACCOUNT_GONE"
    NO_ADDRESS = "NO_ADDRESS"
    """The lead has none on the account's channel."""
    VALUE_MISSING = "VALUE_MISSING"
    """The template requires what the lead does not have."""
    NO_SUBJECT = "NO_SUBJECT"
    """A first mail needs one."""
    SUPPRESSED = "SUPPRESSED"
    ACCOUNT_DISCONNECTED = "ACCOUNT_DISCONNECTED"
    WEBHOOK_FAILED = "WEBHOOK_FAILED"
    WEBHOOK_REFUSED = "WEBHOOK_REFUSED"
    """Its address is private, or none."""
    INTERNAL_ERROR = "INTERNAL_ERROR"


class StepResult(StrEnum):
    """What became of one action; its receipt is written with its effect."""

    DONE = "DONE"
    UNCHANGED = "UNCHANGED"
    """The lead had the tag already, or did not have it, stood there, belonged to them."""
    SENT = "SENT"
    """The message is in the ledger; what becomes of it there, the message says."""
    WAITED = "WAITED"
    CALLED = "CALLED"
    FAILED = "FAILED"


MAX_DEPTH = 5
"""Of causes: what a rule does may fire another, and that a third; past it LOOP_GUARD."""
LEAD_RUNS_PER_HOUR = 10
"""Of one rule at one lead; past it RATE_GUARD."""
DUE, CALL_DUE = "automation_run", "automation_call"
