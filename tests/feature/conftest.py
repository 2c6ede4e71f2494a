"""The gateway for feature tests: one stack of real processes a worker, a namespace and an Edge of its own each test."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from support import bookshop as bookshops
from support.bookshop import Bookshop
from support.gateway import Gateway, Stack, running_stack
from support.processes import free_port


@pytest.fixture(scope="session")
def stack() -> Generator[Stack]:
    with running_stack() as running:
        running.hold_tables()
        yield running


@pytest.fixture
def gateway(stack: Stack) -> Generator[Gateway]:
    made = Gateway(stack, namespace=f"t{next(stack.numbers)}", port=free_port())
    made.begin()
    yield made
    made.end()


@pytest.fixture
def deciding_gateway(gateway: Gateway) -> Gateway:
    """A gateway with a decision service."""
    gateway.stack.start_decision_service()
    return gateway


@pytest.fixture(scope="session")
def bookshop() -> Generator[Bookshop]:
    """The sample upstream: REST, WebSocket and gRPC."""
    with bookshops.running("--name", "catalog") as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the processes say goes with every failure."""
    report = yield
    made = getattr(item, "funcargs", {}).get("gateway")
    if report.failed and isinstance(made, Gateway):
        report.sections.append(("gateway", made.describe()))
    return report
