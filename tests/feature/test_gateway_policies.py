"""Policies aimed at Gateways, HTTPRoutes and GRPCRoutes: the same as at Edges and Routes, by the proxy and by the
decision service.
"""

from collections.abc import Generator

import grpc
import pytest
from bookshop.v1 import catalog_pb2, catalog_pb2_grpc

from support.bookshop import Bookshop
from support.credentials import apikeys_data
from support.gateway import Gateway, until
from support.gatewayapi import at, foreign, gateway_class, http_route, listener, parent, path, pods, rule
from support.gatewayapi import gateway as gateway_of
from support.processes import free_port
from support.resources import (
    Document,
    Json,
    granted_to,
    issuers,
    keys_of,
    limit,
    policy,
    proven_by,
    resource,
    secret,
    tokens_of,
)
from support.tokens import bearer

TIMEOUT_S = 10
SERVICE = "bookshop.v1.Catalog"
ADMIN, READER = bearer("a", roles=["admin"]), bearer("a", roles=["reader"])
KEY = {"x-api-key": "ffk_AAAAAAAAAAAA_aaaaaaaaaaaa"}
NATIVE, INLINE = "", "request.method != 'TRACE'"
"""Conditions that hold: without one the proxy judges by itself, with one it asks."""
BOTH = pytest.mark.parametrize("condition", [NATIVE, INLINE], ids=["native", "inline"])


GATEWAY, BOOKS, ADMINS = at("Gateway", "public"), at("HTTPRoute", "books"), at("HTTPRoute", "books", "admin")


@pytest.fixture
def shop(deciding_gateway: Gateway) -> Gateway:
    gateway = deciding_gateway
    one = gateway.origin("one")
    gateway.apply(
        gateway_class(),
        gateway_of(listener(gateway.port)),
        *pods("one", one.port),
        issuers("a", "b"),
        secret("api-keys", apikeys_data(AAAAAAAAAAAA="acme"), "gateway.fastforward.dev/api-keys"),
        resource("Tenant", "acme", {}),
        http_route("books", rule(path("/books"), to="one"), rule(path("/admin"), to="one", name="admin")),
        http_route("other", rule(path("/other"), to="one")),
    )
    return gateway


def inherited(gateway: Gateway, **spec: Json) -> None:
    gateway.apply(policy("gateway", GATEWAY, **{"authentication": proven_by(tokens_of("a"), tokens_of("b")), **spec}))


def granted(condition: str, **grant: Json) -> Document:
    return granted_to(only={**grant, **({"condition": condition} if condition else {})})


def statuses(gateway: Gateway, target: str, requests: int, **headers: str) -> list[int]:
    return [gateway.get(target, headers=headers).status for _ in range(requests)]


@BOTH
def test_a_gateways_policy_guards_every_route_on_it_and_a_rules_policy_adds_to_it(
    shop: Gateway, condition: str
) -> None:
    inherited(shop, authorization=granted(condition, roles=["admin", "reader"]))
    shop.apply(policy("admins", ADMINS, authorization=granted(condition, roles=["admin"])))
    paths = ("/books", "/admin", "/other")
    assert {shop.get(target).status for target in paths} == {401}
    assert {shop.get(target, headers=bearer("c")).status for target in paths} == {401}
    assert {shop.get(target, headers=bearer("a", roles=["guest"])).status for target in paths} == {403}
    assert [shop.get(target, headers=READER).status for target in paths] == [200, 403, 200]
    assert [shop.get(target, headers=ADMIN).status for target in paths] == [200, 200, 200]
    assert len(shop.origins["one"].received) == 5
    assert shop.get("/nowhere", headers=ADMIN).status == 404
    effective = shop.object("HTTPRoute", shop.namespace, "books")["effective"]
    assert effective == [f"AuthPolicy {shop.namespace}/gateway", f"AuthPolicy {shop.namespace}/admins"]
    line = shop.log_line(shop.get("/admin", headers=READER))
    assert line["policies"] == effective
    assert line["details"].startswith("ext_authz" if condition else "rbac_access_denied")


def test_api_keys_open_a_route_of_a_gateway_and_tell_the_backend_the_tenant(shop: Gateway) -> None:
    shop.apply(policy("keys", BOOKS, authentication=proven_by(keys_of())))
    assert shop.get("/books").status == 401
    assert shop.get("/books", headers={"x-api-key": "ffk_AAAAAAAAAAAA_wrong", "x-ff-tenant": "acme"}).status == 401
    assert shop.get("/books", headers={**KEY, "x-ff-tenant": "other"}).status == 200
    assert shop.origins["one"].last.header("x-ff-tenant") == "acme"
    assert shop.get("/other").status == 200


@pytest.mark.parametrize("enforcement", ["PerProxy", "Exact"])
def test_limits_of_a_gateway_count_all_its_routes_and_those_of_a_rule_itself(shop: Gateway, enforcement: str) -> None:
    shop.apply(
        limit("gateway", GATEWAY, requests=6, enforcement=enforcement),
        limit("rule", ADMINS, requests=2, enforcement=enforcement),
    )
    assert statuses(shop, "/admin", 4) == [200, 200, 429, 429]
    refused = shop.get("/admin")
    assert refused.reason == "ratelimit/exceeded"
    assert [*statuses(shop, "/books", 3), *statuses(shop, "/other", 3)].count(200) <= 4
    assert statuses(shop, "/other", 2) == [429, 429]


def test_a_policy_of_one_listener_leaves_the_others_alone(deciding_gateway: Gateway) -> None:
    gateway, inner = deciding_gateway, free_port()
    one = gateway.origin("one")
    gateway.apply(
        gateway_class(),
        gateway_of(listener(gateway.port), listener(inner, "inner")),
        *pods("one", one.port),
        issuers("a"),
        http_route("books", rule(to="one")),
        policy("inner", at("Gateway", "public", "inner"), authentication=proven_by(tokens_of("a"))),
        limit("outer", at("Gateway", "public", "http"), requests=1),
    )
    assert [gateway.get().status for _ in range(2)] == [200, 429]
    assert [gateway.get(port=inner).status for _ in range(2)] == [401, 401]
    assert [gateway.get(port=inner, headers=ADMIN).status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    "weaker",
    [{"mode": "None"}, proven_by(tokens_of("a"), mode="Optional"), proven_by(tokens_of("c"))],
    ids=["none", "optional", "another-issuer"],
)
def test_a_route_can_not_weaken_its_gateway_unless_that_is_overridable(shop: Gateway, weaker: Document) -> None:
    shop.apply(issuers("a", "b", "c"))
    inherited(shop)
    own = policy("own", BOOKS, authentication=weaker)
    shop.apply(own, expect={("AuthPolicy", "own"): "WeakensInherited"})
    assert shop.get("/books").status == 401
    assert shop.get("/books", headers=bearer("c")).status == 401
    assert shop.get("/books", headers=ADMIN).status == 200
    inherited(shop, overridable=True)
    proof = bearer("c") if weaker["mode"] == "Required" else ()
    until(lambda: shop.get("/books", headers=proof).status, lambda status: status == 200)
    assert shop.get("/other").status == 401


def test_a_policy_that_can_not_do_what_it_says_closes_its_target(shop: Gateway) -> None:
    lost = proven_by(tokens_of("lost"))
    shop.apply(policy("broken", ADMINS, authentication=lost), expect={("AuthPolicy", "broken"): "SecretInvalid"})
    assert [shop.get(target, headers=ADMIN).status for target in ("/admin", "/books")] == [500, 200]
    shop.apply(policy("worse", GATEWAY, authentication=lost), expect={("AuthPolicy", "worse"): "SecretInvalid"})
    assert {shop.get(target, headers=ADMIN).status for target in ("/admin", "/books", "/other")} == {500}
    shop.delete("AuthPolicy", "worse")
    until(lambda: shop.get("/books").status, lambda status: status == 200)


def test_without_a_decision_service_what_needs_it_is_closed(shop: Gateway) -> None:
    inherited(shop)
    shop.apply(policy("admins", ADMINS, authorization=granted(INLINE)))
    assert shop.get("/admin", headers=ADMIN).status == 200
    shop.stack.stop_decision_service()
    try:
        assert shop.get("/admin", headers=ADMIN).status == 503
        assert shop.get("/books", headers=ADMIN).status == 200
    finally:
        shop.stack.start_decision_service()


def test_a_policy_waits_for_its_target_and_says_when_others_serve_it(shop: Gateway) -> None:
    guard = policy("guard", at("HTTPRoute", "late"), authentication=proven_by(tokens_of("a")))
    shop.apply(guard, expect={("AuthPolicy", "guard"): "TargetNotFound"})
    shop.write(http_route("late", rule(path("/late"), to="one"), parents=(parent("theirs"),)))
    shop.apply(guard, expect={("AuthPolicy", "guard"): "TargetNotServed"})
    shop.apply(http_route("late", rule(path("/late"), to="one")))
    shop.apply(guard)
    assert shop.get("/late").status == 401
    assert shop.get("/late", headers=ADMIN).status == 200


@pytest.fixture
def catalog(shop: Gateway, bookshop: Bookshop) -> Generator[catalog_pb2_grpc.CatalogStub]:
    rules = [
        {
            "name": name.lower(),
            "matches": [{"method": {"service": SERVICE, "method": name}}],
            "backendRefs": [{"name": "catalog", "port": 80}],
        }
        for name in ("GetBook", "ListBooks")
    ]
    spec = {"parentRefs": [parent()], "hostnames": ["grpc.example.com"], "rules": rules}
    shop.apply(*pods("catalog", bookshop.grpc_port), foreign("GRPCRoute", "catalog", spec))
    options = [("grpc.default_authority", "grpc.example.com")]
    with grpc.insecure_channel(f"127.0.0.1:{shop.port}", options=options) as channel:
        yield catalog_pb2_grpc.CatalogStub(channel)


def code(catalog: catalog_pb2_grpc.CatalogStub, method: str, headers: dict[str, str] | None = None) -> grpc.StatusCode:
    metadata = tuple((headers or {}).items())
    try:
        if method == "GetBook":
            catalog.GetBook(catalog_pb2.GetBookRequest(id="emma"), metadata=metadata, timeout=TIMEOUT_S)
        else:
            list(catalog.ListBooks(catalog_pb2.ListBooksRequest(), metadata=metadata, timeout=TIMEOUT_S))
    except grpc.RpcError as error:
        return code_of(error)
    return grpc.StatusCode.OK


def code_of(call: object) -> grpc.StatusCode:
    assert isinstance(call, grpc.Call)
    return call.code()


@BOTH
def test_calls_are_guarded_as_requests_are(
    shop: Gateway, catalog: catalog_pb2_grpc.CatalogStub, condition: str
) -> None:
    enforcement = "Exact" if condition else "PerProxy"
    inherited(shop)
    shop.apply(
        policy("admins", at("GRPCRoute", "catalog", "getbook"), authorization=granted(condition, roles=["admin"])),
        limit("few", at("GRPCRoute", "catalog", "listbooks"), requests=1, enforcement=enforcement),
    )
    assert code(catalog, "GetBook") is code(catalog, "ListBooks") is grpc.StatusCode.UNAUTHENTICATED
    assert code(catalog, "GetBook", READER) is grpc.StatusCode.PERMISSION_DENIED
    assert code(catalog, "GetBook", ADMIN) is grpc.StatusCode.OK
    assert code(catalog, "ListBooks", READER) is grpc.StatusCode.OK
    # What Envoy makes of 429 that it is answered, and of one of its own.
    exceeded = grpc.StatusCode.UNAVAILABLE if condition else grpc.StatusCode.RESOURCE_EXHAUSTED
    assert code(catalog, "ListBooks", READER) is exceeded
