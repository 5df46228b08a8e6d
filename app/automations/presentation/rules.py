"""GraphQL types and inputs of rules: what they wait for, under which conditions, what they do."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import strawberry

from app.accounts.presentation.types import User
from app.automations.domain import rule as rules
from app.automations.domain.checking import INPUT_FIELDS, Draft, ThingKind
from app.automations.domain.rule import ActionKind, ConditionField, ConditionOp, Match, Trigger
from app.automations.wiring import secret_shown
from app.channels.presentation.types import ChannelAccount
from app.common.domain import Role
from app.common.graphql import NO_ID, Info, enum_type, nested, parse_id
from app.common.sharing import VIEWERS_OWN
from app.leads.presentation.types import Stage
from app.tags.presentation.types import Tag
from app.templates.presentation.types import Template

enum_type(
    Trigger,
    "What an automation waits for.",
    name="AutomationTrigger",
    LEAD_CREATED="A lead was made: by hand, by an import, or because somebody wrote in.",
    LEAD_UPDATED="A lead was changed in anything but its stage, tags, engagement and score.",
    STAGE_CHANGED="A lead was moved to another stage.",
    TAG_ADDED="A tag was put on a lead, by somebody or by a rule. Tags that come with an import are part of it: "
    "that is LEAD_CREATED or LEAD_UPDATED.",
    MESSAGE_RECEIVED="A lead wrote; automatic replies do not count.",
    NO_REPLY="A lead has not answered a message of ours for `noReplyAfterSeconds`. Once until it answers.",
)
enum_type(
    Match, "How conditions go together.", ALL="Each of them has to hold.", ANY="One of them has to hold."
)
enum_type(
    ConditionField,
    "What a condition asks of.",
    SOURCE="Where the lead came from (a LeadSource): EQ, NE.",
    STAGE_ID="Its stage: EQ, NE.",
    TAG_ID="Its tags: EQ (has it), NE (does not have it), EXISTS (has any), NOT_EXISTS. Under the trigger TAG_ADDED, "
    "EQ asks of the tag that was added.",
    OWNER_ID="The member it belongs to: EQ, NE, EXISTS, NOT_EXISTS.",
    SCORE="Its score: EQ, NE, GT, LT.",
    EMAIL="Its main e-mail address, as all texts below: EQ, NE, CONTAINS, NOT_CONTAINS, EXISTS, NOT_EXISTS.",
    COMPANY="Its company.",
    TITLE="Its job title.",
    ENGAGEMENT="How far it has come (an Engagement): EQ, NE.",
    CHANNEL="The message's channel: EQ, NE. With MESSAGE_RECEIVED and NO_REPLY alone.",
    MESSAGE_BODY="The message's text. With MESSAGE_RECEIVED and NO_REPLY alone.",
)
enum_type(
    ConditionOp,
    "How a condition compares.",
    EQ="It is this.",
    NE="It is not this.",
    GT="It is more.",
    LT="It is less.",
    CONTAINS="This stands in it.",
    NOT_CONTAINS="This does not stand in it.",
    EXISTS="There is one: without a value.",
    NOT_EXISTS="There is none: without a value.",
)


@strawberry.type(description="What has to hold of a lead when the automation is set off.")
class Condition:
    field: ConditionField = strawberry.field(description="What is asked of.")
    op: ConditionOp = strawberry.field(description="How it is compared.")
    value: str | None = strawberry.field(description="With what; null with EXISTS and NOT_EXISTS.")

    @classmethod
    def of(cls, condition: rules.Condition) -> "Condition":
        return cls(field=condition.field, op=condition.op, value=condition.value)


@strawberry.type(description="Puts a tag on the lead.")
class AddTagAction:
    key: strawberry.Private[UUID]

    @nested(description="The tag; null: it was deleted.")
    async def tag(self, info: Info) -> Tag | None:
        found: Tag | None = await info.context.loader("automation_things").load((ThingKind.TAG, self.key))
        return found


@strawberry.type(description="Takes a tag off the lead.")
class RemoveTagAction:
    key: strawberry.Private[UUID]

    @nested(description="The tag; null: it was deleted.")
    async def tag(self, info: Info) -> Tag | None:
        found: Tag | None = await info.context.loader("automation_things").load((ThingKind.TAG, self.key))
        return found


@strawberry.type(description="Moves the lead to a stage.")
class MoveStageAction:
    key: strawberry.Private[UUID]

    @nested(description="The stage; null: it was deleted.")
    async def stage(self, info: Info) -> Stage | None:
        found: Stage | None = await info.context.loader("automation_things").load((ThingKind.STAGE, self.key))
        return found


@strawberry.type(description="Gives the lead to a member.")
class AssignAction:
    key: strawberry.Private[UUID]

    @nested(description="The member; null: they have left the workspace.")
    async def user(self, info: Info) -> User | None:
        found: User | None = await info.context.loader("automation_things").load((ThingKind.MEMBER, self.key))
        return found


@strawberry.type(
    description="Sends a template to the lead, where it may be written to; waits for quiet hours to end."
)
class SendTemplateAction:
    key: strawberry.Private[UUID]
    account_key: strawberry.Private[UUID]

    @nested(description="The template; a deleted one has its `deletedAt`.")
    async def template(self, info: Info) -> Template | None:
        found: Template | None = await info.context.loader("templates").load(self.key)
        return found

    @nested(description="The account it is sent from.")
    async def account(self, info: Info) -> ChannelAccount | None:
        found: ChannelAccount | None = await info.context.loader("channel_accounts").load(
            str(self.account_key)
        )
        return found


@strawberry.type(description="Waits before the next action.")
class WaitAction:
    seconds: int = strawberry.field(description="How long.")


@strawberry.type(description="Writes a note on the lead.")
class AddNoteAction:
    body: str = strawberry.field(description="The note.")


@strawberry.type(
    description="Calls a webhook, signed as Standard Webhooks has it. A call that fails is made again for a quarter of "
    "an hour, with the same webhook-id."
)
class CallWebhookAction:
    url: str = strawberry.field(description="The address, in ASCII.")
    sealed: strawberry.Private[bytes | None]

    @nested(
        description="What calls of this automation are signed with (`whsec_…`): for admins; null for others.",
        metadata=VIEWERS_OWN,
    )
    def secret(self, info: Info) -> str | None:
        actor = info.context.signed_in
        if self.sealed is None or not actor.role.includes(Role.ADMIN):
            return None
        return secret_shown(info.context.settings, actor.workspace_id, self.sealed)


Action = Annotated[
    AddTagAction
    | RemoveTagAction
    | MoveStageAction
    | AssignAction
    | SendTemplateAction
    | WaitAction
    | AddNoteAction
    | CallWebhookAction,
    strawberry.union("Action", description="One thing that an automation does; they go in order."),
]


def action_of(action: rules.Action, sealed: bytes | None) -> Action:
    target = action.target_id or UUID(int=0)
    match action.kind:
        case ActionKind.ADD_TAG:
            return AddTagAction(key=target)
        case ActionKind.REMOVE_TAG:
            return RemoveTagAction(key=target)
        case ActionKind.MOVE_STAGE:
            return MoveStageAction(key=target)
        case ActionKind.ASSIGN:
            return AssignAction(key=target)
        case ActionKind.SEND_TEMPLATE:
            return SendTemplateAction(key=target, account_key=action.account_id or UUID(int=0))
        case ActionKind.WAIT:
            return WaitAction(seconds=action.seconds or 0)
        case ActionKind.ADD_NOTE:
            return AddNoteAction(body=action.text or "")
        case ActionKind.CALL_WEBHOOK:
            return CallWebhookAction(url=action.text or "", sealed=sealed)


@strawberry.input(description="A condition.")
class ConditionInput:
    field: ConditionField = strawberry.field(description="What is asked of.")
    op: ConditionOp = strawberry.field(description="How it is compared; which fit is said at each field.")
    value: str | None = strawberry.field(
        description="With what, up to 1,000 characters: an id, a whole number, the name of an enum's value, or a text. "
        "Left out with EXISTS and NOT_EXISTS.",
        default=None,
    )


@strawberry.input(description="What is sent, and from where.")
class SendTemplateActionInput:
    template_id: strawberry.ID = strawberry.field(description="The template.")
    account_id: strawberry.ID = strawberry.field(description="The account, a connected one.")


@strawberry.input(one_of=True, description="One thing to do: exactly one of these.")
class ActionInput:
    add_tag: strawberry.ID | None = strawberry.field(
        description="Put this tag on the lead.", default=strawberry.UNSET
    )
    remove_tag: strawberry.ID | None = strawberry.field(
        description="Take this tag off it.", default=strawberry.UNSET
    )
    move_stage: strawberry.ID | None = strawberry.field(
        description="Move it to the end of this stage.", default=strawberry.UNSET
    )
    assign: strawberry.ID | None = strawberry.field(
        description="Give it to this member.", default=strawberry.UNSET
    )
    send_template: SendTemplateActionInput | None = strawberry.field(
        description="Send a template to it.", default=strawberry.UNSET
    )
    wait_seconds: int | None = strawberry.field(
        description="Wait this long before the next action: 1 to 31,536,000 (365 days).",
        default=strawberry.UNSET,
    )
    add_note: str | None = strawberry.field(
        description="Write this note on it: 1 to 10,000 characters.", default=strawberry.UNSET
    )
    call_webhook: str | None = strawberry.field(
        description="Call this address: public, https, on port 443, up to 2,000 characters.",
        default=strawberry.UNSET,
    )


@strawberry.input(description="A new automation.")
class CreateAutomationInput:
    name: str = strawberry.field(description="1 to 200 characters.")
    trigger: Trigger = strawberry.field(description="What it waits for.")
    no_reply_after_seconds: int | None = strawberry.field(
        description="With NO_REPLY, and only then: 1 to 31,536,000 (365 days).", default=None
    )
    once_per_lead: bool | None = strawberry.field(
        description="Left out or null: true with LEAD_CREATED, else false.", default=None
    )
    match: Match = strawberry.field(description="How its conditions go together.", default=Match.ALL)
    conditions: list[ConditionInput] = strawberry.field(
        description="What has to hold, up to 50.", default_factory=list
    )
    actions: list[ActionInput] = strawberry.field(description="What it does, in order: 1 to 100.")
    enabled: bool = strawberry.field(description="Whether it acts from now on.", default=False)

    @property
    def draft(self) -> Draft:
        return Draft(
            trigger=self.trigger,
            no_reply_after_s=self.no_reply_after_seconds,
            once_per_lead=self.once_per_lead,
            match=self.match,
            conditions=conditions_of(self.conditions),
            actions=actions_of(self.actions),
        )


def conditions_of(inputs: Sequence[ConditionInput]) -> list[rules.Condition]:
    return [rules.Condition(one.field, one.op, one.value) for one in inputs]


def actions_of(inputs: Sequence[ActionInput]) -> list[rules.Action]:
    return [_given(one) for one in inputs]


def _given(input: ActionInput) -> rules.Action:
    """GraphQL saw to it that it is one of them, and not null."""
    for kind in ActionKind:
        given = getattr(input, _ATTRIBUTES[kind])
        if given is strawberry.UNSET:
            continue
        if isinstance(given, SendTemplateActionInput):
            return rules.Action(kind, target_id=_id(given.template_id), account_id=_id(given.account_id))
        if kind is ActionKind.WAIT:
            return rules.Action(kind, seconds=given)
        if kind in (ActionKind.ADD_NOTE, ActionKind.CALL_WEBHOOK):
            return rules.Action(kind, text=given)
        return rules.Action(kind, target_id=_id(given))
    raise AssertionError("an action input with nothing in it")


def _id(given: strawberry.ID) -> UUID:
    return parse_id(given) or NO_ID


def _snake(name: str) -> str:
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in name)


_ATTRIBUTES = {kind: _snake(name) for kind, name in INPUT_FIELDS.items()}
