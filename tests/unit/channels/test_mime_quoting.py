"""Where a mail program's quote begins, in the ways and languages that are common; and where none does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.channels.infrastructure.quoting import fold

NEW = "Sim, pode mandar.\n\n-- \nBia"


@pytest.mark.parametrize(
    "quoted",
    [
        "On Mon, Nov 3, 2025 at 9:58 AM Ana Lima <ana@acme.example.com> wrote:\n\n> Oi!",
        "On Mon, Nov 3, 2025 at 9:58 AM Ana Lima <ana@acme.example.com>\nwrote:\n\n> Oi!\n> Tudo bem?\n\n> Ana",
        "On Mon, Nov 3, 2025 at 9:58 AM Ana Lima wrote:\nOi!\n\nTudo bem?",
        "Em seg., 3 de nov. de 2025 às 09:58, Ana <ana@acme.example.com> escreveu:\nOi!",
        "Em 03/11/2025 09:58, Ana escreveu:\n> Oi!",
        "El lun, 3 nov 2025 a las 9:58, Ana (<ana@acme.example.com>) escribió:\n\n> Oi!",
        "Le lun. 3 nov. 2025 à 09:58, Ana <ana@acme.example.com> a écrit :\n\n> Oi!",
        "Am Mo., 3. Nov. 2025 um 09:58 Uhr schrieb Ana <ana@acme.example.com>:\n\n> Oi!",
        "2025-11-03 9:58 GMT-03:00 Ana <ana@acme.example.com>:\n\n> Oi!",
        "-----Mensagem original-----\nDe: Ana\nEnviada em: segunda-feira\nPara: Bia\nAssunto: Oi\n\nOi!",
        "-----Original Message-----\nOi!",
        "From: Ana\nSent: Monday\nTo: Bia\nSubject: Oi\n\nOi!",
        "*De:* Ana <ana@acme.example.com>\n*Enviado:* segunda\n*Para:* Bia\n*Assunto:* Oi\n\nOi!",
        "________________________________\nVon: Ana\nGesendet: Montag\nAn: Bia\nBetreff: Oi\n\nOi!",
        "> Oi!\n> \n> Ana",
        "> Oi!\n\n-- \nBia Souza",
    ],
)
def test_the_quote_is_folded(quoted: str) -> None:
    assert fold(f"{NEW}\n\n{quoted}\n") == (NEW, quoted)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Oi!",
        "Bom dia.\nDe: São Paulo\nPara: Recife\nsão duas horas.",
        "On Monday Ana wrote: yes.\nI agree.",
        "Em 2024 ela escreveu:\ntudo certo.",
        "5 > 3",
        "Segue a lista:\n> não é citação, é a seta\nfim",
        "> tudo citado\n> nada novo",
        "Veja.\n\n---------- Mensagem encaminhada ---------\nDe: Rui\nEnviado: x\nPara: y\n\n> oi",
    ],
)
def test_where_nothing_is_quoted_nothing_is_folded(text: str) -> None:
    assert fold(text) == (text, None)


def test_an_answer_under_the_quote() -> None:
    quoted = "Em 03/11/2025 09:58, Ana escreveu:\n> Oi!\n> Pode ser?"
    assert fold(f"{quoted}\n\nPode sim.") == ("Pode sim.", quoted)


@given(st.lists(st.sampled_from(["> a", ">", "", "a", "On 3 10:00 a@b wrote:", "De: x", "Para: y", "Assunto: z", "--",
                                 "____________", "-----Original Message-----"]), max_size=14))  # fmt: skip
def test_nothing_is_lost_and_something_is_always_new(lines: list[str]) -> None:
    text = "\n".join(lines)
    new, quoted = fold(text)
    assert sorted((new + "\n" + (quoted or "")).split()) == sorted(text.split())
    assert bool(new) == bool(text.strip())
