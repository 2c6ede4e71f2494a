"""Takes the pictures of the operator's page for the documentation: `python -m support.pictures`.

In: the example bookshop, run by `ff up`, with one Route that names what is not there. Out: docs/assets/page-*.png.
Called by `make pictures`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from support.browser import running_chromium, seeing
from support.repository import ROOT
from support.up import READY, copy_bookshop, running_up

FOLDER = ROOT / "docs" / "assets"
_WIDTH = 1280
_BROKEN = """\
apiVersion: gateway.fastforward.dev/v1alpha1
kind: Route
metadata: {name: gifts, namespace: bookshop}
spec:
  edges: [{name: public}]
  hosts: [gifts.bookshop.localhost]
  rules:
    - name: cards
      upstreams: [{name: giftcards}]
"""


def overview(page: Page) -> None:
    expect(page.locator("#wrong > li")).to_have_count(1)


def objects(page: Page) -> None:
    page.locator("#objects-kind").select_option("Route")
    page.get_by_role("link", name="bookshop/gifts").click()
    expect(page.locator("#details")).to_contain_text("Create it, or mend the name.")


def proxies(page: Page) -> None:
    expect(page.locator(".node")).to_have_count(2)


def host_map(page: Page) -> None:
    page.locator("#map-text").fill("orders")
    expect(page.locator("#map-count")).to_have_text(re.compile(r"^\d+ hosts?, \d+ rules?$"))


def explain(page: Page) -> None:
    page.locator("#q-host").fill("admin.bookshop.localhost")
    page.locator("#q-path").fill("/admin/stock")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#answer .stages > li")).to_have_count(8)


VIEWS: dict[str, Callable[[Page], None]] = {
    "overview": overview,
    "objects": objects,
    "proxies": proxies,
    "map": host_map,
    "explain": explain,
}


def main() -> None:
    """One picture a view."""
    with tempfile.TemporaryDirectory(prefix="ff") as name, running_chromium() as browser:
        directory, ports = copy_bookshop(Path(name))
        with running_up(directory, Path(name) / "state", ports) as running:
            running.until_said(READY)
            (directory / "resources" / "gifts.yaml").write_text(_BROKEN)
            with seeing(browser, running.api, width=_WIDTH) as seen:
                for view, prepare in VIEWS.items():
                    page = seen.open(view)
                    prepare(page)
                    page.evaluate("document.activeElement.blur()")
                    page.locator("body").screenshot(path=FOLDER / f"page-{view}.png")


if __name__ == "__main__":
    main()
