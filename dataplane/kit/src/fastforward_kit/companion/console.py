"""Requests to Envoy's console, at its Unix socket. Called by the companion's endpoint and drain.

Source: "Administration interface" in Envoy's documentation.
"""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

SECONDS = 2.0
_TRAFFIC = (
    r"^http\..*\.?downstream_rq_(active|total)$"
    r"|^tcp\..*\.downstream_cx_(rx|tx)_bytes_total$"
    r"|^udp\..*\.downstream_sess_(rx|tx)_bytes$"
)
"""Connections and datagrams that nobody looks into have no requests: bytes tell that somebody uses them."""
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")


@dataclass(frozen=True, slots=True)
class Console:
    """One Envoy's. A method raises OSError, or TimeoutError (which is one), when it does not answer."""

    socket: Path

    async def ask(self, path: str, *, method: str = "GET") -> tuple[int, bytes]:
        """Status and body."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._ask(path, method)
        except ValueError as error:
            raise OSError(f"not Envoy's console: {error}") from None

    async def _ask(self, path: str, method: str) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n".encode())
            answer = await reader.read()
        finally:
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        match = _STATUS.match(head)
        if match is None:
            raise ValueError(repr(head[:50]))
        chunked = b"transfer-encoding: chunked" in head.lower()
        return int(match[1]), _joined(body) if chunked else body

    async def is_ready(self) -> bool:
        """Whether Envoy has all that it was started for."""
        status, _ = await self.ask("/ready")
        return status == 200

    async def traffic(self) -> tuple[int, int]:
        """How many requests of clients are under way, and a number that grows as requests come and bytes pass."""
        _, body = await self.ask(f"/stats?filter={_TRAFFIC}")
        active = total = 0
        for line in body.decode().splitlines():
            name, colon, count = line.rpartition(":")
            if not colon or name.startswith("http.admin."):
                continue
            if name.endswith("_active"):
                active += int(count)
            else:
                total += int(count)
        return active, total


def _joined(body: bytes) -> bytes:
    """The chunks in a row (RFC 9112, section 7.1)."""
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            break
        parts.append(body[:length])
        body = body[length + 2 :]
    return b"".join(parts)
