"""Logins as the pipeline judges them: a snapshot with a provider, a browser's steps, and what answers its questions.

In: what a test varies. Out: resources, Requests, Decisions. Called by tests of logins without a proxy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastforward_pipeline import (
    Answer,
    Decision,
    DrawBytes,
    Drawn,
    Effect,
    Reason,
    RedeemCode,
    Redeemed,
    Request,
    Snapshot,
    Trail,
    decide,
)
from fastforward_pipeline.stages.oidc import LOGIN_S

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.credentials import jwks
from support.decision_snapshots import HOST, NOW, ask, auth, host, keyset, plan, snapshot, tenant
from support.issuer import CLIENT, ISSUER, LABEL, SECRET, Issuer
from support.visitor import PAGE

STAFF = "shop/staff"
NAME = f"{STAFF}/login"


def provider(*, tenants: tuple[str, ...] = ("acme",), any_tenant: bool = True, **oidc: Any) -> pb.Provider:  # noqa: ANN401
    settings: dict[str, Any] = {
        "issuer": ISSUER,
        "keyset": "login",
        "tenant_claim": "tenant",
        "roles_claim": "roles",
        "permissions_claim": "permissions",
        "authorization_url": f"{ISSUER}/authorize?prompt=login#there",
        "scope": "openid profile",
        "redirect_path": "/back",
        "logout_path": "/out",
        "session_seconds": 3600,
    }
    made = pb.OidcProvider(**{**settings, **oidc})
    return pb.Provider(name=NAME, policy=STAFF, any_tenant=any_tenant, tenants=tenants, oidc=made)


def client(**fields: Any) -> pb.Resource:  # noqa: ANN401
    settings: dict[str, Any] = {"client_id": CLIENT, "secret": SECRET.encode(), "token_url": f"{ISSUER}/token"}
    return pb.Resource(name=f"oidc/{NAME}", oidc=pb.OidcClient(**{**settings, **fields}))


def world(*providers: pb.Provider, mode: str = "REQUIRED", known: pb.Resource | None = None) -> Snapshot:
    return snapshot(
        host(plan("books", "/", auth=STAFF)),
        auth(STAFF, mode=mode, providers=list(providers or (provider(),))),
        keyset(jwks(LABEL).encode(), "login"),
        known or client(),
        tenant("acme"),
    )


def page(path: str = "/", **fields: Any) -> Request:  # noqa: ANN401
    headers = {**PAGE, **fields.pop("headers", {})}
    return ask(path, headers=headers, **fields)


class Answering:
    """Answers what is asked: bytes that count up, and an issuer's ID token."""

    def __init__(self, redeemed: Redeemed | None = None, **claims: Any) -> None:  # noqa: ANN401
        self.redeemed = redeemed
        self.claims = {"exp": NOW + 300, "iat": NOW, **claims}
        self.nonce = ""
        self.asked: list[Effect] = []

    def run(self, snapshot_: Snapshot, request: Request, trail: Trail | None = None) -> Decision:
        steps = decide(snapshot_, request, trail=trail)
        try:
            effect = next(steps)
            while True:
                self.asked.append(effect)
                effect = steps.send(self._answer(effect))
        except StopIteration as end:
            return end.value

    def _answer(self, effect: Effect) -> Answer:
        if isinstance(effect, DrawBytes):
            return Drawn(bytes(range(effect.count)))
        assert isinstance(effect, RedeemCode)
        return self.redeemed or Redeemed(id_token=Issuer(()).sign(**{"nonce": self.nonce, **self.claims}))


def location(decision: Decision) -> str:
    return dict(decision.response_headers)["location"]


def cookies(decision: Decision) -> Iterator[tuple[str, str, str]]:
    """Name, value and attributes of each cookie that is set."""
    for name, value in decision.response_headers:
        if name == "set-cookie":
            pair, _, attributes = value.partition("; ")
            yield (*pair.split("=", 1), attributes)  # ty: ignore[invalid-yield]


def begun(snapshot_: Snapshot, path: str = "/orders?page=2", **fields: Any) -> tuple[dict[str, str], dict[str, str]]:  # noqa: ANN401
    """What the issuer is asked, and the cookie that waits."""
    decision = Answering().run(snapshot_, page(path, **fields))
    assert (decision.status, decision.reason) == (302, Reason.LOGIN_STARTED)
    ((name, value, attributes),) = cookies(decision)
    assert f"Max-Age={LOGIN_S}" in attributes
    query = parse_qs(urlsplit(location(decision)).query)
    return {key: values[0] for key, values in query.items()}, {"cookie": f"{name}={value}"}


def came_back(answers: Answering, snapshot_: Snapshot | None = None, query: str = "", **fields: Any) -> Decision:  # noqa: ANN401
    """The last step of a login that has just begun."""
    known = snapshot_ or world()
    asked, waiting = begun(known, **fields)
    answers.nonce = asked["nonce"]
    said = query or f"code=abc&state={asked['state']}"
    return answers.run(known, page(f"/back?{said.format(**asked)}", headers=waiting, **fields))


def session(snapshot_: Snapshot, **said: Any) -> dict[str, str]:  # noqa: ANN401
    known = snapshot_.oidc[NAME]
    kept = {"subject": "ann", "tenant": "", "roles": [], "permissions": [], "until": NOW + 60, **said}
    return {"cookie": f"a=b; ff-session-{known.mark}={known.seal(kept, f'session {HOST}', b'i' * 12)}"}
