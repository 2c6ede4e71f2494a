"""A real Envoy for each test module that asks for one, with an origin behind it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest
from fastforward_compiler import ir

from support.origin import Loop, Origin
from support.processes import free_port
from support.static_envoy import StaticEnvoy, serving

Serve = Callable[..., StaticEnvoy]


@pytest.fixture(scope="module")
def origin() -> Generator[Origin]:
    loop = Loop()
    made = Origin("origin", loop)
    made.start()
    yield made
    made.stop()
    loop.stop()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Generator[Serve]:
    """Starts an Envoy for the Delta that a function makes for a port."""
    with ExitStack() as running:

        def start(delta_for: Callable[[int], ir.Delta], decision_socket: str = "/nowhere.sock") -> StaticEnvoy:
            port = free_port()
            folder = tmp_path_factory.mktemp("envoy")
            return running.enter_context(serving(delta_for(port), port, folder, decision_socket=decision_socket))

        yield start
