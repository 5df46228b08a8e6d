"""What keeps a spreadsheet from running a cell of errors.csv, and its way back. Pure.

As in exports of leads (`leads.domain.sheet`), but exactly undone: what is sent in again is what it was.
"""

import re

from app.leads.domain.sheet import TRIGGERS

_LEADING = re.compile(rf"'*(?:[\t\r]|\s*[{TRIGGERS}])")
# Where the reader's separator is a semicolon, or a program takes tabs and line ends in quotes for its own, a cell
# begins within ours.
_INNER = re.compile(rf"([;\t\r\n][\s\"']*)(?=[{TRIGGERS}])")
_GUARDED_INNER = re.compile(rf"([;\t\r\n][\s\"']*)'(?=[{TRIGGERS}])")


def guarded(cell: str) -> str:
    """What no spreadsheet runs as a formula."""
    defused = _INNER.sub(r"\1'", cell)
    return f"'{defused}" if _LEADING.match(cell) else defused


def unguarded(cell: str) -> str:
    """As it was before."""
    if "'" not in cell:
        return cell
    cell = _GUARDED_INNER.sub(r"\1", cell)
    return cell[1:] if cell.startswith("'") and _LEADING.match(cell) else cell
