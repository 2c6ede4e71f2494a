"""Networks of clients under a name: a list that somebody keeps, or all of a country's.

Made by translate/addresslist; read by emit. Ranges, not networks: they are merged and sorted, so that who looks an
address up needs no more than a binary search.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SIX_BYTES = 16
BETWEEN_LISTS = "|"
"""Parts the names of lists that hold the same addresses."""
_FOUR_BITS, _SIX_BITS = 32, 128
_MAPPED = 0xFFFF << _FOUR_BITS
_MAPPED_SPAN = (_MAPPED, _MAPPED + (1 << _FOUR_BITS) - 1)
Span = tuple[int, int]
"""First and last address."""
Labelled = tuple[Span, str]
"""Addresses that are in the same lists, and the lists' names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressList:
    """One list; values of thousands of parts are kept as bytes, which cost little and are quickly compared."""

    name: str
    """EDGE|LIST: `shop/public|bots`, `shop/public|DE`."""
    four: bytes = b""
    """IPv4: first and last address of each range, four bytes each, big-endian. IPv4-mapped addresses are in here."""
    six: bytes = b""
    """The same of IPv6, sixteen bytes each."""
    lost: bool = False
    """Whether nobody knows what is in it: then it lets nobody in, and keeps everybody out."""

    @property
    def edge(self) -> str:
        """Name of the Edge."""
        return self.name.rpartition("|")[0]

    @property
    def label(self) -> str:
        """What the Edge calls it."""
        return self.name.rpartition("|")[2]

    def spans(self) -> tuple[list[Span], list[Span]]:
        """The ranges of IPv4 and of IPv6."""
        numbers = struct.unpack(f">{len(self.four) // 4}I", self.four)
        six = [int.from_bytes(self.six[at : at + SIX_BYTES]) for at in range(0, len(self.six), SIX_BYTES)]
        return list(zip(numbers[::2], numbers[1::2], strict=True)), list(zip(six[::2], six[1::2], strict=True))


def packed_four(spans: Iterable[Span]) -> bytes:
    """Ranges of IPv4 as bytes."""
    numbers = [number for span in spans for number in span]
    return struct.pack(f">{len(numbers)}I", *numbers)


def packed_six(spans: Iterable[Span]) -> bytes:
    """Ranges of IPv6 as bytes."""
    return b"".join(number.to_bytes(SIX_BYTES) for span in spans for number in span)


def networks_of(first: int, last: int, bits: int) -> Iterator[tuple[int, int]]:
    """Yields the networks that make up a range: the number of the first address, and the length of the prefix."""
    while first <= last:
        aligned = (first & -first).bit_length() - 1 if first else bits
        size = min(aligned, (last - first + 1).bit_length() - 1)
        yield first, bits - size
        first += 1 << size


def parted(lists: Iterable[AddressList]) -> tuple[list[Labelled], list[Labelled]]:
    """The ranges of IPv4 and of IPv6 that all lists make together: disjoint, each of the same lists throughout."""
    spans = [(each.label, *each.spans()) for each in lists]
    sixes = label_spans([(name, six) for name, _, six in spans])
    plain = [(part, label) for span, label in sixes for part in without_mapped(span)]
    return list(label_spans([(name, four) for name, four, _ in spans])), plain


def count_networks(lists: Iterable[AddressList]) -> int:
    """How many networks a proxy has to hold for them."""
    return sum(
        1
        for ranges, bits in zip(parted(lists), (_FOUR_BITS, _SIX_BITS), strict=True)
        for (first, last), _ in ranges
        for _ in networks_of(first, last, bits)
    )


def label_spans(lists: Iterable[tuple[str, list[Span]]]) -> Iterator[Labelled]:
    """Yields disjoint ranges, sorted, each with the names of the lists that hold it, parted by the mark.

    Of one list the ranges are sorted and don't touch.
    """
    edges: dict[int, list[tuple[str, bool]]] = {}
    for name, spans in lists:
        for first, last in spans:
            edges.setdefault(first, []).append((name, True))
            edges.setdefault(last + 1, []).append((name, False))
    within: set[str] = set()
    begin, label = 0, ""
    for at in sorted(edges):
        if label:
            yield (begin, at - 1), label
        for name, begins in edges[at]:
            (within.add if begins else within.discard)(name)
        begin, label = at, BETWEEN_LISTS.join(sorted(within))


def without_mapped(span: Span) -> Iterator[Span]:
    """Yields the range without the addresses that are IPv4 ones: these are looked up as such."""
    first, last = span
    if last < _MAPPED_SPAN[0] or first > _MAPPED_SPAN[1]:
        yield span
        return
    if first < _MAPPED_SPAN[0]:
        yield first, _MAPPED_SPAN[0] - 1
    if last > _MAPPED_SPAN[1]:
        yield _MAPPED_SPAN[1] + 1, last
