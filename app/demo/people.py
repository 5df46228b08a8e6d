"""The people of the demo, their companies and their progress: data and chance, no database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from uuid import UUID
from zlib import crc32

from uuid_utils.compat import uuid7

from app.common.domain import Role, folded
from app.leads.domain.lead import LeadSource

SEED = 20_260_701
LEADS = 300
DAYS = 60
WORKSPACE = "Aurora Consultoria (demonstração)"
LOCALE = "pt-BR"


@dataclass(frozen=True)
class Login:
    name: str
    email: str
    role: Role


LOGINS = (
    Login("Helena Prado", "helena@aurora.example", Role.OWNER),
    Login("Rafael Nunes", "rafael@aurora.example", Role.MEMBER),
    Login("Camila Torres", "camila@aurora.example", Role.VIEWER),
)
OWNER = LOGINS[0]

WOMEN = (
    "Adriana Alice Aline Amanda Ana Beatriz Bianca Bruna Camila Carla Carolina Cláudia Cristina Daniela "
    "Débora Eduarda Elaine Fernanda Flávia Gabriela Giovana Helena Inês Isabela Jéssica Joana Juliana Larissa "
    "Letícia Luana Luciana Luísa Mariana Marta Natália Patrícia Paula Priscila Rafaela Renata Sabrina Sílvia "
    "Simone Tatiane Vanessa Vitória"
)
MEN = (
    "Alexandre André Antônio Arthur Bernardo Bruno Caio Carlos César Cláudio Daniel Diego Douglas Eduardo "
    "Emerson Enzo Fábio Felipe Fernando Francisco Gabriel Guilherme Gustavo Henrique Igor João Jorge José "
    "Leandro Leonardo Lucas Luiz Marcelo Márcio Marcos Mateus Murilo Otávio Paulo Pedro Rafael Renato Ricardo "
    "Roberto Rodrigo Sérgio Thiago Vinícius"
)
SURNAMES = (
    "Almeida Alves Andrade Araújo Azevedo Barbosa Barros Batista Borges Cardoso Carvalho Castro Cavalcanti "
    "Correia Costa Cunha Dias Duarte Farias Fernandes Ferreira Figueiredo Freitas Gomes Gonçalves Lima Lopes "
    "Macedo Machado Marques Martins Medeiros Melo Mendes Monteiro Moraes Moreira Moura Nascimento Nogueira "
    "Oliveira Pereira Pinto Queiroz Ramos Ribeiro Rocha Rodrigues Santana Santos Silveira Soares Souza "
    "Tavares Teixeira Vasconcelos Vieira Xavier"
)
CITIES = (
    ("São Paulo", "SP", 11), ("Campinas", "SP", 19), ("Rio de Janeiro", "RJ", 21), ("Belo Horizonte", "MG", 31),
    ("Curitiba", "PR", 41), ("Florianópolis", "SC", 48), ("Porto Alegre", "RS", 51), ("Brasília", "DF", 61),
    ("Goiânia", "GO", 62), ("Salvador", "BA", 71), ("Recife", "PE", 81), ("Fortaleza", "CE", 85), ("Manaus", "AM", 92),
)  # fmt: skip
SEGMENTS: Mapping[str, Sequence[str]] = {
    "Alimentação": (
        "Padaria Sol Nascente", "Café do Porto", "Cantina Bela Vista", "Sabor da Serra", "Empório Santa Clara",
        "Doces da Vovó Lia", "Cervejaria Três Rios", "Hortifruti Campo Bom",
    ),
    "Saúde": (
        "Clínica Vida Plena", "Sorriso & Cia Odontologia", "Laboratório São Lucas", "Fisio Movimento",
        "Farmácia Boa Saúde", "Espaço Mente Leve", "Clínica Pequeno Príncipe",
    ),
    "Educação": (
        "Colégio Novo Horizonte", "Escola Arco-Íris", "Idiomas Ponte", "Cursos Aprender Mais", "Instituto Saber",
        "Academia de Música Harmonia",
    ),
    "Tecnologia": (
        "Nuvem Azul Sistemas", "Código Aberto Tecnologia", "Pixel & Cia", "DataMinas", "Órbita Software",
        "Conecta Redes", "Lume Automação", "Vértice Sistemas",
    ),
    "Varejo": (
        "Casa & Jardim Center", "Moda Brisa", "Livraria Página Um", "Pet Amigo Fiel", "Ótica Visão Clara",
        "Papelaria Central", "Calçados Passo Certo", "Bike Trilha",
    ),
    "Serviços": (
        "Contábil Exata", "Advocacia Moura & Lima", "Imobiliária Morada Nova", "Agência Farol", "RH Talentos",
        "Logística Rota Sul", "Limpa Mais Serviços", "Eventos Maré Alta",
    ),
    "Indústria": (
        "Metalúrgica Ferro Forte", "Têxtil Algodão Doce", "Móveis Jacarandá", "Plásticos Aliança", "Embalagens do Vale",
        "Usina Boa Esperança",
    ),
}  # fmt: skip
TITLES = (
    "Sócia-proprietária|Sócio-proprietário", "Diretora comercial|Diretor comercial", "Gerente de vendas",
    "Gerente de marketing", "Coordenadora de compras|Coordenador de compras", "Fundadora e CEO|Fundador e CEO",
    "Diretora de operações|Diretor de operações", "Analista de marketing", "Supervisora de loja|Supervisor de loja",
    "Gerente administrativa|Gerente administrativo", "Diretora financeira|Diretor financeiro", "Head de crescimento",
)  # fmt: skip
TAGS = {
    **dict.fromkeys(SEGMENTS),
    "Quente": "#dc2626", "Decisor": "#7c3aed", "Indicação": "#16a34a", "Evento": "#d97706", "Retornar": "#2563eb",
}  # fmt: skip
CHANNELS = ("indicação", "evento", "pesquisa", "anúncio", "site")
STAGES = (  # leads of each stage, oldest and newest in days, engagement
    (92, 0, 21, "NEW"), (71, 2, 35, "CONTACTED"), (46, 4, 40, "REPLIED"), (34, 8, 48, "ENGAGED"),
    (21, 12, 52, "ENGAGED"), (19, 25, DAYS, "ENGAGED"), (17, 20, DAYS, "REPLIED"),
)  # fmt: skip
SOURCES = {
    LeadSource.INSTAGRAM: 90, LeadSource.LINKEDIN: 85, LeadSource.MANUAL: 60, LeadSource.FACEBOOK: 40,
    LeadSource.API: 25,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DemoLead:
    given: Mapping[str, str | None]
    metadata: Mapping[str, object]
    source: LeadSource
    stage: int
    engagement: str
    owner: str | None
    """The e-mail of a login."""
    tags: Sequence[str]
    created_at: datetime
    id: UUID = field(default_factory=uuid7)


def demo_leads(now: datetime) -> list[DemoLead]:
    """The same 300 whenever it is called, on dates up to `now`; oldest first, as ids are."""
    random = Random(SEED)  # noqa: S311 - not a secret: the same people every time
    names = _names(random)
    sources = [source for source, count in SOURCES.items() for _ in range(count)]
    random.shuffle(sources)
    stages = [stage for stage, (count, *_) in enumerate(STAGES) for _ in range(count)]
    leads = [_lead(random, n, names[n], sources[n], stage, now) for n, stage in enumerate(stages)]
    return sorted(leads, key=lambda lead: lead.created_at)


def _names(random: Random) -> list[tuple[str, str, bool]]:
    """First name, surnames, whether a woman's: no two alike, so no two addresses are."""
    women, men, surnames = WOMEN.split(), MEN.split(), SURNAMES.split()
    names: dict[str, tuple[str, str, bool]] = {}
    while len(names) < LEADS:
        is_woman = random.random() < 0.5
        first, last = random.choice(women if is_woman else men), random.choice(surnames)
        names.setdefault(_slug(first, last), (first, last, is_woman))
    return list(names.values())


def _slug(*words: str, between: str = ".") -> str:
    plain = folded(" ".join(words)).replace("&", " ").replace("-", " ")
    return between.join(plain.split())


def _lead(
    random: Random, n: int, name: tuple[str, str, bool], source: LeadSource, stage: int, now: datetime
) -> DemoLead:
    first, last, is_woman = name
    segment = random.choice(list(SEGMENTS))
    company = random.choice(SEGMENTS[segment])
    city, state, area = CITIES[crc32(company.encode()) % len(CITIES)]
    title = random.choice(TITLES).split("|")[0 if is_woman else -1]
    _, newest, oldest, engagement = STAGES[stage]
    created_at = _working_hour(random, now, days=random.uniform(newest, oldest))
    return DemoLead(
        given={
            "name": f"{first} {last}",
            "company": company,
            "title": title,
            **_identities(
                random, source, _slug(first, last), _slug(company, between=""), f"+55{area}90000{n:04}"
            ),
        },
        metadata={
            "cidade": city,
            "uf": state,
            "segmento": segment,
            "funcionarios": random.choice([3, 8, 15, 30, 60, 120, 250]),
            "origem": random.choice(CHANNELS),
        },
        source=source,
        stage=stage,
        engagement=engagement,
        owner=None if stage < 2 and random.random() < 0.3 else random.choice(LOGINS[:2]).email,
        tags=[
            segment,
            *random.sample(
                ["Quente", "Decisor", "Indicação", "Evento", "Retornar"], random.choice([0, 0, 1, 2])
            ),
        ],
        created_at=created_at,
        id=uuid7(nanoseconds=int(created_at.timestamp() * 1e9)),
    )


def _identities(
    random: Random, source: LeadSource, person: str, company: str, phone: str
) -> dict[str, str | None]:
    """What a lead from there usually comes with: its own network's profile always, the rest by chance."""
    chance = {
        LeadSource.INSTAGRAM: (0.35, 0.5, 0.05, 1),
        LeadSource.LINKEDIN: (0.6, 0.25, 1, 0.1),
        LeadSource.FACEBOOK: (0.3, 0.6, 0.05, 0.3),
        LeadSource.MANUAL: (0.9, 0.95, 0.3, 0.2),
        LeadSource.API: (1, 0.7, 0.2, 0.1),
    }[source]
    has_email, has_phone, has_linkedin, has_instagram = (random.random() < part for part in chance)
    handle = person.replace(".", "-")
    return {
        "email": f"{person}@{company}.example" if has_email else None,
        "phone": phone if has_phone else None,
        "linkedin": f"https://www.linkedin.com/in/{handle}-demo" if has_linkedin else None,
        "instagram": f"https://www.instagram.com/{person}.demo/" if has_instagram else None,
        "facebook": f"https://www.facebook.com/{person}.demo" if source is LeadSource.FACEBOOK else None,
    }


def _working_hour(random: Random, now: datetime, *, days: float) -> datetime:
    """About `days` ago, on a weekday between 8 and 19 h in São Paulo, and never in the future."""
    day = now - timedelta(days=days)
    at = day.replace(
        hour=random.randint(11, 21), minute=random.randrange(60), second=random.randrange(60), microsecond=0
    )
    at -= timedelta(days=max(0, at.weekday() - 4))
    return at if at <= now else at - timedelta(days=3 if now.weekday() == 0 else 1)
