"""Adapters in a process of their own, beside a Stack whose decision service takes their messages. Called by tests."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from support.gateway import START_S, STOP_S, Stack, until
from support.processes import free_ports

_NODE = "ingress"


@contextmanager
def running_ingress(stack: Stack) -> Generator[int]:
    """Runs it; yields its port, once it has the operator's snapshot."""
    [port] = free_ports(1)
    settings = {
        "FF_ENTRYPOINT_LISTEN": f"127.0.0.1:{port}",
        "FF_ENTRYPOINT_OPERATOR": f"unix:{stack.folder / 'xds.sock'}",
        "FF_ENTRYPOINT_NODE": _NODE,
        "FF_ENTRYPOINT_EXCHANGE": f"unix:{stack.folder}/inside0.sock",
    }
    stack.run(_NODE, [sys.executable, "-m", "fastforward_entrypoint"], settings)
    try:
        until(lambda: stack.alive() and stack.is_live(_NODE), seconds=START_S)
        yield port
    finally:
        child = stack.children.pop(_NODE)
        child.terminate()
        child.wait(STOP_S)
        until(lambda: not stack.is_live(_NODE))
