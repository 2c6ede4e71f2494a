"""Grants with a CEL condition over the request and the caller, judged by the decision service."""

import pytest

from support.credentials import jwks
from support.gateway import Gateway, until
from support.origin import Origin
from support.resources import config_map, granted_to, issuers, on, policy, proven_by, resource, route, rule, tokens_of
from support.tokens import bearer


@pytest.fixture
def origin(deciding_gateway: Gateway) -> Origin:
    origin = deciding_gateway.upstream("books")
    deciding_gateway.apply(issuers("a"), resource("Tenant", "acme", {}), route("books", rule(to="books")))
    return origin


def guard(gateway: Gateway, condition: str) -> None:
    gateway.apply(
        policy(
            "members",
            on("Route", "books"),
            authentication=proven_by(tokens_of()),
            authorization=granted_to(sometimes={"condition": condition}),
        )
    )


@pytest.mark.parametrize(
    ("condition", "yes", "no"),
    [
        ("request.method == 'GET'", ("GET", "/", {}), ("PUT", "/", {})),
        ("request.path.startsWith('/a/')", ("GET", "/a/b?x=/b/", {}), ("GET", "/b/?x=/a/", {})),
        ("request.host == 'example.com'", ("GET", "/", {}), None),
        ("request.headers['x-team'] == 'red'", ("GET", "/", {"X-Team": "red"}), ("GET", "/", {"x-team": "blue"})),
        ("request.query['v'] == '1'", ("GET", "/?v=1", {}), ("GET", "/?v=2", {})),
        ("request.address == '127.0.0.1'", ("GET", "/", {}), None),
        ("identity.subject == 'user-of-a'", ("GET", "/", {}), None),
        ("identity.tenant == ''", ("GET", "/", {}), None),
        ("'admin' in identity.roles", None, ("GET", "/", {})),
        ("identity.claims.iss == 'https://a'", ("GET", "/", {}), None),
        ("identity.claims.missing == 'x'", None, ("GET", "/", {})),
        ("request.headers['x-missing'] == 'x'", None, ("GET", "/", {})),
        ("request.path", None, ("GET", "/", {})),
    ],
)
def test_a_condition_sees_the_request_and_the_caller(
    gateway: Gateway,
    origin: Origin,
    condition: str,
    yes: tuple[str, str, dict[str, str]] | None,
    no: tuple[str, str, dict[str, str]] | None,
) -> None:
    guard(gateway, condition)
    for case, expected in ((yes, (200, None)), (no, (403, "authorization/not-granted"))):
        if case is not None:
            method, target, headers = case
            answer = gateway.request(method, target, headers={**headers, **bearer("a")})
            assert (answer.status, answer.reason) == expected
    assert len(origin.received) == (yes is not None)


def test_conditions_see_claims_of_any_shape(gateway: Gateway, origin: Origin) -> None:
    guard(gateway, "identity.claims.org.level >= 3 && identity.claims.tags.exists(t, t == 'x')")
    assert gateway.get(headers=bearer("a", org={"level": 3}, tags=["x", "y"])).status == 200
    for claims in ({"org": {"level": 2}, "tags": ["x"]}, {"org": {"level": 3}}, {"org": 3, "tags": "x"}, {}):
        assert gateway.get(headers=bearer("a", **claims)).status == 403, claims
    assert len(origin.received) == 1


def test_who_is_nobody_meets_no_condition_on_identity(gateway: Gateway, origin: Origin) -> None:
    guard(gateway, "true")
    assert gateway.get().status == 401
    assert gateway.get(headers=bearer("a")).status == 200
    assert len(origin.received) == 1


def test_an_expression_that_is_refused_is_told_and_grants_nothing(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(config_map("keys", {"a": jwks("a")}))
    bad = policy(
        "members",
        on("Route", "books"),
        authentication=proven_by(tokens_of()),
        authorization=granted_to(bad={"condition": "request.method =="}, good={"methods": ["PUT"]}),
    )
    gateway.apply(bad, expect={("AuthPolicy", "members"): "ExpressionInvalid"})
    until(lambda: gateway.get(headers=bearer("a")).status == 403)
    assert gateway.request("PUT", headers=bearer("a")).status == 200
    assert origin.last.method == "PUT"
