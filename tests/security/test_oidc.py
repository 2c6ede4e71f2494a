"""Logins under attack: sessions that nobody was given, answers to others, tokens of others, other sites as target."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import pytest
from fastforward_entrypoint import oidc as asking
from fastforward_pipeline import Drawn
from fastforward_pipeline.compiled import keyset
from fastforward_pipeline.compiled import oidc as clients
from fastforward_pipeline.compiled.authpolicy import Identity
from fastforward_pipeline.compiled.oidc import OidcClient
from fastforward_pipeline.stages import idtoken
from fastforward_pipeline.stages import oidc as stage

from security.deployment import HOST, Deployment, deploying, greet
from security.policies import policy
from support.credentials import jwks
from support.issuer import HOST as AT
from support.issuer import LABEL, SECRET, Issuer, login_of
from support.origin import Received, Reply
from support.resources import Document, config_map, prefix, route, rule, secret
from support.visitor import PAGE, Visitor

SITE = f"http://{HOST}"
ELSEWHERE = "other.example.com"
FUTURE = int(time.time()) + 86_400


@dataclass(slots=True)
class Target:
    """What is attacked."""

    deployment: Deployment
    issuer: Issuer

    def visitor(self) -> Visitor:
        port = self.deployment.envoy.port
        return Visitor({HOST: port, ELSEWHERE: port, AT: self.deployment.origins["login"].port})

    def client(self, name: str = "staff") -> OidcClient:
        """The client of a policy."""
        return self.deployment.snapshot.oidc[f"default/{name}/login"]

    def lets_in(self, cookie: str, path: str = "/", host: str = HOST) -> bool:
        """Whether somebody with this cookie reaches the page."""
        answer = self.deployment.get(path, (*PAGE.items(), ("cookie", cookie)), host=host)
        assert answer.status in (200, 302, 401), answer
        return answer.status == 200

    def session(self, name: str = "staff", *, until: int = FUTURE, host: str = HOST, **said: Any) -> str:  # noqa: ANN401
        """The cookie of a session, as whoever has the key makes it."""
        kept = {"subject": "ann", "tenant": "", "roles": [], "permissions": [], "until": until, **said}
        client = self.client(name)
        return f"ff-session-{client.mark}={client.seal(kept, f'session {host}', b'i' * 12)}"


def documents() -> list[Document]:
    return [
        secret("client", {"secret": SECRET}),
        config_map("keys", {LABEL: jwks(LABEL)}),
        route("page", rule(prefix("/"), to="page"), hosts=(HOST, ELSEWHERE)),
        route("other", rule(prefix("/other"), to="page"), hosts=(HOST, ELSEWHERE)),
        policy("staff", ("Route", "page"), "Required", login_of()),
        policy("guests", ("Route", "other"), "Required", login_of()),
    ]


@contextmanager
def attacking() -> Generator[Target]:
    callback = "oauth2/callback"
    issuer = Issuer((f"{SITE}/{callback}", f"{SITE}/other/{callback}", f"http://{ELSEWHERE}/{callback}"))

    def answer(received: Received) -> Reply:
        return issuer.answer(received) if received.header("host") == AT else greet(received)

    with deploying(*documents(), origins=("page", "login"), answer=answer) as deployment:
        assert deployment.problems == ()
        yield Target(deployment, issuer)


@pytest.fixture(scope="module")
def target() -> Generator[Target]:
    with attacking() as running:
        yield running


def unsealed(target: Target) -> bool:
    """A session that its holder has written."""
    kept = {"subject": "ann", "tenant": "", "roles": ["admin"], "permissions": [], "until": FUTURE}
    text = base64.urlsafe_b64encode(json.dumps(kept).encode()).decode().rstrip("=")
    return any(target.lets_in(f"ff-session-{target.client().mark}={value}") for value in (text, "A" * 16 + text))


def altered(target: Target) -> bool:
    """A session with one octet changed, cut off, or empty."""
    good = target.session()
    name, _, value = good.partition("=")
    assert target.lets_in(good)
    swapped = value[:40] + ("A" if value[40] != "A" else "B") + value[41:]
    return any(target.lets_in(f"{name}={bad}") for bad in (swapped, value[:-4], value + "AAAA", "", "="))


def expired(target: Target) -> bool:
    return target.lets_in(target.session(until=int(time.time()) - 1))


def of_another_host(target: Target) -> bool:
    visitor = target.visitor()
    assert visitor.open(f"{SITE}/").status == 200
    ((name, value),) = visitor.cookies[HOST].items()
    return target.lets_in(f"{name}={value}", host=ELSEWHERE)


def of_another_provider(target: Target) -> bool:
    """The guests' session under the name of the staff's."""
    value = target.session("guests").partition("=")[2]
    return target.lets_in(f"ff-session-{target.client().mark}={value}")


def of_another_purpose(target: Target) -> bool:
    """What a login keeps until it comes back, under the name of a session."""
    visitor = target.visitor()
    visitor.step(f"{SITE}/")
    (value,) = visitor.cookies[HOST].values()
    return target.lets_in(f"ff-session-{target.client().mark}={value}")


def of_another_browser(target: Target) -> bool:
    """Somebody logs in, and has somebody else open the last step: who would then work in the first one's name."""
    attacker, victim = target.visitor(), target.visitor()
    back = attacker.until_sent_to(AT, f"{SITE}/")
    last = urljoin(back, attacker.step(back).header("location"))
    victim.step(f"{SITE}/")  # it has a login of its own under way
    return victim.open(last).status == 200


def with_a_stolen_code(target: Target) -> bool:
    """A code that another one's login was given, with the state of one's own."""
    victim, attacker = target.visitor(), target.visitor()
    theirs = victim.until_sent_to(AT, f"{SITE}/")
    code = dict(parse_qsl(urlsplit(victim.step(theirs).header("location") or "").query))["code"]
    own = attacker.until_sent_to(AT, f"{SITE}/")
    state = dict(parse_qsl(urlsplit(own).query))["state"]
    return attacker.open(f"{SITE}/oauth2/callback?{urlencode({'code': code, 'state': state})}").status == 200


def twice(target: Target) -> bool:
    """The last step of a login again, with all cookies that it began with."""
    visitor = target.visitor()
    back = visitor.until_sent_to(AT, f"{SITE}/")
    last, before = urljoin(back, visitor.step(back).header("location")), dict(visitor.cookies[HOST])
    assert visitor.open(last).status == 200
    visitor.cookies[HOST] = before
    return visitor.open(last).status == 200


def with_token(target: Target, key: str = LABEL, **claims: object) -> bool:
    """A login that ends with an ID token with other claims."""
    target.issuer.claims, target.issuer.key = claims, key
    try:
        return target.visitor().open(f"{SITE}/").status == 200
    finally:
        target.issuer.claims, target.issuer.key = {}, LABEL


def with_another_nonce(target: Target) -> bool:
    return with_token(target, nonce="another") or with_token(target, nonce=None)


def for_another_audience(target: Target) -> bool:
    others: tuple[object, ...] = ("another", ["another"], None, "https://shop", "shop/", ["shop", "another"])
    return any(with_token(target, aud=other) for other in others) or with_token(target, azp="another")


def out_of_time(target: Target) -> bool:
    now = int(time.time())
    return with_token(target, exp=now - 600) or with_token(target, exp=None) or with_token(target, nbf=now + 600)


def of_another_issuer(target: Target) -> bool:
    return with_token(target, iss="http://login.example.org") or with_token(target, iss=None)


def signed_by_another(target: Target) -> bool:
    return with_token(target, key="mallory")


ATTACKS = (
    unsealed,
    altered,
    expired,
    of_another_host,
    of_another_provider,
    of_another_purpose,
    of_another_browser,
    with_a_stolen_code,
    twice,
    with_another_nonce,
    for_another_audience,
    out_of_time,
    of_another_issuer,
    signed_by_another,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_no_attack_opens_the_page(target: Target, attack: Callable[[Target], bool]) -> None:
    assert not attack(target)
    assert target.visitor().open(f"{SITE}/").status == 200, "whoever logs in is let in"


PATHS = (
    "//evil.example/",
    "/\\evil.example",
    "/%5Cevil.example",
    "/.//evil.example",
    "/a/..//evil.example",
    "/evil.example",
)


def leads_elsewhere(target: Target) -> bool:
    """Whether any path that a link may have makes a login end on another site."""
    for path in PATHS:
        visitor = target.visitor()
        begun = target.deployment.get(path, tuple(PAGE.items()))
        if begun.status != 302:  # the proxy has refused it, or led it to its normal form
            continue
        location = visitor.until_sent_to(AT, f"{SITE}{path}")
        landed = visitor.step(urljoin(location, visitor.step(location).header("location")))
        assert landed.reason == "authentication/logged-in", landed
        if urlsplit(urljoin(SITE, landed.header("location"))).hostname != HOST:
            return True
    return False


def test_no_login_ends_on_another_site(target: Target) -> None:
    assert not leads_elsewhere(target)


def test_the_check_sees_a_build_that_sends_browsers_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "local_target", lambda path: path if path.startswith("//") else f"/{path}")
    with attacking() as broken:
        assert leads_elsewhere(broken)


def believe(value: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
    except ValueError:
        return None


def shared_store(patch: pytest.MonkeyPatch) -> None:
    """Plants a build that keeps logins for everybody, rather than in the browser that began each."""
    kept: dict[str, Any] = {}
    seal = OidcClient.seal

    def keep(self: OidcClient, content: Any, context: str, iv: bytes) -> str:  # noqa: ANN401
        kept[str(content.get("state"))] = content
        return seal(self, content, context, iv)

    patch.setattr(OidcClient, "seal", keep)
    patch.setattr(stage, "_find_waiting", lambda _exchange, _login, state: kept.get(state))


def lasting(patch: pytest.MonkeyPatch) -> None:
    read = stage._read

    def forever(provider: Any, kept: Any) -> Identity | None:  # noqa: ANN401
        identity = read(provider, kept)
        return None if identity is None else replace(identity, until=FUTURE)

    patch.setattr(stage, "_read", forever)


def same_key(patch: pytest.MonkeyPatch) -> None:
    derive = clients.HKDF
    patch.setattr(clients, "HKDF", lambda algorithm, length, salt, _info: derive(algorithm, length, salt, b""))


BROKEN: tuple[tuple[Callable[[Target], bool], Callable[[pytest.MonkeyPatch], object]], ...] = (
    (unsealed, lambda patch: patch.setattr(OidcClient, "unseal", lambda _self, value, _context: believe(value))),
    (expired, lasting),
    (of_another_host, lambda patch: patch.setattr(stage._Login, "context", lambda _self, purpose: purpose)),
    (of_another_provider, same_key),
    (of_another_browser, shared_store),
    (
        with_a_stolen_code,
        lambda patch: patch.setattr(asking.TokenEndpoints, "draw", lambda _self, asked: Drawn(bytes(asked.count))),
    ),
    (
        with_another_nonce,
        lambda patch: patch.setattr(idtoken, "hmac", SimpleNamespace(compare_digest=lambda _a, _b: True)),
    ),
    (for_another_audience, lambda patch: patch.setattr(idtoken, "_fault_of_audience", lambda _token, _client: "")),
    (out_of_time, lambda patch: patch.setattr(idtoken, "_fault_of_time", lambda _token, _now: "")),
    (signed_by_another, lambda patch: patch.setattr(keyset.KeySet, "verify", lambda _self, _text, _token: True)),
)


@pytest.mark.parametrize(("attack", "plant"), BROKEN, ids=lambda each: each.__name__)
def test_the_check_sees_a_build_that_lets_it_through(
    monkeypatch: pytest.MonkeyPatch,
    attack: Callable[[Target], bool],
    plant: Callable[[pytest.MonkeyPatch], object],
) -> None:
    plant(monkeypatch)
    with attacking() as broken:
        assert attack(broken)
