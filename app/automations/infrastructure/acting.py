"""What one action does to those whose turn it is, and what each of them comes to. Their runs and leads are held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.automations.domain.rule import Action, ActionKind
from app.automations.domain.run import RunReason, StepResult
from app.automations.infrastructure.receipts import Receipt
from app.common.leases import Claim
from app.common.work import Work
from app.conversations.wiring import Accepted, NotNow, send_by_rule
from app.leads.domain.bulk_change import ChangeKind, LeadChange, TargetGone
from app.leads.wiring import change_by_rule, hold_target, note_by_rule

CHANGES: Mapping[ActionKind, ChangeKind] = {
    ActionKind.ADD_TAG: ChangeKind.ADD_TAG,
    ActionKind.REMOVE_TAG: ChangeKind.REMOVE_TAG,
    ActionKind.MOVE_STAGE: ChangeKind.STAGE,
    ActionKind.ASSIGN: ChangeKind.OWNER,
}
GONE: Mapping[ActionKind, RunReason] = {
    ActionKind.ADD_TAG: RunReason.TAG_GONE,
    ActionKind.REMOVE_TAG: RunReason.TAG_GONE,
    ActionKind.MOVE_STAGE: RunReason.STAGE_GONE,
    ActionKind.ASSIGN: RunReason.MEMBER_GONE,
}


@dataclass(frozen=True, slots=True)
class Turn:
    """Runs at the same action, by their claims: `leads` says whose each is, by the run."""

    workspace_id: UUID
    automation_id: UUID
    claims: Sequence[Claim]
    leads: Mapping[UUID, UUID]

    @property
    def lead_ids(self) -> list[UUID]:
        return sorted(self.leads[one.id] for one in self.claims)

    @property
    def cause(self) -> str:
        """As timelines have it."""
        return f"automation:{self.automation_id}"


async def is_there(work: Work, workspace_id: UUID, action: Action) -> bool:
    """Whether what a change names is there; if so it is until the commit. Before the leads are held."""
    if action.kind not in CHANGES:
        return True
    assert action.target_id is not None
    try:
        await hold_target(work, workspace_id, LeadChange(CHANGES[action.kind], action.target_id))
    except TargetGone:
        return False
    return True


async def act(work: Work, turn: Turn, action: Action) -> list[Receipt]:
    """Of all kinds but sends and calls."""
    if action.kind in CHANGES:
        return await _change(work, turn, action)
    if action.kind is ActionKind.ADD_NOTE:
        body = action.text or ""
        await note_by_rule(work, turn.workspace_id, turn.lead_ids, body, cause=turn.cause)
        return [Receipt(one, StepResult.DONE) for one in turn.claims]
    assert action.kind is ActionKind.WAIT, action.kind
    return [Receipt(one, StepResult.WAITED) for one in turn.claims]


async def _change(work: Work, turn: Turn, action: Action) -> list[Receipt]:
    assert action.target_id is not None
    changed = await change_by_rule(
        work, turn.workspace_id, CHANGES[action.kind], action.target_id, turn.lead_ids, cause=turn.cause
    )
    return [
        Receipt(one, StepResult.DONE if turn.leads[one.id] in changed else StepResult.UNCHANGED)
        for one in turn.claims
    ]


def failed_for_all(turn: Turn, reason: RunReason) -> list[Receipt]:
    return [failed(one, reason) for one in turn.claims]


def failed(claim: Claim, reason: RunReason) -> Receipt:
    return Receipt(claim, StepResult.FAILED, {"reason": reason.value}, reason)


async def send(
    work: Work, turn: Turn, action: Action, position: int, *, stops_on_reply: bool
) -> Receipt | NotNow:
    """To one lead. NotNow: nothing was written."""
    assert action.target_id is not None
    assert action.account_id is not None
    (claim,) = turn.claims
    sent = await send_by_rule(
        work,
        turn.workspace_id,
        lead_id=turn.leads[claim.id],
        account_id=action.account_id,
        template_id=action.target_id,
        run_id=claim.id,
        step=position,
        stops_on_reply=stops_on_reply,
        cause=turn.cause,
    )
    if isinstance(sent, NotNow):
        return sent
    if isinstance(sent, Accepted):
        ids = {"messageId": str(sent.message_id), "conversationId": str(sent.conversation_id)}
        return Receipt(claim, StepResult.SENT, ids)
    return failed(claim, RunReason(sent.reason.value))
