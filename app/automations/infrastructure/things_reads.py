"""What rules speak of: which of it is there, and what it is called. Implements the port Things."""

import socket
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid, bindparam, text

from app.automations.domain.checking import Reference, ThingKind
from app.common.database import Statement
from app.common.egress import Egress, EgressProblem, EgressRefused
from app.common.webhooks import check_target
from app.common.work import Reads
from app.settings import Settings

THINGS = Statement(
    text(
        """
        WITH asked AS (
            SELECT DISTINCT kind, id FROM unnest(:kinds, :ids) AS a(kind, id)
        )
        SELECT a.kind, a.id, t.name FROM asked a JOIN tag t ON t.id = a.id
        WHERE a.kind = 'TAG' AND t.workspace_id = cast(:workspace_id as uuid)
        UNION ALL
        SELECT a.kind, a.id, s.name FROM asked a JOIN stage s ON s.id = a.id
        WHERE a.kind = 'STAGE' AND s.workspace_id = cast(:workspace_id as uuid)
        UNION ALL
        SELECT a.kind, a.id, u.name FROM asked a
            JOIN member m ON m.user_id = a.id
            JOIN app_user u ON u.id = m.user_id
        WHERE a.kind = 'MEMBER' AND m.workspace_id = cast(:workspace_id as uuid)
        UNION ALL
        SELECT a.kind, a.id, t.name FROM asked a JOIN template t ON t.id = a.id
        WHERE a.kind = 'TEMPLATE' AND t.workspace_id = cast(:workspace_id as uuid) AND t.deleted_at IS NULL
        UNION ALL
        SELECT a.kind, a.id, c.name FROM asked a JOIN channel_account c ON c.id = a.id
        WHERE a.kind = 'ACCOUNT' AND c.workspace_id = cast(:workspace_id as uuid) AND c.status <> 'DISCONNECTED'
        """
    ).bindparams(bindparam("kinds", type_=ARRAY(Text)), bindparam("ids", type_=ARRAY(Uuid)))
)
MISFITS = Statement(
    text(
        """
        SELECT s.template_id, s.account_id
        FROM unnest(:template_ids, :account_ids) AS s(template_id, account_id)
            JOIN template t ON t.workspace_id = cast(:workspace_id as uuid) AND t.id = s.template_id
            JOIN channel_account a ON a.workspace_id = t.workspace_id AND a.id = s.account_id
        WHERE t.channel <> a.channel
        """
    ).bindparams(bindparam("template_ids", type_=ARRAY(Uuid)), bindparam("account_ids", type_=ARRAY(Uuid)))
)
LOCAL = ("localhost", "local", "internal", "home.arpa")
"""Ends of names that mean this machine or its network, whoever is asked."""
LOOPBACK = "127.0.0.1"


async def names_of_things(
    reads: Reads, workspace_id: UUID, asked: Iterable[tuple[ThingKind, UUID]]
) -> dict[tuple[ThingKind, UUID], str]:
    """Of those that are there and can be used: no deleted template, no disconnected account."""
    pairs = list(asked)
    if not pairs:
        return {}
    rows = await reads.fetch(
        THINGS,
        workspace_id=workspace_id,
        kinds=[kind.value for kind, _ in pairs],
        ids=[id for _, id in pairs],
    )
    return {(ThingKind(row["kind"]), row["id"]): row["name"] for row in rows}


class ThingsThere:
    def __init__(self, reads: Reads, settings: Settings) -> None:
        self._reads = reads
        self._egress = replace(Egress.to_public(settings), resolver=said_by_itself)

    async def there(
        self, workspace_id: UUID, references: Sequence[Reference]
    ) -> Mapping[ThingKind, set[UUID]]:
        found: dict[ThingKind, set[UUID]] = {kind: set() for kind in ThingKind}
        asked = {(one.kind, one.id) for one in references}
        for kind, id in await names_of_things(self._reads, workspace_id, asked):
            found[kind].add(id)
        return found

    async def misfits(self, workspace_id: UUID, sends: Sequence[tuple[UUID, UUID]]) -> Set[tuple[UUID, UUID]]:
        rows = await self._reads.fetch(
            MISFITS,
            workspace_id=workspace_id,
            template_ids=[template_id for template_id, _ in sends],
            account_ids=[account_id for _, account_id in sends],
        )
        return {(row["template_id"], row["account_id"]) for row in rows}

    async def may_call(self, url: str) -> bool:
        try:
            await check_target(url, self._egress)
        except EgressRefused as refused:
            return refused.problem is EgressProblem.HOST_NOT_FOUND
        return True


def said_by_itself(host: str, port: int) -> Sequence[str]:
    """The address that a host is written as, in whichever spelling; no name is looked up, as that may take seconds.
    Raises OSError."""
    name = host.rstrip(".").lower()
    if any(name == end or name.endswith(f".{end}") for end in LOCAL):
        return [LOOPBACK]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [str(address[0]) for *_, address in found]
