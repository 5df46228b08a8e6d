"""`python -m bench <name>`: runs one benchmark on private servers of its own."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine

from app.common.migrations import upgrade
from app.embedded.testing import private_servers
from bench import automations, dashboard, fanout, import_leads, imports, leads, scores, search, sends

BENCHMARKS: dict[str, Callable[[], Coroutine[None, None, None]]] = {
    "automations": automations.run,
    "dashboard": dashboard.run,
    "fanout": fanout.run,
    "import-leads": import_leads.run,
    "imports": imports.run,
    "leads": leads.run,
    "scores": scores.run,
    "search": search.run,
    "sends": sends.run,
}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in BENCHMARKS:
        raise SystemExit(f"python -m bench <name>, where <name> is one of: {', '.join(BENCHMARKS)}")
    with private_servers() as environment:
        # The product's own times, not the suite's short ones.
        kept = ("HOME", "DATABASE_URL", "REDIS_URL", "JWT_SECRET", "CREDENTIAL_KEYS", "ERASURE_KEY")
        os.environ.update({f"SALESPAD_{name}": environment[f"SALESPAD_{name}"] for name in kept})
        upgrade(os.environ["SALESPAD_DATABASE_URL"])
        asyncio.run(BENCHMARKS[name]())


if __name__ == "__main__":
    main()
