"""A guarded path that is written as an expression is guarded however its ends are written."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from fastforward_compiler.translate import rule as translate_rule

from security.deployment import Deployment, deploying
from security.policies import by_token, keys, policy
from support import tokens
from support.resources import Document, prefix, regex, route, rule

GUARDED = {
    "whole": "^/whole/[a-z]+$",
    "end": "/end/[a-z]+$",
    "text": r"\A/text/[a-z]+\z",
    "branches": "^/branches/(?:one$|[a-z]+)$|^/branches$",
    "case": "(?i)^/case/[a-z]+$",
    "quoted": r"/quoted/\Qa",
}


def documents() -> list[Document]:
    """Everything is public but what the expressions stand for."""
    return [
        keys("main"),
        policy("admins", ("Route", "admin"), "Required", by_token("main")),
        route("admin", *(rule(regex(each), to="admin") for each in GUARDED.values())),
        route("open", rule(prefix("/"), to="open")),
    ]


def served(deployment: Deployment) -> list[str]:
    """What was served without a token though it is guarded, by Envoy or by `decide`."""
    targets = [f"/{name}/a" for name in GUARDED]
    found = [f"{target} by Envoy" for target in targets if deployment.get(target).status != 401]
    return found + [f"{target} by decide" for target in targets if deployment.judge(target).decision.status != 401]


@pytest.fixture
def deployment() -> Generator[Deployment]:
    with deploying(*documents(), origins=("open", "admin")) as running:
        assert running.problems == ()
        yield running


def test_nobody_passes_an_expression_that_names_the_ends_of_the_path(deployment: Deployment) -> None:
    assert served(deployment) == []
    token = list(tokens.bearer("main").items())
    assert deployment.get("/whole/users", token).origin == "admin"
    for target in ("/whole/users/x", "/x/whole/users", "/end/a/", "/branches/one/x"):
        assert deployment.get(target).origin == "open"


def test_the_check_sees_a_compiler_that_leaves_the_ends_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translate_rule, "inside", lambda text: text)
    del_quoted = [each for each in documents() if each["metadata"]["name"] != "admin"]
    ends = {name: text for name, text in GUARDED.items() if name != "quoted"}
    admin = route("admin", *(rule(regex(each), to="admin") for each in ends.values()))
    with deploying(*del_quoted, admin, origins=("open", "admin")) as broken:
        assert {each.split()[0] for each in served(broken)} >= {"/whole/a", "/end/a", "/text/a", "/case/a"}
