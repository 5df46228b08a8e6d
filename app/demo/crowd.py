"""Any number of further people for the demo, by number: the same number is the same person every time.

No two share an address, number or profile, nor with the 300 first (`people.py`), and none can be reached: addresses are
on `.example`, and +55 <area> 90001-0000 and on are numbers that nobody has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from app.common.domain import folded
from app.demo.people import CHANNELS, CITIES, LOGINS, MEN, SEED, SEGMENTS, SURNAMES, TITLES, WOMEN
from app.leads.domain.lead import LeadSource

CROWD_MAX = 500_000
DAYS = 730
BORN = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)
FIRST_PHONE = 10_000
"""Those before are the numbers of the 300."""

ENGLISH_FIRST_NAMES = (
    "Abigail Adam Amelia Andrew Anna Benjamin Charlotte Chloe Daniel Edward Eleanor Ella Emily Ethan George Grace "
    "Hannah Harry Henry Isla Jack Jacob James Jessica Joseph Joshua Lily Lucy Matthew Megan Mia Michael Nathan "
    "Noah Olivia Oscar Renée Ruby Samuel Sean Siân Sophie Thomas William Zoë"
)
ENGLISH_SURNAMES = (
    "Adams Baker Bennett Brontë Brown Campbell Carter Clark Cooper Davies Edwards Evans Foster Green Hall Harris Hill "
    "Hughes Jackson Johnson Jones King Lewis Mitchell Morgan Morris Murphy O'Brien O'Connor Parker Phillips Reid "
    "Roberts Robinson Scott Smith Stewart Taylor Thompson Turner Walker Ward Watson White Wilson Wood Wright Young"
)
ENGLISH_COMPANIES = (
    "Bluebird Logistics", "Brightside Dental", "Café Soleil", "Cedar & Stone", "Clearwater Foods", "Copper Lane",
    "Evergreen Analytics", "Fox & Finch", "Greenfield Energy", "Harbour Software", "Highland Hill", "Juniper Labs",
    "Lighthouse Learning", "Maple Street Books", "Northwind Freight", "Oakridge Homes", "Quayside Legal", "Red Kite",
    "Silverline Robotics", "Summit Health", "Tidewater Marine", "Willow Interiors",
)  # fmt: skip
ENGLISH_TITLES = (
    "Account Executive", "Chief Executive Officer", "Co-founder", "Finance Director", "Head of Growth", "Head of Sales",
    "Marketing Manager", "Office Manager", "Operations Director", "Procurement Lead", "Sales Director", "VP Marketing",
)  # fmt: skip
ENGLISH_CITIES = ("Austin", "Boston", "Bristol", "Dublin", "Edinburgh", "London", "Manchester", "Toronto")
LOST_REASONS = (
    "Sem orçamento",
    "Escolheu um concorrente",
    "Sem resposta",
    "Fora do perfil",
    "Adiado para o próximo ano",
)
STAGES = (
    (38, "NEW"),
    (24, "CONTACTED"),
    (13, "REPLIED"),
    (9, "ENGAGED"),
    (6, "ENGAGED"),
    (4, "ENGAGED"),
    (6, "REPLIED"),
)
"""Of a hundred leads, and how far they have come."""
SOURCES = {
    LeadSource.LINKEDIN: 32, LeadSource.INSTAGRAM: 26, LeadSource.API: 16, LeadSource.MANUAL: 12,
    LeadSource.FACEBOOK: 9, LeadSource.EMAIL: 5,
}  # fmt: skip
MARKS = ("Quente", "Decisor", "Indicação", "Evento", "Retornar")
IDENTITIES = ("EMAIL", "PHONE", "LINKEDIN", "INSTAGRAM")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdLead:
    id: UUID
    name: str
    company: str
    title: str
    metadata: Mapping[str, object]
    identities: Mapping[str, str]
    """By kind, normalised."""
    source: LeadSource
    stage: int
    engagement: str
    owner: str | None
    """The e-mail of a login."""
    tags: Sequence[str]
    created_at: datetime
    stage_entered_at: datetime | None
    last_touch_at: datetime | None
    lost_reason: str


def crowd_lead(number: int, total: int, now: datetime) -> CrowdLead:
    """Number 1 came two years ago, number `total` just now."""
    random = Random(SEED * CROWD_MAX + number)  # noqa: S311 - not a secret: the same people every time
    is_english = random.random() < 0.3
    name, company, title, tags, metadata = _english(random) if is_english else _brazilian(random)
    source = random.choices(list(SOURCES), list(SOURCES.values()))[0]
    stage = random.choices(range(len(STAGES)), [share for share, _ in STAGES])[0]
    engagement = STAGES[stage][1]
    age = timedelta(days=DAYS) * max(0.0, (total - number + random.random()) / total)
    is_touched = engagement != "NEW"
    return CrowdLead(
        id=_id(number, random),
        name=name,
        company=company,
        title=title,
        metadata=metadata | {"origem": random.choice(CHANNELS)},
        identities=_identities(random, number, name, company, has_phone=not is_english, source=source),
        source=source,
        stage=stage,
        engagement=engagement,
        owner=None if random.random() < 0.2 else random.choice(LOGINS[:2]).email,
        tags=[*tags, *random.sample(MARKS, random.choice((0, 0, 0, 1, 1, 2)))],
        created_at=now - age,
        stage_entered_at=now - age * random.uniform(0.1, 0.9) if stage else None,
        last_touch_at=now - age * random.random() if is_touched else None,
        lost_reason=random.choice(LOST_REASONS),
    )


def _id(number: int, random: Random) -> UUID:
    """Version 7, in the order of the numbers; whenever it is asked for, the same."""
    moment = BORN + number * 60_000
    return UUID(int=moment << 80 | 7 << 76 | random.getrandbits(12) << 64 | 2 << 62 | random.getrandbits(62))


def _brazilian(random: Random) -> tuple[str, str, str, list[str], dict[str, object]]:
    is_woman = random.random() < 0.5
    first = random.choice((WOMEN if is_woman else MEN).split())
    last = random.sample(SURNAMES.split(), random.choice((1, 1, 2)))
    segment = random.choice(list(SEGMENTS))
    city, state, _ = random.choice(CITIES)
    title = random.choice(TITLES).split("|")[0 if is_woman else -1]
    metadata: dict[str, object] = {"cidade": city, "uf": state, "segmento": segment}
    return " ".join([first, *last]), random.choice(SEGMENTS[segment]), title, [segment], metadata


def _english(random: Random) -> tuple[str, str, str, list[str], dict[str, object]]:
    name = f"{random.choice(ENGLISH_FIRST_NAMES.split())} {random.choice(ENGLISH_SURNAMES.split())}"
    metadata: dict[str, object] = {"cidade": random.choice(ENGLISH_CITIES)}
    return name, random.choice(ENGLISH_COMPANIES), random.choice(ENGLISH_TITLES), [], metadata


def _identities(
    random: Random, number: int, name: str, company: str, *, has_phone: bool, source: LeadSource
) -> dict[str, str]:
    """At least one; the number is in each of them."""
    person = folded(name).replace("'", "").split()
    domain = "".join(c for c in folded(company) if c.isascii() and c.isalnum())
    area = random.choice(CITIES)[2]
    wanted = {
        "EMAIL": (f"{'.'.join(person)}.{number}@{domain}.example", source is LeadSource.EMAIL or 0.7),
        "PHONE": (f"+55{area}900{FIRST_PHONE + number:06}", 0.6 if has_phone else 0),
        "LINKEDIN": (f"{'-'.join(person)}-{number}-demo", source is LeadSource.LINKEDIN or 0.25),
        "INSTAGRAM": (f"{person[0]}.{number}.demo", source is LeadSource.INSTAGRAM or 0.2),
    }
    found = {kind: value for kind, (value, chance) in wanted.items() if random.random() < chance}
    return found or {"EMAIL": wanted["EMAIL"][0]}
