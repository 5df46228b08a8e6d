"""Accounts and messages as a sender gets them."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from uuid_utils.compat import uuid7

from app.channels.domain.ports import OutboundMessage, SendingAccount

ADDRESS = "ana@acme.example.com"
PASSWORD = "s3cret/%-word"


def message(**changed: Any) -> OutboundMessage:
    key = str(uuid7())
    return OutboundMessage(
        **{
            "key": key,
            "to_address": "bia@example.com",
            "subject": "Hello",
            "text": "A line.\n.hidden\n",
            "message_id": f"<{key}@acme.example.com>",
            "date": datetime(2026, 11, 22, 10, 0, tzinfo=UTC),
        }
        | changed
    )


def account(url: str, **changed: Any) -> SendingAccount:
    return SendingAccount(
        **{
            "workspace_id": uuid4(),
            "id": uuid4(),
            "name": "Ana",
            "address": ADDRESS,
            "url": url,
            "is_local": False,
        }
        | changed
    )
