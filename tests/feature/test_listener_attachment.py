"""A Route attaches to an Edge, to one listener of it if it says so, from namespaces that the Edge takes."""

from support.gateway import Gateway, until
from support.processes import free_port
from support.resources import Document, edge, prefix, route, rule


def two_listeners(gateway: Gateway, second: int) -> Document:
    listeners = [{"name": "public", "port": gateway.port}, {"name": "internal", "port": second}]
    return edge(gateway.port, listeners=listeners)


def test_a_route_serves_every_listener_unless_it_names_one(gateway: Gateway) -> None:
    second = free_port()
    gateway.apply(
        two_listeners(gateway, second),
        route("both", rule(prefix("/both"), says="both")),
        route("one", rule(prefix("/one"), says="one"), edges=[{"name": "public", "listener": "internal"}]),
    )
    assert gateway.get("/both").body == "both"
    assert gateway.get("/both", port=second).body == "both"
    assert gateway.get("/one").status == 404
    assert gateway.get("/one", port=second).body == "one"


def test_the_rule_of_one_listener_comes_before_the_rule_of_all(gateway: Gateway) -> None:
    second = free_port()
    gateway.apply(
        two_listeners(gateway, second),
        route("all", rule(says="all")),
        route("internal", rule(says="internal"), edges=[{"name": "public", "listener": "internal"}]),
    )
    assert gateway.get().body == "all"
    assert gateway.get(port=second).body == "internal"


def test_no_header_takes_a_client_to_another_listener(gateway: Gateway) -> None:
    second = free_port()
    gateway.apply(
        two_listeners(gateway, second),
        route("internal", rule(says="internal"), edges=[{"name": "public", "listener": "internal"}]),
    )
    assert gateway.get(headers={"x-ff-listener": "internal"}).status == 404


def test_a_route_may_attach_to_two_edges(gateway: Gateway) -> None:
    second = free_port()
    gateway.apply(
        edge(gateway.port),
        edge(second, name="partners", hosts=["partners.example.org"]),
        route("both", rule(says="both"), edges=[{"name": "public"}, {"name": "partners"}]),
    )
    assert gateway.get(host="example.com").body == "both"
    assert gateway.get(host="partners.example.org", port=second).body == "both"
    assert gateway.get(host="example.com", port=second).status == 404


def test_an_edge_takes_no_routes_of_other_namespaces_unless_it_says_so(gateway: Gateway) -> None:
    foreign = route("foreign", rule(says="foreign"), edges=[{"name": "public", "namespace": gateway.namespace}])
    foreign["metadata"]["namespace"] = other = f"{gateway.namespace}-other"
    gateway.apply(edge(gateway.port))
    gateway.apply(foreign, expect={("Route", "foreign"): "NotAllowedByEdge"})
    assert gateway.get().status == 404
    gateway.apply(edge(gateway.port, routeNamespaces={"from": "Selected", "names": [other]}), foreign)
    assert gateway.get().body == "foreign"
    gateway.apply(edge(gateway.port, routeNamespaces={"from": "Selected", "names": ["elsewhere"]}))
    gateway.apply(foreign, expect={("Route", "foreign"): "NotAllowedByEdge"})
    until(gateway.get, lambda answer: answer.status == 404)
    gateway.apply(edge(gateway.port, routeNamespaces={"from": "All"}), foreign)
    assert gateway.get().body == "foreign"


def test_a_route_to_an_edge_or_listener_that_is_not_there_says_so(gateway: Gateway) -> None:
    gateway.apply(
        edge(gateway.port),
        route("a", rule(says="a"), edges=[{"name": "missing"}]),
        route("b", rule(says="b"), edges=[{"name": "public", "listener": "missing"}]),
        expect={("Route", "a"): "EdgeNotFound", ("Route", "b"): "EdgeNotFound"},
    )
    assert gateway.get().status == 404


def test_a_host_that_the_edge_does_not_have_is_not_served_and_the_others_are(gateway: Gateway) -> None:
    gateway.apply(
        route("mixed", rule(says="mixed"), hosts=("a.example.com", "a.example.org")),
        expect={("Route", "mixed"): "HostNotOwned"},
    )
    assert gateway.get(host="a.example.com").body == "mixed"
    assert gateway.get(host="a.example.org").status == 404
