"""Names and passwords (RFC 7617): what is taken for them, whom they prove, and what is asked before that is known."""

from __future__ import annotations

import base64

import argon2
import pytest
from fastforward_pipeline import Decision, Proof, Reason, Snapshot, Trail, VerifyPassword, decide
from fastforward_pipeline.compiled.password import fake_hash, hash_password, verify_password
from fastforward_pipeline.compiled.users import parse_basic

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.credentials import basic, password_hash, password_of
from support.decision_snapshots import (
    apikeys,
    ask,
    auth,
    decided,
    host,
    key_provider,
    plan,
    snapshot,
    stored_key,
    tenant,
)

STAFF = "shop/staff"


def provider(name: str = "basic", *users: str, any_tenant: bool = True) -> pb.Provider:
    made = pb.Provider(name=f"{STAFF}/{name}", policy=STAFF, any_tenant=any_tenant, tenants=["acme"])
    made.basic.users.extend(users or ("shop/users",))
    return made


def user(name: str, **fields: str | list[str]) -> pb.User:
    return pb.User(name=name, hash=password_hash(password_of(name)), **fields)  # ty: ignore[invalid-argument-type]


def users(*known: pb.User, name: str = "shop/users") -> pb.Resource:
    return pb.Resource(name=f"users/{name}", users=pb.Users(users=known))


def world(*providers: pb.Provider, mode: str = "REQUIRED") -> Snapshot:
    ann = user("ann", tenant="acme", roles=["reader"], permissions=["read"])
    return snapshot(
        host(plan("books", "/", auth=STAFF)),
        auth(STAFF, mode=mode, providers=list(providers or (provider(),))),
        users(ann, user("bob")),
        users(user("cid", tenant="bolt"), name="shop/more"),
        apikeys(stored_key("EVE", "secret", tenant="bolt")),
        tenant("acme"),
        tenant("bolt"),
    )


def of(headers: dict[str, str], world_: Snapshot | None = None, trail: Trail | None = None) -> Decision:
    return decided(world_ or world(), ask(headers=headers), trail=trail)


def test_the_right_password_proves_who_it_is() -> None:
    trail = Trail()
    decision = of(basic("ann"), trail=trail)
    assert decision.allowed
    identity = decision.identity
    assert identity is not None
    assert (identity.subject, decision.tenant, identity.roles) == ("ann", "acme", {"reader"})
    assert [found.detail for found in trail.findings if found.stage == "authentication"][:1] == [
        "the caller is ann, by a password"
    ]
    assert dict(decision.request_headers)["x-ff-subject"] == "ann"


@pytest.mark.parametrize(
    ("headers", "reason", "status"),
    [
        ({}, Reason.PASSWORD_MISSING, 401),
        ({"authorization": "Bearer x"}, Reason.PASSWORD_MISSING, 401),
        ({"authorization": "Basic"}, Reason.PASSWORD_MISSING, 401),
        ({"authorization": "Basic "}, Reason.PASSWORD_WRONG, 401),
        ({"authorization": "Basic ???"}, Reason.PASSWORD_WRONG, 401),
        ({"authorization": "Basic " + base64.b64encode(b"ann").decode()}, Reason.PASSWORD_WRONG, 401),
        ({"authorization": "Basic " + base64.b64encode(b":x").decode()}, Reason.PASSWORD_WRONG, 401),
        ({"authorization": "Basic " + base64.b64encode(b"ann:\xff").decode()}, Reason.PASSWORD_WRONG, 401),
        ({"authorization": "Basic " + "A" * 5000}, Reason.PASSWORD_WRONG, 401),
        (basic("ann", ""), Reason.PASSWORD_WRONG, 401),
        (basic("ann", "x" * 100), Reason.PASSWORD_WRONG, 401),
        (basic("ann", password_of("bob")), Reason.PASSWORD_WRONG, 401),
        (basic("ANN", password_of("ann")), Reason.PASSWORD_WRONG, 401),
        (basic("eve"), Reason.PASSWORD_WRONG, 401),
    ],
)
def test_anything_else_is_refused_with_a_challenge(headers: dict[str, str], reason: Reason, status: int) -> None:
    decision = of(headers)
    assert (decision.allowed, decision.reason, decision.status) == (False, reason, status)
    challenge = dict(decision.response_headers)["www-authenticate"]
    assert challenge.startswith("Basic realm=")
    assert challenge.endswith('charset="UTF-8"')


def test_the_scheme_may_be_written_in_any_case() -> None:
    value = basic("bob")["authorization"]
    assert of({"authorization": value.replace("Basic", "bASIC")}).allowed


def test_who_is_unknown_is_asked_about_like_somebody() -> None:
    """Or the time that a refusal takes would say which names there are."""
    known, unknown = (next(decide(world(), ask(headers=basic(name)))) for name in ("ann", "nobody"))
    assert isinstance(known, VerifyPassword)
    assert isinstance(unknown, VerifyPassword)
    assert known.hash[:29] == unknown.hash[:29]
    assert not verify_password(unknown.hash, unknown.password)


def test_nobody_becomes_somebody_by_the_hash_that_stands_for_nobody() -> None:
    running = decide(world(), ask(headers=basic("nobody")))
    next(running)
    with pytest.raises(StopIteration) as end:
        running.send(Proof.RIGHT)
    assert end.value.value.reason is Reason.PASSWORD_WRONG


def test_when_nobody_has_time_to_verify_nobody_gets_in() -> None:
    running = decide(world(), ask(headers=basic("ann")))
    next(running)
    with pytest.raises(StopIteration) as end:
        running.send(Proof.BUSY)
    decision = end.value.value
    assert (decision.status, decision.reason) == (503, Reason.PASSWORDS_BUSY)
    assert dict(decision.response_headers)["retry-after"] == "1"


def test_a_user_is_looked_for_in_all_secrets_and_speaks_for_his_tenant_if_the_provider_may() -> None:
    both = world(provider("a"), provider("b", "shop/more"))
    assert of(basic("cid"), both).tenant == "bolt"
    bound = world(provider("a"), provider("b", "shop/more", any_tenant=False))
    assert of(basic("cid"), bound).reason is Reason.TENANT_NOT_ALLOWED


def test_without_the_users_nobody_is_let_in() -> None:
    assert of(basic("ann"), world(provider("a", "shop/other"))).reason is Reason.NOT_READY


def test_a_key_of_another_tenant_does_not_go_with_a_password() -> None:
    mixed = world(provider(), key_provider(any_tenant=True))
    key = {"x-api-key": "ffk_EVE_secret"}
    assert of(key, mixed).tenant == "bolt"
    assert of({**key, **basic("ann")}, mixed).reason is Reason.TENANT_CONFLICT
    missing = of({}, mixed)
    assert missing.reason is Reason.CREDENTIALS_MISSING
    assert [value.split(" ")[0] for name, value in missing.response_headers if name == "www-authenticate"] == [
        "ApiKey",
        "Basic",
    ]


def test_a_password_where_keys_come_in_the_same_header_is_no_key() -> None:
    mixed = world(provider(), key_provider(header="authorization", any_tenant=True))
    assert of(basic("ann"), mixed).tenant == "acme"
    assert of({"authorization": "ffk_EVE_secret"}, mixed).tenant == "bolt"


def test_optional_lets_in_who_has_none_but_no_wrong_one() -> None:
    optional = world(mode="OPTIONAL")
    assert of({}, optional).allowed
    assert of(basic("ann", "wrong"), optional).reason is Reason.PASSWORD_WRONG


def test_a_password_may_hold_colons_and_no_control_of_c() -> None:
    assert parse_basic(base64.b64encode(b"a:b:c").decode()) == ("a", "b:c")
    assert parse_basic(base64.b64encode(b"a:b\0c").decode()) is None


@pytest.mark.parametrize("hashed", [password_hash("secret"), hash_password("secret")], ids=["bcrypt", "argon2id"])
def test_hashes_are_compared_with_and_their_fakes_fit_nothing(hashed: str) -> None:
    assert verify_password(hashed, "secret")
    for wrong in ("Secret", "", "secret ", "s" * 100):
        assert not verify_password(hashed, wrong)
    assert not verify_password(fake_hash(hashed), "secret")
    assert len(fake_hash(hashed)) == len(hashed)


@pytest.mark.parametrize("hashed", ["", "x", "$2b$10$", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$AAAA$"])
def test_what_is_no_hash_fits_nothing(hashed: str) -> None:
    assert not verify_password(hashed, "")
    assert not verify_password(hashed, "x")


def test_a_fake_costs_as_much() -> None:
    def cost(text: str) -> argon2.Parameters:
        return argon2.extract_parameters(text)

    assert cost(fake_hash(hash_password("x"))) == cost(hash_password("y"))
