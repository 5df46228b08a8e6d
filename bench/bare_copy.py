"""What an import is held against: COPY of clean rows, as the owner of the tables, into `lead` and `lead_identity`."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from tests.factories.accounts import Person
from tests.fixtures.installation import Installation

CHUNK_ROWS = 20_000
HEADER = "Name,Email,Phone,Company,Title\n"
LEAD = (
    *("workspace_id", "id", "name", "company", "title", "email", "phone", "stage_id", "rank", "source"),
    *("created_by", "handles"),
)
IDENTITY = ("workspace_id", "lead_id", "kind", "value", "is_primary")
STAGE = "SELECT id FROM stage WHERE workspace_id = $1 ORDER BY position LIMIT 1"


@dataclass(frozen=True, slots=True)
class Somebody:
    """One clean row."""

    name: str
    email: str
    phone: str
    company: str
    title: str

    def line(self) -> str:
        return f"{self.name},{self.email},{self.phone},{self.company},{self.title}\n"


def people(prefix: str, rows: int) -> Iterator[Somebody]:
    """All different, and known to nobody."""
    for number in range(rows):
        # Not in the order of any index, as people's names are not.
        mixed = number * 7_919 % 9_999_991
        yield Somebody(
            name=f"{NAMES[mixed % len(NAMES)]} {prefix} {mixed}",
            email=f"{mixed:07}.{prefix}@example.com",
            phone=f"+55119{70_000_000 + mixed}",
            company=f"Company {mixed % 5_000}",
            title=TITLES[mixed % len(TITLES)],
        )


NAMES = ("Ana", "Beatriz", "Caio", "Davi", "Elisa", "Fábio", "Gabriela", "Heitor", "Íris", "João", "Lívia")
TITLES = ("CEO", "Founder", "Head of Sales", "Diretora", "Gerente de Marketing", "Analista", "Buyer")


async def allow(installation: Installation) -> None:
    """The owner of the tables sees no row of them, so that no migration reads a tenant's by mistake: not here."""
    connection = await asyncpg.connect(installation.cluster.url)
    try:
        for table in ("lead", "lead_identity"):
            await connection.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    finally:
        await connection.close()


async def analyse(installation: Installation) -> None:
    """As autovacuum does within a minute: a plan made for empty tables is none for full ones."""
    connection = await asyncpg.connect(installation.cluster.url)
    try:
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def copied(installation: Installation, person: Person, prefix: str, rows: int) -> float:
    """Seconds it took; what is sent was written down before, the clock runs for PostgreSQL alone."""
    (stage,) = await installation.sql(STAGE, person.workspace_id)
    chunks = _chunks(person, stage["id"], list(people(prefix, rows)))
    connection = await asyncpg.connect(installation.cluster.url)
    try:
        started = time.perf_counter()
        for leads, identities in chunks:
            async with connection.transaction():
                await connection.copy_to_table("lead", source=leads, columns=LEAD)
                await connection.copy_to_table("lead_identity", source=identities, columns=IDENTITY)
        return time.perf_counter() - started
    finally:
        await connection.close()


def _chunks(person: Person, stage_id: UUID, found: list[Somebody]) -> list[tuple[BytesIO, BytesIO]]:
    chunks = []
    for start in range(0, len(found), CHUNK_ROWS):
        leads, identities = BytesIO(), BytesIO()
        for one in found[start : start + CHUNK_ROWS]:
            id = uuid7()
            values = (
                *(person.workspace_id, id, one.name, one.company, one.title, one.email, one.phone, stage_id),
                *(f"{id.hex}i", "CSV", person.user_id, f"{{{one.email},{one.phone}}}"),
            )
            leads.write("\t".join(map(str, values)).encode() + b"\n")
            for kind, value in (("EMAIL", one.email), ("PHONE", one.phone)):
                identities.write(f"{person.workspace_id}\t{id}\t{kind}\t{value}\tt\n".encode())
        leads.seek(0)
        identities.seek(0)
        chunks.append((leads, identities))
    return chunks
