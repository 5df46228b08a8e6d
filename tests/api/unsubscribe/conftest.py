"""As for conversations: an SMTP server for what is sent, and an account that sends through it."""

from tests.api.conversations.conftest import outlet, smtp

__all__ = ["outlet", "smtp"]
