"""Bulk sends in the middle of their way: some have left, the others wait for their account's rate."""

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.factories.bulk_sends import CREATE_LEAD, create, moved, template, until
from tests.factories.channels import update
from tests.factories.sending import Outlet, parsed
from tests.fixtures.processes import eventually

RECIPIENTS = """query ($id: ID!, $after: String) { bulkSendRecipients(id: $id, first: 100, after: $after) {
  edges { node { status reason lead { id } message { id error status conversation { id } } } }
  pageInfo { hasNextPage endCursor } } }"""
BODY = 'Hello {{ lead.first_name | fallback: "there" }}, an offer.'
COUNTED = ("queued", "sent", "failed", "unknown", "canceled")


async def slow(outlet: Outlet, *, leave: int) -> None:
    """So many leave at once; the next one in a minute, which no test lasts."""
    answer = await update(outlet.person, id=str(outlet.account_id), ratePerMinute=1, burst=leave)
    assert answer["errors"] == [], answer


async def fast(outlet: Outlet) -> None:
    answer = await update(outlet.person, id=str(outlet.account_id), ratePerMinute=None, burst=None)
    assert answer["errors"] == [], answer


async def people(outlet: Outlet, count: int, **fields: Any) -> dict[str, str]:
    """New leads: their ids by their addresses."""

    async def one(n: int) -> tuple[str, str]:
        address = f"p{n}.{secrets.token_hex(5)}@lead.example"
        given = {"name": f"Bia {n}", "email": address, **fields}
        answer = (await outlet.person.run(CREATE_LEAD, {"input": given}))["createLead"]
        assert answer["errors"] == [], answer
        return address, answer["lead"]["id"]

    return dict(await asyncio.gather(*(one(n) for n in range(count))))


@dataclass
class Mailing:
    """One bulk send to all leads of its workspace."""

    outlet: Outlet
    leads: dict[str, str]
    """Ids by addresses."""
    id: str

    @classmethod
    async def launched(cls, outlet: Outlet, leads: dict[str, str], **input: Any) -> "Mailing":
        given = {
            "name": "Offer",
            "templateId": input.get("templateId") or await template(outlet.person, BODY),
            "accountId": str(outlet.account_id),
            "filter": {},
            "idempotencyKey": secrets.token_hex(8),
            **input,
        }
        answer = await create(outlet.person, given)
        assert answer["errors"] == [], answer
        mailing = cls(outlet, leads, answer["bulkSend"]["id"])
        await moved(outlet.person, "launch", mailing.id)
        return mailing

    @classmethod
    async def midway(cls, outlet: Outlet, count: int, *, leave: int, **input: Any) -> "Mailing":
        """To so many, of whom `leave` have it."""
        await slow(outlet, leave=leave)
        mailing = await cls.launched(outlet, await people(outlet, count), **input)
        await mailing.until(counts={"sent": leave, "queued": count - leave})
        return mailing

    async def until(self, **expected: Any) -> dict[str, Any]:
        found = await until(self.outlet.person, self.id, **expected)
        counts = found["counts"]
        assert sum(counts[name] for name in COUNTED) == counts["eligible"], "the counts add up"
        return found

    async def ended(self, **counts: int) -> dict[str, Any]:
        found = await self.until(status="COMPLETED", counts=counts)
        assert found["counts"]["queued"] == 0
        return found

    async def move(self, how: str) -> dict[str, Any]:
        return await moved(self.outlet.person, how, self.id)

    async def recipients(self) -> dict[str, dict[str, Any]]:
        """By lead."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = await self.outlet.person.run(RECIPIENTS, {"id": self.id, "after": after})
            found += [edge["node"] for edge in page["bulkSendRecipients"]["edges"]]
            info = page["bulkSendRecipients"]["pageInfo"]
            if not info["hasNextPage"]:
                return {one["lead"]["id"]: one for one in found}
            after = info["endCursor"]

    async def of(self, address: str) -> dict[str, Any]:
        return (await self.recipients())[self.leads[address]]

    async def until_of(self, address: str, status: str) -> dict[str, Any]:
        async def is_so() -> dict[str, Any] | None:
            found = await self.of(address)
            return found if found["status"] == status else None

        return await eventually(is_so, what=f"{status} of {address}")  # type: ignore[return-value]

    async def standing(self, status: str) -> list[str]:
        """The addresses of those that stand there."""
        found = await self.recipients()
        return [one for one, id in self.leads.items() if id in found and found[id]["status"] == status]

    # ── what arrived ──────────────────────────────────────────────────────────────────────────────────────────────
    def mails(self, address: str) -> list[Any]:
        return [parsed(one) for one in self.outlet.smtp.mails if one.rcpt_tos == [address]]

    def raw(self, address: str) -> bytes:
        (found,) = [one.content for one in self.outlet.smtp.mails if one.rcpt_tos == [address]]
        return found

    def times(self, addresses: Iterable[str] | None = None) -> set[int]:
        """How often each of them has it."""
        return {len(self.mails(one)) for one in (self.leads if addresses is None else addresses)}
