"""Address lists to their wire form. Called by emitter."""

from __future__ import annotations

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir


def emit_addresslist(value: ir.AddressList) -> snapshot_pb2.AddressList:
    """Returns the wire form of a list."""
    return snapshot_pb2.AddressList(four=value.four, six=value.six, lost=value.lost)
