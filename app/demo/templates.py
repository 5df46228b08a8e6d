"""Templates and snippets of the demo workspace: the starters, and those of a team that has worked for a while."""

from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.domain import Channel, Conflict
from app.common.work import Doors
from app.demo.people import LOCALE
from app.templates.wiring import add_starter_templates, add_templates, snippet_use_cases

HAS_TEMPLATES = Statement(
    text("SELECT EXISTS (SELECT FROM template WHERE workspace_id = cast(:workspace_id as uuid)) AS yes")
)
TEMPLATES = (
    (
        "Convite para o webinar",
        Channel.EMAIL,
        '{{ lead.first_name | capitalize | fallback: "Olá" }}, um convite para quinta-feira',
        """Olá, {{ lead.first_name | capitalize | fallback: "tudo bem" }}!

Na quinta-feira, às 10h, mostramos em 40 minutos como três equipes comerciais dobraram as respostas. Há um lugar \
reservado para {{ lead.company | fallback: "a sua empresa" }}.

Posso confirmar a sua presença?

{{ owner.name | fallback: "Equipe Aurora" }}
{{ account.name | fallback: "Aurora Consultoria" }}""",
    ),
    (
        "Proposta enviada",
        Channel.EMAIL,
        "Proposta para {{ lead.company }}",
        """Olá, {{ lead.first_name | capitalize | fallback: "tudo bem" }}!

Segue a proposta para {{ lead.company }}, como conversamos. Ela vale por 15 dias.

Quem mais, além de você, precisa aprová-la?

{{ owner.name | fallback: "Equipe Aurora" }}""",
    ),
)
SNIPPETS = {
    "agenda": "Tenho quinta às 10h ou sexta às 15h. Qual dos dois fica melhor para você?",
    "obrigado": 'Obrigado pelo retorno, {{ lead.first_name | capitalize | fallback: "e até breve" }}!',
    "precos": "O diagnóstico custa R$ 3.800; a implantação em 60 dias, R$ 9.500.",
}


async def add_demo_templates(doors: Doors, workspace_id: UUID, user_id: UUID) -> bool:
    """False when the workspace has, or had, any; of two calls at once the second meets the first's names."""
    try:
        async with doors.open_work(workspace_id) as work:
            row = await work.fetch_one(HAS_TEMPLATES, workspace_id=workspace_id)
            if row and row["yes"]:
                return False
            await add_starter_templates(work, workspace_id, LOCALE, user_id)
            await add_templates(work, workspace_id, user_id, TEMPLATES)
            snippets = snippet_use_cases(work, workspace_id)
            for shortcut, body in SNIPPETS.items():
                await snippets.create_snippet(shortcut=shortcut, body=body)
    except Conflict:
        return False
    return True
