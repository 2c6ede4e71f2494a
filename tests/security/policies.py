"""Policies and providers as these checks write them. Out: documents. Called by the checks."""

from __future__ import annotations

from support.credentials import apikeys_data, jwks
from support.resources import Document, Json, config_map, on, resource, secret


def keys(*issuers: str) -> Document:
    """The ConfigMap with the public keys of issuers: `tokens.bearer(ISSUER)` signs."""
    return config_map("keys", {issuer: jwks(issuer) for issuer in issuers})


def by_token(issuer: str, *tenants: str, **jwt: Json) -> Document:
    """A provider that believes tokens of an issuer about some tenants; `*` for all."""
    source = {"configMap": {"name": "keys", "key": issuer}}
    return {"name": issuer, "jwt": {"issuer": f"https://{issuer}", "jwks": source, **jwt}, "tenants": list(tenants)}


def by_key(*tenants: str) -> Document:
    """A provider that believes the API keys of `api_keys`."""
    return {"name": "keys", "apiKey": {"secrets": [{"name": "api-keys"}]}, "tenants": list(tenants)}


def by_password(*tenants: str) -> Document:
    """A provider that believes the users of the Secret `users`."""
    return {"name": "passwords", "basic": {"secrets": [{"name": "users"}]}, "tenants": list(tenants)}


def api_keys(**tenants: str) -> Document:
    """The Secret of API keys: ID -> tenant."""
    return secret("api-keys", apikeys_data(**tenants), "gateway.fastforward.dev/api-keys")


def key_text(id_: str) -> str:
    """The API key with that ID."""
    return f"ffk_{id_}_{id_.lower()}"


def policy(name: str, target: tuple[str, str], mode: str, *providers: Document, **spec: Json) -> Document:
    """An AuthPolicy on one (kind, name); without a mode it does not authenticate."""
    authentication: Document = {"mode": mode, **({"providers": list(providers)} if providers else {})}
    own = {"authentication": authentication} if mode else {}
    return resource("AuthPolicy", name, {"targets": [on(*target)], **own, **spec})
