"""The last good snapshot on disk, so that a workload serves after a restart even when the operator is away.

One file: a line that names the format, the SHA-256 of the rest, then the resources as a serialised SnapshotDelta. It is
written beside and renamed into place, readable by the owner alone: it holds hashes of API keys.
"""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf.message import DecodeError

from fastforward.snapshot.v1 import snapshot_pb2

MAGIC = b"fastforward snapshot 1\n"
LEFTOVER_SECONDS = 60.0  # no write takes so long
_RESOURCES_TAG = (snapshot_pb2.SnapshotDelta.RESOURCES_FIELD_NUMBER << 3) | 2  # length-delimited


class SnapshotFile:
    """`snapshot.bin` in a folder that this process may write to."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "snapshot.bin"

    def load(self) -> snapshot_pb2.SnapshotDelta | None:
        """Returns what was kept; None when there is nothing, or nothing whole. Raises OSError."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        start = len(MAGIC) + hashlib.sha256().digest_size
        body = content[start:]
        if content[:start] != MAGIC + hashlib.sha256(body).digest():
            return None
        try:
            return snapshot_pb2.SnapshotDelta.FromString(body)
        except DecodeError:
            return None

    def clear_leftovers(self) -> None:
        """Removes what processes left that were killed while they wrote. Raises OSError."""
        for left in self.path.parent.glob("snapshot.*.tmp"):
            if left.stat().st_mtime < time.time() - LEFTOVER_SECONDS:
                left.unlink(missing_ok=True)

    def save(self, bodies: Iterable[bytes]) -> None:
        """Replaces the file by these serialised resources, whole or not at all. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        try:
            with open(temporary, "wb", opener=_open_private) as file:  # Path.open has no opener
                digest = hashlib.sha256()
                file.write(MAGIC + bytes(digest.digest_size))
                for piece in _framed(bodies):
                    digest.update(piece)
                    file.write(piece)
                file.seek(len(MAGIC))
                file.write(digest.digest())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _framed(bodies: Iterable[bytes]) -> Iterator[bytes]:
    """Yields each body as one occurrence of `SnapshotDelta.resources`: messages of one field may be concatenated."""
    for body in bodies:
        yield bytes((_RESOURCES_TAG,)) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append((value & 0x7F) | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
