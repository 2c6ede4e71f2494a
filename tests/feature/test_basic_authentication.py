"""Basic authentication (RFC 7617): users of Secrets, what is refused, and that guessing costs nobody else his time."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Unpack

import pytest

from support.client import Response
from support.credentials import apikeys_data, basic, password_hash, password_of, users_data
from support.gateway import Ask, Gateway, until
from support.origin import Origin
from support.resources import (
    Document,
    granted_to,
    keys_of,
    on,
    passwords_of,
    policy,
    prefix,
    proven_by,
    resource,
    route,
    rule,
    secret,
)

USERS = "gateway.fastforward.dev/users"


def settled(gateway: Gateway, method: str = "GET", **ask: Unpack[Ask]) -> Response:
    """The answer once the password is verified: a busy machine has no time for it at first, and says so."""
    return until(lambda: gateway.request(method, **ask), lambda answer: answer.status != 503)


def line(name: str, password: str, said: str = "") -> str:
    return f"{name}:{password_hash(password)}{said}"


def users(*lines: str, name: str = "users") -> Document:
    return secret(name, {"users": "\n".join(lines)}, USERS)


@pytest.fixture
def origin(deciding_gateway: Gateway) -> Origin:
    gateway = deciding_gateway
    origin = gateway.upstream("books")
    gateway.apply(
        secret("users", users_data(ann="acme", bob="globex"), USERS),
        *(resource("Tenant", name, {}) for name in ("acme", "globex")),
        route("books", rule(to="books")),
        policy("staff", on("Route", "books"), authentication=proven_by(passwords_of())),
    )
    return origin


def test_a_name_and_its_password_let_in_as_the_users_tenant(gateway: Gateway, origin: Origin) -> None:
    assert settled(gateway, headers=basic("ann")).status == 200
    assert (origin.last.header("x-ff-tenant"), origin.last.header("x-ff-subject")) == ("acme", "ann")
    assert settled(gateway, headers=basic("bob")).status == 200
    assert (origin.last.header("x-ff-tenant"), origin.last.header("x-ff-subject")) == ("globex", "bob")


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "authentication/password-missing"),
        ({"authorization": "Basic"}, "authentication/password-missing"),
        ({"authorization": "Basic !"}, "authentication/password-wrong"),
        (basic("ann", "wrong"), "authentication/password-wrong"),
        (basic("ann", password_of("bob")), "authentication/password-wrong"),
        (basic("nobody"), "authentication/password-wrong"),
        (basic("", ""), "authentication/password-wrong"),
    ],
)
def test_anything_else_is_401_with_a_challenge(
    gateway: Gateway, origin: Origin, headers: dict[str, str], reason: str
) -> None:
    answer = settled(gateway, headers=headers)
    assert (answer.status, answer.reason) == (401, reason)
    assert answer.header("www-authenticate") == 'Basic realm="example.com", charset="UTF-8"'
    assert answer.header("content-type") == "application/problem+json"
    assert gateway.log_line(answer)["refusal"] == reason
    assert origin.received == []


@pytest.mark.usefixtures("origin")
def test_another_password_in_the_secret_takes_the_first_ones_place(gateway: Gateway) -> None:
    assert settled(gateway, headers=basic("ann")).status == 200
    gateway.apply(users(line("ann", "another")))
    until(lambda: settled(gateway, headers=basic("ann")).status == 401)
    assert settled(gateway, headers=basic("ann", "another")).status == 200
    assert settled(gateway, headers=basic("bob")).status == 401


def test_roles_and_permissions_of_the_user_decide(gateway: Gateway, origin: Origin) -> None:
    grants = granted_to(writers={"roles": ["writer"], "permissions": ["books"]}, readers={"methods": ["GET"]})
    gateway.apply(
        users(line("ann", "a", ':{"roles": ["writer"], "permissions": ["books"]}'), line("bob", "b")),
        policy("staff", on("Route", "books"), authentication=proven_by(passwords_of()), authorization=grants),
    )
    until(lambda: settled(gateway, "PUT", headers=basic("ann", "a")).status == 200)
    assert settled(gateway, headers=basic("bob", "b")).status == 200
    refused = settled(gateway, "PUT", headers=basic("bob", "b"))
    assert (refused.status, refused.reason) == (403, "authorization/not-granted")
    assert len(origin.received) == 2


def test_users_speak_for_the_tenants_that_the_policy_lists_alone(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(policy("staff", on("Route", "books"), authentication=proven_by(passwords_of(tenants=("acme",)))))
    assert settled(gateway, headers=basic("ann")).status == 200
    answer = settled(gateway, headers=basic("bob"))
    assert (answer.status, answer.reason) == (403, "authentication/tenant-not-allowed")
    assert len(origin.received) == 1


@pytest.mark.usefixtures("origin")
def test_a_bad_line_is_told_in_the_status_and_hinders_nobody(gateway: Gateway) -> None:
    gateway.apply(
        users(line("ann", "a"), "bob:secret", "cid:$2b$04$" + "a" * 53),
        expect={("AuthPolicy", "staff"): "SecretInvalid"},
    )
    field = "spec.authentication.providers[0].basic.secrets[0]"
    assert gateway.problems("AuthPolicy", "staff")[field].startswith("Line ")
    assert "secret" not in str(gateway.object("AuthPolicy", gateway.namespace, "staff")["problems"]).replace(
        "secrets", ""
    )
    until(lambda: settled(gateway, headers=basic("ann", "a")).status == 200)
    assert settled(gateway, headers=basic("bob", "secret")).status == 401


@pytest.mark.usefixtures("origin")
def test_keys_are_taken_beside_passwords(gateway: Gateway) -> None:
    gateway.apply(
        secret("api-keys", apikeys_data(AAAAAAAAAAAA="acme"), "gateway.fastforward.dev/api-keys"),
        policy("staff", on("Route", "books"), authentication=proven_by(passwords_of(), keys_of())),
    )
    key = {"x-api-key": "ffk_AAAAAAAAAAAA_aaaaaaaaaaaa"}
    assert gateway.get(headers=key).status == 200
    assert settled(gateway, headers=basic("ann")).status == 200
    assert settled(gateway, headers={**key, **basic("ann")}).status == 200
    conflict = settled(gateway, headers={**key, **basic("bob")})
    assert (conflict.status, conflict.reason) == (403, "authentication/tenant-conflict")
    assert gateway.get().reason == "authentication/credentials-missing"


@contextmanager
def guessing(gateway: Gateway, threads: int) -> Generator[list[int]]:
    """Guesses at one account and at unknown ones while the block runs; yields statuses.

    Who is told to come later does so a little later: on a slow machine nothing else would have its turn.
    """
    stop = threading.Event()
    seen: list[int] = []

    def guess(number: int) -> None:
        with gateway.connect() as connection:
            for attempt in range(100_000):
                if stop.is_set():
                    return
                name = "ann" if number % 2 else f"nobody-{attempt}"
                headers = basic(name, f"guess {number} {attempt}")
                seen.append(connection.request("GET", "/", host="example.com", headers=headers).status)
                if seen[-1] == 503:
                    stop.wait(0.02)

    guessers = [threading.Thread(target=guess, args=(number,)) for number in range(threads)]
    for guesser in guessers:
        guesser.start()
    yield seen
    stop.set()
    for guesser in guessers:
        guesser.join(timeout=20)


@pytest.mark.usefixtures("origin")
def test_while_somebody_guesses_others_are_let_in_and_no_guess_is(gateway: Gateway) -> None:
    """Also by a policy that fails open: guessing must not be a way to keep the decision service from deciding."""
    gateway.apply(
        policy("staff", on("Route", "books"), authentication=proven_by(passwords_of()), onFailure="Open"),
        route("open", rule(prefix("/open"), to="books")),
        policy("keys", on("Route", "open"), authentication=proven_by(keys_of(), mode="Optional")),
        secret("api-keys", {"pepper": "p" * 32}, "gateway.fastforward.dev/api-keys"),
    )
    assert settled(gateway, headers=basic("ann")).status == 200
    with guessing(gateway, threads=8) as seen:
        until(lambda: {401, 503} <= set(seen))
        began = len(seen)
        for _ in range(50):
            assert gateway.get(headers=basic("ann")).status == 200, "remembered"
            assert gateway.get("/open").status == 200, "needs no password"
        until(lambda: settled(gateway, headers=basic("bob")).status == 200)
        assert len(seen) > began, "it went on meanwhile"
    assert set(seen) <= {401, 503}
