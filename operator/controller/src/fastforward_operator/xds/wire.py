"""The protobuf wire format of discovery responses, put together from serialised parts.

In: a resource's serialised body. Out: bytes of its entry in a response, made once, and of whole responses, which are
concatenations of entries. Called by store and session. Why it exists: serialising ten thousand resources for each of
three proxies would cost seconds; repeated fields of a protobuf message may be concatenated.
"""

from __future__ import annotations

from collections.abc import Iterable

# Field numbers with wire type 2 (length-delimited), from envoy/service/discovery/v3/discovery.proto and snapshot.proto.
_RESOURCE_VERSION, _RESOURCE_BODY, _RESOURCE_NAME = 1, 2, 3
_ANY_TYPE_URL, _ANY_VALUE = 1, 2
_DELTA_SYSTEM_VERSION, _DELTA_RESOURCES, _DELTA_TYPE_URL, _DELTA_NONCE, _DELTA_REMOVED = 1, 2, 4, 5, 6
_SNAPSHOT_NONCE, _SNAPSHOT_RESOURCES, _SNAPSHOT_REMOVED, _SNAPSHOT_COMPLETE = 1, 2, 3, 4


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def envoy_entry(type_url: str, name: str, version: str, body: bytes) -> bytes:
    """`resources` of a DeltaDiscoveryResponse: one Resource with `body` packed into its Any."""
    packed = _field(_ANY_TYPE_URL, type_url.encode()) + _field(_ANY_VALUE, body)
    resource = (
        _field(_RESOURCE_VERSION, version.encode())
        + _field(_RESOURCE_BODY, packed)
        + _field(_RESOURCE_NAME, name.encode())
    )
    return _field(_DELTA_RESOURCES, resource)


def snapshot_entry(resource: bytes) -> bytes:
    """`resources` of a SnapshotDelta: one serialised snapshot Resource."""
    return _field(_SNAPSHOT_RESOURCES, resource)


def entry_content(entry: bytes) -> bytes:
    """The serialised Resource inside an entry of either kind."""
    position = 1
    while entry[position] & 0x80:
        position += 1
    return entry[position + 1 :]


def delta_response(type_url: str, nonce: str, entries: Iterable[bytes], removed: Iterable[str]) -> bytes:
    """A DeltaDiscoveryResponse."""
    return b"".join(
        (
            _field(_DELTA_TYPE_URL, type_url.encode()),
            _field(_DELTA_NONCE, nonce.encode()),
            _field(_DELTA_SYSTEM_VERSION, nonce.encode()),
            *entries,
            *(_field(_DELTA_REMOVED, name.encode()) for name in removed),
        )
    )


def snapshot_delta(nonce: str, entries: Iterable[bytes], removed: Iterable[str], *, complete: bool) -> bytes:
    """A SnapshotDelta."""
    return b"".join(
        (
            _field(_SNAPSHOT_NONCE, nonce.encode()),
            *entries,
            *(_field(_SNAPSHOT_REMOVED, name.encode()) for name in removed),
            _varint(_SNAPSHOT_COMPLETE << 3) + b"\x01" if complete else b"",
        )
    )
