"""The kinds of due rows: where the rows of each are, who handles one, who ends one that cannot be handled."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from app.accounts.wiring import SYSTEM_MAIL, create_postman, system_mails
from app.automations.wiring import CALL_DUE as AUTOMATION_CALL
from app.automations.wiring import DUE as AUTOMATION_RUN
from app.automations.wiring import Runner, automation_calls, automation_runs, create_caller, give_up_run
from app.channels.wiring import IMAP, imap_mailboxes, mailbox_follower
from app.common.leases import BACKOFF_S, Claim, DueRows
from app.common.work import Doors
from app.conversations.wiring import (
    DELIVERY,
    INBOUND,
    SEND_BATCH,
    create_batch_courier,
    create_courier,
    deliveries,
    fail_mail,
    inbound_events,
    receive_mail,
)
from app.imports.wiring import DUE as IMPORT
from app.imports.wiring import Engine, fail_import, import_jobs
from app.leads.wiring import DUE as BULK_CHANGE
from app.leads.wiring import (
    SCORE_SWEEP,
    bulk_changes,
    fail_bulk_change,
    postpone_sweep,
    run_bulk_change,
    score_sweeps,
    sweep_scores,
)
from app.outreach.wiring import DUE as BULK_SEND
from app.outreach.wiring import bulk_sends, fail_bulk_send, run_bulk_send
from app.settings import (
    Settings,
)

Fail: TypeAlias = Callable[[Claim, Exception], Awaitable[None]]
"""Ends an attempt that failed: again later, or given up."""
HandleAll: TypeAlias = Callable[[Doors, Sequence[Claim], Callable[[], bool], Fail], Awaitable[int]]


@dataclass(frozen=True)
class DueKind:
    """A kind of due row: where its rows are, who handles one, who ends one that cannot be handled."""

    table: DueRows
    lease_s: float
    handle: Callable[[Doors, Settings, Claim, Callable[[], bool]], Awaitable[bool]] | None
    give_up: Callable[[Doors, Claim, str], Awaitable[None]]
    attempts: int = len(BACKOFF_S)
    """How often a row is taken up at most."""
    lanes: int = 1
    """Rows of this kind that one worker's tick handles beside each other."""
    batch: int = 1
    """Rows a claim takes at most; they are handled one after the other."""
    handle_all: HandleAll | None = None
    """In place of `handle`: a claim's rows together; it gives back itself what it does not come to. How many it did."""
    reap: Callable[[Doors, Settings], Awaitable[int]] | None = None
    """For leases that `DueTable.reap` cannot end alone; how many rows it moved."""
    is_rung: bool = True
    """False: only the tick takes it up; its handler holds on for long, and the doorbell's hands are few."""
    wakes_lane: bool = False
    """A ring also wakes the lane that waits for the next poll: not every row may be taken up by the ring itself."""
    close: Callable[[], Awaitable[None]] | None = None
    """Lets go of what the kind keeps open, as the worker stops."""


def registry(settings: Settings) -> dict[str, DueKind]:
    postman, mailboxes = create_postman(settings), mailbox_follower(settings)
    return {
        IMPORT: DueKind(import_jobs, settings.import_lease_s, Engine().run, fail_import, wakes_lane=True),
        BULK_CHANGE: DueKind(bulk_changes, settings.bulk_change_lease_s, run_bulk_change, fail_bulk_change),
        SCORE_SWEEP: DueKind(score_sweeps, settings.score_sweep_lease_s, sweep_scores, postpone_sweep),
        BULK_SEND: DueKind(bulk_sends, settings.bulk_send_lease_s, run_bulk_send, fail_bulk_send, lanes=2),
        **automation_kinds(settings),
        INBOUND: DueKind(inbound_events, settings.inbound_lease_s, receive_mail, fail_mail, lanes=2),
        **sending_kinds(settings),
        SYSTEM_MAIL: DueKind(
            system_mails, settings.system_mail_lease_s, postman.send, postman.give_up, lanes=2
        ),
        IMAP: DueKind(
            imap_mailboxes,
            settings.imap_lease_s,
            mailboxes.follow,
            mailboxes.give_up,
            lanes=mailboxes.lanes,
            is_rung=False,
            close=mailboxes.close,
        ),
    }


def automation_kinds(settings: Settings) -> dict[str, DueKind]:
    """Calls are apart from what else rules do: who is called may take their time."""
    caller = create_caller(settings)
    return {
        AUTOMATION_RUN: DueKind(
            automation_runs,
            settings.automation_lease_s,
            None,
            give_up_run,
            lanes=3,
            batch=settings.automation_claim_runs,
            handle_all=Runner(settings).run_all,
            wakes_lane=True,
        ),
        AUTOMATION_CALL: DueKind(
            automation_calls,
            settings.webhook_lease_s,
            caller.call,
            give_up_run,
            attempts=caller.attempts,
            lanes=8,
            is_rung=False,
            wakes_lane=True,
            close=caller.close,
        ),
    }


def sending_kinds(settings: Settings) -> dict[str, DueKind]:
    """One courier for both: it keeps the connections to providers."""
    courier = create_courier(settings)
    batches = create_batch_courier(settings, courier)
    return {
        DELIVERY: DueKind(
            deliveries,
            settings.delivery_lease_s,
            courier.deliver,
            courier.give_up,
            lanes=8,
            batch=10,
            reap=courier.end_overdue,
            close=courier.close,
        ),
        SEND_BATCH: DueKind(
            batches.claims,
            settings.delivery_lease_s,
            None,
            courier.give_up,
            lanes=4,
            batch=settings.send_claim_rows,
            handle_all=batches.deliver_all,
            is_rung=False,
        ),
    }
