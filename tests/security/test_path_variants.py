"""However a guarded path is written, the gateway, the authorization and the upstream see the same path."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from fastforward_compiler.emit.envoy import edge as emit_edge
from fastforward_pipeline.stages import normalization
from fastforward_pipeline.stages.normalization import EscapedSlashes, normalize_path

from security.deployment import NOTHING, Deployment, deploying
from security.policies import by_token, keys, policy
from support import tokens
from support.client import Response
from support.path_variants import VARIANTS, reaches
from support.resources import Document, prefix, regex, route, rule

LEAST = 200
Ask = Callable[..., Response]


def documents() -> list[Document]:
    """Everything is public but /admin."""
    return [
        keys("main"),
        policy("admins", ("Route", "admin"), "Required", by_token("main")),
        route("admin", rule(prefix("/admin"), to="admin")),
        route("open", rule(prefix("/"), to="open")),
    ]


@pytest.fixture(scope="module")
def deployment() -> Generator[Deployment]:
    with deploying(*documents(), origins=("open", "admin")) as running:
        assert running.problems == ()
        yield running


def means_admin(target: str) -> bool:
    """Whether an upstream that resolves dots, slashes and escapes by itself would take it for /admin."""
    return reaches(normalize_path(target, EscapedSlashes.UNESCAPE))


def askers(deployment: Deployment, canonical: str | None) -> tuple[Ask, ...]:
    """Both versions of HTTP; HTTP/1.1 alone for what is no path, for Envoy takes a second to close HTTP/2 then."""
    return (deployment.get,) if canonical is None else (deployment.get, deployment.get2)


def walked_around(deployment: Deployment) -> list[str]:
    """Variants that got at /admin without a token, by Envoy over HTTP/1.1 and 2."""
    seen = []
    for variant, canonical in VARIANTS:
        for get in askers(deployment, canonical):
            before = {name: len(origin.received) for name, origin in deployment.origins.items()}
            get(variant)
            for name, origin in deployment.origins.items():
                arrived = [request.target for request in origin.received[before[name] :]]
                seen += [variant for target in arrived if name == "admin" or means_admin(target)]
    return seen


def test_there_are_enough_variants() -> None:
    assert len(dict(VARIANTS)) >= LEAST


def test_no_variant_walks_around_the_guard(deployment: Deployment) -> None:
    assert walked_around(deployment) == []


def test_gateway_authorization_and_upstream_see_the_same_path(deployment: Deployment) -> None:
    proof = list(tokens.bearer("main").items())
    differences = []
    for variant, canonical in VARIANTS:
        wanted = "admin" if reaches(canonical) else "open"
        for get in askers(deployment, canonical):
            answer = get(variant, proof)
            got = None if answer.origin is None else deployment.origins[answer.origin].received.pop().target
            refused = answer == NOTHING or answer.status in {400, 404}
            agrees = refused if canonical is None else (answer.origin, got) == (wanted, canonical)
            differences += [] if agrees else [f"{variant} -> {answer.status} {answer.origin} {got}, not {canonical}"]
        judged = deployment.judge(variant, proof)
        seen = judged.upstream_view().get("path")
        route_ = judged.decision.route if judged.proxied else ""
        agrees = seen is None if canonical is None else (route_, seen) == (f"default/{wanted}", canonical)
        differences += [] if agrees else [f"{variant} -> decide {route_} {seen}, not {canonical}"]
    assert differences == []


@pytest.mark.parametrize("target", ["/admin\xe9", "/admin/\xe9", "/public/../admin/\xe9"])
def test_bytes_beyond_ascii_are_escaped_over_http2_and_guarded_like_any(deployment: Deployment, target: str) -> None:
    answer = deployment.get2(target)
    assert (answer.status, answer.origin) == ((401, None) if "/admin/" in target else (200, "open"))


def test_without_a_token_the_evaluator_refuses_what_is_below_the_guarded_path(deployment: Deployment) -> None:
    statuses = {variant: deployment.judge(variant).decision.status for variant, path in VARIANTS if reaches(path)}
    assert set(statuses.values()) == {401}


def test_the_check_sees_a_build_that_does_not_normalise(monkeypatch: pytest.MonkeyPatch) -> None:
    own = emit_edge.emit_http

    def raw(*given: Any) -> Any:  # noqa: ANN401 - messages have no types
        made = own(*given)
        made.normalize_path.value = False
        made.merge_slashes = False
        made.path_with_escaped_slashes_action = made.KEEP_UNCHANGED
        return made

    monkeypatch.setattr(emit_edge, "emit_http", raw)
    with deploying(*documents(), origins=("open", "admin")) as broken:
        seen = walked_around(broken)
    assert {"/public/../admin", "/a/../admin", "/%2e/admin"} <= set(seen)


def test_the_check_sees_an_evaluator_that_does_not_normalise(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(normalization, "_canonical", lambda target, *_, **__: target)
    assert deployment.judge("/public/../admin").decision.route == "default/open"


def test_the_check_sees_a_build_that_looks_for_no_hidden_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emit_edge, "_HIDDEN", "")
    with deploying(*documents(), origins=("open", "admin")) as broken:
        assert "/public/%2e%2e;/admin" in walked_around(broken)


def test_no_expression_matches_a_path_with_hidden_dots() -> None:
    any_ = route("any", rule(regex(".*"), to="any"))
    with deploying(any_, origins=("any",)) as running:
        assert running.get("/a/%2e%2e/b").status == 200
        assert running.get("/a/%2e%2e;/b").status == 404
        assert running.received == 1
