"""Nothing that anybody writes into a resource, or another site tries, makes the operator's page do more than show."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from contextlib import closing

import pytest
from playwright.sync_api import Error, expect

from support.browser import Seen
from support.gateway import Gateway, until
from support.resources import prefix, resource, route, rule

IMAGE = "<img src=x onerror=window.hacked=1>"
MARKUP = f"{IMAGE}<script>window.hacked=1</script>"


def ask(gateway: Gateway, path: str, method: str = "GET", **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.stack.api_port, timeout=10)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def test_texts_of_users_are_shown_and_never_run(gateway: Gateway, seen: Seen) -> None:
    header = {"name": "x-a", "value": MARKUP}
    gateway.apply(
        route("hostile", rule(prefix("/", headers=[header]), says="x"), hosts="shop.example.com"),
        resource("Upstream", "wrong", {MARKUP: 1}),
        expect={("Upstream", "wrong"): "Invalid"},
    )
    file = gateway.stack.resources / gateway.namespace / f"{MARKUP.replace('/', '')}.yaml"
    file.write_text("kind: [")
    try:
        until(lambda: gateway.stack.api("/v1/objects?kind=Document")["objects"])
        page = seen.open()
        expect(page.locator("#wrong")).to_contain_text(IMAGE)
        page.get_by_role("link", name="Objects", exact=True).click()
        page.locator("#objects-rows").get_by_role("link", name=f"{gateway.namespace}/wrong").click()
        expect(page.locator("#details")).to_contain_text(f"spec.{IMAGE}")
        page.locator("#objects-rows tr", has_text="Document").get_by_role("link").click()
        expect(page.locator("#details h2")).to_contain_text(IMAGE)
        page.get_by_role("link", name="Map", exact=True).click()
        expect(page.locator("#hosts")).to_contain_text(f"header x-a={MARKUP}")
        page.goto(f"{seen.origin}/#/explain?host=shop.example.com&path=/{IMAGE}")
        expect(page.locator("#answer")).to_contain_text(re.compile("refused|allowed|no explanation"))
        page.locator("#q-path").fill("/")
        page.locator("#q-headers").fill(f"x-a: {MARKUP}!")
        page.get_by_role("button", name="Explain").click()
        expect(page.locator("#answer")).to_contain_text(f"got {MARKUP}!")
        page.goto(f"{seen.origin}/#/objects/{IMAGE}/a/b?kind={IMAGE}")
        expect(page.locator("#details")).to_contain_text("There is no such object.")
        assert page.evaluate("window.hacked") is None
        assert page.locator("img").count() == 1
        assert page.locator("script").count() == 1
    finally:
        file.unlink()


def test_a_slip_of_the_page_would_be_stopped_by_the_browser(seen: Seen) -> None:
    page = seen.open()
    with pytest.raises(Error, match="TrustedHTML"):
        page.evaluate("text => { document.querySelector('main').innerHTML = text }", MARKUP)
    for script in ("const made = document.createElement('script'); made.text = 'window.hacked = 1'", "setTimeout('1')"):
        with pytest.raises(Error, match=r"Trusted|CSP|Content Security Policy"):
            page.evaluate(f"() => {{ {script} }}")
    assert page.evaluate("fetch('http://127.0.0.2:1/').then(() => 'gone', () => 'kept')") == "kept"
    page.evaluate("document.querySelector('h1').setAttribute('style', 'color: red')")
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") != "rgb(255, 0, 0)"
    assert page.evaluate("window.hacked") is None
    assert seen.complaints
    seen.complaints.clear()
    assert [url for url in seen.elsewhere() if "127.0.0.2" not in url] == []
    seen.asked.clear()


def test_every_answer_says_what_a_browser_must_not_do(gateway: Gateway) -> None:
    for path in ("/", "/page/main.js", "/page/style.css", "/v1/objects", "/v1/map", "/nothing", "/healthz"):
        _, headers, _ = ask(gateway, path)
        assert headers["x-frame-options"] == "DENY", path
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert not any(name.startswith("access-control-") for name in headers)


def test_nothing_but_reading_is_answered(gateway: Gateway) -> None:
    for path in ("/", "/page/main.js", "/v1/objects", "/v1/explain", "/v1/map"):
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            assert ask(gateway, path, method)[0] == 405, (path, method)
    for path in ("/page/../api.py", "/page/%2e%2e/api.py", "/page/files.py", "/page/", "/page/static/main.js"):
        assert ask(gateway, path)[0] == 404, path


def test_a_file_that_a_browser_has_is_not_sent_again(gateway: Gateway) -> None:
    status, headers, body = ask(gateway, "/page/main.js")
    assert (status, headers["cache-control"], bool(body)) == (200, "no-cache", True)
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    again, _, nothing = ask(gateway, "/page/main.js", **{"if-none-match": headers["etag"]})
    assert (again, nothing) == (304, b"")
    assert ask(gateway, "/page/main.js", **{"if-none-match": '"another"'})[0] == 200


@pytest.mark.parametrize("lines", ["{}", "[1]", "nonsense", "null"])
def test_a_question_that_is_none_is_told(gateway: Gateway, lines: str) -> None:
    status, _, body = ask(gateway, "/v1/explain?url=http://a.example.com/", **{"ff-explain-headers": lines})
    assert (status, b"is no list of texts" in body) == (400, True)


def test_a_url_that_is_none_is_told(gateway: Gateway) -> None:
    for url in ("", "a.example.com", "ftp://a.example.com/", "http://"):
        status, _, body = ask(gateway, f"/v1/explain?url={url}")
        assert (status, b"is no URL" in body) == (400, True)
