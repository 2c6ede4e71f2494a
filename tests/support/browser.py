"""A real browser: the Chromium of the system, headless, and a page of it with all that it asks for and complains of.

In: the address of an operator's API. Out: a `Seen`. Called by tests of the operator's page and by those who take
pictures of it. Playwright's own browsers are never downloaded.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

DEADLINE_MS = 50_000
_WIDTH, _HEIGHT = 1360, 900
_UNREACHABLE = "Failed to load resource"
"""How Chromium says that nobody answers, or with what status."""


@dataclass(slots=True)
class Seen:
    """A page, what it asked for, and what the browser complained of."""

    page: Page
    origin: str
    asked: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, view: str = "overview") -> Page:
        """Shows a view, and waits for the operator's first answer."""
        self.page.goto(f"{self.origin}/#/{view}")
        expect(self.page.locator("#pulse")).to_contain_text("Answered")
        return self.page

    def elsewhere(self) -> list[str]:
        """What it asked anybody but the operator for."""
        return [request.url for request in self.asked if not request.url.startswith(f"{self.origin}/")]

    def methods(self) -> set[str]:
        """How it asked."""
        return {request.method for request in self.asked}

    def focus(self) -> str:
        """What has the focus: its id, or its text."""
        return self.page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")


@contextmanager
def running_chromium() -> Generator[Browser]:
    """The system's Chromium; fails where there is none."""
    found = shutil.which("chromium")
    assert found is not None, "Chromium is not there: run .ci/install-programs tests."
    expect.set_options(timeout=DEADLINE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def seeing(
    browser: Browser, origin: str, *, scheme: Literal["light", "dark"] = "light", width: int = _WIDTH
) -> Generator[Seen]:
    """A page of a profile of its own."""
    assert urlsplit(origin).hostname == "127.0.0.1"
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": _HEIGHT})
    context.set_default_timeout(DEADLINE_MS)
    seen = Seen(context.new_page(), origin)

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_UNREACHABLE):
            seen.complaints.append(message.text)

    def note(request: Request) -> None:
        seen.asked.append(request)

    context.on("request", note)
    seen.page.on("console", listen)
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    try:
        yield seen
    finally:
        context.close()
