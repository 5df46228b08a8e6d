"""Secrets at rest: whose they are, what opens them, and how they move to a new key."""

from uuid import uuid4

import pytest

from app.common.crypto import BadSecret, SecretBox

OLD, NEW = "o" * 32, "n" * 32


def test_a_secret_opens_only_as_what_it_was_sealed_as() -> None:
    box, owner = SecretBox([OLD]), uuid4()
    sealed = box.seal(owner, "smtp", "smtp://u:hidden@h")
    assert b"hidden" not in sealed
    assert box.open(owner, "smtp", sealed) == "smtp://u:hidden@h"
    for workspace_id, kind in ((uuid4(), "smtp"), (owner, "imap")):
        with pytest.raises(BadSecret):
            box.open(workspace_id, kind, sealed)
    with pytest.raises(BadSecret):
        SecretBox([NEW]).open(owner, "smtp", sealed)
    with pytest.raises(BadSecret):
        box.open(owner, "smtp", sealed[:-1] + b"x")


def test_a_secret_moves_to_the_first_key() -> None:
    owner = uuid4()
    sealed = SecretBox([OLD]).seal(owner, "smtp", "text")
    both = SecretBox([NEW, OLD])
    assert both.open(owner, "smtp", sealed) == "text"
    assert not sealed.startswith(both.key_id)
    renewed = both.renew(sealed)
    assert renewed.startswith(both.key_id)
    assert SecretBox([NEW]).open(owner, "smtp", renewed) == "text"
    with pytest.raises(BadSecret):
        SecretBox([NEW]).renew(sealed)
