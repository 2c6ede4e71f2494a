"""Texts with networks to merged ranges: a network a line, or a line of CSV with the country that it belongs to.

In: the text of a key. Out: ranges, and which lines are left out: by number, for what is in a list is nobody's business.
Called by addresslist. A database of all countries has some 300,000 lines, so that the common line takes a microsecond.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from fastforward_compiler.ir import Span

_FOUR_BITS = 32
_OCTET = r"(0|[1-9]\d{0,2})"
_FOUR = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}(?:/(\d{{1,2}}))?", re.ASCII)
_MAPPED = 0xFFFF
"""The first 96 bits of IPv6 addresses that are IPv4 ones (RFC 4291, section 2.5.5.2)."""
_CODE = re.compile("[A-Z]{2}")
_NO_COUNTRY = ("", "-")
"""What databases write where nobody knows."""
_MAX_OCTET = 255


class Gathered(NamedTuple):
    """Ranges of IPv4 and of IPv6, merged and sorted."""

    four: tuple[Span, ...]
    six: tuple[Span, ...]

    @classmethod
    def union(cls, parts: Iterable[Gathered]) -> Gathered:
        """All of them."""
        known = list(parts)
        if len(known) == 1:
            return known[0]
        return cls(merge(span for part in known for span in part.four), merge(s for part in known for s in part.six))


class Fault(NamedTuple):
    """A line that is left out."""

    line: int
    why: str


class _Spans:
    """Ranges as they come."""

    __slots__ = ("four", "six")

    def __init__(self) -> None:
        self.four: list[Span] = []
        self.six: list[Span] = []

    def add(self, version: int, first: int, last: int) -> None:
        (self.four if version == 4 else self.six).append((first, last))

    def gathered(self) -> Gathered:
        return Gathered(merge(self.four), merge(self.six))


def plain_network(text: str) -> IPv4Network | IPv6Network:
    """The network, whatever host bits are set; raises ValueError. One of IPv4-mapped addresses is the IPv4 one."""
    network = ip_network(text, strict=False)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None and network.prefixlen >= 96:
        return ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
    return network


def merge(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sorted, those that touch or overlap put together."""
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            if last > merged[-1][1]:
                merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return tuple(merged)


def parse_networks(text: str) -> tuple[Mapping[str, Gathered], list[Fault]]:
    """What a list holds, under "", and the lines that are no network."""
    spans, faults = _Spans(), []
    for number, line in _lines(text):
        found = parse_network(line)
        if found is None:
            faults.append(Fault(number, "is no network, and left out"))
        else:
            spans.add(*found)
    return {"": spans.gathered()}, faults


def parse_countries(text: str) -> tuple[Mapping[str, Gathered], list[Fault]]:
    """Networks by country, and the lines that say nothing of a network and its country. A first one may be a head."""
    countries: dict[str, _Spans] = {}
    faults = []
    for place, (number, line) in enumerate(_lines(text)):
        *where, country = [field.strip().strip('"').strip() for field in line.split(",")]
        found = _parse_place(where)
        if found is None and place == 0:
            continue
        code = country.upper()
        if found is None or not (_CODE.fullmatch(code) or code in _NO_COUNTRY):
            faults.append(Fault(number, "is no network with its country, and left out"))
        elif code not in _NO_COUNTRY:
            countries.setdefault(code, _Spans()).add(*found)
    return {code: spans.gathered() for code, spans in sorted(countries.items())}, faults


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yields the lines that say anything, and their numbers."""
    for number, line in enumerate(text.split("\n"), start=1):
        said = line.partition("#")[0].partition(";")[0].strip()
        if said:
            yield number, said


def parse_network(text: str) -> tuple[int, int, int] | None:
    """Version, first and last address; None when it is no network."""
    four = _FOUR.fullmatch(text)
    if four is not None:
        a, b, c, d = (int(octet) for octet in four.group(1, 2, 3, 4))
        bits = int(four[5] or _FOUR_BITS)
        if max(a, b, c, d) > _MAX_OCTET or bits > _FOUR_BITS:
            return None
        rest = (1 << (_FOUR_BITS - bits)) - 1
        number = a << 24 | b << 16 | c << 8 | d
        return 4, number & ~rest, number | rest
    try:
        network = plain_network(text)
    except ValueError:
        return None
    return network.version, int(network.network_address), int(network.broadcast_address)


def _parse_place(fields: list[str]) -> tuple[int, int, int] | None:
    """The same of a network, or of a first and a last address."""
    match fields:
        case [network]:
            return parse_network(network)
        case [first, last]:
            return _parse_range(first, last)
        case _:
            return None


def _parse_range(first: str, last: str) -> tuple[int, int, int] | None:
    try:
        low, high = ip_address(first), ip_address(last)
    except ValueError:
        return None
    if low.version != high.version or int(low) > int(high):
        return None
    if low.version == 6 and int(low) >> _FOUR_BITS == _MAPPED == int(high) >> _FOUR_BITS:
        return 4, int(low) & (1 << _FOUR_BITS) - 1, int(high) & (1 << _FOUR_BITS) - 1
    return low.version, int(low), int(high)
