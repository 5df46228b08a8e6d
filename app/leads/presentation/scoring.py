"""Scores: the rules that make them, and why a lead has its own."""

import strawberry

from app.common.domain import Role
from app.common.graphql import Id, Info, Payload, enum_type, mutation, parse_id, query
from app.leads.domain.score_texts import Reason
from app.leads.domain.scoring import FIELDS, ScoreEventKind, ScoreRule
from app.leads.wiring import list_score_rules, score_reasons, scoring_use_cases

enum_type(
    ScoreEventKind,
    "What a rule gives points for. What a lead has counts as long as it has it, a message from its moment on.",
    TAG_ADDED="The lead has the tag; each counts, where it may be any.",
    STAGE_CHANGED="The lead stands in the stage; where it may be any: it has been moved.",
    MESSAGE_SENT="A message to the lead was sent.",
    MESSAGE_RECEIVED="The lead wrote. Automatic replies do not count.",
    IMPORTED="The lead came by an import, or by the browser extension.",
    HAS_EMAIL="It has an e-mail address.",
    HAS_PHONE="It has a phone number.",
    HAS_COMPANY="It has a company.",
    HAS_TITLE="It has a job title.",
)
VALUE = """Of TAG_ADDED the tag's id, of STAGE_CHANGED the stage's, of MESSAGE_SENT and MESSAGE_RECEIVED the channel,
of IMPORTED the source. Null: any.""".replace("\n", " ")
HALF_LIFE = "After so many days half of the points are left, after twice as many a quarter. Null: they stay."


@strawberry.type(name="ScoreRule", description="What leads get points for. The newest ten of each count.")
class ScoreRuleType:
    event: ScoreEventKind = strawberry.field(description="For what.")
    value: str | None = strawberry.field(description=VALUE)
    points: int = strawberry.field(description="How many; fewer than none are taken off.")
    half_life_days: int | None = strawberry.field(description=HALF_LIFE)

    @classmethod
    def of(cls, rule: ScoreRule) -> "ScoreRuleType":
        return cls(event=rule.event, value=rule.value, points=rule.points, half_life_days=rule.half_life_days)


@strawberry.input(description="What leads get points for.")
class ScoreRuleInput:
    event: ScoreEventKind = strawberry.field(description="For what.")
    value: str | None = strawberry.field(description=VALUE, default=None)
    points: int = strawberry.field(description="1 to 1,000, or as many below zero.")
    half_life_days: int | None = strawberry.field(
        description=f"{HALF_LIFE} 1 to 3,650; of what a lead has ({', '.join(FIELDS)}) none.", default=None
    )


@strawberry.input(description="All rules, in place of those there were.")
class SaveScoreRulesInput:
    rules: list[ScoreRuleInput] = strawberry.field(
        description="At most 100, each about something else; none: every score is 0."
    )


@strawberry.type(description="The rules as they are now.")
class ScoreRulesPayload(Payload):
    rules: list[ScoreRuleType] = strawberry.field(
        description="All of them; empty when they were refused.", default_factory=list
    )


@strawberry.type(
    description="A part of a lead's score. All of them together are the score, once a worker has scored it by the "
    "rules as they are."
)
class ScoreReason:
    text: str = strawberry.field(description="For people to read, in the viewer's language.")
    points: int = strawberry.field(
        description="What it adds, or takes off: points of a rule, or what time took of them."
    )

    @classmethod
    def of(cls, reason: Reason) -> "ScoreReason":
        return cls(text=reason.text, points=reason.points)


@strawberry.type
class ScoresQuery:
    @query(requires=Role.VIEWER, description="What leads get points for.")
    async def score_rules(self, info: Info) -> list[ScoreRuleType]:
        return await _rules(info)

    @query(
        requires=Role.VIEWER,
        description="Why a live lead has its score, rule by rule; nothing for a lead that there is not.",
    )
    async def score_reasons(self, info: Info, lead_id: Id) -> list[ScoreReason]:
        actor, key = info.context.signed_in, parse_id(lead_id)
        if key is None:
            return []
        async with info.context.doors.open_reads(actor.workspace_id) as reads:
            return [ScoreReason.of(one) for one in await score_reasons(reads, actor, key)]


@strawberry.type
class ScoresMutation:
    @mutation(
        requires=Role.ADMIN,
        description="Replaces the rules. A worker scores all leads anew, 200,000 in half a minute.",
    )
    async def save_score_rules(self, info: Info, input: SaveScoreRulesInput) -> ScoreRulesPayload:
        actor = info.context.signed_in
        rules = [ScoreRule(one.event, one.value, one.points, one.half_life_days) for one in input.rules]
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            await scoring_use_cases(work, actor).save_score_rules(rules)
        return ScoreRulesPayload(rules=await _rules(info))


async def _rules(info: Info) -> list[ScoreRuleType]:
    workspace_id = info.context.signed_in.workspace_id
    async with info.context.doors.open_reads(workspace_id) as reads:
        return [ScoreRuleType.of(one) for one in await list_score_rules(reads, workspace_id)]
