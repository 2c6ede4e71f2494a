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
    if len(wire.four) % 8 or len(wire.six) % (2 * _SIX_BYTES):
        raise ValueError("the bytes are no ranges of addresses")
    four = memoryview(struct.pack(f"={len(wire.four) // 4}I", *struct.unpack(f">{len(wire.four) // 4}I", wire.four)))
    six = tuple(int.from_bytes(wire.six[at : at + _SIX_BYTES]) for at in range(0, len(wire.six), _SIX_BYTES))
    numbers = four.cast("I")
    return AddressList(four=(numbers[::2], numbers[1::2]), six=(six[::2], six[1::2]), lost=wire.lost)
