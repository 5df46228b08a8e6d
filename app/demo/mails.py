"""The mails of the demo: data, no database. Threads in Portuguese between its members and some of its leads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from app.demo.people import LOGINS

HELENA, RAFAEL, CAMILA = (login.email for login in LOGINS)
MAILBOX = "contato"
"""Before the @ of the demo's own address; with a number after it where another workspace has it already."""
DOMAIN = "aurora.example"
ACCOUNT_NAME = "Aurora Consultoria"
PRICES = "item;valor\nDiagnóstico comercial;R$ 3.800\nImplantação em 60 dias;R$ 9.500\nAcompanhamento mensal;R$ 1.900\n"
HTML = (
    "<p>Olá!</p><p>Comparei as <b>três opções</b> com o que usamos hoje:</p><table border='1'><tr><th>Opção</th>"
    "<th>Prazo</th></tr><tr><td>Diagnóstico</td><td>2 semanas</td></tr><tr><td>Implantação</td><td>60 dias</td></tr>"
    "</table><p>A <i>implantação</i> parece a melhor. Qual seria a próxima data?</p>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """`lines` begin with ">" where we write and with "<" where the lead does; {nome}, {empresa}, {eu} are filled in."""

    subject: str
    lines: Sequence[str]
    hours: float
    """How long ago the last of them was."""
    author: str = HELENA
    is_unread: bool = False
    assignee: str | None = None
    snoozed_days: int = 0
    is_closed: bool = False
    ends: str = "SENT"
    """What became of the last mail of ours."""
    note: str | None = None
    html: str | None = None
    """Of the lead's last mail."""
    has_file: bool = False
    """With the lead's last mail."""

    def at(self, index: int, now: datetime) -> datetime:
        """When a line was written: about a working day between two of them."""
        hours_before = sum(19 + 5 * (step % 3) for step in range(index, len(self.lines) - 1))
        return datetime.fromtimestamp(now.timestamp() - (self.hours + hours_before) * 3600, now.tzinfo)


HELLO = "> Olá, {nome}, tudo bem?\n\nSou {eu}, da Aurora Consultoria. Ajudamos empresas como a {empresa} a "
THREADS = (  # the newest first
    Thread(
        subject="Proposta para a {empresa}",
        lines=(
            HELLO + "organizar o atendimento de quem chega pelo site.\n\nFaz sentido conversarmos 20 minutos?",
            "< Oi! Faz sentido, sim. Consegue mandar uma ideia de valores antes?",
            "> Claro. Para o tamanho da {empresa}, começamos com o diagnóstico: R$ 3.800, em duas semanas.",
            "< Recebi, obrigado. Vou levar ao sócio amanhã e volto com uma resposta até sexta.",
        ),
        hours=0.6,
        is_unread=True,
        assignee=HELENA,
    ),
    Thread(
        subject="Dúvida sobre o diagnóstico",
        lines=("< Bom dia! Vi a palestra de vocês no evento de terça. O diagnóstico atende equipe de 8 pessoas?",),
        hours=1.4,
        is_unread=True,
    ),
    Thread(
        subject="Comparação das opções",
        lines=(
            "> {nome}, como prometi: três caminhos possíveis, do menor ao maior. Qual se parece mais com vocês?",
            "< Comparei as três opções com o que usamos hoje. A implantação parece a melhor.",
        ),
        hours=2.2,
        is_unread=True,
        html=HTML,
        author=RAFAEL,
    ),
    Thread(
        subject="Planilha de preços",
        lines=(
            "> Oi, {nome}! Pode me mandar a planilha com os valores que vocês pagam hoje?",
            "< Segue em anexo. Os valores são os deste semestre.",
        ),
        hours=3.5,
        has_file=True,
        assignee=RAFAEL,
        author=RAFAEL,
    ),
    Thread(
        subject="Reunião na quinta",
        lines=(
            "> Fica bom quinta, às 15 h, por vídeo?",
            "< Quinta eu viajo. Pode ser na outra semana, terça de manhã?",
            "> Pode, sim: terça, às 10 h. Mando o convite.",
        ),
        hours=5,
        assignee=HELENA,
    ),
    Thread(
        subject="Retomamos em breve?",
        lines=(
            "> {nome}, conseguiu olhar a proposta?",
            "< Ainda não, estamos fechando o trimestre. Me procura daqui a dois dias?",
        ),
        hours=8,
        snoozed_days=2,
        assignee=RAFAEL,
        author=RAFAEL,
    ),
    Thread(
        subject="Contrato assinado",
        lines=(
            "> Segue o contrato para assinatura. Qualquer ajuste, é só me dizer.",
            "< Assinado! Podemos começar na segunda?",
            "> Combinado. Na segunda, às 9 h, fazemos a primeira reunião com a equipe da {empresa}.",
            "< Perfeito, até lá!",
        ),
        hours=26,
        is_closed=True,
        assignee=HELENA,
    ),
    Thread(
        subject="Catálogo da {empresa}",
        lines=("> {nome}, segue o resumo do que vimos no catálogo de vocês e três sugestões para o site.",),
        hours=28,
        ends="FAILED",
        author=RAFAEL,
    ),
    Thread(
        subject="Apresentação da Aurora",
        lines=(HELLO + "responder mais rápido a quem pede orçamento.\n\nPosso mandar um exemplo?",),
        hours=30,
        ends="BOUNCED",
    ),
    Thread(
        subject="Referências de clientes",
        lines=(
            "< Vocês têm clientes do nosso segmento com quem eu possa falar?",
            "> Temos dois que aceitam conversar. Mando os contatos ainda hoje.",
        ),
        hours=31,
        assignee=CAMILA,
        note="Quer falar com um cliente antes de decidir: pedir autorização ao pessoal da Padaria Sol Nascente.",
    ),
    Thread(
        subject="Prazo da implantação",
        lines=(
            "< Oi, Helena! Se fecharmos este mês, quando a equipe estaria usando?",
            "> Em 60 dias, {nome}. As duas primeiras semanas são de diagnóstico, com uma reunião por semana.",
            "< Ótimo. E o treinamento é presencial?",
        ),
        hours=33,
        is_unread=True,
    ),
    Thread(
        subject="Nota fiscal de junho",
        lines=("< Bom dia! Não encontrei a nota fiscal do mês passado. Podem reenviar?", "> Reenviada, {nome}."),
        hours=50,
        is_closed=True,
        author=RAFAEL,
    ),
    Thread(
        subject="Indicação da {empresa}",
        lines=(
            "> {nome}, obrigada pela indicação! Já falei com eles e marcamos para a semana que vem.",
            "< Que bom! Eles precisam mesmo. Depois me conta.",
        ),
        hours=52,
    ),
    Thread(
        subject="Convite: café com gestores",
        lines=(
            "> Dia 12 faremos um café com gestores comerciais, aqui no escritório. Reservo um lugar para a {empresa}?",
        ),
        hours=54,
    ),
    Thread(
        subject="Orçamento para 3 lojas",
        lines=(
            "< Somos três lojas e atendemos tudo por um telefone só. Quanto custa arrumar isso?",
            "> Depende do volume, {nome}. Quantos atendimentos por dia, mais ou menos?",
            "< Uns 80 nas três, mais no sábado.",
            "> Entendi. Preparo uma proposta para as três e mando até quarta.",
        ),
        hours=75,
        author=RAFAEL,
        assignee=RAFAEL,
    ),
    Thread(
        subject="Integração com o sistema de vocês",
        lines=(
            "< O nosso sistema é antigo. Dá para integrar, ou teremos de digitar duas vezes?",
            "> Se ele exporta CSV, dá. Pode me mandar um exemplo, sem dados de clientes?",
        ),
        hours=78,
    ),
    Thread(
        subject="Depois da visita",
        lines=("> {nome}, obrigada por nos receber ontem na {empresa}. Anotei os três pontos e volto com um plano.",),
        hours=80,
        note="Visita boa: quem decide é a diretora financeira, que volta de férias no fim do mês.",
    ),
    Thread(
        subject="Agora não",
        lines=(
            HELLO + "acompanhar as propostas que estão abertas.\n\nVale uma conversa?",
            "< Agradeço, mas agora não é prioridade. Talvez no ano que vem.",
            "> Sem problema, {nome}. Sucesso por aí!",
        ),
        hours=98,
        is_closed=True,
    ),
    Thread(
        subject="Segunda via do boleto",
        lines=(
            "< Podem mandar a segunda via do boleto? O vencimento caiu no feriado.",
            "> Aqui está, com a nova data.",
        ),
        hours=100,
        is_closed=True,
        author=RAFAEL,
    ),
    Thread(
        subject="Vídeo da demonstração",
        lines=(
            "> Como combinado, {nome}: a gravação da demonstração fica disponível por 30 dias.",
            "< Recebi! Vou mostrar à equipe.",
        ),
        hours=102,
    ),
    Thread(
        subject="Equipe nova",
        lines=(
            "< Contratamos duas pessoas para vendas. Dá para incluir no treinamento de agosto?",
            "> Dá, sim. Me mande os nomes até sexta.",
        ),
        hours=122,
        assignee=HELENA,
    ),
    Thread(
        subject="Condições de pagamento",
        lines=(
            "< Conseguem dividir a implantação em três vezes?",
            "> Em três sem juros, com a primeira na assinatura.",
            "< Assim fica bom para a {empresa}.",
        ),
        hours=126,
        author=RAFAEL,
    ),
    Thread(
        subject="Pesquisa rápida",
        lines=("> {nome}, de 0 a 10, quanto você indicaria a Aurora a um colega?", "< 9! Só faltou estacionamento. :)"),
        hours=146,
        is_closed=True,
    ),
    Thread(
        subject="Relatório do primeiro mês",
        lines=("> Segue o resumo: o tempo de resposta caiu de 9 h para 2 h.", "< Impressionante. Vamos ampliar!"),
        hours=150,
    ),
    Thread(
        subject="Primeiro contato",
        lines=(HELLO + "não perder pedidos que chegam fora do horário.\n\nQuem cuida disso aí?",),
        hours=170,
        author=RAFAEL,
    ),
)  # fmt: skip


def filled(text: str, *, name: str, company: str, author: str) -> str:
    me = next(login.name for login in LOGINS if login.email == author)
    return text.format(nome=name.split()[0], empresa=company, eu=me.split()[0])


def mail_of_lead(
    thread: Thread, index: int, *, text: str, subject: str, sender: str, name: str, to: str, at: datetime
) -> bytes:
    """One mail of a lead as it comes in from outside."""
    mail = EmailMessage()
    mail["From"] = f'"{name}" <{sender}>'
    mail["To"] = to
    mail["Subject"] = f"Re: {subject}" if index else subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{int(at.timestamp())}.{index}@{sender.partition('@')[2]}>"
    mail.set_content(text)
    if index == max(n for n, line in enumerate(thread.lines) if line.startswith("<")):
        if thread.html:
            mail.add_alternative(thread.html, subtype="html")
        if thread.has_file:
            mail.add_attachment(PRICES.encode(), maintype="text", subtype="csv", filename="preços.csv")
    return mail.as_bytes()
