"""`doctor`: what is wrong with this machine or installation, and what to do about it.

Each check stands alone and starts nothing; one that breaks is itself a finding. Exit code 1 when something is
wrong.
"""

from collections.abc import Callable, Iterator

from app.embedded.config import Config
from app.embedded.doctor.finding import Finding
from app.embedded.doctor.machine import (
    check_binaries,
    check_files,
    check_folder,
    check_packages,
    check_port,
    check_python,
    check_user,
    check_web,
)
from app.embedded.doctor.servers import check_database, check_redis
from app.embedded.doctor.settings import check_settings
from app.embedded.processes import EmbeddedError


def examine(config: Config) -> int:
    """Print every finding; the exit code."""
    problems = 0
    for finding in findings(config):
        problems += bool(finding.fix)
        print(f"{'problem' if finding.fix else 'ok':<8} {finding.subject:<11} {finding.text}")
        if finding.fix:
            print(f"{'':<20} fix: {finding.fix}")
    print(f"{problems} problem(s)." if problems else "Nothing is wrong.")
    return 1 if problems else 0


def findings(config: Config) -> Iterator[Finding]:
    checks: list[Callable[[Config], Iterator[Finding]]] = [
        check_python,
        check_packages,
        check_settings,
        check_user,
        check_binaries,
        check_folder,
        check_files,
        check_port,
        check_database,
        check_redis,
        check_web,
    ]
    for check in checks:
        subject = check.__name__.removeprefix("check_")
        try:
            yield from check(config)
        except EmbeddedError as error:
            yield Finding(subject, "not in order", str(error))
        except Exception as error:  # noqa: BLE001 - a doctor reports what it meets
            yield Finding(subject, f"the check itself failed: {error!r}", "look at the message, or report it")
