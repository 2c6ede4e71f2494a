"""TLS of the webhook: certificates that change while it runs.

In: what it shows now, and whose certificates it takes now. Out: one SSLContext, which hands each handshake to another
that is up to date. Called by server.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import structlog

_log = structlog.get_logger(__name__)


class Shown(NamedTuple):
    """All PEM."""

    chain: bytes
    key: bytes
    callers: str
    """Authority of those who must show a certificate; empty to ask nobody for one."""


class RotatingContext:
    """`shown` is asked at each handshake, in the thread that serves."""

    def __init__(self, shown: Callable[[], Shown]) -> None:
        self._shown = shown
        self._last = shown()
        self._current = _context(self._last)
        self.outer = _context(self._last)
        self.outer.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _host: str | None, _: ssl.SSLContext) -> int | None:
        try:
            newest = self._shown()
            if newest != self._last:
                self._current, self._last = _context(newest), newest
                _log.info("webhook shows a new certificate")
        except (OSError, ValueError) as error:
            # What was good before still is.
            _log.error("certificate of the webhook", error=str(error))
        connection.context = self._current
        return None


def _context(shown: Shown) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    # A resumed session would bring along a caller who was believed under an earlier authority.
    context.num_tickets = 0
    if shown.callers:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=shown.callers)
    with _in_file(shown.chain + shown.key) as both:
        context.load_cert_chain(both)
    return context


@contextmanager
def _in_file(content: bytes) -> Generator[str]:
    """OpenSSL takes keys from files only; where there can be one without a disk, it is that."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("key")
        name = f"/proc/self/fd/{descriptor}"
    else:
        descriptor, name = tempfile.mkstemp()
    try:
        os.write(descriptor, content)
        yield name
    finally:
        os.close(descriptor)
        if not name.startswith("/proc/"):
            Path(name).unlink()
