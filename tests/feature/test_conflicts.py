"""Two objects claim the same: the older one has it, the younger is told who, and gets it when the older is gone."""

from support.gateway import Gateway, until
from support.processes import free_port
from support.resources import Document, edge, exact, prefix, resource, route, rule

OLD, YOUNG = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


def created(document: Document, when: str) -> Document:
    return {**document, "metadata": {**document["metadata"], "creationTimestamp": when}}


def test_the_older_edge_has_a_host(gateway: Gateway) -> None:
    port = free_port()
    old, young = created(edge(gateway.port), OLD), created(edge(port, name="late"), YOUNG)
    hello = route("hello", rule(says="hello"), edges=[{"name": "public"}, {"name": "late"}])
    gateway.apply(old, young, hello, expect={("Edge", "late"): "HostConflict"})
    assert gateway.get().body == "hello"
    assert gateway.get(port=port).status == 404
    assert f"{gateway.namespace}/public" in str(gateway.problems("Edge", "late"))
    gateway.delete("Edge", "public")
    until(lambda: gateway.get(port=port).body, lambda body: body == "hello")


def test_the_older_edge_has_a_port(gateway: Gateway) -> None:
    old = created(edge(gateway.port), OLD)
    young = created(edge(gateway.port, name="late", hosts=["late.example.org"]), YOUNG)
    gateway.apply(
        old,
        young,
        route("one", rule(says="one")),
        route("two", rule(says="two"), edges=[{"name": "late"}]),
        expect={("Edge", "late"): "ListenerConflict", ("Route", "two"): "ListenersNotResolved"},
    )
    assert gateway.get().body == "one"
    assert gateway.get(host="late.example.org").status == 404


def test_the_older_tenant_has_a_host(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    gateway.apply(
        created(resource("Tenant", "zeta", {"hosts": ["t.example.com"]}), OLD),
        created(resource("Tenant", "alpha", {"hosts": ["t.example.com"]}), YOUNG),
        route("books", rule(to="books")),
        expect={("Tenant", "alpha"): "HostConflict"},
    )
    gateway.get(host="t.example.com")
    assert origin.last.header("x-ff-tenant") == "zeta"


def test_only_the_rule_that_is_never_reached_is_told_and_its_siblings_serve(gateway: Gateway) -> None:
    young = route("young", rule(exact("/a"), says="young"), rule(prefix("/b"), says="young"))
    gateway.apply(
        created(route("old", rule(exact("/a"), says="old")), OLD),
        created(young, YOUNG),
        expect={("Route", "young"): "RuleConflict"},
    )
    assert gateway.get("/a").body == "old"
    assert gateway.get("/b").body == "young"
    assert list(gateway.problems("Route", "young")) == ["spec.rules[0].matches[0]"]


def test_the_same_match_on_another_host_is_no_conflict(gateway: Gateway) -> None:
    gateway.apply(
        route("one", rule(exact("/a"), says="one"), hosts="one.example.com"),
        route("two", rule(exact("/a"), says="two"), hosts="two.example.com"),
    )
    assert gateway.get("/a", host="one.example.com").body == "one"
    assert gateway.get("/a", host="two.example.com").body == "two"


def test_without_times_the_name_decides(gateway: Gateway) -> None:
    gateway.apply(
        route("a", rule(exact("/a"), says="a")),
        route("b", rule(exact("/a"), says="b")),
        expect={("Route", "b"): "RuleConflict"},
    )
    assert gateway.get("/a").body == "a"


def test_of_two_files_with_the_same_object_one_serves_and_nothing_else_suffers(gateway: Gateway) -> None:
    gateway.apply(route("books", rule(says="first")), route("other", rule(prefix("/other"), says="other")))
    folder = gateway.stack.resources / gateway.namespace
    copy = folder / "zz-copy.yaml"
    copy.write_text((folder / f"route.{gateway.namespace}.books.yaml").read_text().replace("first", "second"))
    problem = until(lambda: problems_of_documents(gateway, copy.name))[0]
    assert problem["reason"] == "Duplicate"
    assert f"route.{gateway.namespace}.books.yaml:1" in problem["message"]
    assert gateway.get().body == "first"
    assert gateway.get("/other").body == "other"
    copy.unlink()
    until(lambda: not problems_of_documents(gateway, copy.name))


def problems_of_documents(gateway: Gateway, file: str) -> list[Document]:
    """What is wrong with the documents of a file that are no objects."""
    found = gateway.stack.api("/v1/objects?kind=Document")["objects"]
    return [problem for each in found if file in each["name"] for problem in each["problems"]]
