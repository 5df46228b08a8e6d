"""Automations of the demo workspace, in its language: what a small team would begin with.

Those that only sort and remind are on. Those that write to people are off: somebody who means it switches them on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from app.automations.domain.checking import Draft
from app.automations.domain.rule import (
    Action,
    ActionKind,
    Condition,
    ConditionField,
    ConditionOp,
    Match,
    Trigger,
)
from app.automations.wiring import add_automation
from app.channels.domain.account import ChannelAccountStatus
from app.channels.wiring import list_accounts
from app.common.database import Statement
from app.common.work import Doors, Work
from app.leads.domain.lead import LeadSource
from app.leads.wiring import list_stages
from app.settings import Settings
from app.tags.wiring import list_tags
from app.templates.wiring import list_templates

HAS_AUTOMATIONS = Statement(
    text("SELECT EXISTS (SELECT FROM automation WHERE workspace_id = cast(:workspace_id as uuid)) AS yes")
)
# Of two calls at once the second waits, and then finds what the first made.
ONE_AT_A_TIME = Statement(
    text("SELECT pg_advisory_xact_lock(hashtextextended(cast(cast(:workspace_id as uuid) as text), 47))")
)
LOCALE_OF = Statement(text("SELECT locale FROM workspace WHERE id = cast(:workspace_id as uuid)"))
CONTACTED, REPLIED, PROPOSAL = 1, 2, 4
"""The default stages that rules speak of, by their places."""
HOT, REFERRAL, CALL_BACK = "Quente", "Indicação", "Retornar"
FIRST_CONTACT, FOLLOW_UP = "Primeiro contato", "Retomada"
DAY_S = 24 * 3600


class Words(NamedTuple):
    referral: str
    referral_note: str
    replied: str
    price: str
    price_words: Sequence[str]
    price_note: str
    proposal: str
    proposal_note: str
    silent: str
    welcome: str


PORTUGUESE = Words(
    referral="Indicação: com dona e lembrete",
    referral_note="Veio por indicação: escrever hoje e agradecer a quem indicou.",
    replied="Respondeu: avança no quadro",
    price="Perguntou o preço",
    price_words=("preço", "orçamento", "quanto custa"),
    price_note="Perguntou o preço: responder com a faixa de valores e propor uma conversa.",
    proposal="Proposta há cinco dias",
    proposal_note="A proposta foi há cinco dias: ligar, se ainda não houve retorno.",
    silent="Sem resposta em três dias: retomada",
    welcome="Lead novo com e-mail: primeiro contato",
)
ENGLISH = Words(
    referral="Referral: with an owner and a reminder",
    referral_note="Came by referral: write today, and thank whoever referred them.",
    replied="Replied: on along the board",
    price="Asked for the price",
    price_words=("price", "quote", "how much"),
    price_note="Asked for the price: answer with a range and offer a talk.",
    proposal="Proposal five days ago",
    proposal_note="The proposal was five days ago: call, if nothing came back.",
    silent="No reply in three days: follow-up",
    welcome="New lead with an e-mail address: first contact",
)


@dataclass(frozen=True)
class Things:
    """What the rules speak of, as it is called in the demo."""

    owner_id: UUID
    stage_ids: Sequence[UUID]
    tag_ids: Mapping[str, UUID]
    template_ids: Mapping[str, UUID]
    account_id: UUID

    def send(self, template: str) -> Action:
        return Action(
            ActionKind.SEND_TEMPLATE, target_id=self.template_ids[template], account_id=self.account_id
        )

    def tag(self, name: str) -> Action:
        return Action(ActionKind.ADD_TAG, target_id=self.tag_ids[name])

    def stands_in(self, place: int) -> Condition:
        return Condition(ConditionField.STAGE_ID, ConditionOp.EQ, str(self.stage_ids[place]))


def note(body: str) -> Action:
    return Action(ActionKind.ADD_NOTE, text=body)


def sorting(words: Words, things: Things) -> Iterator[tuple[str, Draft]]:
    """What is on."""
    yield words.referral, _referral(words, things)
    on = Action(ActionKind.MOVE_STAGE, target_id=things.stage_ids[REPLIED])
    yield (
        words.replied,
        Draft(
            trigger=Trigger.MESSAGE_RECEIVED,
            conditions=[things.stands_in(CONTACTED)],
            actions=[on, things.tag(HOT)],
        ),
    )
    asks = [Condition(ConditionField.MESSAGE_BODY, ConditionOp.CONTAINS, word) for word in words.price_words]
    yield (
        words.price,
        Draft(
            trigger=Trigger.MESSAGE_RECEIVED,
            match=Match.ANY,
            conditions=asks,
            actions=[things.tag(HOT), note(words.price_note)],
            once_per_lead=True,
        ),
    )
    wait = Action(ActionKind.WAIT, seconds=5 * DAY_S)
    yield (
        words.proposal,
        Draft(
            trigger=Trigger.STAGE_CHANGED,
            conditions=[things.stands_in(PROPOSAL)],
            actions=[wait, things.tag(CALL_BACK), note(words.proposal_note)],
        ),
    )


def _referral(words: Words, things: Things) -> Draft:
    owner = Action(ActionKind.ASSIGN, target_id=things.owner_id)
    return Draft(
        trigger=Trigger.TAG_ADDED,
        conditions=[Condition(ConditionField.TAG_ID, ConditionOp.EQ, str(things.tag_ids[REFERRAL]))],
        actions=[owner, note(words.referral_note)],
        once_per_lead=True,
    )


def sending(words: Words, things: Things) -> Iterator[tuple[str, Draft]]:
    """What is off."""
    yield (
        words.silent,
        Draft(
            trigger=Trigger.NO_REPLY,
            no_reply_after_s=3 * DAY_S,
            conditions=[things.stands_in(CONTACTED)],
            actions=[things.send(FOLLOW_UP), things.tag(CALL_BACK)],
        ),
    )
    reachable = Condition(ConditionField.EMAIL, ConditionOp.EXISTS, None)
    wrote_first = Condition(ConditionField.SOURCE, ConditionOp.NE, LeadSource.EMAIL.value)
    contacted = Action(ActionKind.MOVE_STAGE, target_id=things.stage_ids[CONTACTED])
    yield (
        words.welcome,
        Draft(
            trigger=Trigger.LEAD_CREATED,
            conditions=[reachable, wrote_first],
            actions=[things.send(FIRST_CONTACT), contacted],
        ),
    )


async def add_demo_automations(doors: Doors, settings: Settings, workspace_id: UUID, owner_id: UUID) -> bool:
    """False when the workspace has, or had, any; or when something that they speak of is there no more."""
    async with doors.open_work(workspace_id) as work:
        await work.fetch(ONE_AT_A_TIME, workspace_id=workspace_id)
        has = await work.fetch_one(HAS_AUTOMATIONS, workspace_id=workspace_id)
        if has and has["yes"]:
            return False
        things = await _things(work, workspace_id, owner_id)
        if things is None:
            return False
        of = await work.fetch_one(LOCALE_OF, workspace_id=workspace_id)
        words = PORTUGUESE if of is None or of["locale"].startswith("pt") else ENGLISH
        for rules, enabled in ((sorting(words, things), True), (sending(words, things), False)):
            for name, draft in rules:
                await add_automation(
                    work, settings, workspace_id, owner_id, name=name, draft=draft, enabled=enabled
                )
    return True


async def _things(work: Work, workspace_id: UUID, owner_id: UUID) -> Things | None:
    """None: somebody deleted or renamed one."""
    tags = {row["name"]: UUID(row["id"]) for row in await list_tags(work, workspace_id)}
    stages = [UUID(row["id"]) for row in await list_stages(work, workspace_id)]
    templates = {
        row["name"]: UUID(row["id"]) for row in await list_templates(work, workspace_id, with_body=False)
    }
    accounts = [
        UUID(row["id"])
        for row in await list_accounts(work, workspace_id)
        if row["status"] != ChannelAccountStatus.DISCONNECTED
    ]
    is_whole = (
        {HOT, REFERRAL, CALL_BACK} <= tags.keys()
        and {FIRST_CONTACT, FOLLOW_UP} <= templates.keys()
        and len(stages) > PROPOSAL
        and accounts
    )
    return Things(owner_id, stages, tags, templates, accounts[0]) if is_whole else None
