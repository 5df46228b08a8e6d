"""What the SMTP double took, as it writes it down: one write a mail, appended, before it answers."""

from pathlib import Path
from typing import NamedTuple


class Taken(NamedTuple):
    """A mail it has, for one of its recipients; `at` is Unix time, when it had read the final dot."""

    at: float
    message_id: str
    recipient: str

    def line(self) -> bytes:
        return f"{self.at:.6f} {self.message_id} {self.recipient}\n".encode()


def read_log(path: Path) -> list[Taken]:
    """What a double wrote down, in its order; also while it writes."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [_taken(line) for line in lines if line.endswith("\n")]


def _taken(line: str) -> Taken:
    at, message_id, recipient = line.rstrip("\n").split(" ", 2)
    return Taken(float(at), message_id, recipient)
