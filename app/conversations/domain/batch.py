"""A batch: deliveries that are switched together."""

from enum import StrEnum


class BatchStatus(StrEnum):
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELED = "CANCELED"
    """For good: what is left of it is canceled bit by bit."""
