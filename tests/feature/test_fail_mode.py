"""What happens when the decision service is gone: policies say whether requests pass or not."""

from collections.abc import Generator

import pytest

from support.credentials import apikeys_data
from support.gateway import Gateway, until
from support.origin import Origin
from support.resources import keys_of, limit, on, policy, prefix, proven_by, resource, route, rule, secret

KEY = {"x-api-key": "ffk_AAAAAAAAAAAA_aaaaaaaaaaaa"}


@pytest.fixture
def origin(deciding_gateway: Gateway) -> Generator[Origin]:
    """Routes whose policies fail closed, open, and both; the decision service is there again after the test."""
    gateway = deciding_gateway
    origin = gateway.upstream("books")
    gateway.apply(
        resource("Tenant", "acme", {}),
        secret("api-keys", apikeys_data(AAAAAAAAAAAA="acme"), "gateway.fastforward.dev/api-keys"),
        route(
            "books",
            *(
                rule(prefix(f"/{name}"), to="books", name=name)
                for name in ("closed", "open", "both", "counted", "strict")
            ),
            rule(prefix("/native"), says="native"),
        ),
        policy("closed", on("Route", "books", "closed"), authentication=proven_by(keys_of())),
        policy("open", on("Route", "books", "open"), authentication=proven_by(keys_of()), onFailure="Open"),
        policy("both", on("Route", "books", "both"), authentication=proven_by(keys_of())),
        limit("both", on("Route", "books", "both"), requests=9, enforcement="Exact", onFailure="Open"),
        limit("counted", on("Route", "books", "counted"), requests=9, enforcement="Exact"),
        limit("strict", on("Route", "books", "strict"), requests=9, enforcement="Exact", onFailure="Closed"),
    )
    yield origin
    gateway.stack.start_decision_service()


def test_with_the_decision_service_all_of_them_are_judged(gateway: Gateway, origin: Origin) -> None:
    found = {name: gateway.get(f"/{name}").status for name in ("closed", "open", "both", "counted", "strict", "native")}
    assert found == {"closed": 401, "open": 401, "both": 401, "counted": 200, "strict": 200, "native": 200}
    assert gateway.get("/closed", headers=KEY).status == 200
    assert len(origin.received) == 3


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
def test_without_it_closed_policies_refuse_open_ones_let_pass_and_native_rules_notice_nothing(
    gateway: Gateway, origin: Origin, *, kill: bool
) -> None:
    gateway.stack.stop_decision_service(kill=kill)
    answers = {name: gateway.get(f"/{name}", headers=KEY) for name in ("closed", "open", "both", "counted", "strict")}
    found = {name: answer.status for name, answer in answers.items()}
    assert found == {"closed": 503, "open": 200, "both": 503, "counted": 200, "strict": 503}
    assert gateway.get("/native").body == "native"
    refused = answers["closed"]
    assert refused.header("content-type") == "application/problem+json"
    assert refused.reason == gateway.log_line(refused)["refusal"] == "authentication/decision-unavailable"
    assert gateway.log_line(answers["open"])["failedOpen"] == "true"
    assert len(origin.received) == 2


def test_what_passes_without_a_decision_is_nobodys(gateway: Gateway, origin: Origin) -> None:
    gateway.stack.stop_decision_service(kill=True)
    forged = {"x-ff-tenant": "acme", "x-ff-subject": "root", "x-ff-key": "AAAAAAAAAAAA"}
    assert gateway.get("/open", headers={**KEY, **forged}).status == 200
    assert not {name for name in origin.last.names if name.startswith("x-ff-")}


def test_the_status_says_that_a_decision_service_is_missing_and_all_is_well_when_it_is_back(
    gateway: Gateway, origin: Origin
) -> None:
    gateway.stack.stop_decision_service(kill=True)
    until(lambda: programmed(gateway), lambda seen: seen == "NoDecisionService")
    gateway.stack.start_decision_service()
    until(lambda: programmed(gateway), lambda seen: seen == "Programmed")
    until(lambda: gateway.get("/closed", headers=KEY).status == 200)
    assert gateway.get("/closed").status == 401
    assert len(origin.received) >= 1


def programmed(gateway: Gateway) -> str:
    conditions = gateway.object("Route", gateway.namespace, "books")["conditions"]
    return next(condition["reason"] for condition in conditions if condition["type"] == "Programmed")
