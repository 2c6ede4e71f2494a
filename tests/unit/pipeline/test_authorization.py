"""What the caller may do."""

# ruff: noqa: ANN401 - fields of messages and requests are handed on as they are

import subprocess
import sys
from typing import Any

import pytest
from fastforward_pipeline import Decision, Reason, Trail
from fastforward_pipeline.compiled import engine
from fastforward_pipeline.compiled.authpolicy import ANONYMOUS
from fastforward_pipeline.compiled.expression import Expression
from fastforward_pipeline.facts import Facts
from hypothesis import given, settings
from hypothesis import strategies as st

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import (
    NOW,
    apikeys,
    ask,
    auth,
    decided,
    grants,
    host,
    jwt_provider,
    key_provider,
    keyset,
    plan,
    snapshot,
    stored_key,
)
from support.forged_jwts import Issuer

ISSUER = Issuer(now=NOW)
SECRET = "s" * 43
STORED = stored_key(
    "ANN", SECRET, tenant="acme", subject="ann", roles=["reader", "writer"], permissions=["books:read", "books:write"]
)
ANN = {"x-api-key": f"ffk_ANN_{SECRET}"}
PROVIDERS = [jwt_provider(any_tenant=True), key_provider(any_tenant=True)]


def judge(*authorizations: pb.Authorization, trail: Trail | None = None, **request: Any) -> Decision:
    given: dict[str, Any] = {"headers": ANN, **request}
    world = snapshot(
        host(plan("books", "/", auth="shop/members")),
        auth("shop/members", "OPTIONAL", providers=PROVIDERS, authorizations=authorizations),
        keyset(ISSUER.jwks()),
        apikeys(STORED),
    )
    return decided(world, ask(**given), trail=trail)


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({}, True),
        ({"roles": ["admin", "reader"]}, True),
        ({"roles": ["admin"]}, False),
        ({"permissions": ["books:read", "books:write"]}, True),
        ({"permissions": ["books:read", "books:delete"]}, False),
        ({"tenants": ["acme", "bolt"]}, True),
        ({"tenants": ["bolt"]}, False),
        ({"methods": ["GET"]}, True),
        ({"methods": ["POST"]}, False),
        ({"condition": "identity.subject == 'ann'"}, True),
        ({"condition": "identity.subject == 'bob'"}, False),
        ({"roles": ["reader"], "methods": ["POST"]}, False),
        ({"roles": ["reader"], "permissions": ["books:read"], "tenants": ["acme"], "methods": ["GET"]}, True),
    ],
)
def test_all_that_a_grant_sets_must_hold(fields: dict[str, Any], allowed: bool) -> None:
    decision = judge(grants(pb.Grant(name="g", **fields)))
    assert decision.allowed is allowed
    assert (decision.status, decision.reason) == ((200, None) if allowed else (403, Reason.NOT_GRANTED))


ADMINS = pb.Grant(name="admins", roles=["admin"])
READERS = pb.Grant(name="readers", roles=["reader"])


def test_within_a_policy_any_grant_suffices() -> None:
    assert judge(grants(ADMINS, READERS)).allowed


def test_every_policy_must_allow() -> None:
    decision = judge(grants(READERS), grants(ADMINS, policy="shop/strict"))
    assert decision.refusal is not None
    assert decision.refusal.object == "AuthPolicy shop/strict"
    assert not judge(grants()).allowed


def test_an_anonymous_caller_has_nothing_to_show() -> None:
    assert not judge(grants(READERS), headers={}).allowed
    assert judge(grants(pb.Grant(name="anybody", methods=["GET"])), headers={}).allowed


def test_a_policy_in_the_shadow_reports_and_hinders_nobody() -> None:
    trail = Trail()
    decision = judge(grants(ADMINS, shadow=True), grants(READERS, policy="shop/other"), trail=trail)
    assert (decision.allowed, decision.shadow) == (True, ("AuthPolicy shop/members",))
    told = [(finding.verdict, finding.object) for finding in trail.findings if finding.stage == "authorization"]
    assert told == [("shadowed", "AuthPolicy shop/members"), ("passed", "AuthPolicy shop/other")]


def test_each_grant_says_what_was_missing() -> None:
    trail = Trail()
    missing = (
        pb.Grant(name="a", methods=["PUT", "POST"]),
        pb.Grant(name="b", tenants=["bolt"]),
        pb.Grant(name="c", roles=["admin"]),
        pb.Grant(name="d", permissions=["x", "books:read"]),
        pb.Grant(name="e", condition="identity.tenant == 'bolt'"),
        pb.Grant(name="f", condition="identity.nothing"),
    )
    judge(grants(*missing), trail=trail)
    assert [(m.field.rpartition(".")[2], m.expected, m.got) for m in trail.near_misses] == [
        ("methods", "POST or PUT", "GET"),
        ("tenants", "bolt", "acme"),
        ("roles", "admin", "reader, writer"),
        ("permissions", "books:read and x", "books:read, books:write"),
        ("condition", "identity.tenant == 'bolt'", "it yields False"),
        ("condition", "identity.nothing", "it fails: 'nothing'"),
    ]


CONDITIONS = {
    "request.method == 'GET' && request.path == '/books/1'": True,
    "request.path.startsWith('/books?')": False,
    "request.host == 'api.example.com'": True,
    "request.headers['x-a'] == '1'": True,
    "request.headers['x-none'] == '1'": False,
    "request.query.q == 'a%20b'": True,
    "request.address == '192.0.2.1'": True,
    "'reader' in identity.roles && !('admin' in identity.roles)": True,
    "size(identity.permissions) == 2": True,
    "identity.claims.nested.level > 3": True,
    "identity.claims.nested.level == 'five'": False,
    "identity.roles.exists(r, r.startsWith('read'))": True,
    "request.method": False,
    "1": False,
    "'true'": False,
    "has(request.headers) && request['method'] == 'GET'": True,
    "identity['claims']['nested']['level'] == 5": True,
    "1 / 0 == 1": False,
    "unknown.thing == 1": False,
    "request.path.matches('^/books/[0-9]+$')": True,
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_grants_only_when_it_is_true(condition: str) -> None:
    claims: dict[str, Any] = {"roles": ["reader"], "permissions": ["a", "b"], "tenant": "acme", "nested": {"level": 5}}
    headers = {"authorization": f"Bearer {ISSUER.token(**claims)}", "x-a": "1"}
    request: dict[str, Any] = {"headers": headers, "path": "/books/1?q=a%20b", "address": "192.0.2.1"}
    assert judge(grants(pb.Grant(name="g", condition=condition)), **request).allowed is CONDITIONS[condition]


def judged(source: str) -> str:
    return Expression(source).judge(Facts(ask()), ANONYMOUS, "")


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("(", "it does not compile"),
        ("request.headers.all(a, request.headers.all(b, true))", "it has a loop within a loop"),
        ("[1].map(x, [2].filter(y, y > x)).size() > 0", "it has a loop within a loop"),
        ("true || " * 200 + "true", "it is longer than 1024 characters"),
    ],
)
def test_an_expression_that_can_not_be_bounded_grants_nothing(source: str, fault: str) -> None:
    assert judged(source).startswith(fault)


@pytest.mark.parametrize(
    "source",
    [
        "[1].all(x, x > 0) && [2].all(y, y > 0)",
        "'.all(' == '.all(' && [1].exists(x, x == 1)",
        "[1].all(x, '[1].all(y, true)' != '')",
        "[1].all(x, [x].size() == 1)",
    ],
)
def test_loops_beside_each_other_are_fine(source: str) -> None:
    assert judged(source) == ""


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_expression_raises(source: str) -> None:
    assert isinstance(judged(source), str)


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("first", ["fastforward_pipeline", "cel"])
def test_the_engine_is_shared_with_whoever_imports_its_package(first: str) -> None:
    same = "from fastforward_pipeline.compiled.engine import load_engine as e; print(e() is engine)"
    assert run_python(f"import {first}; from cel import cel as engine; {same}") == "True\n"


def test_the_engine_comes_without_a_command_line() -> None:
    assert run_python("import sys, fastforward_pipeline; print({'typer', 'rich'} & set(sys.modules))") == "set()\n"


def test_an_engine_that_is_not_there_is_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cel.cel", raising=False)
    monkeypatch.setattr(engine, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match="CEL engine"):
        engine.load_engine()
