"""The operator's page in a real browser, beside the gateway of the feature tests."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from playwright.sync_api import Browser

from support.browser import Seen, running_chromium, seeing
from support.gateway import Gateway, Stack, running_stack


@pytest.fixture(scope="session")
def stack() -> Generator[Stack]:
    """One of its own: the page shows all there is."""
    with running_stack() as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Generator[Browser]:
    # Not for longer: as long as it runs, no test of the same process can run an event loop.
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def seen(chromium: Browser, gateway: Gateway) -> Generator[Seen]:
    """A page that has to end without any complaint, and without having asked for anything elsewhere, or but to read."""
    with seeing(chromium, f"http://127.0.0.1:{gateway.stack.api_port}") as made:
        yield made
        assert made.complaints == []
        assert made.elsewhere() == []
        assert made.methods() <= {"GET"}
