"""No request makes the decision service fail, or its answer one that the proxy does not take: what fails open would let
it pass.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NoReturn

import pytest
from fastforward_entrypoint import answer, ask
from fastforward_entrypoint.endpoint import DecisionEndpoint
from fastforward_pipeline import evaluate

from security.deployment import Deployment, Pairs, deploying
from security.policies import api_keys, by_key, by_token, key_text, keys, policy
from support.resources import Document, prefix, resource, route, rule

NAMES = ("plain", "pages")
LONGEST = {"maxHeaderBytes": 96 * 1024}
KEY: Pairs = (("x-api-key", key_text("ACMEKEYACMEK")),)
ZEROS: Pairs = (("content-length", "0" * 5000),)
ORIGIN: Pairs = (("origin", "https://" + "o" * 90_000),)
"""Repeated in an answer."""
HOST = "o" * 90_000 + ".example.com"
"""Named in a challenge."""


def documents() -> list[Document]:
    token, key = by_token("main", "acme"), by_key("acme")
    return [
        keys("main"),
        api_keys(ACMEKEYACMEK="acme"),
        resource("Tenant", "acme", {}),
        route("plain", rule(prefix("/plain"), to="shop")),
        route("pages", rule(prefix("/pages"), to="shop", cors={"allowOrigins": ["*"]})),
        *(policy(name, ("Route", name), "Required", token, key, onFailure="Open") for name in NAMES),
    ]


ATTACKS = (("/plain", ZEROS, "example.com"), ("/pages", ORIGIN, "example.com"), ("/plain", (), HOST))


def attack(deployment: Deployment) -> list[bool]:
    """Which of these, without proof, reach the origin, by HTTP/1.1 or by HTTP/2."""
    found = []
    for target, headers, host in ATTACKS:
        before = deployment.received
        answers = [deployment.get(target, headers, host=host)]
        if headers is not ORIGIN:  # longer than a client of HTTP/2 takes back
            answers.append(deployment.get2(target, headers, host=host))
        # The origin can't read such a length, either.
        lost = any(answer.reason == "dispatch/connection-failed" for answer in answers)
        found.append(lost or deployment.received > before)
    return found


@pytest.fixture
def deployment() -> Generator[Deployment]:
    with deploying(*documents(), origins=("shop",), edge_spec={"limits": LONGEST}) as running:
        assert running.problems == ()
        yield running


def test_requests_that_are_hard_to_answer_are_refused(deployment: Deployment) -> None:
    assert deployment.get("/plain", ZEROS).status == deployment.get2("/plain", ZEROS).status == 401
    refused = deployment.get("/plain", host=HOST)
    assert (refused.status, refused.reason) == (431, "ingress/malformed-request")
    assert attack(deployment) == [False, False, False]


def test_whoever_has_a_key_may_have_long_headers(deployment: Deployment) -> None:
    assert deployment.get("/plain", KEY, host="o" * 40_000 + ".example.com").status == 200
    assert deployment.get("/plain", (*KEY, ("x-long", "x" * 90_000))).status == 200


def test_a_defect_of_a_stage_lets_nobody_pass(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> NoReturn:
        raise RecursionError

    monkeypatch.setattr(evaluate, "STEPS", (broken,))
    refused = deployment.get("/plain", KEY)
    assert (refused.status, refused.reason) == (503, "authentication/decision-unavailable")
    assert deployment.received == 0


@pytest.mark.parametrize("fault", ["digits", "lengths"])
def test_the_check_sees_a_build_that_fails(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "digits":
        monkeypatch.setattr(ask, "read_length", lambda text: int(text) if text.isdigit() else None)
        monkeypatch.setattr(DecisionEndpoint, "__call__", DecisionEndpoint._begin)
    else:
        monkeypatch.setattr(answer, "MOST_BYTES", 1 << 20)
    with deploying(*documents(), origins=("shop",), edge_spec={"limits": LONGEST}) as broken:
        assert attack(broken) == ([True, False, False] if fault == "digits" else [False, True, True])
