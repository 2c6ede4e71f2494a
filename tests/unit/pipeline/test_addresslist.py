"""Lists and countries as the evaluator judges them: in a binary search, and told by the list's name."""

# ruff: noqa: ANN401 - fields of messages are handed on as they are

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from fastforward_pipeline import Reason, Snapshot, Trail
from fastforward_pipeline.compiled.addresslist import compile_addresslist
from fastforward_pipeline.snapshot import SnapshotError
from hypothesis import given
from hypothesis import strategies as st

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import EDGE, ask, decided, host, plan, snapshot

SPANS = st.lists(st.integers(0, 300), max_size=12, unique=True).map(lambda marks: sorted(marks)[: len(marks) // 2 * 2])


def four(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


def six(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(16) for number in numbers)


def held(numbers: Iterable[int], value: int) -> bool:
    marks = list(numbers)
    return any(first <= value <= last for first, last in zip(marks[::2], marks[1::2], strict=True))


@given(SPANS, st.integers(0, 301))
def test_an_address_is_in_a_list_by_its_ranges(marks: list[int], value: int) -> None:
    compiled = compile_addresslist(pb.AddressList(four=four(*marks), six=six(*marks)))
    assert (str(IPv4Address(value)) in compiled) is held(marks, value)
    assert (str(IPv6Address(value)) in compiled) is held(marks, value)
    assert (f"::ffff:{IPv4Address(value)}" in compiled) is held(marks, value)


def test_what_is_no_address_is_in_no_list() -> None:
    compiled = compile_addresslist(pb.AddressList(four=four(0, (1 << 32) - 1), six=six(0, (1 << 128) - 1)))
    assert [text in compiled for text in ("", "x", "1.2.3.4:80", "1.2.3.4", "::1")] == [False, False, False, True, True]


@pytest.mark.parametrize("wire", [pb.AddressList(four=b"1234"), pb.AddressList(six=b"1" * 16)], ids=["four", "six"])
def test_bytes_that_are_no_ranges_are_refused(wire: pb.AddressList) -> None:
    with pytest.raises(SnapshotError, match="no ranges of addresses"):
        Snapshot.empty().apply([pb.Resource(name="addresslist/a/b|c", addresslist=wire)])


LISTS = {
    "bots": pb.AddressList(four=four(0x0A000000, 0x0AFFFFFF)),
    "office": pb.AddressList(four=four(0xC0000200, 0xC00002FF)),
    "DE": pb.AddressList(four=four(0x0B000000, 0x0BFFFFFF)),
    "lost": pb.AddressList(lost=True),
}


def world(**admission: Any) -> Snapshot:
    named: dict[str, Any] = admission | {
        key: [f"{EDGE}|{each}" for each in value] for key, value in admission.items() if key.endswith("lists")
    }
    lists = [pb.Resource(name=f"addresslist/{EDGE}|{name}", addresslist=wire) for name, wire in LISTS.items()]
    return snapshot([*lists, *host(plan("a", admission=pb.Admission(**named)))])


OFFICE_AND_12: dict[str, Any] = {"allow_lists": ["office"], "allow_addresses": ["12.0.0.0/8"]}


@pytest.mark.parametrize(
    ("settings", "address", "told"),
    [
        ({"deny_lists": ["bots"]}, "10.0.0.1", ("denyLists", "'10.0.0.1' is of list bots")),
        ({"deny_lists": ["bots"]}, "11.0.0.1", None),
        ({"deny_lists": ["bots"]}, "unknown", ("denyLists", "'unknown' is of list bots")),
        ({"deny_lists": ["office", "DE"]}, "11.0.0.1", ("denyCountries", "'11.0.0.1' is of country DE")),
        ({"deny_lists": ["lost"]}, "11.0.0.1", ("denyLists", "list lost can't be read")),
        ({"deny_lists": ["nowhere"]}, "11.0.0.1", ("denyLists", "list nowhere can't be read")),
        ({"allow_lists": ["office"]}, "192.0.2.1", None),
        ({"allow_lists": ["office", "DE"]}, "11.0.0.1", None),
        ({"allow_lists": ["lost"]}, "11.0.0.1", ("allowLists", "'11.0.0.1' is not of list lost")),
        (
            {"allow_lists": ["DE", "office"]},
            "12.0.0.1",
            ("allowCountries", "'12.0.0.1' is not of country DE, list office"),
        ),
        ({"allow_lists": ["office"], "allow_addresses": ["12.0.0.0/8"]}, "12.0.0.1", None),
        (
            {"allow_lists": ["office"], "allow_addresses": ["12.0.0.0/8"]},
            "13.0.0.1",
            ("allowLists", "'13.0.0.1' is not of list office"),
        ),
        (
            {"allow_lists": ["office"], "deny_addresses": ["192.0.2.1"]},
            "192.0.2.1",
            ("denyAddresses", "'192.0.2.1' is denied"),
        ),
        ({"allow_lists": ["bots"], "deny_lists": ["bots"]}, "10.0.0.1", ("denyLists", "'10.0.0.1' is of list bots")),
    ],
)
def test_a_refusal_names_the_list(settings: dict[str, Any], address: str, told: tuple[str, str] | None) -> None:
    decision = decided(world(**settings), ask(address=address))
    assert decision.status == (403 if told else 200)
    if told:
        assert decision.refusal is not None
        assert decision.reason is Reason.ADDRESS_DENIED
        assert (decision.refusal.field, decision.refusal.detail) == (f"spec.admission.{told[0]}", told[1])


def test_the_trail_says_of_which_list_the_client_is() -> None:
    trail = Trail()
    decided(world(allow_lists=["office", "DE", "bots"]), ask(address="11.0.0.1"), trail=trail)
    (finding,) = [finding for finding in trail.findings if finding.stage == "admission"]
    assert finding.detail == "the client 11.0.0.1, of country DE, and its body are admitted"


def test_in_the_shadow_the_list_is_told_and_nobody_is_refused() -> None:
    decision = decided(world(deny_lists=["bots"], shadow=True), ask(address="10.0.0.1"))
    assert (decision.allowed, [refusal.field for refusal in decision.would_refuse]) == (
        True,
        ["spec.admission.denyLists"],
    )
