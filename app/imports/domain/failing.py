"""Why an import FAILED, in the reader's language. Pure.

What is stored is a code and what belongs to it; what is shown is the code, a colon and a text.
"""

from collections.abc import Mapping
from enum import StrEnum

from app.imports.domain.dialect import FileProblem

DEFAULT_LOCALE = "en"


class Failure(StrEnum):
    """Beside `FileProblem`."""

    WRONG_MAPPING = "WRONG_MAPPING"
    """Of: the column it names and the file does not have."""
    NOT_MAPPED = "NOT_MAPPED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    """Of: the error's id and kind."""


TEXTS: Mapping[str, Mapping[FileProblem | Failure, str]] = {
    "en": {
        FileProblem.EMPTY: "There is nothing in this file: upload one with a line of headers and at least one row.",
        FileProblem.HEADER_ONLY: "This file has headers and no rows: add the rows, then upload it again.",
        FileProblem.NOT_A_TABLE: "This is no table: export it as CSV or XLSX, then upload it again.",
        FileProblem.TOO_MANY_COLUMNS: "This file has more than 500 columns: remove those you do not need. If it should"
        " have fewer, look for stray separators.",
        FileProblem.LINE_TOO_LONG: "A row is too long to be one: look for a quote that is never closed.",
        FileProblem.OPEN_QUOTE: "A quote is opened and never closed: close it, or write it twice where it belongs to"
        " the text.",
        FileProblem.TOO_LARGE_UNPACKED: "Unpacked, this workbook is too large: export it as CSV, then upload that.",
        FileProblem.BROKEN_WORKBOOK: "This workbook cannot be opened: save it again as XLSX without a password, or"
        " export it as CSV.",
        FileProblem.FILE_GONE: "The uploaded file is gone: upload it again.",
        FileProblem.DISK_FULL: "There is no room to read it: ask whoever runs this server to free some, then upload it"
        " again.",
        Failure.WRONG_MAPPING: "The mapping names “{}”, and this file has no such column: upload it again, and leave"
        " the mapping out to see its columns first.",
        Failure.NOT_MAPPED: "Nobody said in time which column is which: upload the file again.",
        Failure.INTERNAL_ERROR: "{}. What has landed stays. Upload the file again: its rows are recognised. Tell"
        " support if it happens again.",
    },
    "pt-BR": {
        FileProblem.EMPTY: "Não há nada neste arquivo: envie um com uma linha de cabeçalhos e ao menos uma linha de"
        " dados.",
        FileProblem.HEADER_ONLY: "Este arquivo tem cabeçalhos e nenhuma linha de dados: acrescente-as e envie de novo.",
        FileProblem.NOT_A_TABLE: "Isto não é uma tabela: exporte como CSV ou XLSX e envie de novo.",
        FileProblem.TOO_MANY_COLUMNS: "Este arquivo tem mais de 500 colunas: retire as que não precisa. Se deveria ter"
        " menos, veja se sobram separadores.",
        FileProblem.LINE_TOO_LONG: "Uma linha é longa demais: veja se há aspas que nunca se fecham.",
        FileProblem.OPEN_QUOTE: "Há aspas que se abrem e nunca se fecham: feche-as, ou escreva-as duas vezes onde fazem"
        " parte do texto.",
        FileProblem.TOO_LARGE_UNPACKED: "Descompactada, esta planilha é grande demais: exporte como CSV e envie o CSV.",
        FileProblem.BROKEN_WORKBOOK: "Não foi possível abrir esta planilha: salve de novo como XLSX sem senha, ou"
        " exporte como CSV.",
        FileProblem.FILE_GONE: "O arquivo enviado não existe mais: envie de novo.",
        FileProblem.DISK_FULL: "Não há espaço para lê-lo: peça a quem cuida deste servidor que libere espaço e envie de"
        " novo.",
        Failure.WRONG_MAPPING: "O mapeamento cita “{}”, e este arquivo não tem essa coluna: envie de novo e deixe o"
        " mapeamento de fora para ver antes as colunas.",
        Failure.NOT_MAPPED: "Ninguém disse a tempo qual coluna é qual: envie o arquivo de novo.",
        Failure.INTERNAL_ERROR: "{}. O que entrou fica. Envie o arquivo de novo: as linhas são reconhecidas. Avise o"
        " suporte se acontecer outra vez.",
    },
}
AT_ROW = {"en": "Row {}: ", "pt-BR": "Linha {}: "}
"""The data row, from 1, where a file's problem begins at one."""


def why(failure: FileProblem | Failure, of: object = "") -> str:
    """As it is stored: the code, then what belongs to it. Of a file's problem that is its row, where it is known."""
    return f"{failure.value}|{of}" if of not in ("", None) else failure.value


def told(stored: str, locale: str) -> str:
    """For people to read, in their language if there are texts in it."""
    code, _, of = stored.partition("|")
    if code in FileProblem.__members__:
        problem: FileProblem | Failure = FileProblem(code)
        place = AT_ROW.get(locale, AT_ROW[DEFAULT_LOCALE]).format(of) if of else ""
    else:
        # What ends an import from without says it in its own words.
        problem, of = (Failure(code), of) if code in Failure.__members__ else (Failure.INTERNAL_ERROR, stored)
        place = ""
    text = TEXTS.get(locale, TEXTS[DEFAULT_LOCALE])[problem].format(of)
    return f"{problem.value}: {place}{text}"
