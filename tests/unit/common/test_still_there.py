import pytest

from app.common.graphql import ClientError, still_there


def test_what_was_erased_between_two_reads_is_no_fault_of_ours() -> None:
    assert still_there("found") == "found"
    with pytest.raises(ClientError) as refused:
        still_there(None)
    assert (refused.value.extensions or {})["code"] == "UNAVAILABLE"
