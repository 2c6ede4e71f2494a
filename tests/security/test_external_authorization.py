"""External authorization under attack: nobody passes for what the service was not asked, nor speaks in its name."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from fastforward_compiler.emit.envoy import entry
from fastforward_entrypoint import external
from fastforward_pipeline import Unavailable
from fastforward_pipeline.stages import external as stage

from security.deployment import Deployment, deploying
from support.origin import Received, Reply
from support.resources import Document, prefix, resource, route, rule

TOLD = "x-auth-user"
UNSENDABLE = ("\xff", "\xc3\x28", "a\xa0")
"""Values whose bytes are no text."""
SUBJECT = "x-ff-subject"


def documents() -> list[Document]:
    """What may fail open wherever it can; the service knows one caller, by `x-key`."""
    asked = {
        "upstream": {"name": "guard"},
        "requestHeaders": ["x-key", "x-kind"],
        "answerHeaders": [TOLD],
        "timeout": "5s",
        "onFailure": "Open",
    }
    spec = {
        "targets": [{"kind": "Route", "name": "shop"}],
        "authorization": {"external": asked},
        "onFailure": "Open",
    }
    return [route("shop", rule(prefix("/"), to="shop")), resource("AuthPolicy", "guarded", spec)]


def answer(request: Received) -> Reply:
    """The service's answer, and the origin's. Whoever has the key passes as nobody; a subject that is told passes."""
    if request.header("x-forwarded-uri") is None:
        return Reply(body="reached")
    if request.target == "/break":
        return Reply(status=500)
    return Reply(status=200 if "right" in request.values("x-key") or request.values(SUBJECT) else 403)


@pytest.fixture
def deployment() -> Generator[Deployment]:
    with deploying(*documents(), origins=("shop", "guard"), answer=answer) as running:
        assert running.problems == ()
        yield running


def attacks() -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    return [
        ("/", ()),
        ("/break", ()),
        ("/", (("x-key", "wrong"),)),
        ("/", ((SUBJECT, "admin"),)),
        ("/", (("x-forwarded-uri", ""),)),
        ("/", (("x-ff-told-x-key", "right"),)),
        *(("/", (("x-kind", value),)) for value in UNSENDABLE),
    ]


def let_in(deployment: Deployment) -> int:
    return sum(deployment.get(*attack).status == 200 for attack in attacks())


def forged(deployment: Deployment) -> list[str]:
    """What the origin reads in the service's name, of requests that pass."""
    sent = [(), ((TOLD, "forged"),), ((TOLD.upper(), "forged"), (TOLD, "again")), ((f"x-ff-told-{TOLD}", "forged"),)]
    for each in sent:
        assert deployment.get("/", (("x-key", "right"), *each)).status == 200
    deployment.decider.kill()
    for each in sent:
        deployment.get("/", each)
    return [value for request in deployment.origins["shop"].received for value in request.values(TOLD)]


def test_nobody_passes_whom_the_service_does_not_let(deployment: Deployment) -> None:
    assert deployment.get("/", (("x-key", "right"),)).status == 200
    assert let_in(deployment) == 0
    assert len(deployment.origins["shop"].received) == 1


def test_nobody_speaks_in_the_services_name_with_a_decision_or_without(deployment: Deployment) -> None:
    assert forged(deployment) == []


def test_the_check_sees_a_build_that_does_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_refusal", lambda *_: None)
    with deploying(*documents(), origins=("shop", "guard"), answer=answer) as broken:
        assert let_in(broken) > 0


def test_the_check_sees_a_build_that_hands_on_what_clients_say_of_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        stage, "_known", lambda exchange: (("x-forwarded-uri", "/"), (SUBJECT, exchange.request.text("x-kind")))
    )
    with deploying(*documents(), origins=("shop", "guard"), answer=answer) as broken:
        assert broken.get("/", (("x-kind", "admin"),)).status == 200


def test_the_check_sees_a_build_that_takes_what_can_not_be_sent_for_a_service_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(external, "ServiceAnswer", lambda status, *_: Unavailable() if status == 400 else None)
    with deploying(*documents(), origins=("shop", "guard"), answer=answer) as broken:
        assert any(broken.get("/", (("x-kind", value),)).status == 200 for value in UNSENDABLE)


def test_the_check_sees_a_build_that_any_fault_of_the_service_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_ABSENT", frozenset({500, 502, 503, 504}))
    with deploying(*documents(), origins=("shop", "guard"), answer=answer) as broken:
        assert broken.get("/break").status == 200


def test_the_check_sees_a_build_that_leaves_headers_as_clients_wrote_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "write_told", lambda *_: None)
    with deploying(*documents(), origins=("shop", "guard"), answer=answer) as broken:
        assert forged(broken) != []


def test_grants_that_are_all_broken_do_not_become_a_service_alone() -> None:
    """A policy with grants and a service asks both, also where no grant is left."""
    guarded = documents()
    guarded[1]["spec"]["authorization"]["grants"] = [{"name": "broken", "condition": "(("}]
    with deploying(*guarded, origins=("shop", "guard"), answer=answer) as running:
        assert running.problems != ()
        assert running.get("/", (("x-key", "right"),)).status == 500
