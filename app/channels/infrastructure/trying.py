"""Tries the servers of an account before anything is stored."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

from aiosmtplib import SMTPException

from app.channels.domain.account import MailboxStart, raise_all
from app.channels.infrastructure.imap_connection import ImapDoor, newest
from app.common.domain import Invalid, SalesPadError
from app.common.egress import Egress
from app.common.mail_servers import CannotReach, MailServer, what_to_do
from app.common.smtp import SmtpDoor
from app.settings import Settings

TRY_S = 8.0
QUIT_S = 1.0
THREADS = ThreadPoolExecutor(4, "imap-try")
"""Their own: a server that dawdles holds up other trials, and nothing else."""


async def try_servers(
    settings: Settings,
    *,
    smtp: MailServer | None,
    imap: MailServer | None,
    egress: Egress | None = None,
) -> MailboxStart | None:
    """Both at once; where reading the mailbox begins. Raises Invalid or Refusals that say what to do.

    Its time ends before an operation's does: the answer is a refusal at its field, not a time-out.
    """
    egress = egress or Egress.of(settings)
    timeout_s = min(TRY_S, settings.operation_timeout_s * 0.8)
    refusals: list[SalesPadError] = []
    start: MailboxStart | None = None

    async def try_smtp(server: MailServer) -> None:
        try:
            await _try_smtp(egress, server, urlsplit(settings.base_url).hostname or "localhost", timeout_s)
        except CannotReach as failure:
            refusals.append(Invalid(what_to_do(server, failure), path=("smtpUrl",)))

    async def try_imap(server: MailServer) -> None:
        nonlocal start
        try:
            start = await ImapDoor(egress, THREADS).ask(server, newest, timeout_s=timeout_s)
        except CannotReach as failure:
            refusals.append(Invalid(what_to_do(server, failure), path=("imapUrl",)))

    await asyncio.gather(*([try_smtp(smtp)] if smtp else []), *([try_imap(imap)] if imap else []))
    raise_all(refusals)
    return start


async def _try_smtp(egress: Egress, server: MailServer, ehlo_name: str, timeout_s: float) -> None:
    client = await SmtpDoor(egress).open(server, ehlo_name=ehlo_name, timeout_s=timeout_s)
    with suppress(SMTPException, OSError):
        await client.quit(timeout=QUIT_S)
    client.close()
