"""Networks of clients under a name: a list that somebody keeps, or all of a country's.

Made by translate/addresslist; read by emit. Ranges, not networks: they are merged and sorted, so that who looks an
address up needs no more than a binary search.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SIX_BYTES = 16
Span = tuple[int, int]
"""First and last address."""


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
