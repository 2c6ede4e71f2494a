"""Login by OpenID Connect in a real browser: Chromium goes to the issuer and comes back, in two tabs at once."""

from collections.abc import Generator

import pytest
from playwright.sync_api import Browser, expect

from support.browser import running_chromium
from support.credentials import jwks
from support.gateway import Gateway
from support.issuer import LABEL, SECRET, Issuer, login_of
from support.origin import Received, Reply
from support.resources import config_map, edge, on, policy, proven_by, route, rule, secret, upstream

SHOP, LOGIN = "shop.localhost", "login.localhost"


@pytest.fixture(scope="module")
def chromium() -> Generator[Browser]:
    with running_chromium() as browser:
        yield browser


def show(received: Received) -> Reply:
    """A page that says whose it is, and what cookies arrived with the request."""
    told = f"{received.header('x-ff-subject')} at {received.target} with {received.header('cookie') or 'nothing'}"
    script = "<script>document.title = document.cookie || 'no cookie'</script>"
    html = f"<!doctype html><title>?</title><p>{told}</p><a href='/oauth2/logout'>leave</a>{script}"
    return Reply(headers=(("content-type", "text/html"),), body=html)


@pytest.fixture
def site(deciding_gateway: Gateway) -> str:
    """The address of a page behind a login. Browsers know `.localhost` as this machine; the port they see is ours."""
    gateway = deciding_gateway
    site = f"http://{SHOP}:{gateway.port}"
    issuer = Issuer((f"{site}/oauth2/callback",))
    login = gateway.origin("login", issuer.answer)
    page = gateway.origin("page", show)
    endpoints = {"authorization": f"http://{LOGIN}:{login.port}/authorize", "token": f"http://{LOGIN}/token"}
    gateway.apply(
        edge(gateway.port, hosts=[SHOP]),
        upstream("login", login.port),
        upstream("page", page.port),
        secret("client", {"secret": SECRET}),
        config_map("keys", {LABEL: jwks(LABEL)}),
        route("page", rule(to="page")),
        policy("staff", on("Route", "page"), authentication=proven_by(login_of(endpoints=endpoints, origin=site))),
    )
    return site


def test_a_browser_logs_in_and_out(chromium: Browser, site: str) -> None:
    context = chromium.new_context()
    one, other = context.new_page(), context.new_page()
    one.goto(f"{site}/orders?page=2")
    expect(one.locator("p")).to_have_text("ann at /orders?page=2 with nothing")
    expect(one).to_have_title("no cookie")
    (cookie,) = context.cookies(site)
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    other.goto(f"{site}/other")
    expect(other.locator("p")).to_have_text("ann at /other with nothing")
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    one.get_by_text("leave").click()
    expect(one.locator("p")).to_have_text("ann at / with nothing")
    assert any(f"//{LOGIN}:" in url for url in asked), "whoever has left logs in again"
    assert asked[0] == f"{site}/oauth2/logout"
    context.close()


def test_what_a_script_asks_for_is_not_sent_to_the_issuer(chromium: Browser, site: str) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site}/")
    expect(page.locator("p")).to_contain_text("ann")
    context.clear_cookies()
    assert page.evaluate("fetch('/data', {headers: {accept: 'text/html'}}).then(answer => answer.status)") == 401
    assert context.cookies(site) == []
    context.close()
