"""Adapters or stages in a process of their own, beside a Stack whose decision service has the rest. Called by tests."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from support.gateway import START_S, STOP_S, Stack, until
from support.processes import free_ports


@contextmanager
def running_ingress(stack: Stack) -> Generator[int]:
    """Adapters; yields their port, once they have the operator's snapshot."""
    [port] = free_ports(1)
    own = {"LISTEN": f"127.0.0.1:{port}", "EXCHANGE": f"unix:{stack.folder}/inside0.sock"}
    with _running(stack, "ingress", own):
        yield port


@contextmanager
def running_stages(stack: Stack) -> Generator[int]:
    """Stages; yields their port, once they have the operator's snapshot."""
    [port] = free_ports(1)
    own = {"LISTEN": f"unix:{stack.folder}/stages.sock", "STAGES_LISTEN": f"127.0.0.1:{port}"}
    with _running(stack, "stages", own):
        yield port


@contextmanager
def _running(stack: Stack, node: str, own: dict[str, str]) -> Generator[None]:
    settings = {"OPERATOR": f"unix:{stack.folder / 'xds.sock'}", "NODE": node, **own}
    variables = {f"FF_ENTRYPOINT_{name}": value for name, value in settings.items()}
    stack.run(node, [sys.executable, "-m", "fastforward_entrypoint"], variables)
    try:
        until(lambda: stack.alive() and stack.is_live(node), seconds=START_S)
        yield
    finally:
        child = stack.children.pop(node)
        child.terminate()
        child.wait(STOP_S)
        until(lambda: not stack.is_live(node))
