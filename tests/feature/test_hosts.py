"""Which host a request is for decides in which table its path is looked up."""

import pytest

from support.gateway import Gateway
from support.resources import edge, prefix, route, rule


def apply_hosts(gateway: Gateway, *hosts: str) -> None:
    """A Route for each host, which answers with the host's own name."""
    gateway.apply(
        edge(gateway.port, hosts=["*"]),
        *(route(f"route-{number}", rule(says=host), hosts=host) for number, host in enumerate(hosts)),
    )


def test_an_exact_host_takes_its_own_requests_only(gateway: Gateway) -> None:
    apply_hosts(gateway, "shop.example.com")
    assert gateway.get(host="shop.example.com").body == "shop.example.com"
    for other in ("example.com", "a.shop.example.com", "shop.example.co", "ashop.example.com", "shop.example.com.evil"):
        assert gateway.get(host=other).status == 404, other


def test_a_wildcard_takes_every_depth_below_it_but_not_the_host_itself(gateway: Gateway) -> None:
    apply_hosts(gateway, "*.example.com")
    for host in ("a.example.com", "b.a.example.com", "x.y.z.example.com"):
        assert gateway.get(host=host).body == "*.example.com"
    for host in ("example.com", "aexample.com", "a.example.org", "a.example.com.evil"):
        assert gateway.get(host=host).status == 404, host


def test_the_longest_wildcard_wins_and_an_exact_host_before_all(gateway: Gateway) -> None:
    apply_hosts(gateway, "*", "*.example.com", "*.shop.example.com", "www.shop.example.com")
    expected = {
        "www.shop.example.com": "www.shop.example.com",
        "api.shop.example.com": "*.shop.example.com",
        "a.b.shop.example.com": "*.shop.example.com",
        "a.www.shop.example.com": "*.shop.example.com",
        "shop.example.com": "*.example.com",
        "example.com": "*",
        "localhost": "*",
        "192.0.2.1": "*",
        "[::1]": "*",
        "[2001:db8::1]:8080": "*",
        "a!b.shop.example.com": "*",
        "user@www.shop.example.com": "*",
    }
    assert {host: gateway.get(host=host).body for host in expected} == expected


@pytest.mark.parametrize("host", ["[::1]", "a!b.example.com", "user@shop.example.com", "x,shop.example.com"])
def test_what_is_no_name_has_the_table_of_no_name(gateway: Gateway, host: str) -> None:
    apply_hosts(gateway, "*.example.com", "shop.example.com")
    assert gateway.get(host=host).status == 404


@pytest.mark.parametrize(
    "written",
    [
        "shop.example.com:80",
        "shop.example.com:65535",
        "SHOP.example.COM",
        "shop.example.com.",
        "Shop.Example.Com.:8080",
        "DEEP.a.example.net",
        "deep.a.example.net.:1",
    ],
)
def test_case_port_and_a_trailing_dot_make_no_difference(gateway: Gateway, written: str) -> None:
    apply_hosts(gateway, "shop.example.com", "*.example.net")
    expected = "*.example.net" if "net" in written else "shop.example.com"
    assert gateway.get(host=written).body == expected


def test_a_route_may_be_written_in_several_hosts_and_serves_each(gateway: Gateway) -> None:
    gateway.apply(route("both", rule(says="both"), hosts=("a.example.com", "*.b.example.com")))
    assert gateway.get(host="a.example.com").body == "both"
    assert gateway.get(host="x.b.example.com").body == "both"
    assert gateway.get(host="c.example.com").status == 404


def test_a_route_without_hosts_takes_all_of_its_edge(gateway: Gateway) -> None:
    gateway.apply(route("all", rule(says="all")))
    assert gateway.get(host="example.com").body == "all"
    assert gateway.get(host="deep.down.example.com").body == "all"
    assert gateway.get(host="example.org").status == 404


def test_a_host_that_no_route_has_is_404_and_says_why(gateway: Gateway) -> None:
    apply_hosts(gateway, "shop.example.com")
    answer = gateway.get(host="other.example.com")
    assert (answer.status, answer.reason) == (404, "routing/no-route")
    assert answer.header("content-type") == "application/problem+json"
    assert answer.json["title"] == "No route matches the request"


def test_paths_that_a_host_lacks_do_not_fall_through_to_a_wider_host(gateway: Gateway) -> None:
    gateway.apply(
        route("exact", rule(prefix("/only"), says="exact"), hosts="shop.example.com"),
        route("wide", rule(says="wide"), hosts="*.example.com"),
    )
    assert gateway.get("/only", host="shop.example.com").body == "exact"
    assert gateway.get("/other", host="shop.example.com").status == 404
    assert gateway.get("/other", host="SHOP.example.com").status == 404
    assert gateway.get("/only", host="web.example.com").body == "wide"


def test_the_absolute_form_of_a_target_names_the_host(gateway: Gateway) -> None:
    apply_hosts(gateway, "shop.example.com", "other.example.com")
    with gateway.connect() as connection:
        answer = connection.request("GET", "http://shop.example.com/", host="other.example.com")
    assert answer.body == "shop.example.com"


def test_the_origin_sees_the_host_as_the_client_wrote_it_without_port(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books"), hosts="*.example.com"))
    gateway.get(host="Shop.example.com:8080")
    assert origin.last.header("host") == "Shop.example.com"
