"""What a template fills of a message, and what it may not."""

from uuid import UUID

import pytest

from app.conversations.domain.sending import SendRequest, send_request
from app.conversations.domain.templated import TemplateTexts, ValueMissing, filled

ID = UUID(int=1)
TEXTS = TemplateTexts("Subject", "Body", (), ())


def request(
    body: str | None = None, subject: str | None = None, template_id: UUID | None = ID
) -> SendRequest:
    return send_request(
        conversation_id=ID,
        body=body,
        subject=subject,
        attachment_tokens=[],
        not_before=None,
        template_id=template_id,
    )


@pytest.mark.parametrize(
    ("body", "subject", "expected"),
    [
        (None, None, ("Body", "Subject")),
        (None, "Mine", ("Body", "Mine")),
        ("Mine", None, ("Mine", "Subject")),
        ("Mine", "Mine", ("Mine", "Mine")),
        (None, "", ("Body", "Subject")),
    ],
)
def test_what_is_left_out_comes_of_the_template(
    body: str | None, subject: str | None, expected: tuple[str, str]
) -> None:
    done = filled(request(body, subject), TEXTS)
    assert (done.body, done.subject) == expected


@pytest.mark.parametrize(
    ("body", "subject", "missing"),
    [
        (None, None, ["a", "b", "c"]),
        (None, "Mine", ["b", "c"]),
        ("Mine", None, ["a", "b"]),
        ("Mine", "Mine", []),
    ],
)
def test_only_what_is_taken_of_it_can_be_missing(
    body: str | None, subject: str | None, missing: list[str]
) -> None:
    texts = TemplateTexts("Subject", "Body", ("a", "b"), ("b", "c"))
    if not missing:
        assert filled(request(body, subject), texts).body == "Mine"
        return
    with pytest.raises(ValueMissing) as caught:
        filled(request(body, subject), texts)
    assert caught.value.missing == missing
    assert caught.value.path == ("templateId",)


def test_a_key_of_before_templates_still_stands_for_its_request() -> None:
    assert len(request("Mine", template_id=None).fingerprint) == 5
    assert request("Mine").fingerprint != request("Mine", template_id=None).fingerprint
