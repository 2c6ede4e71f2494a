"""The operator's page says what the operator says: each view, as it is now, without being loaded again."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Mapping

import pytest
from playwright.sync_api import Browser, expect

from support import tokens
from support.browser import Seen, seeing
from support.ff import ff
from support.gateway import START_S, Gateway, Stack, until
from support.processes import free_port
from support.repository import ROOT
from support.resources import (
    edge,
    exact,
    issuers,
    on,
    policy,
    prefix,
    proven_by,
    resource,
    route,
    rule,
    tokens_of,
    upstream,
)

BROKEN = {("Route", "broken"): "UpstreamNotFound"}


def publish(gateway: Gateway) -> None:
    """A route that is well, and one that names what is not there."""
    gateway.apply(
        upstream("books", 9),
        route("shop", rule(prefix("/books"), to="books"), rule(exact("/hello"), says="x"), hosts="shop.example.com"),
        route("broken", rule(to="missing"), hosts="broken.example.com"),
        expect=BROKEN,
    )


def test_the_overview_tells_what_is_wrong_first(gateway: Gateway, seen: Seen) -> None:
    publish(gateway)
    page = seen.open()
    space = gateway.namespace
    expect(page.locator("#counts li").first).to_have_text("1with problems")
    expect(page.locator("#counts")).to_contain_text("3 of 4objects are programmed")
    expect(page.locator("#counts")).to_contain_text("1 of 1proxies are live")
    first = page.locator("#wrong > li").first
    expect(first).to_contain_text(f"Route {space}/broken")
    expect(first).to_contain_text("ResolvedRefs False, UpstreamNotFound")
    expect(first).to_contain_text(f"Upstream {space}/missing was not found.")
    expect(page.locator("#kinds tr", has_text="Route").locator("td")).to_have_text(["2", "1", "0", "1"])
    gateway.apply(upstream("missing", 9))
    expect(page.locator("#wrong > li")).to_have_count(0)
    expect(page.locator("#wrong-none")).to_be_visible()


def test_the_table_of_objects_is_what_the_api_says_and_is_narrowed_down(gateway: Gateway, seen: Seen) -> None:
    publish(gateway)
    page = seen.open("objects")
    rows = page.locator("#objects-rows tr")
    expect(rows).to_have_count(4)
    for told in gateway.stack.api(f"/v1/objects?namespace={gateway.namespace}")["objects"]:
        programmed = next(each for each in told["conditions"] if each["type"] == "Programmed")
        row = rows.filter(has=page.get_by_role("link", name=f"{told['namespace']}/{told['name']}", exact=True))
        for text in (told["kind"], *told["hosts"], programmed["status"], f"{told['proxies']['ready']}/1"):
            expect(row).to_contain_text(text)
    page.locator("#objects-text").fill("shop.EXAMPLE")
    expect(rows).to_have_count(1)
    expect(page.locator("#objects-count")).to_have_text("1 of 4 objects")
    page.locator("#objects-text").fill("")
    page.locator("#objects-kind").select_option("Route")
    expect(rows).to_have_count(2)
    page.locator("#objects-verdict").select_option("wrong")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("UpstreamNotFound")
    page.reload()
    expect(rows).to_have_count(1)


def test_a_row_opens_to_conditions_problems_with_remedies_and_policies(gateway: Gateway, seen: Seen) -> None:
    publish(gateway)
    members = policy("members", on("Route", "broken"), authentication=proven_by(tokens_of()))
    gateway.apply(issuers("a"), members)
    page = seen.open("objects")
    page.get_by_role("link", name=f"{gateway.namespace}/broken").click()
    details = page.locator("#details")
    expect(details.get_by_role("heading", level=2)).to_have_text(f"Route {gateway.namespace}/broken")
    for text in (
        "ResolvedRefs False",
        "spec.rules[0].upstreams[0]",
        f"Upstream {gateway.namespace}/missing was not found.",
        "Create it, or mend the name.",
        "broken.example.com",
        f"route.{gateway.namespace}.broken.yaml:",
    ):
        expect(details).to_contain_text(text)
    details.get_by_role("link", name=f"AuthPolicy {gateway.namespace}/members").click()
    expect(details.get_by_role("heading", level=2)).to_have_text(f"AuthPolicy {gateway.namespace}/members")
    page.get_by_role("button", name="Close").click()
    expect(details).to_be_hidden()


def test_changes_are_shown_without_losing_focus_text_or_scroll(gateway: Gateway, seen: Seen) -> None:
    gateway.apply(*(route(f"r{number:02}", rule(says="x"), hosts=f"h{number}.example.com") for number in range(60)))
    page = seen.open("objects")
    rows = page.locator("#objects-rows tr")
    expect(rows).to_have_count(61)
    page.locator("#objects-text").fill("r")
    page.evaluate("scrollTo(0, 400)")
    new = route("r99", rule(to="missing"), hosts="new.example.com")
    gateway.apply(new, expect={("Route", "r99"): "UpstreamNotFound"})
    expect(rows.filter(has_text="new.example.com")).to_contain_text("UpstreamNotFound")
    gateway.delete("Route", "r59")
    expect(rows.filter(has_text="h59.example.com")).to_have_count(0)
    assert (seen.focus(), page.locator("#objects-text").input_value()) == ("objects-text", "r")
    assert page.evaluate("scrollY") == 400


def test_only_what_changed_is_asked_for(gateway: Gateway, seen: Seen) -> None:
    publish(gateway)
    page = seen.open("objects")
    expect(page.locator("#objects-rows tr")).to_have_count(4)
    with page.expect_response(lambda answer: "since=" in answer.url and not answer.url.endswith("since=")) as found:
        """The next question."""
    told = found.value.json()
    assert (told["complete"], told["objects"], told["gone"]) == (False, [], [])


def test_the_map_leads_from_host_and_tenant_over_rules_to_upstreams(gateway: Gateway, seen: Seen) -> None:
    publish(gateway)
    acme = rule(prefix("/books", tenants=["acme"]), says="acme's own")
    gateway.apply(resource("Tenant", "acme", {}), route("own", acme, hosts="shop.example.com"))
    page = seen.open("map")
    host = page.locator("#hosts > details", has_text="shop.example.com")
    expect(host.locator("summary")).to_contain_text(f"Edge {gateway.namespace}/public, 3 rules, 1 tenant")
    everybody = host.locator("table", has_text="For everybody").locator("tbody tr")
    expect(everybody.nth(0)).to_contain_text("any method exactly /hello")
    expect(everybody.nth(0)).to_contain_text("answered here with 200")
    expect(everybody.nth(1)).to_contain_text("any method below /books")
    expect(everybody.nth(1).get_by_role("link", name=f"{gateway.namespace}/books")).to_be_visible()
    expect(host.locator("table", has_text="Of tenant acme").locator("tbody tr")).to_contain_text("below /books")
    page.locator("#map-text").fill("acme books")
    expect(page.locator("#map-count")).to_have_text("1 host, 1 rule")
    page.locator("#map-text").fill("")
    everybody.nth(1).get_by_role("link", name="Explain /books on shop.example.com").click()
    expect(page.locator("#answer h2").first).to_contain_text("allowed, proxied")


def test_the_map_asks_for_what_the_rule_does_and_nothing_of_the_question_before(gateway: Gateway, seen: Seen) -> None:
    asks = prefix("/books", methods=["POST"], headers=[{"name": "x-a", "value": "1"}])
    gateway.apply(upstream("books", 9), route("shop", rule(asks, to="books"), hosts="shop.example.com"))
    page = seen.open("explain")
    page.locator("#q-scheme").select_option("https")
    page.locator("#q-host").fill("other.example.com")
    page.locator("#q-headers").fill("x-b: 2")
    page.locator("#q-address").fill("192.0.2.7")
    page.locator("#q-listener").fill("http")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#answer h2").first).to_contain_text("refused with 404")
    page.get_by_role("link", name="Map", exact=True).click()
    page.locator("#hosts").get_by_role("link", name="Explain /books on shop.example.com").click()
    expect(page.locator("#answer h2").first).to_contain_text("allowed, proxied")
    asked = {name: page.locator(f"#q-{name}").input_value() for name in ("method", "scheme", "headers", "address")}
    assert asked == {"method": "POST", "scheme": "http", "headers": "x-a: 1", "address": "127.0.0.1"}
    assert page.locator("#q-host").input_value() == f"shop.example.com:{gateway.port}"
    assert page.locator("#q-listener").input_value() == ""


def test_an_explanation_is_that_of_the_command_and_the_token_is_in_no_address(gateway: Gateway, seen: Seen) -> None:
    orders = prefix("/orders", headers=[{"name": "x-a", "value": "1"}])
    gateway.apply(
        issuers("a"),
        resource("Tenant", "acme", {}),
        upstream("orders", 9),
        route("orders", rule(orders, to="orders"), hosts="shop.example.com"),
        policy("members", on("Route", "orders"), authentication=proven_by(tokens_of(tenants=("acme",)))),
    )
    page = seen.open("explain")
    url = "http://shop.example.com/orders/1?a=b"
    page.locator("#q-host").fill("shop.example.com")
    page.locator("#q-path").fill("/orders/1?a=b")
    page.locator("#q-headers").fill("x-a: 1\nx-b: ü")
    page.get_by_role("button", name="Explain").click()
    answer = page.locator("#answer")
    api = ("--api", seen.origin, "-o", "json")
    told = ff("explain", "request", "GET", url, "-H", "x-a: 1", "-H", "x-b: ü", *api).json
    assert told["verdict"] == "refused"
    verdict = f"refused with {told['status']}: {told['title']} ({told['reason']})"
    expect(answer.locator("h2").first).to_contain_text(verdict)
    expect(answer).to_contain_text(f"Remedy: {told['remedy']}")
    expect(answer.locator(".stages > li")).to_have_count(8)
    for shown, stage in zip(answer.locator(".stages > li").all(), told["stages"], strict=True):
        for text in (stage["stage"], stage["verdict"], *(finding["detail"] for finding in stage["findings"])):
            expect(shown).to_contain_text(text)

    token = tokens.bearer("a", tenant="acme")["authorization"].removeprefix("Bearer ")
    page.locator("#q-token").fill(token)
    page.get_by_role("button", name="Explain").click()
    expect(answer.locator("h2").first).to_contain_text("allowed, proxied")
    expect(answer.locator("dl").first).to_contain_text("acme")
    assert [request.url for request in seen.asked if token[:20] in request.url] == []
    page.locator("#q-headers").fill("")
    page.get_by_role("button", name="Explain").click()
    expect(answer).to_contain_text("near miss")

    page.locator("#q-method").fill("NO METHOD")
    page.get_by_role("button", name="Explain").click()
    expect(answer).to_contain_text("'NO METHOD' is no method, such as GET.")


def test_an_explanation_lists_zones_and_knows_the_listeners(gateway: Gateway, seen: Seen) -> None:
    endpoints = [{"address": f"10.0.0.{number}", "port": 80, "zone": zone} for number, zone in enumerate("aab", 1)]
    aware = {"endpoints": endpoints, "loadBalancing": {"zoneAware": {"minimumEndpoints": 2}}}
    gateway.apply(resource("Upstream", "books", aware), route("books", rule(to="books"), hosts="shop.example.com"))
    page, answer = seen.open("explain"), seen.page.locator("#answer")
    page.locator("#q-host").fill("shop.example.com")
    page.get_by_role("button", name="Explain").click()
    for said in (
        "zone a: 10.0.0.1:80, 10.0.0.2:80, which proxies of this zone ask alone",
        "zone b: 10.0.0.3:80, too few for proxies of this zone: 2 would do",
        "a proxy of another zone, or of none, asks all of them",
    ):
        expect(answer).to_contain_text(said)
    page.locator("#q-listener").fill("nowhere")
    page.get_by_role("button", name="Explain").click()
    expect(answer).to_contain_text("listener 'nowhere': no Edge or Gateway with routes has a listener of this name")


def test_proxies_are_told_with_what_they_acknowledged(gateway: Gateway, seen: Seen) -> None:
    publish(gateway)
    page = seen.open("proxies")
    node = page.locator(".node", has=page.get_by_role("heading", name="envoy"))
    expect(node).to_contain_text("live")
    (told,) = [each for each in gateway.stack.api("/v1/proxies")["proxies"] if each["node"] == "envoy"]
    expect(node).to_contain_text(told["version"])
    for name, counts in told["types"].items():
        row = node.get_by_role("row", name=re.compile(f"^{name} "))
        expect(row.locator("td")).to_have_text([str(counts["holds"]), "0", "0", "0"])


def test_a_proxy_that_came_back_is_shown_once_when_its_old_stream_has_ended(gateway: Gateway, seen: Seen) -> None:
    publish(gateway)
    told = gateway.stack.api("/v1/proxies")["proxies"]
    old = [{**each, "state": "lagging"} for each in told if each["node"] == "envoy"]
    answer = {"proxies": [*old, *told]}
    seen.page.route("**/v1/proxies", lambda asked: asked.fulfill(json=answer))
    page = seen.open("proxies")
    nodes = page.locator(".node", has=page.get_by_role("heading", name="envoy"))
    expect(nodes).to_have_count(2)
    expect(nodes.first).to_contain_text("lagging")
    answer["proxies"] = told
    expect(nodes).to_have_count(1)
    expect(nodes).to_contain_text("live")

    answer["proxies"] = [*old, *old, *told]
    page.get_by_role("link", name="Overview", exact=True).click()
    wrong = page.locator("#wrong > li", has_text="lags")
    expect(wrong).to_have_count(2)
    answer["proxies"] = told
    expect(wrong).to_have_count(0)


class RefusedStack(Stack):
    """One whose operator emits what Envoy refuses where a body says `break me`."""

    __slots__ = ()

    def run(self, name: str, command: list[str], settings: Mapping[str, str]) -> None:
        if name == "operator":
            command = [sys.executable, "-m", "support.refusing"]
            settings = {**settings, "PYTHONPATH": str(ROOT / "tests")}
        Stack.run(self, name, command, settings)


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway]:
    """A gateway on processes of its own."""
    folder = tmp_path_factory.mktemp("own")
    stack = RefusedStack(folder, free_port())
    try:
        stack.start()
        yield Gateway(stack, namespace="own", port=free_port())
    finally:
        stack.stop()


def test_what_a_proxy_refuses_is_told_in_its_own_words(own: Gateway, chromium: Browser) -> None:
    own.apply(route("good", rule(says="good"), hosts="good.example.com"))
    own.apply(route("bad", rule(says="break me"), hosts="bad.example.com"), expect={("Route", "bad"): "Rejected"})
    nodes = own.stack.api("/v1/proxies")["proxies"]
    types = [type_ for node in nodes for type_ in node["types"].values()]
    words = [each["message"] for type_ in types for each in type_["refused"].values()]
    with seeing(chromium, f"http://127.0.0.1:{own.stack.api_port}") as seen:
        page = seen.open("proxies")
        expect(page.locator(".node .said")).to_contain_text(words[0])
        page.get_by_role("link", name="Overview", exact=True).click()
        expect(page.locator("#wrong > li").first).to_contain_text("refuses 1 resource")
        expect(page.locator("#wrong")).to_contain_text("Route own/bad")


def test_an_operator_that_goes_is_told_and_one_that_comes_back_is_followed(own: Gateway, chromium: Browser) -> None:
    own.apply(route("first", rule(says="first"), hosts="first.example.com"))
    with seeing(chromium, f"http://127.0.0.1:{own.stack.api_port}") as seen:
        page = seen.open("objects")
        rows = page.locator("#objects-rows tr")
        expect(rows.filter(has_text="own/first")).to_contain_text("True")
        operator = own.stack.children["operator"]
        operator.kill()
        operator.wait()
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("The operator does not answer since")
        expect(alert).to_contain_text("It is asked again every two seconds.")
        expect(rows.filter(has_text="own/first")).to_be_visible()
        own.write(route("second", rule(says="second"), hosts="second.example.com"))
        own.stack.start_operator()
        until(lambda: own.stack.alive() and own.stack.is_ready(), seconds=START_S)
        expect(rows.filter(has_text="own/second")).to_contain_text("True")
        expect(alert).to_have_text("")
        assert seen.complaints == []


@pytest.mark.slow
def test_ten_thousand_routes_do_not_hang_the_browser(own: Gateway, chromium: Browser) -> None:
    own.apply(edge(own.port))
    for number in range(10_000):
        own.write(route(f"r{number:05}", rule(prefix(f"/p{number}"), says="x"), hosts="many.example.com"))
    until(lambda: len(own.stack.api("/v1/objects?kind=Route")["objects"]) == 10_000, seconds=100, every=1)
    with seeing(chromium, f"http://127.0.0.1:{own.stack.api_port}") as seen:
        page = seen.open("map")
        expect(page.locator("#map-count")).to_have_text("1 host, 10,000 rules", timeout=30_000)
        assert page.locator("tr").count() < 300
        page.locator("#map-text").press_sequentially("/p9999", delay=20)
        expect(page.locator("#map-count")).to_have_text("1 host, 1 rule", timeout=3000)
        page.get_by_role("link", name="Objects", exact=True).click()
        expect(page.locator("#objects-count")).to_have_text("10,001 objects")
        assert page.locator("#objects-rows tr").count() == 200
        page.get_by_role("button", name="Show 200 more").click()
        assert page.locator("#objects-rows tr").count() == 400
        page.locator("#objects-text").press_sequentially("r09999", delay=20)
        expect(page.locator("#objects-rows tr")).to_have_count(1, timeout=3000)
