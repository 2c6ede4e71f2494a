"""Whether a port is free, and who has it if not: asked before anything is started.

In: addresses and ports. Out: nothing, or `PortBusyError` with one sentence. Called by supervisor/up.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path


class PortBusyError(Exception):
    """The port can't be listened on; the message says why and what to do."""


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def unused_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def check_port(address: str, port: int, purpose: str) -> None:
    """Raise PortBusyError unless `address:port` can be listened on."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
            # Binding alone succeeds beside a listener that set SO_REUSEPORT, as Envoy does.
            probe.listen(1)
        except OSError as error:
            raise PortBusyError(_sentence(address, port, purpose, error)) from None


def _sentence(address: str, port: int, purpose: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        owner = _owner(port)
        by = f" by {owner}" if owner else ""
        return f"Port {port} ({purpose}) is taken{by}: end that program, or choose another port there."
    if error.errno == errno.EACCES:
        return f"Port {port} ({purpose}) needs privileges: choose one above 1023."
    return f"Port {port} on {address} ({purpose}) can't be used: {error.strerror}."


def _owner(port: int) -> str:
    """Name and process id of the program that listens on the port (Linux), or an empty string."""
    inodes = {inode for table in ("tcp", "tcp6") for inode in _listening_inodes(Path("/proc/net") / table, port)}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(_socket_inode(link) in inodes for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return ""


def _listening_inodes(table: Path, port: int) -> list[str]:
    if not table.exists():
        return []
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    return [row[9] for row in rows if row[3] == "0A" and int(row[1].rsplit(":", 1)[1], 16) == port]


def _socket_inode(link: Path) -> str:
    target = str(link.readlink())
    return target.removeprefix("socket:[").removesuffix("]") if target.startswith("socket:[") else ""
