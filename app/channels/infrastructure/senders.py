"""The senders of a process."""

from collections.abc import Mapping

from app.channels.domain.ports import MessageSender
from app.common.domain import Channel
from app.settings import Settings


class Senders:
    """One for each channel. Their connections live as long as they do, or a little less."""

    def __init__(self, by_channel: Mapping[Channel, MessageSender]) -> None:
        self._by_channel = by_channel

    def of(self, channel: Channel) -> MessageSender:
        return self._by_channel[channel]

    async def close(self) -> None:
        for sender in self._by_channel.values():
            await sender.close()


def senders(settings: Settings) -> Senders:
    """What they send with is imported here: the API never does."""
    from app.channels.infrastructure.compose import compose_mail
    from app.channels.infrastructure.smtp import SmtpSender

    return Senders({Channel.EMAIL: SmtpSender(settings, compose_mail)})
