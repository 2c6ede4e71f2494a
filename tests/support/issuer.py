"""A small OpenID Connect provider: it logs everybody in at once, and is as strict with clients as real ones are.

In: the URIs that its one client may name. Out: an `Issuer`, whose `answer` an Origin serves; the provider of an
AuthPolicy that trusts it. Called by tests of logins. ID tokens are signed with a key of support.credentials.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

from support.credentials import private_key_pem
from support.origin import Received, Reply
from support.resources import Document, Json

CLIENT, SECRET = "shop", "a secret: with % and + in it, of the tests"
HOST = "login.example.com"
ISSUER = f"http://{HOST}"
LABEL = "login"
"""Of the key that signs: `jwks(LABEL)` verifies."""
_JSON = (("content-type", "application/json"), ("cache-control", "no-store"))


@dataclass(slots=True)
class Issuer:
    """What it says is changed by the test: `claims` are put into every ID token, None takes one out."""

    redirect_uris: tuple[str, ...]
    claims: dict[str, Any] = field(default_factory=dict)
    key: str = LABEL
    """Label of the key that signs, whatever the token's kid says."""
    refuses: str = ""
    """The error that browsers come back with, instead of a code."""
    slow_s: float = 0.0
    """Time that the token endpoint takes for an answer, in which it hears nobody else."""
    in_form: bool = False
    """Whether it wants the client's secret in the form, and takes it nowhere else."""
    asked: int = 0
    """How often the token endpoint was."""
    issued: list[str] = field(default_factory=list)
    """ID tokens."""
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def answer(self, received: Received) -> Reply:
        """Answers one request."""
        url = urlsplit(received.target)
        match received.method, url.path:
            case "GET", "/authorize":
                return self._authorize(_single(url.query))
            case "POST", "/token":
                return self._exchange(received, _single(received.body.decode()))
            case "GET", "/logout":
                return Reply(body="bye")
        return Reply(status=404)

    def _authorize(self, asked: dict[str, str]) -> Reply:
        wanted = {"response_type": "code", "client_id": CLIENT, "code_challenge_method": "S256"}
        if any(asked.get(name) != value for name, value in wanted.items()):
            return Reply(status=400, body="not a request that this client may send")
        if asked["redirect_uri"] not in self.redirect_uris or "openid" not in asked["scope"].split():
            return Reply(status=400, body=f"{asked['redirect_uri']} is none of the client's")
        code = secrets.token_urlsafe()
        self._codes[code] = asked
        said = {"error": self.refuses} if self.refuses else {"code": code}
        query = urlencode({**said, "state": asked["state"], "iss": ISSUER})
        return Reply(status=302, headers=(("location", f"{asked['redirect_uri']}?{query}"),))

    def _exchange(self, received: Received, form: dict[str, str]) -> Reply:
        self.asked += 1
        time.sleep(self.slow_s)
        if self._client(received, form) != (CLIENT, SECRET):
            return Reply(status=401, headers=_JSON, body='{"error": "invalid_client"}')
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != asked["redirect_uri"]
            or challenge != asked["code_challenge"]
        ):
            return Reply(status=400, headers=_JSON, body='{"error": "invalid_grant"}')
        token = self.sign(nonce=asked["nonce"])
        self.issued.append(token)
        said = {"access_token": "opaque", "token_type": "Bearer", "id_token": token}
        return Reply(headers=_JSON, body=json.dumps(said))

    def _client(self, received: Received, form: dict[str, str]) -> tuple[str, str]:
        """Who asks: told in one way alone, or nobody (RFC 6749, section 2.3)."""
        said, posted = (
            received.header("authorization") or "",
            (form.get("client_id", ""), form.get("client_secret", "")),
        )
        if self.in_form:
            return posted if not said else ("", "")
        return _basic(said) if not posted[1] else ("", "")

    def sign(self, **claims: Any) -> str:  # noqa: ANN401 - a claim is anything
        """An ID token."""
        now = int(time.time())
        common = {"iss": ISSUER, "sub": "ann", "aud": CLIENT, "iat": now, "exp": now + 300}
        payload = {name: value for name, value in {**common, **claims, **self.claims}.items() if value is not None}
        key = ECKey.import_key(private_key_pem(self.key))
        return jwt.encode({"alg": "ES256", "kid": LABEL}, payload, key)


def login_of(*, tenants: tuple[str, ...] = ("*",), name: str = "login", **oidc: Json) -> Document:
    """A provider for logins at the Issuer: keys in the ConfigMap `keys`, the client's secret in the Secret `client`."""
    made = {
        "issuer": ISSUER,
        "clientId": CLIENT,
        "clientSecret": {"name": "client", "key": "secret"},
        "endpoints": {"authorization": f"{ISSUER}/authorize", "token": f"{ISSUER}/token"},
        "tokenUpstream": {"name": "login"},
        "jwks": {"configMap": {"name": "keys", "key": LABEL}},
        **oidc,
    }
    return {"name": name, "oidc": made, "tenants": list(tenants)}


def _single(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


def _basic(text: str) -> tuple[str, str]:
    name, _, secret = base64.b64decode(text.removeprefix("Basic ")).decode().partition(":")
    return unquote_plus(name), unquote_plus(secret)
