"""Basic authentication under attack: guesses are refused, and no number of them opens what fails open elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest
from fastforward_compiler.translate import combination
from fastforward_entrypoint import passwords
from fastforward_pipeline.stages import authentication

from security.deployment import Deployment, deploying
from security.policies import by_password, policy
from support.credentials import basic, password_of, users_data
from support.gateway import until
from support.resources import Document, prefix, resource, route, rule, secret

IMPATIENT_MS = 300


def documents() -> list[Document]:
    return [
        secret("users", users_data(ann="acme", bob="acme"), "gateway.fastforward.dev/users"),
        resource("Tenant", "acme", {}),
        route("shop", rule(prefix("/"), to="shop")),
        policy("staff", ("Route", "shop"), "Required", by_password("acme"), onFailure="Open"),
    ]


@pytest.fixture
def deployment() -> Generator[Deployment]:
    with deploying(*documents(), origins=("shop",)) as running:
        assert running.problems == ()
        yield running


def guesses() -> list[dict[str, str]]:
    """Other passwords of somebody, his name in other words, and names that nobody has."""
    right = password_of("ann")
    return [
        *(basic("ann", wrong) for wrong in ("", right[:-1], f"{right} ", right.upper(), password_of("bob"), "x" * 72)),
        *(basic(name, right) for name in ("", "Ann", "ann ", "ann\0", "nobody", "*", "ann:ann")),
        {"authorization": basic("ann")["authorization"].removesuffix("=")[:-4]},
        {"authorization": basic("ann")["authorization"].replace("Basic", "Bearer")},
        {"authorization": basic("ann")["authorization"].replace("Basic ", "Basic")},
    ]


def let_in(deployment: Deployment) -> int:
    """How many guesses come through."""
    return sum(deployment.get("/", tuple(each.items())).status == 200 for each in guesses())


def test_no_guess_is_let_in(deployment: Deployment) -> None:
    until(lambda: deployment.get("/", tuple(basic("ann").items())).status == 200)
    assert let_in(deployment) == 0
    assert deployment.received == 1


def test_the_check_sees_a_build_that_takes_any_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "verify_password", lambda _hash, _password: True)
    with deploying(*documents(), origins=("shop",)) as broken:
        assert let_in(broken) > 0


def test_the_check_sees_a_build_that_takes_the_busy_for_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PATIENCE_S", 0.0)
    believe = lambda _exchange, provider, _name, user, _proof: user.identity(provider)  # noqa: E731
    monkeypatch.setattr(authentication, "_judge_proof", believe)
    with deploying(*documents(), origins=("shop",)) as broken:
        assert let_in(broken) > 0


def flood(deployment: Deployment) -> set[int]:
    """Many guesses at once, each of another password; returns the statuses."""
    seen: set[int] = set()

    def guess(number: int) -> None:
        for attempt in range(6):
            seen.add(deployment.get("/", tuple(basic("ann", f"{number} {attempt}").items())).status)

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plants a verifier that takes in whatever comes, and lets it wait."""
    for name in ("MAX_OF_ONE", "MAX_WAITING", "PATIENCE_S"):
        monkeypatch.setattr(passwords, name, 10_000)


def test_a_flood_of_guesses_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the decision service does drown in them: a policy with passwords fails closed."""
    unbounded(monkeypatch)
    with deploying(*documents(), origins=("shop",), decision_timeout_ms=IMPATIENT_MS) as drowning:
        assert flood(drowning) <= {401, 503}
        assert drowning.received == 0


def test_the_check_sees_a_build_where_guesses_make_the_policy_fail_open(monkeypatch: pytest.MonkeyPatch) -> None:
    unbounded(monkeypatch)
    monkeypatch.setattr(combination, "_fails_open", lambda found: all(each.fail_open for each in found))
    with deploying(*documents(), origins=("shop",), decision_timeout_ms=IMPATIENT_MS) as broken:
        assert 200 in flood(broken)
