"""A message as the mail that goes out."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime, localtime

from app.channels.domain.ports import OutboundMessage


def compose_mail(account_address: str, message: OutboundMessage) -> bytes:
    mail = EmailMessage(policy=POLICY)
    mail["From"] = Address(message.from_name or "", addr_spec=account_address)
    mail["To"] = Address(message.to_name or "", addr_spec=message.to_address)
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(localtime())
    mail["Message-ID"] = message.message_id
    if message.in_reply_to:
        mail["In-Reply-To"] = message.in_reply_to
    if message.references:
        mail["References"] = " ".join(message.references)
    mail.set_content(message.text)
    for file in message.files:
        main, _, sub = file.media_type.partition("/")
        mail.add_attachment(file.path.read_bytes(), maintype=main, subtype=sub, filename=file.name)
    return mail.as_bytes()
