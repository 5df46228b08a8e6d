"""SalesPad's own mails, by the operator's SMTP server, or into the local mailbox where none is set.

Nobody but the operator names that server, so it may be anywhere, in a private network too; TLS is demanded but on a
loopback address. A mail whose fate is in doubt (the connection was lost after its text had begun to go out) counts as
not sent: it goes out again under the same Message-ID. A reset that is lost is worse than one that comes twice.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import parseaddr

from aiosmtplib import (
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)
from email_validator import EmailNotValidError

from app.common import tracing
from app.common.domain import Invalid
from app.common.egress import Egress
from app.common.mail_servers import CannotReach, MailServer, Protocol, ReachProblem, mail_server
from app.common.smtp import Envelope, SmtpDoor, on_the_wire
from app.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail of SalesPad's own. Subject and texts may hold what people wrote, cleaned and escaped."""

    id: str
    """The same at each try: its Message-ID begins with it."""
    to: str
    subject: str
    text: str
    html: str
    locale: str
    date: datetime


class NotSent(Exception):
    """`reason` is a code: a server's own words may hold the address. `is_final`: the next try would meet the same."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


class Mailer:
    def __init__(self, settings: Settings) -> None:
        """Raises SystemExit with what to do about a server's address that is none."""
        self._timeout_s = settings.send_timeout_s
        self._sender_name, sender = parseaddr(settings.system_mail_sender)
        local_part, _, domain = sender.rpartition(
            "@"
        )  # the operator's own: it may be a name of their network
        self._domain = domain.encode("idna").decode()
        self._sender = f"{local_part}@{self._domain}"
        url = settings.system_mail_url
        try:
            self._server = mail_server(Protocol.SMTP, url) if url else None
        except Invalid as bad:
            raise SystemExit(f"SALESPAD_SYSTEM_SMTP_URL: {bad.message}") from None
        self._door = SmtpDoor(Egress(is_production=False))

    async def send(self, letter: Letter) -> None:
        """Raises NotSent, also where it may have gone out."""
        if self._server is None:
            raise NotSent("NO_MAIL_SERVER")
        try:
            envelope = Envelope(self._sender, on_the_wire(letter.to)[0], self._domain)
        except EmailNotValidError:
            raise NotSent("BAD_ADDRESS", is_final=True) from None
        content = self._composed(letter, envelope)
        try:
            with tracing.span("smtp send", kind="system_mail"):
                async with asyncio.timeout(self._timeout_s):
                    await self._hand_over(self._server, envelope, content)
        except CannotReach as failure:
            raise NotSent(failure.problem) from None
        except SMTPRecipientsRefused as refused:
            raise _refusal("RCPT", refused.recipients[0].code) from None
        except SMTPSenderRefused as refused:
            raise NotSent(f"MAIL {refused.code}") from None  # the operator may mend it
        except SMTPResponseException as refused:
            raise _refusal("DATA", refused.code) from None
        except (SMTPException, OSError) as error:  # TimeoutError is one
            is_late = isinstance(error, TimeoutError)  # aiosmtplib's own are, too
            raise NotSent(ReachProblem.TIMEOUT if is_late else ReachProblem.CONNECTION_LOST) from None

    async def _hand_over(self, server: MailServer, envelope: Envelope, content: bytes) -> None:
        client = await self._door.open(server, ehlo_name=envelope.sender_domain, timeout_s=self._timeout_s)
        try:
            options = ["SMTPUTF8"] if envelope.needs_utf8 else []
            await client.sendmail(envelope.sender, [envelope.recipient], content, mail_options=options)
        finally:
            with suppress(SMTPException, OSError):
                if client.protocol is not None:
                    client.protocol.write(b"QUIT\r\n")  # its answer is not waited for
            client.close()

    def _composed(self, letter: Letter, envelope: Envelope) -> bytes:
        """No value can end its header's line: the policy refuses it, and texts come as one line."""
        mail = EmailMessage(policy=SMTPUTF8 if envelope.needs_utf8 else SMTP)
        mail["From"] = Address(self._sender_name, *envelope.sender.rsplit("@", 1))
        mail["To"] = Address("", *envelope.recipient.rsplit("@", 1))
        mail["Subject"] = letter.subject
        mail["Date"] = letter.date
        mail["Message-ID"] = f"<{letter.id}@{envelope.sender_domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["Content-Language"] = letter.locale
        mail.set_content(letter.text, cte="quoted-printable")
        mail.add_alternative(letter.html, subtype="html", cte="quoted-printable")
        return mail.as_bytes()


def _refusal(stage: str, code: int) -> NotSent:
    return NotSent(f"{stage} {code}", is_final=500 <= code < 600)
