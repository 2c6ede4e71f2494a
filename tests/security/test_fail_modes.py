"""A decision service that is dead, slow or broken: what is closed refuses, what is open passes, nothing in between."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from fastforward_compiler.emit.envoy import chain

from security.deployment import Deployment, Pairs, deploying
from security.policies import api_keys, by_key, by_token, key_text, keys, policy
from support import tokens
from support.resources import Document, on, prefix, resource, route, rule

IMPATIENT_MS = 400
KEY: Pairs = (("x-api-key", key_text("ACMEKEYACMEK")),)
CLOSED = ("keys", "keys-and-open-limit", "token-and-open-limit", "open-token-and-closed-limit", "closed-limit", "role")
OPEN = ("open-keys", "open-limit")
NATIVE = ("token",)


def limit(name: str, on_failure: str) -> Document:
    """An exact limit that nobody reaches."""
    budget = {"requests": 1_000_000, "window": "1s"}
    spec = {"targets": [on("Route", name)], "budget": budget, "enforcement": "Exact", "onFailure": on_failure}
    return resource("RateLimit", name, spec)


def documents() -> list[Document]:
    """A Route for each combination of policies, at the path of its name."""
    names = (*CLOSED, *OPEN, *NATIVE)
    token, key = by_token("main", "acme"), by_key("acme")
    return [
        keys("main"),
        api_keys(ACMEKEYACMEK="acme"),
        resource("Tenant", "acme", {}),
        *(route(name, rule(prefix(f"/{name}"), to="shop")) for name in names),
        route("admins", rule(prefix("/role", roles=["admin"]), to="shop")),
        policy("keys", ("Route", "keys"), "Required", key),
        policy("with-limit", ("Route", "keys-and-open-limit"), "Required", key),
        limit("keys-and-open-limit", "Open"),
        policy("token-with-limit", ("Route", "token-and-open-limit"), "Required", token),
        limit("token-and-open-limit", "Open"),
        policy("open-token", ("Route", "open-token-and-closed-limit"), "Required", token, onFailure="Open"),
        limit("open-token-and-closed-limit", "Closed"),
        limit("closed-limit", "Closed"),
        policy("role", ("Route", "role"), "Optional", token),
        policy("open-keys", ("Route", "open-keys"), "Required", key, onFailure="Open"),
        limit("open-limit", "Open"),
        policy("token", ("Route", "token"), "Required", token, onFailure="Open"),
    ]


@pytest.fixture
def deployment() -> Generator[Deployment]:
    with deploying(*documents(), origins=("shop",), decision_timeout_ms=IMPATIENT_MS) as running:
        assert running.problems == ()
        yield running


def hang(deployment: Deployment) -> None:
    deployment.decider.behaviour = "hang"


def fail(deployment: Deployment) -> None:
    deployment.decider.behaviour = "fail"


def kill(deployment: Deployment) -> None:
    deployment.decider.kill()


FAULTS: dict[str, Callable[[Deployment], None]] = {"dead": kill, "slow": hang, "answers 500": fail}


def passed(deployment: Deployment, names: tuple[str, ...], headers: Pairs = ()) -> dict[str, int]:
    """The statuses on each Route."""
    return {name: deployment.get(f"/{name}", headers).status for name in names}


def proofs() -> tuple[Pairs, ...]:
    """Nobody, somebody with a token, with a key, and with a forged mark of an open failure."""
    token = tuple(tokens.bearer("main", tenant="acme", roles=["admin"]).items())
    return (), token, KEY, (("x-envoy-auth-failure-mode-allowed", "true"),)


@pytest.mark.parametrize("fault", FAULTS)
def test_closed_refuses_and_open_passes(deployment: Deployment, fault: str) -> None:
    FAULTS[fault](deployment)
    for headers in proofs():
        assert passed(deployment, CLOSED, headers) == dict.fromkeys(CLOSED, 503), headers
    assert deployment.received == 0
    assert passed(deployment, OPEN) == dict.fromkeys(OPEN, 200)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_token_that_the_proxy_verifies_is_asked_for_all_the_same(deployment: Deployment, fault: str) -> None:
    FAULTS[fault](deployment)
    good = tuple(tokens.bearer("main", tenant="acme").items())
    bad = (("authorization", good[0][1][:-8] + "AAAAAAAA"),)
    assert [passed(deployment, NATIVE, each)["token"] for each in ((), bad, KEY, good)] == [401, 401, 401, 200]


def test_with_a_decision_service_each_policy_is_judged(deployment: Deployment) -> None:
    assert passed(deployment, ("keys", "open-keys", "token"), ()) == {"keys": 401, "open-keys": 401, "token": 401}
    assert passed(deployment, ("keys", "open-keys"), KEY) == {"keys": 200, "open-keys": 200}
    assert passed(deployment, ("open-limit", "closed-limit"), ()) == {"open-limit": 200, "closed-limit": 200}


def test_the_check_sees_a_build_that_always_fails_open(monkeypatch: pytest.MonkeyPatch) -> None:
    own = chain.decision

    def forgiving(timeout_ms: int, **_: bool) -> Any:  # noqa: ANN401 - messages have no types
        return own(timeout_ms, fail_open=True)

    monkeypatch.setattr(chain, "decision", forgiving)
    with deploying(*documents(), origins=("shop",), decision_timeout_ms=IMPATIENT_MS) as broken:
        kill(broken)
        assert 200 in passed(broken, CLOSED).values()
