"""Pages of others can't make a browser change anything, by no spelling of where they are."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from fastforward_compiler.emit.envoy import entry
from fastforward_pipeline.stages import csrf

from security.deployment import HOST, Deployment, Pairs, deploying
from support.resources import Document, prefix, route, rule

METHODS = ("POST", "PUT", "PATCH", "DELETE")
SOURCES = (
    "",
    "null",
    "https://evil.test",
    f"https://{HOST}.evil.test",
    f"https://evil.test/{HOST}",
    f"https://evil.test?{HOST}",
    f"https://evil.test#{HOST}",
    f"https://{HOST}@evil.test",
    f"https://{HOST}:443@evil.test",
    f"https://{HOST}:8443x",
    f"https://x{HOST}",
    f"https://x.{HOST}",
    f"{HOST.upper()}.test",
    f"file:///{HOST}",
)


def documents() -> list[Document]:
    return [route("shop", rule(prefix("/"), to="shop", csrf={}), hosts=HOST)]


def attacks() -> list[Pairs]:
    sent: list[Pairs] = [()]
    for source in SOURCES:
        sent += [(("origin", source),), (("referer", source),), (("origin", source), ("referer", f"https://{HOST}/"))]
    # Without an Origin, the Referer counts: that one is no attack.
    return [each for each in sent if each != (("origin", ""), ("referer", f"https://{HOST}/"))]


def passed(deployment: Deployment) -> int:
    """How many attacks reach the origin, or would by the evaluator."""
    real = sum(deployment.get("/", each, method=method).status == 200 for each in attacks() for method in METHODS)
    return real + sum(deployment.judge("/", each, method="POST").decision.allowed for each in attacks())


@pytest.fixture
def deployment() -> Generator[Deployment]:
    with deploying(*documents(), origins=("shop",)) as running:
        assert running.problems == ()
        yield running


def test_no_page_of_others_is_obeyed(deployment: Deployment) -> None:
    assert deployment.get("/", (("origin", f"https://{HOST}"),), method="POST").status == 200
    assert passed(deployment) == 0
    assert deployment.received == 1


def test_the_check_sees_a_build_whose_proxy_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    own = entry.emit_csrf
    shadowed = lambda settings, host: own(type(settings)(hosts=settings.hosts, shadow=True), host)  # noqa: E731
    monkeypatch.setattr(entry, "emit_csrf", shadowed)
    with deploying(*documents(), origins=("shop",)) as broken:
        assert passed(broken) > 0


def test_the_check_sees_a_build_whose_evaluator_believes_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csrf, "_source", lambda text: HOST if HOST in text else text)
    with deploying(*documents(), origins=("shop",)) as broken:
        assert passed(broken) > 0
