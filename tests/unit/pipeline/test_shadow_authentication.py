"""What is only tried: judged like what is enforced, told, and no more than that."""

from __future__ import annotations

import pytest
from fastforward_pipeline import Decision, Proof, Reason, Request, Snapshot, Trail, VerifyPassword, decide

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import (
    NOW,
    apikeys,
    ask,
    auth,
    decided,
    grants,
    host,
    jwt_provider,
    key_provider,
    keyset,
    plan,
    snapshot,
    stored_key,
    tenant,
)
from support.forged_jwts import Issuer

ISSUER = Issuer(now=NOW)
SECRET = "s" * 43
STORED = stored_key("ANN", SECRET, tenant="acme", subject="ann", roles=["reader"])
ANN = {"x-api-key": f"ffk_ANN_{SECRET}"}
JO = {"authorization": f"Bearer {ISSUER.token(sub='jo')}"}
KEYS, TOKENS = key_provider(any_tenant=True), jwt_provider(any_tenant=True)
USERS = pb.Provider(name="shop/trial/users", policy="shop/trial", basic=pb.BasicProvider(users=["shop/users"]))
BOB = {"authorization": "Basic Ym9iOnNlY3JldA=="}


def trial(*providers: pb.Provider, mode: str = "REQUIRED", policy: str = "shop/trial") -> pb.ShadowAuthentication:
    for provider in providers:
        provider.policy = policy
    return pb.ShadowAuthentication(policy=policy, mode=pb.AuthMode.Value(f"AUTH_MODE_{mode}"), providers=providers)


def world(
    *trials: pb.ShadowAuthentication,
    mode: str = "NONE",
    providers: tuple[pb.Provider, ...] = (),
    authorizations: tuple[pb.Authorization, ...] = (),
    **scope: str,
) -> Snapshot:
    hashed = pb.Users(users=[pb.User(name="bob", hash="$2b$10$bob", tenant="", roles=["reader"])])
    return snapshot(
        host(plan("books", "/", auth="shop/members"), **scope),
        auth("shop/members", mode, providers=providers, authorizations=authorizations, trials=trials),
        keyset(ISSUER.jwks()),
        apikeys(STORED),
        tenant("acme"),
        pb.Resource(name="users/shop/users", users=hashed),
    )


def told(decision: Decision) -> list[tuple[str, Reason]]:
    return [(refusal.object, refusal.reason) for refusal in decision.would_refuse]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, Reason.CREDENTIALS_MISSING),
        ({"authorization": "Bearer nonsense"}, Reason.TOKEN_INVALID),
        ({"x-api-key": "nonsense"}, Reason.KEY_UNKNOWN),
        (ANN, None),
        (JO, None),
    ],
)
def test_what_it_would_refuse_is_told_and_passes(headers: dict[str, str], reason: Reason | None) -> None:
    decision = decided(world(trial(KEYS, TOKENS)), ask(headers=headers))
    assert decision.allowed
    assert told(decision) == ([] if reason is None else [("AuthPolicy shop/trial", reason)])
    assert decision.response_headers == ()
    subject = "" if reason is not None else "ann" if headers is ANN else "jo"
    assert (dict(decision.request_headers).get("x-ff-subject", ""), decision.tenant) == (
        subject,
        "acme" if subject == "ann" else "",
    )


def test_optional_ones_miss_nothing() -> None:
    assert told(decided(world(trial(KEYS, mode="OPTIONAL")), ask())) == []


def test_what_is_enforced_says_who_the_caller_is() -> None:
    tokens = world(trial(KEYS), mode="OPTIONAL", providers=(TOKENS,))
    decision = decided(tokens, ask(headers={**ANN}))
    assert (decision.allowed, decision.tenant, told(decision)) == (True, "", [])
    refused = decided(tokens, ask(headers={**ANN, "authorization": "Bearer nonsense"}))
    assert (refused.allowed, refused.reason) == (False, Reason.TOKEN_INVALID)
    required = world(trial(KEYS), mode="REQUIRED", providers=(TOKENS,))
    assert decided(required, ask(headers=ANN)).reason is Reason.TOKEN_MISSING
    assert told(decided(required, ask(headers=JO))) == [("AuthPolicy shop/trial", Reason.KEY_MISSING)]


def test_of_several_the_first_that_proves_something_says_who_it_is() -> None:
    decision = decided(world(trial(KEYS), trial(TOKENS, policy="shop/other")), ask(headers={**ANN, **JO}))
    assert decision.identity is not None
    assert decision.identity.subject == "ann"
    decision = decided(world(trial(KEYS), trial(TOKENS, policy="shop/other")), ask(headers=JO))
    assert decision.identity is not None
    assert (decision.identity.subject, told(decision)) == ("jo", [("AuthPolicy shop/trial", Reason.KEY_MISSING)])


def test_grants_see_whom_it_has_proven() -> None:
    granted = (grants(pb.Grant(name="readers", roles=["reader"])),)
    said = world(trial(KEYS), authorizations=granted)
    assert decided(said, ask(headers=ANN)).allowed
    assert decided(said, ask()).reason is Reason.NOT_GRANTED


def test_a_tenant_that_host_and_proof_disagree_about_is_the_hosts() -> None:
    trail = Trail()
    decision = decided(world(trial(KEYS), host_tenant="globex"), ask(headers=ANN), trail=trail)
    assert (decision.allowed, decision.tenant) == (True, "globex")
    assert told(decision) == [("AuthPolicy shop/trial", Reason.TENANT_CONFLICT)]
    assert next(finding.verdict for finding in trail.findings if finding.stage == "authentication") == "shadowed"


def test_passwords_are_verified_and_the_busy_pass() -> None:
    def judge(request: Request, proof: Proof) -> Decision:
        running = decide(world(trial(USERS)), request)
        assert isinstance(next(running), VerifyPassword)
        with pytest.raises(StopIteration) as end:
            running.send(proof)
        return end.value.value

    bob = ask(headers=BOB)
    assert [told(judge(bob, proof)) for proof in (Proof.RIGHT, Proof.WRONG, Proof.BUSY)] == [
        [],
        [("AuthPolicy shop/trial", Reason.PASSWORD_WRONG)],
        [("AuthPolicy shop/trial", Reason.PASSWORDS_BUSY)],
    ]
    right = judge(bob, Proof.RIGHT).identity
    assert right is not None
    assert right.subject == "bob"


def test_where_another_rule_governs_its_trial_is_told_once_and_changes_nobody() -> None:
    rules = [plan("admins", "/", auth="shop/members", roles=["reader"]), plan("books", "/", auth="shop/members")]
    changed = host(*rules)
    said = world(trial(KEYS, TOKENS)).apply([part for part in changed if not part.name.startswith("scope/")])
    decision = decided(said, ask(headers=ANN))
    assert (decision.route, told(decision)) == ("shop/admins", [])
    assert told(decided(said, ask())) == [("AuthPolicy shop/trial", Reason.CREDENTIALS_MISSING)]
