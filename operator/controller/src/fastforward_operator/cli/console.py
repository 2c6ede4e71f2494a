"""Envoy's console (its administration interface), wherever it listens: only to read.

In: a Unix socket, an address, or a pod. Out: the body of an answer; `ConsoleError` with one sentence when there is
none. Called by proxy, top and collect. In a pod the console listens on a socket that only the pod's containers see:
anything that listens on a port there could be reached by a Route. So kubectl has the companion beside Envoy ask.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SECONDS = 30.0
_ASK = ("/app/bin/python", "-m", "fastforward_kit.companion.show")
_MOST_SAID = 300


class ConsoleError(Exception):
    """It does not answer; the message says why, and what to do."""


class Console(Protocol):
    """One Envoy's."""

    @property
    def name(self) -> str:
        """What it is called until it has said its own name."""
        ...

    def ask(self, target: str) -> bytes:
        """The body of the answer to a GET. Raises ConsoleError."""
        ...


@dataclass(frozen=True, slots=True)
class SocketConsole:
    """At a Unix socket, as `ff up` starts it."""

    path: Path

    @property
    def name(self) -> str:
        """The path."""
        return f"unix:{self.path}"

    def ask(self, target: str) -> bytes:
        """The body. Raises ConsoleError."""
        connection = http.client.HTTPConnection("localhost", timeout=SECONDS)
        try:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(SECONDS)
            connection.sock.connect(str(self.path))
            return _body(connection, target)
        except (OSError, http.client.HTTPException) as error:
            remedy = "start one with `ff up DIR`, or name its state folder with --state or its console with --admin"
            raise ConsoleError(f"No Envoy answers at {self.name} ({error}): {remedy}.") from None
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class AddressConsole:
    """At a host and a port."""

    host: str
    port: int

    @property
    def name(self) -> str:
        """The address."""
        return f"{self.host}:{self.port}"

    def ask(self, target: str) -> bytes:
        """The body. Raises ConsoleError."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)
        try:
            return _body(connection, target)
        except (OSError, http.client.HTTPException) as error:
            raise ConsoleError(
                f"No Envoy answers at {self.name} ({error}): name its console with --admin, as HOST:PORT or unix:PATH."
            ) from None
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class PodConsole:
    """In a pod, asked by the companion beside it. Needs the right to create pods/exec there."""

    pod: str
    namespace: str
    flags: tuple[str, ...]

    @property
    def name(self) -> str:
        """The pod's, which is the node's as well."""
        return self.pod

    def ask(self, target: str) -> bytes:
        """The body. Raises ConsoleError."""
        where = ("--namespace", self.namespace, self.pod, "--container", "companion")
        command = ["kubectl", *self.flags, "exec", *where, "--", *_ASK, target]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise ConsoleError(f"Pod {self.pod} does not answer within {SECONDS:.0f} seconds.") from None
        except OSError as error:
            raise ConsoleError(f"kubectl can't be run ({error.strerror}): install it.") from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:_MOST_SAID]
            raise ConsoleError(f"Pod {self.pod} does not say what it has ({said or 'no word'}).")
        return done.stdout


def console_at(address: str) -> Console:
    """The console at HOST:PORT, http://HOST:PORT or unix:PATH. Raises ConsoleError when it is none of them."""
    if address.startswith("unix:"):
        return SocketConsole(Path(address.removeprefix("unix:")))
    host, _, port = address.removeprefix("http://").rstrip("/").rpartition(":")
    if not host or not port.isdigit() or "/" in host or not 0 < int(port) < 1 << 16:
        raise ConsoleError(f"{address!r} is no address of a console: name one as HOST:PORT or unix:PATH.")
    return AddressConsole(host.strip("[]"), int(port))


def _body(connection: http.client.HTTPConnection, target: str) -> bytes:
    connection.request("GET", target)
    response = connection.getresponse()
    body = response.read()
    if response.status != http.client.OK:
        raise http.client.HTTPException(f"it answers {response.status}")
    return body
