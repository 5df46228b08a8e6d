"""By which name a server goes on to speak of a mail, from its answer to the final dot."""

import pytest
from aiosmtplib import SMTPResponse

from app.channels.infrastructure.smtp import _accepted


@pytest.mark.parametrize(
    ("answer", "id"),
    [
        (
            "Ok 010201812e4fd1b7-3f2c6f5e-87a1-4c3b-9d1e-000000",
            "010201812e4fd1b7-3f2c6f5e-87a1-4c3b-9d1e-000000",
        ),
        ("Ok: queued as u8zoLQtqQmqDKWt2KVdEIg", "u8zoLQtqQmqDKWt2KVdEIg"),
        ("2.0.0 Ok: queued as 4D2F61A0", "4D2F61A0"),
        ("OK id=1abcDE-0001-XY", "1abcDE-0001-XY"),
        ("2.0.0 OK", None),
        ("Ok", None),
        ("Ok delivered", None),
        ("2.0.0 Ok message accepted for delivery", None),
        ("Ok 12", None),
        ("2.6.0 Message received", None),
    ],
    ids=range(10),
)
def test_queued_as(answer: str, id: str | None) -> None:
    assert _accepted(SMTPResponse(250, answer)).provider_id == id
