"""Texts to ranges: what is a network, what is a line of a database, what is neither, and how ranges come together."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest
from fastforward_compiler.translate.countries import COUNTRIES
from fastforward_compiler.translate.networks import Gathered, merge, parse_countries, parse_network, parse_networks
from hypothesis import given
from hypothesis import strategies as st


def four(first: str, last: str) -> tuple[int, int]:
    return int(ip_address(first)), int(ip_address(last))


@pytest.mark.parametrize(
    ("text", "version", "first", "last"),
    [
        ("192.0.2.7", 4, "192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/24", 4, "192.0.2.0", "192.0.2.255"),
        ("0.0.0.0/0", 4, "0.0.0.0", "255.255.255.255"),
        ("2001:db8::/32", 6, "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("::ffff:192.0.2.0/120", 4, "192.0.2.0", "192.0.2.255"),
        ("::ffff:192.0.2.7", 4, "192.0.2.7", "192.0.2.7"),
        ("::ffff:0:0/96", 4, "0.0.0.0", "255.255.255.255"),
    ],
)
def test_a_network_is_a_range(text: str, version: int, first: str, last: str) -> None:
    assert parse_network(text) == (version, *four(first, last))


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "256.0.0.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/", "1.2.3.4 "),
        *("1.2.3.4/255.255.255.0/1", "::/129", ":::", "٣.2.3.4", "1.2.3.4-1.2.3.9", "bots.example.com"),
    ],
)
def test_what_is_no_network_is_none(text: str) -> None:
    assert parse_network(text) is None


@given(st.ip_addresses(), st.integers(0, 128))
def test_every_network_is_read_as_the_standard_library_reads_it(address: object, length: int) -> None:
    text = f"{address}/{length if ':' in str(address) else length % 33}"
    network = ip_network(text, strict=False)
    found = parse_network(text)
    assert found is not None
    if network.version == found[0]:
        assert found[1:] == (int(network.network_address), int(network.broadcast_address))


def test_a_list_tells_by_number_what_is_left_out() -> None:
    text = "# head\n\n10.0.0.0/8 # ours\r\nnone\n\t192.0.2.1 ;x\n10.1.0.0/16\n11.0.0.0/8\n1.2.3.4/99"
    found, faults = parse_networks(text)
    assert found == {"": Gathered((four("10.0.0.0", "11.255.255.255"), four("192.0.2.1", "192.0.2.1")), ())}
    assert [fault.line for fault in faults] == [4, 8]


def test_a_database_has_a_network_or_a_range_and_a_country_a_line() -> None:
    text = (
        'network,country\n"10.0.0.0/8",DE\n11.0.0.0,11.255.255.255,de\n192.0.2.1, FR\n192.0.2.2,-\n192.0.2.3,""\n'
        "2001:db8::/32,FR\n::ffff:9.0.0.0,::ffff:9.0.0.9,DE\n"
    )
    found, faults = parse_countries(text)
    assert (faults, list(found)) == ([], ["DE", "FR"])
    assert found["DE"].four == (four("9.0.0.0", "9.0.0.9"), four("10.0.0.0", "11.255.255.255"))
    assert found["FR"] == Gathered(
        (four("192.0.2.1", "192.0.2.1"),), (four("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),)
    )


@pytest.mark.parametrize(
    "line",
    [
        *("10.0.0.0/8", "10.0.0.0/8,Germany", "10.0.0.0/8,D1", "none,DE", "10.0.0.9,10.0.0.1,DE", "10.0.0.1,::1,DE"),
        *("10.0.0.0/8,1,2,DE", "10.0.0.0/8,ÄÖ", "::1,10.0.0.1,DE"),
    ],
)
def test_a_line_that_says_no_country_of_a_network_is_left_out(line: str) -> None:
    found, faults = parse_countries(f"10.0.0.0/8,FR\n{line}\n")
    assert list(found) == ["FR"]
    assert [fault.line for fault in faults] == [2]


def test_only_the_first_line_may_be_a_head() -> None:
    assert [fault.line for fault in parse_countries("network,country\nnetwork,country\n")[1]] == [2]


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda span: tuple(sorted(span))))


@given(SPANS)
def test_merged_ranges_hold_the_same_sorted_and_apart(spans: list[tuple[int, int]]) -> None:
    merged = merge(spans)
    assert {n for first, last in merged for n in range(first, last + 1)} == {
        n for first, last in spans for n in range(first, last + 1)
    }
    assert all(one[1] + 1 < other[0] for one, other in pairwise(merged))


def test_there_are_as_many_countries_as_the_standard_has_and_one_more() -> None:
    assert len(COUNTRIES) == 249 + 1
    assert "UK" not in COUNTRIES
