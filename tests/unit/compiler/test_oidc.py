"""Logins by OpenID Connect, translated: what must be there, and what a change of it changes."""

from __future__ import annotations

import pytest
from fastforward_compiler.emit.decision.oidc import emit_oidc_client
from fastforward_compiler.problem import Reason

from support.credentials import certificate_pem, jwks, tls_data
from support.issuer import LABEL, SECRET, login_of
from support.resources import (
    Document,
    Json,
    config_map,
    edge,
    on,
    policy,
    proven_by,
    reference_grant,
    route,
    rule,
    secret,
    upstream,
)

from .conftest import Bench

FIELD = "spec.authentication.providers[0].oidc"
TOKEN = {"authorization": "https://login.example.com/authorize", "token": "https://login.example.com/token"}


def world(*others: Document, **oidc: Json) -> list[Document]:
    return [
        edge(8080),
        upstream("login", 1),
        secret("client", {"secret": SECRET}),
        config_map("keys", {LABEL: jwks(LABEL)}),
        route("page", rule(says="page")),
        policy("staff", on("Route", "page"), authentication=proven_by(login_of(**oidc))),
        *others,
    ]


def problems(bench: Bench, *documents: Document) -> dict[str, tuple[Reason, str]]:
    bench.apply(*documents)
    found = bench.report("AuthPolicy", "staff").problems
    return {each.field.removeprefix(f"{FIELD}."): (each.reason, each.message) for each in found}


def test_a_login_and_its_client_are_two_values(bench: Bench) -> None:
    assert problems(bench, *world()) == {}
    (client,) = bench.compiler.snapshot().oidc
    assert (client.name, client.secret) == ("default/staff/login", SECRET.encode())
    assert [(each.address, each.port) for each in client.endpoints] == [("127.0.0.1", 1)]
    changed = bench.apply(secret("client", {"secret": "another secret of it"}))
    assert [each.secret for each in changed.oidc.upserts] == [b"another secret of it"]
    assert changed.auths.upserts == (), "the policy is the same"
    moved = bench.apply(upstream("login", 2))
    assert [each.endpoints[0].port for each in moved.oidc.upserts] == [2]
    gone = bench.delete("AuthPolicy", "staff")
    assert gone.oidc.removed == ("default/staff/login",)


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        (SECRET, True),
        ("a" * 16, True),
        ("a" * 15, False),
        ("", False),
        ("é" * 16, False),
        ("a" * 16 + "\n", False),
        ("a" * 16 + "\0", False),
    ],
)
def test_a_secret_is_long_enough_and_one_line(bench: Bench, value: str, *, usable: bool) -> None:
    found = problems(bench, *world(), secret("client", {"secret": value}))
    assert (found == {}) is usable
    if not usable:
        reason, message = found["clientSecret"]
        assert reason is Reason.SECRET_INVALID
        assert value == "" or value not in message
        assert bench.compiler.snapshot().oidc == ()


def test_what_is_named_must_be_there_and_permitted(bench: Bench) -> None:
    there = {"namespace": "other"}
    found = problems(
        bench,
        *world(
            clientSecret={"name": "client", "key": "secret", **there},
            tokenUpstream={"name": "login", **there},
            jwks={"configMap": {"name": "keys", "key": LABEL, **there}},
        ),
    )
    assert {field: reason for field, (reason, _) in found.items()} == dict.fromkeys(
        ("clientSecret", "tokenUpstream", "jwks.configMap"), Reason.REF_NOT_PERMITTED
    )
    grants = [
        reference_grant(kind.lower(), "other", from_kind="AuthPolicy", from_namespace="default", to_kind=kind)
        for kind in ("Secret", "ConfigMap", "Upstream")
    ]
    found = problems(bench, *grants)
    assert {field: reason for field, (reason, _) in found.items()} == {
        "clientSecret": Reason.SECRET_NOT_FOUND,
        "jwks.configMap": Reason.SECRET_NOT_FOUND,
        "tokenUpstream": Reason.UPSTREAM_NOT_FOUND,
    }
    elsewhere = [{**document, "metadata": {**document["metadata"], **there}} for document in world()[1:4]]
    assert problems(bench, *elsewhere) == {}


TLS = {"serverName": "login.example.com", "authorities": [{"name": "roots"}]}
ROOTS = config_map("roots", {"ca.crt": certificate_pem("roots")})
OWN = secret("own", tls_data("own.example.com"), "kubernetes.io/tls")


@pytest.mark.parametrize(
    ("spec", "endpoints", "message"),
    [
        ({}, TOKEN, "the token endpoint is https, so the Upstream needs tls"),
        ({"tls": TLS}, {}, "the token endpoint is http, but the Upstream has tls"),
        ({"protocol": "HTTP2"}, {}, "that needs the protocol HTTP1"),
        ({"protocol": "GRPC"}, {}, "that needs the protocol HTTP1"),
        ({"proxyProtocol": "V2"}, {}, "the PROXY protocol is the proxy's alone"),
        ({"tls": {**TLS, "certificate": {"name": "own"}}}, TOKEN, "is for the proxy alone to show"),
    ],
)
def test_an_upstream_must_be_one_that_the_decision_service_can_ask(
    bench: Bench, spec: Document, endpoints: Document, message: str
) -> None:
    oidc = {"endpoints": endpoints} if endpoints else {}
    found = problems(bench, *world(ROOTS, OWN, **oidc), upstream("login", 1, **spec))
    reason, said = found["tokenUpstream"]
    assert reason is Reason.INVALID
    assert said.startswith("Upstream default/login can't be asked for tokens: ")
    assert message in said


def test_with_tls_the_client_knows_whom_to_believe(bench: Bench) -> None:
    pins = ["A" * 43 + "="]
    tls = {**TLS, "names": ["other.example.com"], "pins": pins}
    assert problems(bench, *world(ROOTS, endpoints=TOKEN), upstream("login", 1, tls=tls)) == {}
    (client,) = bench.compiler.snapshot().oidc
    assert client.tls is not None
    assert client.tls.authorities.decode().strip() == certificate_pem("roots").strip()
    wire = emit_oidc_client(client).tls
    assert (wire.server_name, list(wire.names), list(wire.pins)) == ("login.example.com", ["other.example.com"], pins)


def test_what_a_login_guards_stays_closed_while_it_is_broken(bench: Bench) -> None:
    problems(
        bench,
        *world(),
        policy(
            "staff",
            on("Route", "page"),
            authentication=proven_by(login_of(clientSecret={"name": "nobody", "key": "secret"})),
        ),
    )
    (entry,) = bench.entries()
    assert type(entry.destination).__name__ == "Unavailable"


def test_it_is_never_open_and_says_why_it_needs_the_hop(bench: Bench) -> None:
    bench.apply(*world())
    guarded = policy("staff", on("Route", "page"), authentication=proven_by(login_of()), onFailure="Open")
    bench.apply(guarded)
    (entry,) = bench.entries()
    assert (entry.hop, entry.fail_open) == (True, False)
    (said,) = [each.why for each in entry.placements if each.stage == "authentication"]
    assert said == "default/staff is judged in the decision hop: AuthPolicy default/staff logs browsers in."


def test_a_routes_login_may_only_be_the_edges_one(bench: Bench) -> None:
    everybody = policy("everybody", on("Edge", "public"), authentication=proven_by(login_of()))
    for changed, reasons in (
        ({}, []),
        ({"sessionTtl": "1m", "redirectPath": "/back"}, []),
        ({"clientId": "another"}, [Reason.WEAKENS_INHERITED]),
        ({"issuer": "https://another"}, [Reason.WEAKENS_INHERITED]),
        ({"rolesClaim": "groups"}, [Reason.WEAKENS_INHERITED]),
    ):
        bench.apply(*world(everybody, **changed))
        assert bench.reasons("AuthPolicy", "staff") == reasons
