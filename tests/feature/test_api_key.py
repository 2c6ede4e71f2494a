"""API keys, judged by the decision service: unknown, expired and revoked ones, roles, and the tenants of a Secret."""

import json

import pytest

from support.credentials import apikeys_data
from support.gateway import Gateway, until
from support.origin import Origin
from support.resources import granted_to, keys_of, on, policy, prefix, proven_by, resource, route, rule, secret

KEYS = "gateway.fastforward.dev/api-keys"
ACME, GLOBEX = "AAAAAAAAAAAA", "BBBBBBBBBBBB"


def key(id_: str) -> dict[str, str]:
    """The header with a key of `apikeys_data`."""
    return {"x-api-key": f"ffk_{id_}_{id_.lower()}"}


def entry(id_: str, **changes: object) -> dict[str, str]:
    """A Secret's data with one key, changed."""
    data = apikeys_data(**{id_: "acme"})
    return {**data, id_: json.dumps({**json.loads(data[id_]), **changes})}


@pytest.fixture
def origin(deciding_gateway: Gateway) -> Origin:
    gateway = deciding_gateway
    origin = gateway.upstream("books")
    gateway.apply(
        secret("api-keys", apikeys_data(**{ACME: "acme", GLOBEX: "globex"}), KEYS),
        *(resource("Tenant", name, {}) for name in ("acme", "globex")),
        route("books", rule(to="books")),
        policy("members", on("Route", "books"), authentication=proven_by(keys_of())),
    )
    return origin


def test_a_key_of_the_secret_lets_its_owner_in_as_its_tenant(gateway: Gateway, origin: Origin) -> None:
    assert gateway.get(headers=key(ACME)).status == 200
    assert (origin.last.header("x-ff-tenant"), origin.last.header("x-ff-subject")) == ("acme", ACME.lower())
    assert gateway.get(headers=key(GLOBEX)).status == 200
    assert origin.last.header("x-ff-tenant") == "globex"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "authentication/key-missing"),
        ("", "authentication/key-unknown"),
        ("ffk_AAAAAAAAAAAA_wrong", "authentication/key-unknown"),
        ("ffk_CCCCCCCCCCCC_cccccccccccc", "authentication/key-unknown"),
        ("ffk_AAAAAAAAAAAA_", "authentication/key-unknown"),
        ("AAAAAAAAAAAA_aaaaaaaaaaaa", "authentication/key-unknown"),
        ("ffk_BBBBBBBBBBBB_aaaaaaaaaaaa", "authentication/key-unknown"),
        ("ffk_pepper_pepper-for-tests-only", "authentication/key-unknown"),
        ("x" * 5000, "authentication/key-unknown"),
    ],
)
def test_anything_else_is_401_and_says_no_more_than_that(
    gateway: Gateway, origin: Origin, given: str | None, reason: str
) -> None:
    answer = gateway.get(headers={} if given is None else {"x-api-key": given})
    assert (answer.status, answer.reason) == (401, reason)
    assert (answer.header("www-authenticate") or "").startswith("ApiKey")
    assert answer.header("content-type") == "application/problem+json"
    assert gateway.log_line(answer)["refusal"] == reason
    assert origin.received == []


def test_an_expired_key_is_told_apart(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(secret("api-keys", entry(ACME, notAfter=1), KEYS))
    answer = until(lambda: gateway.get(headers=key(ACME)), lambda answer: answer.status == 401)
    assert answer.reason == "authentication/key-expired"
    assert origin.received == [] or gateway.get(headers=key(GLOBEX)).status == 401


def test_a_revoked_key_opens_nothing_any_more(gateway: Gateway, origin: Origin) -> None:
    assert gateway.get(headers=key(ACME)).status == 200
    gateway.apply(secret("api-keys", apikeys_data(**{GLOBEX: "globex"}), KEYS))
    until(lambda: gateway.get(headers=key(ACME)).status == 401)
    assert gateway.get(headers=key(GLOBEX)).status == 200
    assert len(origin.received) >= 2


def test_a_secret_speaks_for_the_tenants_that_the_policy_lists_alone(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(policy("members", on("Route", "books"), authentication=proven_by(keys_of(tenants=("acme",)))))
    assert gateway.get(headers=key(ACME)).status == 200
    answer = gateway.get(headers=key(GLOBEX))
    assert (answer.status, answer.reason) == (403, "authentication/tenant-not-allowed")
    assert len(origin.received) == 1


def test_the_access_log_names_the_tenant_that_is_refused_too(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(policy("nobody", on("Route", "books"), authorization=granted_to(nobody={"roles": ["nobody"]})))
    refused = gateway.get(headers=key(ACME))
    assert (refused.status, refused.reason) == (403, "authorization/not-granted")
    line = gateway.log_line(refused)
    assert (line["tenant"], line["refusal"]) == ("acme", "authorization/not-granted")
    assert origin.received == []


def test_roles_and_permissions_of_the_key_decide(gateway: Gateway, origin: Origin) -> None:
    grants = granted_to(writers={"roles": ["writer"], "permissions": ["books"]}, readers={"methods": ["GET"]})
    gateway.apply(
        secret("api-keys", entry(ACME, roles=["writer"], permissions=["books"]), KEYS),
        secret("more-keys", apikeys_data(**{GLOBEX: "globex"}), KEYS),
        policy(
            "members",
            on("Route", "books"),
            authentication=proven_by(keys_of(), keys_of("more-keys")),
            authorization=grants,
        ),
    )
    assert gateway.request("PUT", headers=key(ACME)).status == 200
    assert gateway.request("GET", headers=key(GLOBEX)).status == 200
    answer = gateway.request("PUT", headers=key(GLOBEX))
    assert (answer.status, answer.reason) == (403, "authorization/not-granted")
    assert len(origin.received) == 2


def test_the_header_may_be_another_one(gateway: Gateway, origin: Origin) -> None:
    provider = keys_of(header="X-Shop-Key")
    gateway.apply(policy("members", on("Route", "books"), authentication=proven_by(provider)))
    assert gateway.get(headers={"x-shop-key": key(ACME)["x-api-key"]}).status == 200
    assert gateway.get(headers=key(ACME)).status == 401
    assert len(origin.received) == 1


def test_optional_keys_let_callers_without_one_pass_but_no_bad_one(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(policy("members", on("Route", "books"), authentication=proven_by(keys_of(), mode="Optional")))
    assert gateway.get().status == 200
    assert "x-ff-tenant" not in origin.last.names
    assert gateway.get(headers={"x-api-key": "ffk_AAAAAAAAAAAA_wrong"}).status == 401


@pytest.mark.parametrize("host", ["example.com", "EXAMPLE.com:80", "a.example.com", "A.b.Example.com."])
def test_every_spelling_of_every_kind_of_host_is_asked(gateway: Gateway, origin: Origin, host: str) -> None:
    assert gateway.get(host=host).status == 401
    assert gateway.get("/x/../y?q=1", host=host, headers=key(ACME)).status == 200
    assert len(origin.received) == 1


def test_other_rules_of_the_host_are_not_asked(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(route("open", rule(prefix("/open"), says="open")))
    assert gateway.get("/open").body == "open"
    assert gateway.get("/closed").status == 401
    assert origin.received == []
