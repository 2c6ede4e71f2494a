"""An authentication that is only tried opens nothing, and lets nobody be whom he has not proven to be."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest
from fastforward_compiler.cells import Cells
from fastforward_compiler.translate import combination
from fastforward_compiler.translate.authpolicy import PolicyTranslation
from fastforward_pipeline.compiled.authpolicy import Identity
from fastforward_pipeline.stages import authentication

from security.deployment import Deployment, Pairs, deploying
from security.policies import api_keys, by_key, by_token, key_text, keys, policy
from support.resources import Document, prefix, resource, route, rule
from support.tokens import bearer

EDGE, SHOP = ("Edge", "public"), ("Route", "shop")
NAMES = ("x-ff-tenant", "x-ff-subject", "x-ff-key", "x-ff-table", "x-ff-cluster")
FORGED = tuple((name, "globex") for name in NAMES)
KEY = (("x-api-key", key_text("AAAAAAAAAAAA")),)
TOKEN = tuple(bearer("a", tenant="acme", sub="jo").items())


def trial(target: tuple[str, str], *providers: Document, **spec: object) -> Document:
    made = policy("trial", target, "Required", *providers, **spec)
    made["spec"]["authentication"]["shadow"] = True
    return made


def documents(*policies: Document) -> list[Document]:
    return [
        *(resource("Tenant", name, {}) for name in ("acme", "globex")),
        keys("a", "b"),
        api_keys(AAAAAAAAAAAA="acme"),
        route("shop", rule(prefix("/"), to="shop")),
        *policies,
    ]


def enforced(*, overridable: bool = False) -> list[Document]:
    """The Edge asks for a token, whatever a Route tries; where it may, it fails open."""
    edge = policy("edge", EDGE, "Required", by_token("a", "acme"), overridable=overridable)
    # In force it could take the place of the Edge's, or make that narrower.
    tried = by_key("acme") if overridable else by_token("a", "acme", audiences=["shop"])
    return documents(edge, trial(SHOP, tried, onFailure="Open"))


def intruders() -> Sequence[Pairs]:
    """Nobody, and callers who can prove something to the trial alone."""
    return (), KEY, FORGED, (*KEY, *FORGED), tuple(bearer("b", tenant="acme").items()), (("authorization", "Bearer x"),)


def let_in(deployment: Deployment) -> int:
    """Of intruders, by proxy and evaluator; the decision service is away at last."""
    real = sum(deployment.get("/", each).status == 200 for each in intruders())
    judged = sum(deployment.judge("/", each).decision.allowed for each in intruders())
    deployment.decider.kill()
    return real + judged + sum(deployment.get("/", each).status == 200 for each in intruders())


def believed(deployment: Deployment) -> set[str]:
    """What the origin reads of callers who have proven nothing: to a trial where nothing is enforced."""
    unproven = [(), (("x-api-key", "ffk_AAAAAAAAAAAA_guess"),), (("authorization", "Bearer x"),)]
    for each in unproven:
        assert deployment.get("/", (*each, *FORGED)).status == 200
    deployment.decider.kill()
    assert deployment.get("/", (*KEY, *FORGED)).status == 200
    return {
        value for request in deployment.origins["shop"].received for name in NAMES for value in request.values(name)
    }


@pytest.fixture(params=[False, True], ids=["kept", "overridable"])
def deployment(request: pytest.FixtureRequest) -> Generator[Deployment]:
    with deploying(*enforced(overridable=request.param), origins=("shop",)) as running:
        assert running.problems == ()
        yield running


def test_what_another_policy_enforces_stays(deployment: Deployment) -> None:
    assert deployment.get("/", TOKEN).status == 200
    assert let_in(deployment) == 0


def test_nobody_is_whom_he_has_not_proven_to_be() -> None:
    with deploying(*documents(trial(SHOP, by_token("a", "acme"), by_key("acme"))), origins=("shop",)) as running:
        assert running.problems == ()
        assert believed(running) == set()


def test_what_is_tried_refuses_nobody_even_where_host_and_proof_are_of_two_tenants() -> None:
    world = documents(trial(SHOP, by_key("acme")))
    world[1]["spec"]["hosts"] = ["shop.example.com"]
    with deploying(*world, origins=("shop",)) as running:
        assert running.get("/", KEY).status == 200
        assert running.origins["shop"].last.header("x-ff-tenant") == "globex"


def test_the_check_sees_a_build_where_a_trial_takes_the_place_of_what_is_enforced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = combination.effective_policies
    monkeypatch.setattr(
        "fastforward_compiler.translate.protection.effective_policies",
        lambda edge, route: made(edge, [each._replace(enforces=True) for each in route]),
    )
    with deploying(*enforced(overridable=True), origins=("shop",)) as broken:
        assert let_in(broken) > 0


def test_the_check_sees_a_build_that_makes_what_is_tried_the_authentication(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(combination, "_weakness", lambda *_: "")
    tried = combination.POLICY.make

    def forget(cells: Cells, name: str) -> PolicyTranslation | None:
        made = tried(cells, name)
        own = made.authentication if made is not None else None
        return made if made is None or own is None else made._replace(authentication=own._replace(shadow=False))

    monkeypatch.setattr(combination.POLICY, "make", forget)
    with deploying(*enforced(overridable=True), origins=("shop",)) as broken:
        assert let_in(broken) > 0


def test_the_check_sees_a_build_that_fails_open_for_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(combination, "_fails_open", lambda _: True)
    with deploying(*enforced(overridable=True), origins=("shop",)) as broken:
        assert let_in(broken) > 0


def test_the_check_sees_a_build_that_believes_what_was_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    made = authentication.authenticate

    def believing(exchange: authentication.Exchange, auth: authentication.Auth) -> object:
        outcome = made(exchange, auth)
        said = Identity(tenant=exchange.request.text("x-api-key"), provider=auth.keys[0] if auth.keys else None)
        return said if isinstance(outcome, authentication.Refusal) and auth.keys else outcome

    monkeypatch.setattr(authentication, "authenticate", believing)
    with deploying(*documents(trial(SHOP, by_key("acme"))), origins=("shop",)) as broken:
        assert broken.judge("/", (("x-api-key", "globex"),)).decision.tenant == "globex"


def test_grants_that_are_enforced_stay_so_when_the_authentication_is_tried() -> None:
    granted = {"grants": [{"name": "acme", "tenants": ["acme"]}]}
    with deploying(
        *documents(trial(SHOP, by_key("acme"), authorization=granted, onFailure="Open")), origins=("shop",)
    ) as running:
        assert running.get("/", KEY).status == 200
        assert [running.get("/", each).status for each in ((), FORGED)] == [403, 403]
