"""An authentication in the shadow: what it would refuse is told, everybody passes, and what is enforced stays so."""

from __future__ import annotations

import pytest

from support.credentials import apikeys_data, basic, users_data
from support.gateway import Gateway, until
from support.origin import Origin
from support.resources import (
    Document,
    Json,
    edge,
    granted_to,
    issuers,
    keys_of,
    on,
    passwords_of,
    policy,
    prefix,
    proven_by,
    resource,
    route,
    rule,
    secret,
    tokens_of,
)
from support.tokens import bearer

EDGE, ROUTE = on("Edge", "public"), on("Route", "books")
KEY = {"x-api-key": "ffk_AAAAAAAAAAAA_aaaaaaaaaaaa"}
FORGED = {"x-ff-tenant": "globex", "x-ff-subject": "root"}


def tried(*providers: Document, **fields: Json) -> Document:
    """An `authentication` in the shadow."""
    return {**proven_by(*providers), "shadow": True, **fields}


@pytest.fixture
def origin(deciding_gateway: Gateway) -> Origin:
    gateway = deciding_gateway
    origin = gateway.upstream("books")
    gateway.apply(
        edge(gateway.port),
        *(resource("Tenant", name, {}) for name in ("acme", "globex")),
        issuers("a", "b"),
        secret("api-keys", apikeys_data(AAAAAAAAAAAA="acme"), "gateway.fastforward.dev/api-keys"),
        secret("users", users_data(ann="acme"), "gateway.fastforward.dev/users"),
        route("books", rule(to="books")),
    )
    return origin


def told(gateway: Gateway, **headers: str) -> str | None:
    """What the log says of a request that has passed."""
    answer = gateway.get("/", headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status == 200, answer
    said = gateway.log_line(answer)["shadowDecision"]
    return None if said is None else said.removeprefix(f"AuthPolicy {gateway.namespace}/")


def test_callers_without_proof_or_with_bad_proof_pass_as_nobody_and_are_told(gateway: Gateway, origin: Origin) -> None:
    providers = tokens_of("a", audiences=["shop"]), keys_of(), passwords_of(tenants=())
    gateway.apply(policy("trial", ROUTE, authentication=tried(*providers)))
    assert told(gateway, **FORGED) == "trial authentication/credentials-missing"
    for bad, reason in (
        ({"authorization": "Bearer nonsense"}, "token-invalid"),
        (bearer("b", aud="shop"), "token-invalid"),
        (bearer("a", aud="else"), "audience-not-allowed"),
        ({"x-api-key": "ffk_AAAAAAAAAAAA_wrong"}, "key-unknown"),
    ):
        assert told(gateway, **bad, **FORGED) == f"trial authentication/{reason}"
    until(lambda: told(gateway, **basic("ann", "wrong"), **FORGED) == "trial authentication/password-wrong")
    until(lambda: told(gateway, **basic("ann"), **FORGED) == "trial authentication/tenant-not-allowed")
    names = ("x-ff-tenant", "x-ff-subject")
    assert {request.header(name) for request in origin.received for name in names} == {None}


def test_whoever_proves_something_passes_as_that(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(policy("trial", ROUTE, authentication=tried(tokens_of("a"), keys_of())))
    assert told(gateway, **KEY, **FORGED) is None
    assert origin.last.header("x-ff-tenant") == "acme"
    assert told(gateway, **bearer("a", sub="jo", tenant="globex"), **FORGED) is None
    assert (origin.last.header("x-ff-tenant"), origin.last.header("x-ff-subject")) == ("globex", "jo")


def test_grants_that_are_tried_with_it_see_whom_it_has_proven(gateway: Gateway, origin: Origin) -> None:
    grants = granted_to(admins={"roles": ["admin"]})
    gateway.apply(policy("trial", ROUTE, authentication=tried(tokens_of("a")), authorization=grants, shadow=True))
    assert told(gateway, **bearer("a", roles=["admin"])) is None
    assert told(gateway, **bearer("a", roles=["reader"])) == "trial authorization/not-granted"
    both = told(gateway)
    assert both is not None
    assert "trial authentication/token-missing" in both
    assert "trial authorization/not-granted" in both
    assert len(origin.received) == 3


def test_what_the_edge_enforces_stays_enforced(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(
        policy("edge", EDGE, authentication=proven_by(tokens_of("a"), tokens_of("b"))),
        policy("trial", ROUTE, authentication=tried(tokens_of("a"))),
    )
    assert gateway.get("/").status == 401
    assert gateway.get("/", headers={"authorization": "Bearer nonsense"}).status == 401
    assert told(gateway, **bearer("a", tenant="acme")) is None
    assert told(gateway, **bearer("b", tenant="acme"), **FORGED) == "trial authentication/token-invalid"
    assert origin.last.header("x-ff-tenant") == "acme"
    effective = gateway.object("Route", gateway.namespace, "books")["effective"]
    assert effective == [f"AuthPolicy {gateway.namespace}/{name}" for name in ("edge", "trial")]


def test_what_is_tried_takes_no_overridable_policys_place(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(
        policy("edge", EDGE, authentication=proven_by(tokens_of("a")), overridable=True),
        policy("trial", ROUTE, authentication=tried(keys_of())),
    )
    assert gateway.get("/", headers=KEY).status == 401
    assert told(gateway, **bearer("a")) == "trial authentication/key-missing"
    assert len(origin.received) == 1
    gateway.apply(policy("trial", ROUTE, authentication=proven_by(keys_of())))
    until(lambda: gateway.get("/", headers=KEY).status == 200)


def test_what_would_weaken_the_inherited_is_told_as_for_one_in_force(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(policy("edge", EDGE, authentication=proven_by(tokens_of("a"))))
    gateway.apply(
        policy("trial", ROUTE, authentication=tried(tokens_of("b"))),
        expect={("AuthPolicy", "trial"): "WeakensInherited"},
    )
    assert gateway.get("/").status == 401
    assert told(gateway, **bearer("a")) is None
    assert len(origin.received) == 1


def test_a_trial_of_the_edge_leaves_routes_their_own(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(
        route("books", rule(prefix("/own"), to="books", name="own"), rule(to="books", name="rest")),
        policy("trial", EDGE, authentication=tried(tokens_of("a"))),
        policy("own", on("Route", "books", "own"), authentication=proven_by(keys_of())),
    )
    assert told(gateway) == "trial authentication/token-missing"
    assert gateway.get("/own").reason == "authentication/key-missing"
    passed = gateway.get("/own", headers=KEY)
    assert passed.status == 200
    name = f"AuthPolicy {gateway.namespace}/trial"
    assert gateway.log_line(passed)["shadowDecision"] == f"{name} authentication/token-missing"
    assert origin.last.header("x-ff-tenant") == "acme"


def test_a_trial_that_can_not_work_is_told_and_closes_nothing(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(
        policy("trial", ROUTE, authentication=tried(keys_of("nowhere"))),
        expect={("AuthPolicy", "trial"): "SecretNotFound"},
    )
    assert gateway.get("/").status == 200
    assert len(origin.received) == 1


def test_without_decision_service_what_is_only_tried_lets_pass(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(
        route("books", rule(prefix("/both"), to="books", name="both"), rule(to="books", name="trial")),
        policy("trial", EDGE, authentication=tried(passwords_of())),
        policy("strict", on("Route", "books", "both"), authentication=proven_by(keys_of()), onFailure="Open"),
    )
    gateway.stack.stop_decision_service()
    try:
        assert gateway.get("/", headers=FORGED).status == 200
        assert gateway.get("/both", headers=KEY).status == 503, "guesses at the trial's passwords must not open it"
    finally:
        gateway.stack.start_decision_service()
    assert origin.last.header("x-ff-tenant") is None
