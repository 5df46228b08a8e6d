"""Mutations of bulk sends: parse, call, return."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import strawberry

from app.common.domain import Invalid, Role
from app.common.graphql import NO_ID, Info, given, mutation, parse_id
from app.leads.presentation.types import LeadFilter, lead_conditions
from app.leads.wiring import stored_filter
from app.outreach.application.bulk_sends import BulkSendUseCases
from app.outreach.domain.bulk_send import Draft
from app.outreach.presentation.queries import load_bulk_sends
from app.outreach.presentation.types import (
    BulkSendIdInput,
    BulkSendPayload,
    CreateBulkSendInput,
    UpdateBulkSendInput,
)
from app.outreach.wiring import bulk_send_use_cases

KEPT = {"name": "name", "template_id": "templateId", "account_id": "accountId", "filter": "filter"}
"""What a change may not clear, and its path."""


@strawberry.type
class OutreachMutation:
    @mutation(requires=Role.MEMBER, description="Makes a bulk send, as a draft: nobody is written to yet.")
    async def create_bulk_send(self, info: Info, input: CreateBulkSendInput) -> BulkSendPayload:
        actor = info.context.signed_in
        draft = Draft(
            name=input.name,
            template_id=parse_id(input.template_id) or NO_ID,
            account_id=parse_id(input.account_id) or NO_ID,
            filter=_stored(input.filter),
            start_at=input.start_at,
            rate_per_minute=input.rate_per_minute,
            burst=input.burst,
        )
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            id = await bulk_send_use_cases(work, actor).create_bulk_send(
                draft, idempotency_key=input.idempotency_key
            )
        return await _payload(info, id)

    @mutation(
        requires=Role.MEMBER, description="Changes a draft; where nothing is different, nothing happens."
    )
    async def update_bulk_send(self, info: Info, input: UpdateBulkSendInput) -> BulkSendPayload:
        changes = _changes(input)
        return await _moved(info, input.id, lambda of, key: of.update_bulk_send(key, changes))

    @mutation(
        requires=Role.MEMBER,
        description="Sends it, now or from `startAt` on, to all who match now. Launched before, it goes on as it is.",
    )
    async def launch_bulk_send(self, info: Info, input: BulkSendIdInput) -> BulkSendPayload:
        return await _moved(info, input.id, lambda of, key: of.launch_bulk_send(key))

    @mutation(
        requires=Role.MEMBER,
        description="Stops it for now: once this has answered nothing more of it leaves but what was on its way.",
    )
    async def pause_bulk_send(self, info: Info, input: BulkSendIdInput) -> BulkSendPayload:
        return await _moved(info, input.id, lambda of, key: of.pause_bulk_send(key))

    @mutation(requires=Role.MEMBER, description="Goes on with one that is PAUSED.")
    async def resume_bulk_send(self, info: Info, input: BulkSendIdInput) -> BulkSendPayload:
        return await _moved(info, input.id, lambda of, key: of.resume_bulk_send(key))

    @mutation(
        requires=Role.MEMBER,
        description="Stops it for good: once this has answered nothing more of it leaves but what was on its way. The "
        "others are CANCELED bit by bit.",
    )
    async def cancel_bulk_send(self, info: Info, input: BulkSendIdInput) -> BulkSendPayload:
        return await _moved(info, input.id, lambda of, key: of.cancel_bulk_send(key))


async def _moved(
    info: Info, id: str, move: Callable[[BulkSendUseCases, UUID], Awaitable[None]]
) -> BulkSendPayload:
    actor, key = info.context.signed_in, parse_id(id) or NO_ID
    async with info.context.doors.open_work(actor.workspace_id, actor) as work:
        await move(bulk_send_use_cases(work, actor), key)
    return await _payload(info, key)


async def _payload(info: Info, id: UUID) -> BulkSendPayload:
    """Read after the commit."""
    return BulkSendPayload(bulk_send=(await load_bulk_sends(info.context, [id]))[0])


def _stored(filter: LeadFilter) -> dict[str, object]:
    return stored_filter(lead_conditions(filter))


def _changes(input: UpdateBulkSendInput) -> dict[str, Any]:
    """Raises Invalid."""
    changes: dict[str, Any] = given(
        input, "name", "template_id", "account_id", "filter", "start_at", "rate_per_minute", "burst"
    )
    for name, path in KEPT.items():
        if name in changes and changes[name] is None:
            raise Invalid("This is never cleared: leave it out, or say another one.", path=(path,))
    for name in ("template_id", "account_id"):
        if name in changes:
            changes[name] = parse_id(changes[name]) or NO_ID
    if "filter" in changes:
        changes["filter"] = _stored(changes["filter"])
    return changes
