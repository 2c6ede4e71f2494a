"""A list of networks that is asked in one binary search. Made by `snapshot`; asked by admission."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2

from .address import parse_address

_SIX_BYTES = 16
_Ranges = tuple[Sequence[int], Sequence[int]]
"""First addresses, and last ones; sorted, none overlaps another."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AddressList:
    """Networks; when `lost`, nobody knows which."""

    four: _Ranges
    six: _Ranges
    lost: bool

    def __contains__(self, text: str) -> bool:
        """Whether an address is in it; what is no address is not."""
        found = parse_address(text)
        if found is None:
            return False
        version, number = found
        firsts, lasts = self.four if version == 4 else self.six
        place = bisect_right(firsts, number)
        return place > 0 and number <= lasts[place - 1]


def compile_addresslist(wire: snapshot_pb2.AddressList) -> AddressList:
    """Returns the compiled list. Raises ValueError on bytes that are no ranges."""
    four, six = wire.four, wire.six  # each look copies them
    if len(four) % 8 or len(six) % (2 * _SIX_BYTES):
        raise ValueError("the bytes are no ranges of addresses")
    count = len(four) // 4
    fours = memoryview(struct.pack(f"={count}I", *struct.unpack(f">{count}I", four))).cast("I")
    sixes = tuple(int.from_bytes(six[at : at + _SIX_BYTES]) for at in range(0, len(six), _SIX_BYTES))
    return AddressList(four=(fours[::2], fours[1::2]), six=(sixes[::2], sixes[1::2]), lost=wire.lost)
