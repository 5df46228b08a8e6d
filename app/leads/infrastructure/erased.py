"""Who asked to be forgotten: looked up by keyed hashes, for the identities themselves are gone."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Reads, Work
from app.leads.domain.identity import Identity, IdentityKind
from app.leads.domain.suppression import Erased

FIND = Statement(
    text(
        """
        SELECT hash FROM erased_identity
        WHERE workspace_id = cast(:workspace_id as uuid) AND hash = ANY (cast(:hashes as bytea[]))
        """
    )
)
HOLD = Statement(
    text(
        """
        SELECT pg_advisory_xact_lock(key)
        FROM (SELECT key FROM unnest(cast(:keys as bigint[])) AS key ORDER BY key) AS one_by_one
        """
    )
)
REMEMBER = Statement(
    text(
        """
        INSERT INTO erased_identity (workspace_id, hash)
        SELECT cast(:workspace_id as uuid), h FROM unnest(cast(:hashes as bytea[])) AS h ORDER BY h
        ON CONFLICT DO NOTHING
        """
    )
)
SAME_AS = {IdentityKind.WHATSAPP: IdentityKind.PHONE}
"""A number is the same person's over either."""


def hash_of(reads: Reads, workspace_id: UUID, identity: Identity) -> bytes:
    """Of one workspace: what another has erased is nobody's business here."""
    kind = SAME_AS.get(identity.kind, identity.kind)
    return reads.keyed_hash(str(workspace_id), kind.value, identity.value)


async def erased_among(reads: Reads, workspace_id: UUID, identities: Iterable[Identity]) -> set[Identity]:
    """Those by which somebody was known who was erased."""
    hashes: dict[bytes, list[Identity]] = {}
    for one in identities:
        hashes.setdefault(hash_of(reads, workspace_id, one), []).append(one)
    if not hashes:
        return set()
    rows = await reads.fetch(FIND, workspace_id=workspace_id, hashes=list(hashes))
    return {one for row in rows for one in hashes[row["hash"]]}


async def erased_for_good(work: Work, workspace_id: UUID, identity: Identity) -> bool:
    """Asked once an erase of it that is under way has ended; none begins before the commit. For what is written of an
    identity, and is no identity's own row."""
    await _hold(work, [hash_of(work, workspace_id, identity)])
    return bool(await erased_among(work, workspace_id, [identity]))


async def refuse_erased(work: Work, workspace_id: UUID, given: Mapping[str, Identity]) -> None:
    """Asked after the identities were written, by which this waits for an erase that is under way.

    Raises Erased at the first input field that somebody who was erased was known by: then roll back.
    """
    erased = await erased_among(work, workspace_id, given.values())
    for field, identity in given.items():
        if identity in erased:
            raise Erased(field)


async def remember_erased(work: Work, workspace_id: UUID, identities: Sequence[Identity]) -> None:
    """Once those have committed who asked `erased_for_good`: what they wrote is seen by the next statement."""
    hashes = {hash_of(work, workspace_id, one) for one in identities}
    await _hold(work, list(hashes))
    await work.fetch(REMEMBER, workspace_id=workspace_id, hashes=list(hashes))


async def _hold(work: Work, hashes: Sequence[bytes]) -> None:
    """Until the commit. There may be no row to lock: an address is suppressed before it is anybody's."""
    await work.fetch(HOLD, keys=[int.from_bytes(one[:8], signed=True) for one in hashes])
