"""The templates a workspace begins with, in its locale. None requires a value: nobody is left out by them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Starter:
    name: str
    subject: str
    body: str


PORTUGUESE = (
    Starter(
        "Primeiro contato",
        'Uma ideia para {{ lead.company | fallback: "a sua empresa" }}',
        """Olá, {{ lead.first_name | fallback: "tudo bem" }}!

Escrevo da {{ workspace.name | fallback: "nossa equipe" }}. Ajudamos empresas como \
{{ lead.company | fallback: "a sua" }} a responder mais rápido a quem procura por elas.

Faz sentido conversarmos 15 minutos nesta semana?

Um abraço,
{{ owner.first_name | fallback: "Equipe comercial" }}""",
    ),
    Starter(
        "Retomada",
        '{{ lead.first_name | fallback: "Olá" }}, ainda faz sentido?',
        """Olá, {{ lead.first_name | fallback: "tudo bem" }}!

Escrevi há alguns dias e imagino que a agenda esteja cheia. Ainda faz sentido falarmos sobre \
{{ lead.company | fallback: "a sua empresa" }}?

Se não for o momento, basta me dizer, e não insisto.

Um abraço,
{{ owner.first_name | fallback: "Equipe comercial" }}""",
    ),
    Starter(
        "Depois da reunião",
        "Obrigado pela conversa",
        """Olá, {{ lead.first_name | fallback: "tudo bem" }}!

Obrigado pelo tempo de hoje. Combinamos os próximos passos e envio a proposta para \
{{ lead.company | fallback: "vocês" }} em seguida.

Se surgir alguma dúvida, é só responder a esta mensagem.

Um abraço,
{{ owner.first_name | fallback: "Equipe comercial" }}""",
    ),
)
ENGLISH = (
    Starter(
        "First contact",
        'An idea for {{ lead.company | fallback: "your team" }}',
        """Hi {{ lead.first_name | fallback: "there" }},

I am writing from {{ workspace.name | fallback: "our team" }}. We help companies like \
{{ lead.company | fallback: "yours" }} answer faster to those who ask for them.

Would a 15-minute talk this week make sense?

Best regards,
{{ owner.first_name | fallback: "The sales team" }}""",
    ),
    Starter(
        "Follow-up",
        '{{ lead.first_name | fallback: "Hello" }}, does it still make sense?',
        """Hi {{ lead.first_name | fallback: "there" }},

I wrote some days ago, and I suppose your days are full. Does it still make sense to talk about \
{{ lead.company | fallback: "your team" }}?

If this is not the moment, just tell me, and I will not insist.

Best regards,
{{ owner.first_name | fallback: "The sales team" }}""",
    ),
    Starter(
        "After the meeting",
        "Thank you for the talk",
        """Hi {{ lead.first_name | fallback: "there" }},

Thank you for your time today. I will send the proposal for {{ lead.company | fallback: "you" }} as we agreed.

If a question comes up, just answer this message.

Best regards,
{{ owner.first_name | fallback: "The sales team" }}""",
    ),
)


def starters(locale: str) -> Sequence[Starter]:
    return PORTUGUESE if locale.startswith("pt") else ENGLISH
