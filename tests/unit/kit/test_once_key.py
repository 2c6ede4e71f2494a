"""By what consumers know a command that comes again: whose it is, and what it is."""

from __future__ import annotations

import pytest
from fastforward_kit.commands import once_key

from support.messages import envelope


def test_commands_that_differ_in_their_path_only_are_others() -> None:
    assert once_key(envelope(once="k", path="/orders/1")) != once_key(envelope(once="k", path="/orders/2"))


@pytest.mark.parametrize("field", ["provider", "api_key_id"])
def test_commands_of_callers_without_a_subject_are_told_apart(field: str) -> None:
    one, other = envelope(once="k"), envelope(once="k")
    setattr(other.header.identity, field, "other")
    assert once_key(one) != once_key(other)


def test_a_caller_with_a_subject_stays_the_same_by_another_key() -> None:
    one, other = envelope(once="k"), envelope(once="k")
    for each, key in ((one, "a"), (other, "b")):
        each.header.identity.subject, each.header.identity.api_key_id = "ann", key
    assert once_key(one) == once_key(other)
