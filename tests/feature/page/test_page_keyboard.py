"""The operator's page is read by everybody: by keys alone, in light and dark, on narrow screens."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, expect

from support.browser import Seen, seeing
from support.gateway import Gateway
from support.resources import prefix, route, rule, upstream

VIEWS = ("overview", "objects", "proxies", "map", "explain")
MOST_TABS = 60
FAINT = """() => {
  const parts = (color) => color.match(/[0-9.]+/g).map(Number);
  const light = (color) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = parts(color).slice(0, 3).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((parts(color)[3] ?? 1) === 1) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3 && node.textContent.trim());
    if (text.length === 0 || !element.checkVisibility() || element.closest("option, datalist, noscript")) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${element.tagName} ${text[0].textContent.trim()}`);
  }
  return found;
}"""
"""Texts whose contrast to their ground is below what WCAG 2.2 asks for (AA, 1.4.3)."""
NAMELESS = """() => [...document.querySelectorAll("a[href], button, input, select, textarea")]
  .filter((element) => element.checkVisibility())
  .filter((element) => !(element.textContent.trim() || element.labels?.[0]?.textContent.trim() || element.ariaLabel))
  .map((element) => element.outerHTML)"""


def publish(gateway: Gateway) -> None:
    gateway.apply(
        upstream("books", 9),
        route("shop", rule(prefix("/books"), to="books"), hosts="shop.example.com"),
        route("wrong", rule(to="missing"), hosts="wrong.example.com"),
        expect={("Route", "wrong"): "UpstreamNotFound"},
    )


def tab_to(seen: Seen, wanted: str, key: str = "Tab") -> None:
    """Presses a key until something has the focus; each step has to be seen."""
    been = []
    for _ in range(MOST_TABS):
        seen.page.keyboard.press(key)
        been.append(seen.focus())
        outline: Any = seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"nobody sees the focus on {been[-1]}"
        if been[-1] == wanted:
            return
    raise AssertionError(f"{wanted} is not among {been}")


def test_objects_are_found_opened_and_left_by_keys_alone(gateway: Gateway, seen: Seen) -> None:
    publish(gateway)
    space = gateway.namespace
    page = seen.open()
    tab_to(seen, "with problems")
    page.keyboard.press("Enter")
    expect(page.locator("#objects-title")).to_be_focused()
    rows = page.locator("#objects-rows tr")
    expect(rows).to_have_count(1)

    page.keyboard.press("/")
    assert seen.focus() == "objects-text"
    tab_to(seen, "objects-verdict")
    page.keyboard.press("Home")
    expect(rows).to_have_count(4)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.type("route")
    expect(rows).to_have_count(2)
    page.keyboard.press("ArrowDown")
    assert seen.focus() == f"{space}/shop"
    page.keyboard.press("ArrowDown")
    assert seen.focus() == f"{space}/wrong"
    page.keyboard.press("Enter")
    expect(page.locator("#details-title")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#details")).to_be_hidden()
    expect(rows).to_have_count(2)
    assert seen.focus() == f"{space}/wrong"


def test_the_first_key_leads_past_the_navigation(seen: Seen) -> None:
    page = seen.open()
    page.keyboard.press("Tab")
    assert seen.focus() == "Skip to the content"
    page.keyboard.press("Enter")
    assert seen.focus() == "main"
    page.keyboard.press("Tab")
    assert seen.focus() == "with problems"


def test_the_map_leads_to_an_explanation_by_keys_alone(gateway: Gateway, seen: Seen) -> None:
    publish(gateway)
    page = seen.open()
    tab_to(seen, "Map")
    page.keyboard.press("Enter")
    expect(page.locator("#map-title")).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("shop")
    expect(page.locator("#map-count")).to_have_text("1 host, 1 rule")
    tab_to(seen, "explain")
    page.keyboard.press("Enter")
    expect(page.locator("#explain-title")).to_be_focused()
    tab_to(seen, "q-path")
    page.keyboard.press("Control+A")
    page.keyboard.type("/nowhere")
    page.keyboard.press("Enter")
    expect(page.locator("#answer h2").first).to_contain_text("refused with 404")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(
    gateway: Gateway, chromium: Browser, scheme: Literal["light", "dark"]
) -> None:
    publish(gateway)
    with seeing(chromium, f"http://127.0.0.1:{gateway.stack.api_port}", scheme=scheme) as seen:
        page = seen.open()
        grounds = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert grounds == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}[scheme]
        for view in VIEWS:
            page.get_by_role("link", name=re.compile(view, re.IGNORECASE)).first.click()
            # The view before has links of the same names.
            expect(page.get_by_role("heading", level=1)).to_have_text([view.capitalize()])
            if view == "objects":
                page.get_by_role("link", name=f"{gateway.namespace}/wrong").click()
                expect(page.locator("#details")).to_contain_text("UpstreamNotFound")
            if view == "explain":
                page.locator("#q-host").fill("wrong.example.com")
                page.get_by_role("button", name="Explain").click()
                expect(page.locator("#answer h2").first).to_contain_text("refused with 500")
            assert page.evaluate(FAINT) == []
            assert page.evaluate(NAMELESS) == []


def test_a_faint_text_and_a_nameless_button_would_be_found(seen: Seen) -> None:
    page = seen.open()
    page.evaluate("document.querySelector('h1').style.color = '#ccc'")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert len(page.evaluate(FAINT)) == 1
    assert len(page.evaluate(NAMELESS)) == 1


def test_a_narrow_screen_shows_every_view_without_scrolling_sideways(gateway: Gateway, chromium: Browser) -> None:
    publish(gateway)
    with seeing(chromium, f"http://127.0.0.1:{gateway.stack.api_port}", width=380) as seen:
        for view in VIEWS:
            page = seen.open(view)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view


def test_headings_landmarks_and_titles_say_where_a_reader_is(gateway: Gateway, seen: Seen) -> None:
    publish(gateway)
    page = seen.open()
    for view in VIEWS:
        page.get_by_role("navigation", name="Views").get_by_role("link", name=re.compile(view, re.IGNORECASE)).click()
        title = view.capitalize()
        expect(page).to_have_title(f"{title} · FastForward")
        expect(page.get_by_role("heading", level=1)).to_have_text([title])
        expect(page.locator("nav a[aria-current=page]")).to_have_text([title])
    for landmark in (page.get_by_role("banner"), page.get_by_role("main"), page.get_by_role("contentinfo")):
        expect(landmark).to_have_count(1)
